/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "checksum.h"

/* One bit after the other, as it is defined. */
static uint32_t by_bits(uint32_t crc, const uint8_t *p, size_t nbytes)
{
    crc = ~crc;
    for (size_t i = 0; i < nbytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78u & (0 - (crc & 1)));
    }
    return ~crc;
}

/* Vectors take thousands of bytes at a time, wherever they begin. */
static void long_data_have_the_checksum_of_their_bits(void)
{
    enum { MOST = 10000, NROUNDS = 200 };
    static uint8_t data[MOST];
    uint32_t state = 1;
    for (size_t i = 0; i < MOST; i++)
        data[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    for (uint32_t round = 0; round < NROUNDS; round++) {
        const size_t first = (state = state * 1664525u + 1013904223u) >> 24;
        const size_t n = (state = state * 1664525u + 1013904223u) % (MOST - 256);
        CHECK(bragg_crc32c(round, data + first, n) == by_bits(round, data + first, n));
    }
    for (size_t n = 3060; n < 3100; n++)
        CHECK(bragg_crc32c(0, data + n % 7, n) == by_bits(0, data + n % 7, n));
}

int main(void)
{
    const char *digits = "123456789";
    CHECK(bragg_crc32c(0, digits, 9) == 0xE3069283u);
    CHECK(bragg_crc32c(bragg_crc32c(0, digits, 5), digits + 5, 4) == 0xE3069283u);
    CHECK(bragg_crc32c(0, digits, 0) == 0);
    long_data_have_the_checksum_of_their_bits();
    return 0;
}
