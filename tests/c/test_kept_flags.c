/* SPDX-License-Identifier: MIT */
/* Symbols and contexts of kept flags are those of docs/format.md, tile by tile. */
#include <string.h>

#include "check.h"
#include "exact_tiles.h"

enum { NROWS = 12, MOST_NTX = 150, NGUARDS = 16 };

/* Tile t of a row; none is kept outside of the frame. */
static uint32_t tile_of(const uint8_t *kept, uint32_t ntx, int64_t row, int64_t t)
{
    return row >= 0 && t >= 0 && t < ntx ? kept[row * ntx + t] : 0;
}

static uint32_t symbol_of(const uint8_t *kept, uint32_t ntx, int64_t row, int64_t quad)
{
    uint32_t symbol = 0;
    for (int64_t t = 0; t < QUAD_NTILES; t++)
        symbol |= tile_of(kept, ntx, row, QUAD_NTILES * quad + t) << t;
    return symbol;
}

static uint32_t context_of(const uint8_t *kept, uint32_t ntx, int64_t row, int64_t quad)
{
    const uint32_t left = symbol_of(kept, ntx, row - 1, quad - 1) >> 3;
    const uint32_t right = symbol_of(kept, ntx, row - 1, quad + 1) & 1;
    return 2 * symbol_of(kept, ntx, row - 1, quad) + (left | right);
}

static void check_symbols(const uint8_t *kept, uint32_t ntx)
{
    uint8_t symbol[MOST_NTX + NGUARDS];
    uint8_t plain[MOST_NTX + NGUARDS];
    const uint32_t nquads = (ntx + QUAD_NTILES - 1) / QUAD_NTILES;
    memset(symbol, 77, sizeof symbol);
    memset(plain, 77, sizeof plain);
    const int is_some = kept_symbols(kept, ntx, symbol);
    CHECK(kept_symbols_plain(kept, ntx, plain) == is_some);
    CHECK(memcmp(symbol, plain, nquads) == 0);
    CHECK(is_some == (memchr(kept, 1, ntx) != NULL));
    for (uint32_t quad = nquads; quad < nquads + 15; quad++)
        CHECK(plain[quad] == 77 && (symbol[quad] == 77 || symbol[quad] == 0));
    CHECK(symbol[nquads + 15] == 77);
}

/* Rows that follow each other, some of them empty, or all. */
static void check_width(uint32_t ntx, int is_empty, unsigned *state)
{
    const ring_map map = {.ntx = ntx, .nty = NROWS};
    uint8_t *kept = malloc((size_t)NROWS * ntx);
    kept_flags flags;
    symbol_writer s = {0};
    CHECK(kept && !kept_flags_make(&map, &flags));
    for (size_t row = 0; row < NROWS; row++) {
        const unsigned most = !is_empty && random_bits(state) % 3 ? random_bits(state) % 4 : 0;
        for (size_t t = 0; t < ntx; t++)
            kept[row * ntx + t] = random_bits(state) % 4 < most;
        check_symbols(kept + row * ntx, ntx);
        kept_flags_write(&flags, &s, &map, kept + row * ntx);
    }
    kept_flags_finish(&flags, &s);
    const int has_some = memchr(kept, 1, (size_t)NROWS * ntx) != NULL;
    CHECK(!s.failed && s.npairs == (has_some ? (size_t)NROWS * flags.nquads : 0));
    for (uint32_t k = 0; k < s.npairs; k++) {
        const uint32_t row = k / flags.nquads;
        const uint32_t quad = k % flags.nquads;
        const uint32_t context = context_of(kept, ntx, row, quad);
        CHECK(s.pair[k] == (context << 8 | symbol_of(kept, ntx, row, quad)));
    }
    symbol_writer_free(&s);
    kept_flags_free(&flags);
    free(kept);
}

int main(void)
{
    unsigned state = 3;
    for (uint32_t ntx = 1; ntx <= MOST_NTX; ntx++)
        check_width(ntx, ntx % 8 == 0, &state);
    return 0;
}
