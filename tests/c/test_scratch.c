/* SPDX-License-Identifier: MIT */
/* Blocks are aligned, apart from one another, hold what they were asked for, and are used again. */
#include <string.h>

#include "check.h"
#include "scratch.h"

enum { NBLOCKS = 40, LARGE = 3 << 20 };

static void check_bytes(const unsigned char *memory, size_t nbytes, int value)
{
    for (size_t i = 0; i < nbytes; i++)
        CHECK(memory[i] == value);
}

static void blocks_do_not_overlap(void)
{
    void *block[NBLOCKS];
    size_t nbytes[NBLOCKS];
    unsigned state = 1;
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < NBLOCKS; k++) {
            nbytes[k] = k == 0 ? 0 : random_bits(&state) % (k % 2 ? 300 : 100000);
            block[k] = scratch_take(nbytes[k]);
            CHECK(block[k] && (size_t)block[k] % 64 == 0);
            memset(block[k], k, nbytes[k]);
        }
        for (int k = 0; k < NBLOCKS; k++) {
            check_bytes(block[k], nbytes[k], k);
            scratch_give(block[k]);
        }
    }
}

static void grown_blocks_keep_their_contents(void)
{
    unsigned char *memory = NULL;
    for (size_t nbytes = 1; nbytes < LARGE; nbytes = 3 * nbytes + 1) {
        memory = scratch_grow(memory, nbytes);
        CHECK(memory);
        memset(memory + nbytes / 3, 7, nbytes - nbytes / 3);
        check_bytes(memory, nbytes, 7);
    }
    scratch_give(memory);
}

static void zeros_are_zeros_in_used_memory_too(void)
{
    for (int round = 0; round < 2; round++) {
        unsigned char *memory = scratch_take_zeros(LARGE / 3, 3);
        CHECK(memory);
        check_bytes(memory, LARGE, 0);
        memset(memory, 1, LARGE);
        scratch_give(memory);
    }
}

/* What is beyond the usual is kept while it is reserved, and given back. */
static void reserved_memory_is_kept(void)
{
    enum { NLARGE = 6 };
    const size_t nbytes = (size_t)48 << 20;
    void *block[NLARGE];
    scratch_reserve(NLARGE * nbytes);
    for (int k = 0; k < NLARGE; k++)
        CHECK((block[k] = scratch_take(nbytes)));
    for (int k = NLARGE; k-- > 0;)
        scratch_give(block[k]);
#if defined(__SANITIZE_ADDRESS__)
    block[0] = scratch_take(nbytes); /* nothing is kept there */
#else
    void *last = block[0];
    block[0] = scratch_take(nbytes);
    CHECK(block[0] == last);
#endif
    scratch_give(block[0]);
    scratch_unreserve(NLARGE * nbytes);
}

int main(void)
{
    reserved_memory_is_kept();
    blocks_do_not_overlap();
    grown_blocks_keep_their_contents();
    zeros_are_zeros_in_used_memory_too();
    CHECK(scratch_take((size_t)-1) == NULL);
    CHECK(scratch_take_zeros((size_t)-1 / 2, 4) == NULL);
    scratch_give(NULL);
    return 0;
}
