/* SPDX-License-Identifier: MIT */
/*
 * list_pixels for CPUs: a work-item takes a frame, tile by tile.
 *
 * Index space: frames (dimension 1).
 */
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void list_pixels_by_frame(LIST_ARGUMENTS)
{
    const list_job job = LIST_JOB(get_global_id(1));
    const uint ntiles = ntiles_of(shape);
    uint nexact = 0;
    uint nabove = 0;
    for (uint tile = 0; tile < ntiles; tile++) {
        if (is_listed(&job, tile))
            list_exact(&job, tile, nexact++);
        const uint above = HAS_LOCAL(options) ? 0u : job.above[tile];
        if (above)
            list_above(&job, tile, above, nabove);
        nabove += popcount(above);
    }
}
