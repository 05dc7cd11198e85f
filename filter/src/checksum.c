/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (docs/format.md, "Checksum"): four bytes at a time by tables, which is the reference, or
 * eight by the instruction that x86 has for it (in parts, as in V. Gopal et al., "Fast CRC
 * computation for iSCSI polynomial using CRC32 instruction", Intel 2011).
 */
#include "checksum.h"

#include "bytes.h"
#include "checksum_table.h"
#include "cpu_level.h"
#include "pixel.h" /* BRAGG_INLINE */

/* Both take and return the complement of the checksum. */
static uint32_t by_tables(uint32_t crc, const uint8_t *p, size_t nbytes)
{
    for (; nbytes >= 4; nbytes -= 4, p += 4) {
        crc ^= load_u32(p);
        crc = CRC32C_TABLE[3][crc & 0xFF] ^ CRC32C_TABLE[2][crc >> 8 & 0xFF] ^
              CRC32C_TABLE[1][crc >> 16 & 0xFF] ^ CRC32C_TABLE[0][crc >> 24];
    }
    for (; nbytes > 0; nbytes--, p++)
        crc = crc >> 8 ^ CRC32C_TABLE[0][(crc ^ *p) & 0xFF];
    return crc;
}

#if defined(BRAGG_X86_64)
#include <immintrin.h>

#define KERNEL __attribute__((target("sse4.2,pclmul")))

enum { PART_NBYTES = 1024, NPARTS = 3 };

/* x^(8 n - 33) modulo the polynomial, of n = 1 and 2 times PART_NBYTES. */
static const uint32_t BEFORE_ONE_PART = 0x170076FA;
static const uint32_t BEFORE_TWO_PARTS = 0xA51B6135;

KERNEL BRAGG_INLINE uint64_t add_8(uint64_t crc, const uint8_t *p)
{
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return _mm_crc32_u64(crc, bytes);
}

/* What becomes of a complement by n zero bytes: its product with x^(8 n).  Products are shifted by
 * one bit, and the instruction multiplies by x^32: thence the 33. */
KERNEL BRAGG_INLINE uint64_t multiply(uint64_t crc, uint32_t power)
{
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)power), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Each instruction waits for the one before, three times as long as it takes: so three parts go
 * side by side. */
KERNEL static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t nbytes)
{
    uint64_t wide = crc;
    for (; nbytes >= NPARTS * PART_NBYTES; nbytes -= NPARTS * PART_NBYTES) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (const uint8_t *end = p + PART_NBYTES; p < end; p += 8) {
            wide = add_8(wide, p);
            second = add_8(second, p + PART_NBYTES);
            third = add_8(third, p + 2 * PART_NBYTES);
        }
        wide = multiply(wide, BEFORE_TWO_PARTS) ^ multiply(second, BEFORE_ONE_PART) ^ third;
        p += (NPARTS - 1) * PART_NBYTES;
    }
    for (; nbytes >= 8; nbytes -= 8, p += 8)
        wide = add_8(wide, p);
    return by_tables((uint32_t)wide, p, nbytes);
}
#endif

uint32_t bragg_crc32c(uint32_t crc, const void *data, size_t nbytes)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() >= CPU_AVX2) /* all of these have SSE 4.2, too */
        return ~by_instruction(~crc, data, nbytes);
#endif
    return ~by_tables(~crc, data, nbytes);
}
