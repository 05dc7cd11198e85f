/* SPDX-License-Identifier: MIT */
/*
 * With local counts: which pixels of a tile are the middle of a box of 3 x 3 bytes that is no
 * chance, and of a peak's.  Frames that are wide are for find_wide_boxes.cl.
 *
 * Index space: tiles x frames; no local memory.  A work-item reads the 6 x 6 bytes around its tile
 * and writes 16 bits of each kind.
 */
/* The highest bits of the numbers of columns 0 and 2 and of 1 and 3, side by side. */
inline uint bits_of(uint even, uint odd)
{
    return (even >> 15 & 1u) | (odd >> 14 & 2u) | (even >> 29 & 4u) | (odd >> 28 & 8u);
}

/* The boxes of a tile: bits of those that are no chance, and 16 higher of those of a peak. */
inline uint boxes_of(global const uchar *plane, global const cell_rule *rule, frame_shape shape,
                     uint frame, uint tile)
{
    const uint chance = rule->chance;
    const uint peak = rule->peak;
    const uint stride = plane_stride(shape);
    global const uchar *from = plane + plane_tile(shape, frame, tile) - stride;
    uint even[6]; /* sums of three bytes side by side, around those of columns 0 and 2 */
    uint odd[6];  /* and of columns 1 and 3 */
    for (uint i = 0; i < 6; i++, from += stride) {
        const uint here = load_bytes(from);
        const uint e = here & 0x00FF00FFu;
        const uint o = here >> 8 & 0x00FF00FFu;
        even[i] = (o << 16 | load_bytes(from - 4) >> 24) + e + o;
        odd[i] = e + o + (e >> 16 | load_bytes(from + 4) << 16 & 0x00FF0000u);
    }
    /* Sums are below 2^12: added to this, those above the cut carry into the highest bits. */
    const uint above_chance = 0x10001u * (0x7FFFu - min(chance, 0x7FFFu));
    const uint above_peak = 0x10001u * (0x7FFFu - min(peak, 0x7FFFu));
    uint any = 0;
    for (uint i = 0; i < 4; i++) {
        even[i] += even[i + 1] + even[i + 2];
        odd[i] += odd[i + 1] + odd[i + 2];
        any |= (even[i] + above_chance) | (odd[i] + above_chance);
    }
    uint found = 0;
    for (uint i = 0; i < 4 && (any & 0x80008000u); i++)
        found |= bits_of(even[i] + above_chance, odd[i] + above_chance) << 4u * i |
                 bits_of(even[i] + above_peak, odd[i] + above_peak) << (4u * i + 16u);
    return found & inside_bits(shape, tile) * 0x10001u;
}

/* The arguments of a kernel that finds boxes. */
#define BOX_ARGUMENTS                                                                              \
    global const uchar *plane, global const ushort *cells, global const cell_rule *all_rules,      \
        const frame_shape shape, const tile_options options, global const uint *is_wide,           \
        global uint *hits

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void find_boxes(BOX_ARGUMENTS)
{
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    if (tile >= ntiles_of(shape) || is_wide[frame])
        return;
    global const cell_rule *rule = rule_of(all_rules, cells, options, frame, tile);
    hits[frame * tiles_room(shape) + tile] = boxes_of(plane, rule, shape, frame, tile);
}
