/* SPDX-License-Identifier: MIT */
/*
 * What all kernels share: how a batch of frames lies in memory (docs/gpu.md).
 *
 * All of them run over tiles of 4 x 4 pixels: dimension 0 is the tile, rounded up to whole
 * work-groups of GROUP_SIZE, dimension 1 the frame of the batch.  The host defines GROUP_SIZE and,
 * of the pixel type, PIXEL, PIXEL4, IS_SIGNED and PIXEL_MASK.
 */
#define TILE_NPIXELS 16u
#define NO_CELL 0xFFFFu
#define LOOKUP 255u
#define NCOUNTS 64u
/* Words before `absent` in the counts of a frame: see h5bragg_counts. */
#define TOTAL_LOW 0u
#define TOTAL_HIGH 1u
#define HAS_NEGATIVE 2u
#define NLARGE 3u
#define COUNTS_NHEADER 16u

/* Words before the counters of the first cell, and those of a frame: multiples of 64. */
inline uint counts_first(uint ncells)
{
    return (COUNTS_NHEADER + ncells + NCOUNTS - 1u) / NCOUNTS * NCOUNTS;
}

inline ulong counts_nwords(uint ncells) { return counts_first(ncells) + (ulong)ncells * NCOUNTS; }

/* As h5bragg_cell_rule. */
typedef struct {
    long low;
    long high;
    ulong expected; /* these three: doubles, see find_wide_boxes.cl */
    ulong wide_chance;
    ulong wide_peak;
    uint within_row;
    uint within_first;
    ushort chance;
    ushort peak;
    ushort least[4];
    ushort least_pixel;
    uchar limit;
    uchar is_pattern;
} cell_rule;

/* As h5bragg_large_pixel. */
typedef struct {
    uint place;
    uint value;
} large_pixel;

/* ny, nx, rows and columns of tiles. */
typedef uint4 frame_shape;

/* Of h5bragg_tiles: has_local, most_sum, whether there is a mask, ncells. */
typedef uint4 tile_options;
#define HAS_LOCAL(options) ((options).x != 0u)
#define MOST_SUM(options) ((options).y)
#define HAS_MASK(options) ((options).z != 0u)
#define NCELLS(options) ((options).w)

/* The rule of a tile; blank tiles have the last one. */
inline global const cell_rule *rule_of(global const cell_rule *all_rules,
                                       global const ushort *cells, tile_options options, uint frame,
                                       uint tile)
{
    const uint ncells = NCELLS(options);
    return all_rules + (ulong)frame * (ncells + 1u) + min((uint)cells[tile], ncells);
}

inline uint ntiles_of(frame_shape shape) { return shape.z * shape.w; }

/* Rows of bytes have a tile's width of zeros on either side, frames a row above and below. */
inline uint plane_stride(frame_shape shape) { return 4u * shape.w + 8u; }

inline ulong plane_nbytes(frame_shape shape)
{
    return (ulong)(4u * shape.z + 2u) * plane_stride(shape);
}

/* The first byte of a tile. */
inline ulong plane_tile(frame_shape shape, uint frame, uint tile)
{
    const uint row = tile / shape.w;
    const uint column = tile % shape.w;
    return frame * plane_nbytes(shape) + (ulong)(4u * row + 1u) * plane_stride(shape) +
           4u * column + 4u;
}

/* Four bytes of a row of a tile; the first one is the lowest. */
inline uint load_bytes(global const uchar *bytes) { return as_uint(*(global const uchar4 *)bytes); }

/*
 * What is known of the tiles of a frame, as the host reads it: arrays for `room` tiles, a multiple
 * of GROUP_SIZE, one behind the other.
 */
#define TILES_NBYTES 8ul

inline ulong tiles_room(frame_shape shape)
{
    return ((ulong)ntiles_of(shape) + GROUP_SIZE - 1) / GROUP_SIZE * GROUP_SIZE;
}

inline global uchar *tiles_of(global uchar *tiles, frame_shape shape, uint frame)
{
    return tiles + frame * TILES_NBYTES * tiles_room(shape);
}

#define VALID_OF(tiles) ((global ushort *)(tiles))
#define SUM_OF(tiles, room) ((global ushort *)(tiles) + (room))
#define KEPT_OF(tiles, room) ((tiles) + 4 * (room))
#define CALM_OF(tiles, room) ((tiles) + 5 * (room))
#define HAS_LARGE_OF(tiles, room) ((tiles) + 6 * (room))
#define LARGEST_OF(tiles, room) ((tiles) + 7 * (room))

/* Bits of the pixels of a tile that lie in the frame. */
inline uint inside_bits(frame_shape shape, uint tile)
{
    const uint below = shape.x - 4u * (tile / shape.w);
    const uint right = shape.y - 4u * (tile % shape.w);
    const uint columns = right >= 4u ? 0xFu : (1u << right) - 1u;
    const uint rows = below >= 4u ? 0x1111u : 0x1111u & ((1u << (4u * below)) - 1u);
    return rows * columns;
}

/* Index of pixel p of a tile in the frames of the batch. */
inline ulong pixel_index(frame_shape shape, uint frame, uint tile, uint p)
{
    const uint row = 4u * (tile / shape.w) + p / 4u;
    const uint column = 4u * (tile % shape.w) + p % 4u;
    return ((ulong)frame * shape.x + row) * shape.y + column;
}

/* Adds to a 64-bit number in two words, `high` words apart. */
inline void add_wide(volatile global uint *low, uint high, ulong value)
{
    const uint part = (uint)value;
    const uint before = atomic_add(low, part);
    const uint carry = (uint)(value >> 32) + (before + part < before ? 1u : 0u);
    if (carry)
        atomic_add(low + high, carry);
}

/*
 * Numbers below 32 of the work-items of a group, bit by bit: with few of them set and one barrier
 * it is known how many come before a work-item.
 */
#define NPLANES 5u
#define NWORDS (GROUP_SIZE / 32u)

inline void planes_clear(local uint *planes)
{
    if (get_local_id(0) < NPLANES * NWORDS)
        planes[get_local_id(0)] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Between planes_clear and a barrier. */
inline void planes_put(volatile local uint *planes, uint n)
{
    const uint i = get_local_id(0);
    for (uint k = 0; n; k++, n >>= 1) {
        if (n & 1u)
            atomic_or(planes + k * NWORDS + i / 32u, 1u << i % 32u);
    }
}

/* Sum of the numbers of the first work-items of the group. */
inline uint planes_sum(local const uint *planes, uint nitems)
{
    uint sum = 0;
    for (uint k = 0; k < NPLANES; k++) {
        uint n = 0;
        for (uint w = 0; w < nitems / 32u; w++)
            n += popcount(planes[k * NWORDS + w]);
        if (nitems % 32u)
            n += popcount(planes[k * NWORDS + nitems / 32u] & ((1u << nitems % 32u) - 1u));
        sum += n << k;
    }
    return sum;
}
