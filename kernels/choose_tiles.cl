/* SPDX-License-Identifier: MIT */
/*
 * Which tiles are kept, which are calm; how calm tiles are distributed within their rings; and how
 * many tiles and pixels are to be listed.
 *
 * Index space: tiles x frames; local memory: 8 bytes a work-group.  All decisions are those of
 * filter/src/tile_choice.c.
 */
#define TOUCHES 1u
#define IS_NEAR 2u

/* What the boxes of a tile and of the eight around it make of it. */
inline uint touched_by(global const uint *hits, frame_shape shape, uint tile)
{
    /* Of a tile that lies `down` and `right` of another: the pixels there that reach it. */
    const int down[8] = {-1, -1, -1, 0, 0, 1, 1, 1};
    const int right[8] = {-1, 0, 1, -1, 1, -1, 0, 1};
    const uint near[8] = {0x0033, 0x00FF, 0x00CC, 0x3333, 0xCCCC, 0x3300, 0xFF00, 0xCC00};
    const uint nearer[8] = {0x0001, 0x000F, 0x0008, 0x1111, 0x8888, 0x1000, 0xF000, 0x8000};
    const int row = tile / shape.w;
    const int column = tile % shape.w;
    const int width = shape.w;
    const bool is_inside = row > 0 && column > 0 && row + 1 < (int)shape.z && column + 1 < width;
    const uint own = hits[tile];
    uint touched = (own & 0xFFFFu ? TOUCHES : 0u) | (own >> 16 ? IS_NEAR : 0u);
    if (is_inside) {
        global const uint *above = hits + tile - width;
        global const uint *below = hits + tile + width;
        const uint all = above[-1] | above[0] | above[1] | hits[tile - 1] | hits[tile + 1] |
                         below[-1] | below[0] | below[1];
        if (!all)
            return touched;
    }
    for (uint k = 0; k < 8; k++) {
        const int r = row - down[k];
        const int c = column - right[k];
        if (!is_inside && (r < 0 || c < 0 || r >= (int)shape.z || c >= width))
            continue;
        const uint other = hits[r * width + c];
        touched |= other & nearer[k] ? TOUCHES : 0u;
        touched |= other >> 16 & near[k] ? IS_NEAR : 0u;
    }
    return touched;
}

/* Whether some pixel of a tile cannot be drawn. */
inline bool must_keep_pixels(global const PIXEL *frames, global const uchar *mask,
                             frame_shape shape, tile_options options, uint frame, uint tile,
                             uint valid, global const cell_rule *rule)
{
    for (uint p = 0; p < TILE_NPIXELS; p++) {
        if (!(valid >> p & 1u))
            continue;
        const long value = frames[pixel_index(shape, frame, tile, p)];
        if (value < rule->low || (HAS_LOCAL(options) && value > rule->high))
            return true;
        if (HAS_MASK(options) && mask[pixel_index(shape, 0, tile, p)])
            return true;
    }
    return false;
}

/* What is chosen from, and where to it is written. */
typedef struct {
    global const PIXEL *frames;
    global const uchar *mask;
    global const ushort *cells;
    global const cell_rule *all_rules;
    frame_shape shape;
    tile_options options;
    global const uchar *plane;
    global const uint *hits; /* these: of the frame */
    global const uint *squares;
    global uchar *tiles;
    global ushort *above;
    volatile global uint *within;
    uint squares_room;
    uint frame;
    bool is_wide;
    bool is_counting;
    bool is_alone; /* nobody else counts at the same time */
} choose_job;

/* The arguments of a kernel that chooses. */
#define CHOOSE_ARGUMENTS                                                                           \
    global const PIXEL *frames, global const uchar *mask, global const ushort *cells,              \
        global const cell_rule *all_rules, const frame_shape shape, const tile_options options,    \
        global const uint *is_wide, global const uint *hits, global const uint *squares_of,        \
        global const uint *all_counts, global const uchar *plane, global uchar *all_tiles,         \
        global ushort *above_of, volatile global uint *all_within, const uint squares_room,        \
        const uint within_room, global uint2 *all_groups

#define CHOOSE_JOB(is_alone)                                                                       \
    {                                                                                              \
        frames, mask, cells, all_rules, shape, options, plane, hits + tiles_room(shape) * frame,   \
            squares_of + tiles_room(shape) * frame, tiles_of(all_tiles, shape, frame),             \
            above_of + tiles_room(shape) * frame,                                                  \
            all_within + (2ul * squares_room + within_room) * frame, squares_room, frame,          \
            is_wide[frame] != 0u,                                                                  \
            !all_counts[frame * counts_nwords(NCELLS(options)) + HAS_NEGATIVE], is_alone           \
    }

/* Counts a calm tile within its ring. */
inline void count_within(const choose_job *job, global const cell_rule *rule, uint sum,
                         uint squares)
{
    volatile global uint *count = job->within + 2u * job->squares_room + rule->within_first + sum;
    volatile global uint *low = job->within + rule->within_row;
    if (job->is_alone) {
        (*count)++;
        const uint before = *low;
        *low = before + squares;
        if (before + squares < before)
            low[job->squares_room]++;
    } else {
        atomic_inc(count);
        add_wide(low, job->squares_room, squares);
    }
}

/* Without local counts: bits of the pixels of a tile above the threshold. */
inline uint pixels_above(const choose_job *job, uint tile, uint high)
{
    const uint stride = plane_stride(job->shape);
    global const uchar *from = job->plane + plane_tile(job->shape, job->frame, tile);
    uint above = 0;
    for (uint p = 0; p < TILE_NPIXELS; p++)
        above |= (from[p / 4u * stride + p % 4u] > high ? 1u : 0u) << p;
    return above;
}

/*
 * Chooses whether to keep a tile that boxes have touched or not.  Returns what is to be listed: 1
 * if its bytes are, and how many pixels.
 */
inline uint2 choose_tile(const choose_job *job, uint tile, uint touched)
{
    const frame_shape shape = job->shape;
    const tile_options options = job->options;
    const ulong room = tiles_room(shape);
    const bool has_local = HAS_LOCAL(options);
    global uchar *tiles = job->tiles;
    const bool is_blank = job->cells[tile] >= NCELLS(options);
    global const cell_rule *rule = rule_of(job->all_rules, job->cells, options, job->frame, tile);
    const uint valid = VALID_OF(tiles)[tile];
    const uint sum = SUM_OF(tiles, room)[tile];
    const uint largest = LARGEST_OF(tiles, room)[tile];
    const bool has_large = largest == LOOKUP;
    const bool is_whole = valid == 0xFFFFu;

    bool kept = false;
    if (has_local) {
        touched = touched && job->is_wide ? TOUCHES : touched;
        const bool is_spot = (touched & TOUCHES) && largest >= rule->least_pixel;
        kept = touched && (has_large || !is_whole || is_spot || sum >= rule->least[touched]);
    }
    const uint limit = rule->limit;
    const bool is_few = sum <= MOST_SUM(options);
    const bool is_low = largest < limit;
    const bool calm = is_low && is_few && !kept;
    const bool is_open = limit == 0 || (!kept && (has_large || (is_low && !is_few)));
    if (has_local && !is_low && !has_large && limit != 0)
        kept = true;
    if (is_blank) {
        kept = false;
    } else if (is_open && !kept && valid) {
        if (has_large || !job->is_counting || rule->low != 0)
            kept = must_keep_pixels(job->frames, job->mask, shape, options, job->frame, tile, valid,
                                    rule);
        else
            kept = has_local && (largest > rule->high || (rule->is_pattern && !is_few));
    }
    KEPT_OF(tiles, room)[tile] = kept;
    CALM_OF(tiles, room)[tile] = calm;
    if (calm && is_whole && rule->within_row)
        count_within(job, rule, sum, job->squares[tile]);
    uint above = 0;
    if (!has_local) {
        const bool is_drawn = !kept && !is_blank && !has_large;
        if (is_drawn && rule->high >= 0 && rule->high < LOOKUP && largest > rule->high)
            above = pixels_above(job, tile, rule->high);
        job->above[tile] = (ushort)above;
    }
    return (uint2)((kept || is_blank) && is_whole && !has_large ? 1u : 0u, popcount(above));
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void choose_tiles(CHOOSE_ARGUMENTS)
{
    volatile local uint group_nexact;
    volatile local uint group_nabove;
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const choose_job job = CHOOSE_JOB(false);
    if (get_local_id(0) == 0)
        group_nexact = group_nabove = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (tile < ntiles_of(shape)) {
        const uint touched = HAS_LOCAL(options) ? touched_by(job.hits, shape, tile) : 0u;
        const uint2 listed = choose_tile(&job, tile, touched);
        if (listed.x)
            atomic_inc(&group_nexact);
        if (listed.y)
            atomic_add(&group_nabove, listed.y);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) == 0)
        all_groups[frame * (tiles_room(shape) / GROUP_SIZE) + get_group_id(0)] =
            (uint2)(group_nexact, group_nabove);
}
