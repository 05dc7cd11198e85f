/* SPDX-License-Identifier: MIT */
/*
 * find_boxes for CPUs: a work-item takes a frame, four tiles at a time in vectors.
 *
 * Index space: frames (dimension 1).  The plane has zeros around the frame, so that only the last
 * tiles of a row, and those that an edge cuts, are left to boxes_of.
 */

/* Bits of the pixels of four tiles side by side, the rows of which are true or false. */
inline uint4 bits_of_tiles(const ushort16 *rows)
{
    const ushort16 column = (ushort16)(1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8);
    ushort16 bits = 0;
#pragma unroll
    for (ushort i = 0; i < 4; i++)
        bits |= rows[i] & column << (ushort16)(4 * i);
    ulong4 tile = as_ulong4(bits);
    tile |= tile >> 32u;
    tile |= tile >> 16u;
    return convert_uint4(tile & 0xFFFFu);
}

/* The boxes of four tiles side by side, all in the frame. */
inline uint4 boxes_of_tiles(global const uchar *from, uint stride, ushort4 chance, ushort4 peak)
{
    ushort16 box[6];
#pragma unroll
    for (uint i = 0; i < 6; i++, from += stride)
        box[i] = convert_ushort16(vload16(0, from - 1)) + convert_ushort16(vload16(0, from)) +
                 convert_ushort16(vload16(0, from + 1));
#pragma unroll
    for (uint i = 0; i < 4; i++)
        box[i] += box[i + 1] + box[i + 2];
    const ushort16 least = chance.xxxxyyyyzzzzwwww;
    if (!any(max(max(box[0], box[1]), max(box[2], box[3])) > least))
        return 0;
    const ushort16 most = peak.xxxxyyyyzzzzwwww;
    ushort16 is_hit[4];
    ushort16 is_peak[4];
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        is_hit[i] = as_ushort16(box[i] > least);
        is_peak[i] = as_ushort16(box[i] > most);
    }
    return bits_of_tiles(is_hit) | bits_of_tiles(is_peak) << 16u;
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void find_boxes_by_frame(BOX_ARGUMENTS)
{
    const uint frame = get_global_id(1);
    const uint stride = plane_stride(shape);
    global uint *found = hits + frame * tiles_room(shape);
    if (is_wide[frame])
        return;
    for (uint row = 0; row < shape.z; row++) {
        const uint first = row * shape.w;
        const bool is_whole = 4u * (row + 1u) <= shape.x;
        uint column = 0;
        for (; is_whole && 4u * (column + 4u) <= shape.y; column += 4u) {
            const uint tile = first + column;
            global const uchar *from = plane + plane_tile(shape, frame, tile) - stride;
            ushort chance[4];
            ushort peak[4];
            for (uint t = 0; t < 4; t++) {
                global const cell_rule *rule = rule_of(all_rules, cells, options, frame, tile + t);
                chance[t] = rule->chance;
                peak[t] = rule->peak;
            }
            const uint4 boxes = boxes_of_tiles(from, stride, vload4(0, chance), vload4(0, peak));
            vstore4(boxes, 0, found + tile);
        }
        for (; column < shape.w; column++) {
            const uint tile = first + column;
            global const cell_rule *rule = rule_of(all_rules, cells, options, frame, tile);
            found[tile] = boxes_of(plane, rule, shape, frame, tile);
        }
    }
}
