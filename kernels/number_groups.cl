/* SPDX-License-Identifier: MIT */
/*
 * Where the tiles and pixels of each work-group begin in their lists.
 *
 * Index space: one work-group a frame; local memory: 8 bytes a work-item.  Numbers of groups become
 * sums of those before; totals[frame] are those of the frame.  Every work-item takes some groups
 * side by side.
 */
kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
number_groups(const frame_shape shape, global uint2 *all_groups, global uint2 *totals)
{
    local uint2 part[GROUP_SIZE];
    const uint frame = get_global_id(1);
    const uint i = get_local_id(0);
    const uint ngroups = (uint)(tiles_room(shape) / GROUP_SIZE);
    const uint each = (ngroups + GROUP_SIZE - 1u) / GROUP_SIZE;
    const uint first = min(i * each, ngroups);
    const uint last = min(first + each, ngroups);
    global uint2 *groups = all_groups + (ulong)frame * ngroups;
    uint2 sum = (uint2)(0, 0);
    for (uint k = first; k < last; k++)
        sum += groups[k];
    part[i] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    uint2 before = (uint2)(0, 0);
    for (uint k = 0; k < i; k++)
        before += part[k];
    for (uint k = first; k < last; k++) {
        const uint2 n = groups[k];
        groups[k] = before;
        before += n;
    }
    if (i == GROUP_SIZE - 1u)
        totals[frame] = before;
}
