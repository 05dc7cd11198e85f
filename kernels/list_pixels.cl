/* SPDX-License-Identifier: MIT */
/*
 * The bytes of kept tiles and, without local counts, what picked pixels are above the threshold:
 * what a chunk holds pixel by pixel.
 *
 * Index space: tiles x frames; local memory: 160 bytes a work-group.  Lists are in the order of tiles
 * and have room for a whole frame.
 */
kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
list_pixels(global const uchar *plane, global const ushort *cells, global const cell_rule *all_rules,
            const frame_shape shape, const tile_options options, global uchar *all_tiles,
            global const ushort *above_of, global const uint2 *all_groups, global uchar *exact,
            global uchar *excess)
{
    local uint exact_planes[NPLANES * NWORDS];
    local uint above_planes[NPLANES * NWORDS];
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const ulong room = tiles_room(shape);
    const uint stride = plane_stride(shape);
    const uint ncells = NCELLS(options);
    const bool has_local = HAS_LOCAL(options);
    global uchar *tiles = tiles_of(all_tiles, shape, frame);
    uint nexact = 0;
    uint above = 0;
    if (tile < ntiles_of(shape)) {
        const bool is_exact = KEPT_OF(tiles, room)[tile] || cells[tile] >= ncells;
        nexact = is_exact && VALID_OF(tiles)[tile] == 0xFFFFu && !HAS_LARGE_OF(tiles, room)[tile];
        above = has_local ? 0u : above_of[frame * room + tile];
    }
    planes_clear(exact_planes);
    planes_clear(above_planes);
    planes_put(exact_planes, nexact);
    planes_put(above_planes, popcount(above));
    barrier(CLK_LOCAL_MEM_FENCE);
    if (!nexact && !above)
        return;
    const uint2 first = all_groups[frame * (room / GROUP_SIZE) + get_group_id(0)];
    global const uchar *from = plane + plane_tile(shape, frame, min(tile, ntiles_of(shape) - 1u));
    if (nexact) {
        const uint at = first.x + planes_sum(exact_planes, get_local_id(0));
        global uchar *to = exact + (frame * room + at) * TILE_NPIXELS;
        for (uint i = 0; i < 4; i++)
            *(global uchar4 *)(to + 4 * i) = *(global const uchar4 *)(from + i * stride);
    }
    if (above) {
        global const cell_rule *rule = all_rules + (ulong)frame * (ncells + 1u) + cells[tile];
        const uint high = rule->high;
        const uint at = first.y + planes_sum(above_planes, get_local_id(0));
        global uchar *to = excess + frame * room * TILE_NPIXELS + at;
        for (uint p = 0; p < TILE_NPIXELS; p++) {
            if (above >> p & 1u)
                *to++ = (uchar)(from[p / 4u * stride + p % 4u] - high - 1u);
        }
    }
}
