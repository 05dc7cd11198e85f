/* SPDX-License-Identifier: MIT */
/*
 * Which tiles may have peaks (docs/peaks.md): those where a pixel is the largest of its patch, and
 * so many others of it are as high, as far as bytes tell.
 *
 * Index space: tiles x frames; no local memory.  Tiles are listed in any order.  A neighbour counts
 * against a pixel only if it is certainly stored, so no peak is missed; the host looks at the
 * tiles.
 */

/*
 * What is looked for: reach of the patch, least number of others, whether there is one panel; and
 * how many tiles of a frame there is room for.
 */
typedef uint4 peak_options;

/* A frame as find_peaks sees it. */
typedef struct {
    global const uchar *bytes; /* of its first tile */
    global const ushort *cells;
    global const uchar *limits; /* ncells: least byte of the largest pixel of a peak */
    global const uchar *beside; /* ncells: likewise of the others */
    frame_shape shape;
    uint ncells;
    peak_options wanted;
} peak_frame;

/* Whether pixel (row, column), a high one, may be a peak. */
inline bool may_be_peak(const peak_frame *f, int row, int column, uint value)
{
    const int reach = f->wanted.x;
    const int stride = plane_stride(f->shape);
    uint nhigh = 0;
    for (int r = max(row - reach, 0); r <= min(row + reach, 4 * (int)f->shape.z - 1); r++) {
        for (int c = max(column - reach, 0); c <= min(column + reach, 4 * (int)f->shape.w - 1);
             c++) {
            const uint cell = f->cells[r / 4 * (int)f->shape.w + c / 4];
            const uint other = f->bytes[r * stride + c];
            if (cell >= f->ncells || other < f->beside[cell])
                continue;
            const bool is_before = r < row || (r == row && c < column);
            const bool is_near = f->wanted.z || (r / 4 == row / 4 && c / 4 == column / 4);
            const bool is_known =
                is_near && other != LOOKUP && value != LOOKUP && other >= f->limits[cell];
            if (is_known && (other > value || (other == value && is_before)))
                return false;
            nhigh++;
        }
    }
    return nhigh > f->wanted.y;
}

kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
find_peaks(global const uchar *plane, global const ushort *cells, global const uchar *all_limits,
           const frame_shape shape, const tile_options options, const peak_options wanted,
           global uchar *all_tiles, volatile global uint *nfound, global uint *found)
{
    const uint tile = get_global_id(0);
    const uint frame = get_global_id(1);
    const ulong room = tiles_room(shape);
    const uint ncells = NCELLS(options);
    if (tile >= ntiles_of(shape) || cells[tile] >= ncells)
        return;
    global uchar *tiles = tiles_of(all_tiles, shape, frame);
    global const uchar *limits = all_limits + (ulong)frame * 2u * (ncells + 1u);
    const uint limit = limits[cells[tile]];
    if ((HAS_LOCAL(options) && !KEPT_OF(tiles, room)[tile]) ||
        LARGEST_OF(tiles, room)[tile] < limit)
        return;
    const peak_frame f = {plane + plane_tile(shape, frame, 0),
                          cells,
                          limits,
                          limits + ncells + 1u,
                          shape,
                          ncells,
                          wanted};
    const int row = 4 * (int)(tile / shape.w);
    const int column = 4 * (int)(tile % shape.w);
    for (int p = 0; p < (int)TILE_NPIXELS; p++) {
        const uint value = f.bytes[(row + p / 4) * (int)plane_stride(shape) + column + p % 4];
        if (value >= limit && may_be_peak(&f, row + p / 4, column + p % 4, value)) {
            const uint k = atomic_inc(nfound + frame);
            if (k < wanted.w)
                found[frame * wanted.w + k] = tile;
            return;
        }
    }
}
