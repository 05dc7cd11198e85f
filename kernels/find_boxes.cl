/* SPDX-License-Identifier: MIT */
/*
 * With local counts: which pixels of a tile are the middle of a box of 3 x 3 bytes that is no
 * chance, and of a peak's.  Frames that are wide are for find_wide_boxes.cl.
 *
 * Index space: tiles x frames; no local memory.  A work-item reads the 6 x 6 bytes around its tile
 * and writes 16 bits of each kind.
 */
kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
find_boxes(global const uchar *plane, global const ushort *cells, global const cell_rule *all_rules,
           const frame_shape shape, const tile_options options, global const uint *is_wide,
           global uint *hits)
{
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const uint ncells = NCELLS(options);
    if (tile >= ntiles_of(shape) || is_wide[frame])
        return;
    const uint cell = min((uint)cells[tile], ncells);
    global const cell_rule *rule = all_rules + (ulong)frame * (ncells + 1u) + cell;
    const uint chance = rule->chance;
    const uint peak = rule->peak;
    const uint stride = plane_stride(shape);
    global const uchar *from = plane + plane_tile(shape, frame, tile) - stride;
    uint4 row[6]; /* sums of three bytes side by side */
    for (uint i = 0; i < 6; i++, from += stride) {
        const uint4 left = convert_uint4(vload4(0, from - 4));
        const uint4 here = convert_uint4(vload4(0, from));
        const uint4 right = convert_uint4(vload4(0, from + 4));
        row[i] = (uint4)(left.w, here.xyz) + here + (uint4)(here.yzw, right.x);
    }
    uint found = 0;
    for (uint i = 0; i < 4; i++) {
        const uint4 sum = row[i] + row[i + 1] + row[i + 2];
        const uint s[4] = {sum.x, sum.y, sum.z, sum.w};
        for (uint j = 0; j < 4; j++) {
            found |= (s[j] > chance ? 1u : 0u) << (4u * i + j);
            found |= (s[j] > peak ? 0x10000u : 0u) << (4u * i + j);
        }
    }
    hits[frame * tiles_room(shape) + tile] = found & inside_bits(shape, tile) * 0x10001u;
}
