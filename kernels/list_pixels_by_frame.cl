/* SPDX-License-Identifier: MIT */
/*
 * list_pixels for CPUs: a work-item takes a frame, and looks at 16 tiles at a time.
 *
 * Index space: frames (dimension 1).
 */

/* Whether some of 16 tiles may have something to list. */
inline bool is_run_listed(const list_job *job, uint tile)
{
    const ulong room = tiles_room(job->shape);
    const uchar16 kept = vload16(0, KEPT_OF(job->tiles, room) + tile);
    const ushort16 cell = vload16(0, job->cells + tile);
    if (any(kept != (uchar)0) || any(cell >= (ushort)NCELLS(job->options)))
        return true;
    return !HAS_LOCAL(job->options) && any(vload16(0, job->above + tile) != (ushort)0);
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void list_pixels_by_frame(LIST_ARGUMENTS)
{
    const uint frame = get_global_id(1);
    const list_job job = LIST_JOB;
    const uint ntiles = ntiles_of(shape);
    uint nexact = 0;
    uint nabove = 0;
    for (uint first = 0; first < ntiles; first += RUN) {
        const uint last = min(first + RUN, ntiles);
        if (last == first + RUN && !is_run_listed(&job, first))
            continue;
        for (uint tile = first; tile < last; tile++) {
            if (is_listed(&job, tile))
                list_exact(&job, tile, nexact++);
            const uint above = HAS_LOCAL(options) ? 0u : job.above[tile];
            if (above)
                list_above(&job, tile, above, nabove);
            nabove += popcount(above);
        }
    }
}
