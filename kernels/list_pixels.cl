/* SPDX-License-Identifier: MIT */
/*
 * The bytes of kept tiles and, without local counts, what picked pixels are above the threshold:
 * what a chunk holds pixel by pixel.
 *
 * Index space: tiles x frames; local memory: 160 bytes a work-group.  Lists are in the order of
 * tiles and have room for a whole frame.
 */
/* Of a frame: what is listed, and where. */
typedef struct {
    global const uchar *plane;
    global const ushort *cells;
    global const cell_rule *all_rules;
    frame_shape shape;
    tile_options options;
    global uchar *tiles; /* these: of the frame */
    global const ushort *above;
    global uchar *exact;
    global uchar *excess;
    uint frame;
} list_job;

/* The arguments of a kernel that lists. */
#define LIST_ARGUMENTS                                                                             \
    global const uchar *plane, global const ushort *cells, global const cell_rule *all_rules,      \
        const frame_shape shape, const tile_options options, global uchar *all_tiles,              \
        global const ushort *above_of, global const uint2 *all_groups, global uchar *all_exact,    \
        global uchar *all_excess

#define LIST_JOB                                                                                   \
    {                                                                                              \
        plane, cells, all_rules, shape, options, tiles_of(all_tiles, shape, frame),                \
            above_of + tiles_room(shape) * frame,                                                  \
            all_exact + tiles_room(shape) * frame *TILE_NPIXELS,                                   \
            all_excess + tiles_room(shape) * frame *TILE_NPIXELS, frame                            \
    }

/* Whether the bytes of a tile are listed. */
inline bool is_listed(const list_job *job, uint tile)
{
    const ulong room = tiles_room(job->shape);
    const bool is_exact =
        KEPT_OF(job->tiles, room)[tile] || job->cells[tile] >= NCELLS(job->options);
    return is_exact && VALID_OF(job->tiles)[tile] == 0xFFFFu &&
           !HAS_LARGE_OF(job->tiles, room)[tile];
}

/* Lists the bytes of a tile as number `at`. */
inline void list_exact(const list_job *job, uint tile, uint at)
{
    const uint stride = plane_stride(job->shape);
    global const uchar *from = job->plane + plane_tile(job->shape, job->frame, tile);
    global uchar *to = job->exact + (ulong)at * TILE_NPIXELS;
    for (uint i = 0; i < 4; i++)
        *(global uchar4 *)(to + 4 * i) = *(global const uchar4 *)(from + i * stride);
}

/* Lists the picked pixels of a tile, from number `at`. */
inline void list_above(const list_job *job, uint tile, uint above, uint at)
{
    global const cell_rule *rule =
        rule_of(job->all_rules, job->cells, job->options, job->frame, tile);
    const uint stride = plane_stride(job->shape);
    global const uchar *from = job->plane + plane_tile(job->shape, job->frame, tile);
    const uint high = rule->high;
    global uchar *to = job->excess + at;
    for (uint p = 0; p < TILE_NPIXELS; p++) {
        if (above >> p & 1u)
            *to++ = (uchar)(from[p / 4u * stride + p % 4u] - high - 1u);
    }
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void list_pixels(LIST_ARGUMENTS)
{
    local uint exact_planes[NPLANES * NWORDS];
    local uint above_planes[NPLANES * NWORDS];
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const list_job job = LIST_JOB;
    uint nexact = 0;
    uint above = 0;
    if (tile < ntiles_of(shape)) {
        nexact = is_listed(&job, tile);
        above = HAS_LOCAL(options) ? 0u : job.above[tile];
    }
    planes_clear(exact_planes);
    planes_clear(above_planes);
    planes_put(exact_planes, nexact);
    planes_put(above_planes, popcount(above));
    barrier(CLK_LOCAL_MEM_FENCE);
    if (!nexact && !above)
        return;
    const uint i = get_local_id(0);
    const uint2 first = all_groups[frame * (tiles_room(shape) / GROUP_SIZE) + get_group_id(0)];
    if (nexact)
        list_exact(&job, tile, first.x + planes_sum(exact_planes, i));
    if (above)
        list_above(&job, tile, above, first.y + planes_sum(above_planes, i));
}
