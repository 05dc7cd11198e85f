/* SPDX-License-Identifier: MIT */
/*
 * Where the tiles and pixels of each work-group begin in their lists.
 *
 * Index space: one work-group a frame; local memory: 4 bytes a work-item.  Numbers of groups become
 * sums of those before; totals[frame] are those of the frame.
 */
kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
number_groups(const frame_shape shape, global uint2 *all_groups, global uint2 *totals)
{
    local uint scratch[GROUP_SIZE];
    const uint frame = get_global_id(1);
    const uint ngroups = (uint)(tiles_room(shape) / GROUP_SIZE);
    global uint2 *groups = all_groups + (ulong)frame * ngroups;
    uint2 before = (uint2)(0, 0);
    for (uint first = 0; first < ngroups; first += GROUP_SIZE) {
        const uint k = first + get_local_id(0);
        const uint2 n = k < ngroups ? groups[k] : (uint2)(0, 0);
        const uint exact = sum_before(n.x, scratch);
        const uint all_exact = scratch[GROUP_SIZE - 1];
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint above = sum_before(n.y, scratch);
        const uint all_above = scratch[GROUP_SIZE - 1];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (k < ngroups)
            groups[k] = before + (uint2)(exact, above);
        before += (uint2)(all_exact, all_above);
    }
    if (get_local_id(0) == 0)
        totals[frame] = before;
}
