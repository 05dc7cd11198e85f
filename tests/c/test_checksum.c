/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "checksum.h"

int main(void)
{
    const char *digits = "123456789";
    CHECK(bragg_crc32c(0, digits, 9) == 0xE3069283u);
    CHECK(bragg_crc32c(bragg_crc32c(0, digits, 5), digits + 5, 4) == 0xE3069283u);
    CHECK(bragg_crc32c(0, digits, 0) == 0);
    return 0;
}
