/* SPDX-License-Identifier: MIT */
/*
 * choose_tiles for CPUs: a work-item takes a frame.
 *
 * Index space: frames (dimension 1).  What boxes touch is found for 16 tiles at a time in vectors;
 * counters are those of one work-item, so that nothing is atomic.
 */

/* touched_by of 16 tiles side by side, none of them at the edge. */
inline uint16 touched_run(global const uint *hits, uint width)
{
    global const uint *above = hits - width;
    global const uint *below = hits + width;
    /* The pixels of a neighbour that reach a tile: its box's, and 16 higher a peak's. */
    const uint16 boxes =
        vload16(0, hits) | (vload16(0, above - 1) & (uint16)0xCC008000u) |
        (vload16(0, above) & (uint16)0xFF00F000u) | (vload16(0, above + 1) & (uint16)0x33001000u) |
        (vload16(0, hits - 1) & (uint16)0xCCCC8888u) |
        (vload16(0, hits + 1) & (uint16)0x33331111u) |
        (vload16(0, below - 1) & (uint16)0x00CC0008u) | (vload16(0, below) & (uint16)0x00FF000Fu) |
        (vload16(0, below + 1) & (uint16)0x00330001u);
    const uint16 touches = (boxes & 0xFFFFu) != 0u ? (uint16)TOUCHES : (uint16)0;
    const uint16 is_near = boxes >> 16 != 0u ? (uint16)IS_NEAR : (uint16)0;
    return touches | is_near;
}

/* What boxes make of `ntiles` tiles in a row of numbers, at most RUN. */
inline void touch_tiles(const choose_job *job, uint tile, uint ntiles, uint *touched)
{
    const frame_shape shape = job->shape;
    const uint row = tile / shape.w;
    const uint column = tile % shape.w;
    if (!HAS_LOCAL(job->options)) {
        vstore16((uint16)0, 0, touched);
    } else if (ntiles == RUN && row > 0 && row + 1u < shape.z && column > 0 &&
               column + RUN < shape.w) {
        vstore16(touched_run(job->hits + tile, shape.w), 0, touched);
    } else {
        for (uint t = 0; t < ntiles; t++)
            touched[t] = touched_by(job->hits, shape, tile + t);
    }
}

/*
 * Chooses a tile that no box has touched and whose counts are few, as most are; returns whether it
 * is one.
 */
inline bool choose_calm(const choose_job *job, uint tile)
{
    const ulong room = tiles_room(job->shape);
    const uint ncells = NCELLS(job->options);
    const uint cell = job->cells[tile];
    global const cell_rule *rule = job->all_rules + (ulong)job->frame * (ncells + 1u) + cell;
    const uint largest = LARGEST_OF(job->tiles, room)[tile];
    const uint sum = SUM_OF(job->tiles, room)[tile];
    if (cell >= ncells || largest >= rule->limit || sum > MOST_SUM(job->options) ||
        (!HAS_LOCAL(job->options) && (long)largest > rule->high))
        return false;
    KEPT_OF(job->tiles, room)[tile] = 0;
    CALM_OF(job->tiles, room)[tile] = 1;
    if (!HAS_LOCAL(job->options))
        job->above[tile] = 0;
    if (rule->within_row && VALID_OF(job->tiles)[tile] == 0xFFFFu)
        count_within(job, rule, sum, job->squares[tile]);
    return true;
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void choose_tiles_by_frame(CHOOSE_ARGUMENTS)
{
    const uint frame = get_global_id(1);
    const choose_job job = CHOOSE_JOB(true);
    const uint ntiles = ntiles_of(shape);
    const uint ngroups = tiles_room(shape) / GROUP_SIZE;
    for (uint group = 0; group < ngroups; group++) {
        uint2 listed = 0;
        const uint end = min((group + 1u) * GROUP_SIZE, ntiles);
        for (uint tile = group * GROUP_SIZE; tile < end; tile += RUN) {
            const uint n = min(end - tile, RUN);
            uint touched[RUN];
            touch_tiles(&job, tile, n, touched);
            for (uint t = 0; t < n; t++) {
                if (touched[t] || !choose_calm(&job, tile + t))
                    listed += choose_tile(&job, tile + t, touched[t]);
            }
        }
        all_groups[frame * ngroups + group] = listed;
    }
}
