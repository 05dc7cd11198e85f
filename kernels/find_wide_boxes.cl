/* SPDX-License-Identifier: MIT */
/*
 * With local counts, in frames of many or of negative counts: which pixels of a tile are the middle
 * of a box that holds far more than its background.  All as filter/src/wide_box_search.c does it,
 * to the last bit: sums of doubles in the same order.
 *
 * Index space: tiles x frames; no local memory.  A work-item reads the 6 x 6 pixels around its
 * tile, and the rules of their cells.
 */
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

/* What a pixel is above the background of its cell; 0 if it is not counted. */
inline double excess_of(global const PIXEL *frames, global const uchar *mask,
                        global const ushort *cells, global const cell_rule *rules,
                        frame_shape shape, tile_options options, global uchar *tiles, uint frame,
                        int row, int column)
{
    if (row < 0 || column < 0 || row >= (int)shape.x || column >= (int)shape.y)
        return 0.0;
    const uint tile = row / 4 * shape.w + column / 4;
    const uint p = row % 4 * 4 + column % 4;
    const bool is_valid = VALID_OF(tiles)[tile] >> p & 1u;
    if (!is_valid || cells[tile] >= NCELLS(options))
        return 0.0;
    if (HAS_MASK(options) && mask[pixel_index(shape, 0, tile, p)])
        return 0.0;
    return (double)frames[pixel_index(shape, frame, tile, p)] -
           as_double(rules[cells[tile]].expected);
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
find_wide_boxes(global const PIXEL *frames, global const uchar *mask, global const ushort *cells,
                global const cell_rule *all_rules, const frame_shape shape,
                const tile_options options, global const uint *is_wide, global uchar *all_tiles,
                global uint *hits)
{
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    if (tile >= ntiles_of(shape) || !is_wide[frame])
        return;
    global uchar *tiles = tiles_of(all_tiles, shape, frame);
    global const cell_rule *rules = all_rules + (ulong)frame * (NCELLS(options) + 1u);
    uint found = 0;
    if (cells[tile] < NCELLS(options)) {
        const double chance = as_double(rules[cells[tile]].wide_chance);
        const double peak = as_double(rules[cells[tile]].wide_peak);
        const int top = 4 * (int)(tile / shape.w);
        const int left = 4 * (int)(tile % shape.w);
        double row[6][4]; /* sums of three pixels side by side */
        for (int i = 0; i < 6; i++) {
            double e[6];
            for (int j = 0; j < 6; j++)
                e[j] = excess_of(frames, mask, cells, rules, shape, options, tiles, frame,
                                 top + i - 1, left + j - 1);
            for (int j = 0; j < 4; j++)
                row[i][j] = e[j] + e[j + 1] + e[j + 2];
        }
        for (int i = 0; i < 4; i++) {
            const int first = (top + i + 2) % 3; /* of the row above, modulo 3 */
            for (int j = 0; j < 4; j++) {
                double sum = 0;
                for (int k = 0; k < 3; k++)
                    sum += row[i + (k + 3 - first) % 3][j];
                found |= (sum > chance ? 1u : 0u) << (4 * i + j);
                found |= (sum > chance && sum > peak ? 0x10000u : 0u) << (4 * i + j);
            }
        }
    }
    hits[frame * tiles_room(shape) + tile] = found & inside_bits(shape, tile) * 0x10001u;
}
#endif
