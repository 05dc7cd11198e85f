/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (docs/format.md, "Checksum"): four bytes at a time by tables, which is the reference, or
 * eight by the instruction that x86 has for it.
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
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p,
                                                                 size_t nbytes)
{
    uint64_t wide = crc;
    for (; nbytes >= 8; nbytes -= 8, p += 8) {
        uint64_t bytes;
        memcpy(&bytes, p, sizeof bytes);
        wide = _mm_crc32_u64(wide, bytes);
    }
    return by_tables((uint32_t)wide, p, nbytes);
}
#endif

uint32_t bragg_crc32c(uint32_t crc, const void *data, size_t nbytes)
{
#if defined(BRAGG_X86_64)
    if (bragg_cpu_level() >= CPU_AVX2) /* all of these have SSE 4.2 */
        return ~by_instruction(~crc, data, nbytes);
#endif
    return ~by_tables(~crc, data, nbytes);
}
