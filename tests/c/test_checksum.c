/* SPDX-License-Identifier: MIT */
/* Checksums are those of the literature, and of long data those of their bits one by one. */
#include "check.h"
#include "checksum.h"

enum { MAX_NBYTES = 10000 };

static uint32_t bit_by_bit(uint32_t crc, const uint8_t *p, size_t nbytes)
{
    crc = ~crc;
    for (size_t i = 0; i < 8 * nbytes; i++) {
        const uint32_t bit = p[i / 8] >> i % 8 & 1;
        crc = crc >> 1 ^ (0x82F63B78u & (0u - ((crc ^ bit) & 1)));
    }
    return ~crc;
}

static void long_data_are_taken_in_parts(void)
{
    static uint8_t data[MAX_NBYTES + 8];
    unsigned state = 5;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)random_bits(&state);
    for (int round = 0; round < 100; round++) {
        const size_t nbytes =
            round < 4 ? 3072u * (unsigned)round : random_bits(&state) % MAX_NBYTES;
        const uint8_t *p = data + random_bits(&state) % 8;
        const uint32_t crc = random_bits(&state);
        CHECK(bragg_crc32c(crc, p, nbytes) == bit_by_bit(crc, p, nbytes));
    }
}

int main(void)
{
    const char *digits = "123456789";
    CHECK(bragg_crc32c(0, digits, 9) == 0xE3069283u);
    CHECK(bragg_crc32c(bragg_crc32c(0, digits, 5), digits + 5, 4) == 0xE3069283u);
    CHECK(bragg_crc32c(0, digits, 0) == 0);
    long_data_are_taken_in_parts();
    return 0;
}
