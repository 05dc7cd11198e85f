/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (docs/format.md, "Checksum"): four bytes at a time by tables, which is the reference, or
 * eight by the instruction that x86 has for it, in three strands.
 */
#include "checksum.h"

#include "bytes.h"
#include "checksum_table.h"
#include "cpu_level.h"

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

/* Three strands of so many bytes go side by side: the instruction gives its result three cycles
 * later. */
enum { STRAND_NBYTES = 1024, LAST_NBYTES = 8 };

/*
 * A checksum goes on through n bytes, which are those of other strands, if it is multiplied by
 * x^(8 n - 33) mod P here, and the instruction takes the product, below x^63, as the last eight of
 * them: it multiplies by x^32, and bits are reflected, which counts for one more.
 */
static const uint32_t THROUGH_ONE = 0xFE314258u; /* strand, and the last bytes */
static const uint32_t THROUGH_TWO = 0xF7506984u;

KERNEL static uint64_t multiply(uint64_t crc, uint32_t factor)
{
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
                                                 _mm_cvtsi64_si128((long long)factor), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

KERNEL static uint64_t take_strands(uint64_t crc, const uint8_t *p)
{
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < STRAND_NBYTES; i += 8) {
        crc = _mm_crc32_u64(crc, load_u64(p + i));
        second = _mm_crc32_u64(second, load_u64(p + STRAND_NBYTES + i));
        third = _mm_crc32_u64(third, load_u64(p + 2 * STRAND_NBYTES + i));
    }
    const uint64_t before = multiply(crc, THROUGH_TWO) ^ multiply(second, THROUGH_ONE);
    return _mm_crc32_u64(third, load_u64(p + 3 * STRAND_NBYTES) ^ before);
}

KERNEL static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t nbytes)
{
    const size_t taken = 3 * STRAND_NBYTES + LAST_NBYTES;
    uint64_t wide = crc;
    for (; nbytes >= taken; nbytes -= taken, p += taken)
        wide = take_strands(wide, p);
    for (; nbytes >= 8; nbytes -= 8, p += 8)
        wide = _mm_crc32_u64(wide, load_u64(p));
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
