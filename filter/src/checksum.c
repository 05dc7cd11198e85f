/* SPDX-License-Identifier: MIT */
/* CRC-32C, four bytes at a time (docs/format.md, "Checksum"). */
#include "checksum.h"

#include "bytes.h"
#include "checksum_table.h"

uint32_t bragg_crc32c(uint32_t crc, const void *data, size_t nbytes)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (; nbytes >= 4; nbytes -= 4, p += 4) {
        crc ^= load_u32(p);
        crc = CRC32C_TABLE[3][crc & 0xFF] ^ CRC32C_TABLE[2][crc >> 8 & 0xFF] ^
              CRC32C_TABLE[1][crc >> 16 & 0xFF] ^ CRC32C_TABLE[0][crc >> 24];
    }
    for (; nbytes > 0; nbytes--, p++)
        crc = crc >> 8 ^ CRC32C_TABLE[0][(crc ^ *p) & 0xFF];
    return ~crc;
}
