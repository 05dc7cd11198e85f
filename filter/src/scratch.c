/* SPDX-License-Identifier: MIT */
/* Keeps large blocks of memory from call to call: one list for each size, quarters of an octave. */
#include "scratch.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"

/* What a process keeps at most if nobody asks for more; smaller blocks are the C library's. */
enum { KEPT_MAX_MIB = 128, SMALLEST_KEPT = 1 << 14 };
enum { ALIGNMENT = 64, STEPS = 4, NSIZES = 8 * sizeof(size_t) * STEPS };

/* Stands before the memory given away. */
typedef struct scratch_block {
    void *start; /* what malloc returned */
    size_t nbytes;
    uint32_t size; /* number of its list */
    struct scratch_block *next;
} scratch_block;

/* The first block of each size, guarded by the spin lock of that number. */
static scratch_block *kept[NSIZES];
_Static_assert((int)NSIZES <= (int)SPIN_COUNT, "each list has a lock");
static _Atomic(size_t) kept_nbytes;
static _Atomic(size_t) reserved_nbytes;

static scratch_block *list_pop(uint32_t size)
{
    spin_acquire(size);
    scratch_block *block = kept[size];
    if (block)
        kept[size] = block->next;
    spin_release(size);
    if (block)
        atomic_fetch_sub(&kept_nbytes, block->nbytes);
    return block;
}

static void list_push(scratch_block *block)
{
    spin_acquire(block->size);
    block->next = kept[block->size];
    kept[block->size] = block;
    spin_release(block->size);
}

static scratch_block *block_of(void *memory)
{
    return (scratch_block *)(void *)((uint8_t *)memory - ALIGNMENT);
}

/* Number of the smallest size that holds nbytes, which becomes that size. */
static uint32_t round_up(size_t *nbytes)
{
    uint32_t octave = 0;
    while (*nbytes >> octave >= 2 * STEPS)
        octave++;
    const size_t unit = (size_t)1 << octave;
    const size_t quarters = (*nbytes + unit - 1) >> octave; /* STEPS to 2 * STEPS */
    *nbytes = quarters << octave;
    return octave * STEPS + (uint32_t)quarters - STEPS;
}

static void *make_block(size_t nbytes, uint32_t size)
{
    uint8_t *start = malloc(nbytes + 2 * (size_t)ALIGNMENT);
    if (!start)
        return NULL;
    uint8_t *memory = start + (ALIGNMENT - (uintptr_t)start % ALIGNMENT) + ALIGNMENT;
    *block_of(memory) = (scratch_block){start, nbytes, size, NULL};
    return memory;
}

/* AddressSanitizer is to see where every block ends. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_BLOCKS 0
#endif
#endif
#if !defined(KEEPS_BLOCKS)
#define KEEPS_BLOCKS 1
#endif

static int is_kept(size_t nbytes) { return KEEPS_BLOCKS && nbytes >= SMALLEST_KEPT; }

void *scratch_take(size_t nbytes)
{
    uint32_t size = 0;
    scratch_block *block = NULL;
    if (nbytes > SIZE_MAX / 2)
        return NULL;
    if (is_kept(nbytes)) {
        size = round_up(&nbytes);
        block = list_pop(size);
    }
    return block ? (uint8_t *)block + ALIGNMENT : make_block(nbytes, size);
}

void *scratch_take_zeros(size_t n, size_t nbytes)
{
    if (nbytes && n > SIZE_MAX / nbytes)
        return NULL;
    void *memory = scratch_take(n * nbytes);
    return memory ? memset(memory, 0, n * nbytes) : NULL;
}

static size_t most_nbytes(void)
{
    return ((size_t)KEPT_MAX_MIB << 20) + atomic_load(&reserved_nbytes);
}

void scratch_give(void *memory)
{
    if (!memory)
        return;
    scratch_block *block = block_of(memory);
    const size_t nbytes = block->nbytes;
    if (is_kept(nbytes) && atomic_fetch_add(&kept_nbytes, nbytes) + nbytes <= most_nbytes()) {
        list_push(block);
        return;
    }
    if (is_kept(nbytes))
        atomic_fetch_sub(&kept_nbytes, nbytes);
    free(block->start);
}

void *scratch_grow(void *memory, size_t nbytes)
{
    const size_t old_nbytes = memory ? block_of(memory)->nbytes : 0;
    if (memory && nbytes <= old_nbytes)
        return memory;
    void *larger = scratch_take(nbytes);
    if (!larger || !memory)
        return larger;
    memcpy(larger, memory, old_nbytes);
    scratch_give(memory);
    return larger;
}

void scratch_reserve(size_t nbytes) { atomic_fetch_add(&reserved_nbytes, nbytes); }

/* Largest blocks first, until no more is kept than may be. */
void scratch_unreserve(size_t nbytes)
{
    atomic_fetch_sub(&reserved_nbytes, nbytes);
    for (uint32_t size = NSIZES; size-- > 0;) {
        scratch_block *block = NULL;
        while (atomic_load(&kept_nbytes) > most_nbytes() && (block = list_pop(size)))
            free(block->start);
    }
}
