/* winograd_tiles.h: the tiles of Winograd's algorithm that kernels exist for, and their points.
 *
 * Along an axis, F(m, r) takes m outputs of r taps from a patch of inputs by as many products:
 *
 *   patch m + r - 1:   stride 1; the points are +-p for each p below, infinity and, for even patches, 0
 *   patch 4n + 1:      r = 3 at stride 2, m = 2n: F(m, 2) of taps 0 and 2 on the m + 1 even samples (+-p and
 *                      infinity), tap 1 on the m odd ones as they are
 *   patch 1:           one output, one tap, one product
 *
 * A tile is the product of two axes. All points are exact in binary. Large tiles magnify the rounding errors of
 * the sums over channels: theirs are summed in several chains, one after the other, so that partial sums and their
 * errors stay small.
 */
#ifndef FC_WINOGRAD_TILES_H
#define FC_WINOGRAD_TILES_H

/* X(patch height, outputs down, patch width, outputs across, chains) */
#define FC_WINOGRAD_TILES(X) \
    X(4, 2, 4, 2, 1) /* 3x3 */ \
    X(4, 2, 6, 4, 1) \
    X(6, 4, 4, 2, 1) \
    X(6, 4, 6, 4, 1) \
    X(7, 5, 7, 5, 8) \
    X(6, 2, 6, 2, 1) /* 5x5 */ \
    X(8, 4, 8, 4, 1) \
    X(5, 2, 5, 2, 1) /* 3x3 at stride 2 */ \
    X(9, 4, 9, 4, 1) \
    X(1, 1, 6, 4, 1) /* 1x3, 1x5, 1x7 and their transposes */ \
    X(1, 1, 8, 4, 1) \
    X(1, 1, 8, 2, 1) \
    X(6, 4, 1, 1, 1) \
    X(8, 4, 1, 1, 1) \
    X(8, 2, 1, 1, 1)

#define FC_WINOGRAD_COUNT_(ph, mh, pw, mw, chains) +1
enum { FC_WINOGRAD_TILE_COUNT = FC_WINOGRAD_TILES(FC_WINOGRAD_COUNT_) };
#define FC_WINOGRAD_MAX_PATCH 9
#define FC_WINOGRAD_MAX_OUTPUTS 5
#define FC_WINOGRAD_MAX_FILTER 7

/* Points in the part of a patch where Winograd's algorithm is at work, infinity included. */
#define FC_WINOGRAD_POINTS(patch) ((patch) % 4 == 1 ? ((patch) + 1) / 2 : (patch))
/* Pairs +-p among them, and whether 0 is one. */
#define FC_WINOGRAD_PAIRS(patch) ((FC_WINOGRAD_POINTS(patch) - 1) / 2)
#define FC_WINOGRAD_ZERO(patch) (FC_WINOGRAD_POINTS(patch) % 2 == 0)

/* Taps of the filter, and different terms of it that the products meet: at stride 2 all odd samples meet the
 * same weight. */
#define FC_WINOGRAD_FILTER(patch, outputs) \
    ((patch) > FC_WINOGRAD_POINTS(patch) ? 3 : (patch) - (outputs) + 1)
#define FC_WINOGRAD_TERMS(patch) (FC_WINOGRAD_POINTS(patch) + ((patch) > FC_WINOGRAD_POINTS(patch)))

/* p of the pairs, for each number of points. */
static const double fc_winograd_points[9][3] __attribute__((unused)) = {
    [3] = {1},
    [4] = {1},
    [5] = {0.375, 1.25},
    [6] = {0.625, 1.5},
    [7] = {0.3125, 0.875, 1.75},
    [8] = {0.5, 1, 2},
};

#endif
