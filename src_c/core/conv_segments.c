/* conv_segments.c: which taps of a filter meet the image, and where: the others would multiply padding.
 *
 *              taps 1, 2      0, 1, 2      0, 1
 *            +-----------+--------------+---------+
 *   1, 2     |           |              |         |     output rows and columns are cut into segments that
 *            +-----------+--------------+---------+     meet the same taps; where the pieces would be too few
 *   0, 1, 2  |           |              |         |     pixels for the register tiles, neighbours are united,
 *            +-----------+--------------+---------+     with the taps of both
 *   0, 1     |           |              |         |
 *            +-----------+--------------+---------+
 *
 * They follow from the shape of one image: whether a tap is computed never depends on blocks or threads.
 */
#include "core/conv.h"

/* A tile of fewer pixels waits for its weights. */
#define FC_SMALLEST_TILE 2.0
/* What beginning and finishing a tile costs, in steps of one pixel. */
#define FC_TILE_STEPS 15.0

/* The cut of axis a that is finest, but for segments too many. */
static int64_t cut(const fc_conv2d_desc *d, int a, struct fc_segment *segments, int64_t count) {
    int64_t size = d->x.size[2 + a], taps = d->weight.size[2 + a], outputs = d->y.size[2 + a];
    int64_t index = 0, none;
    for (int64_t first = 0, next; first < outputs; first = next, index++) {
        struct fc_segment s = {.first = first};
        fc_inside(size, d->dilation[a], first * d->stride[a] - d->pad[a], taps, &s.tap[0],
                  &s.tap[1]);
        int64_t enters = outputs, leaves = outputs;
        if (s.tap[0] > 0)
            fc_inside(size, d->stride[a], (s.tap[0] - 1) * d->dilation[a] - d->pad[a], outputs,
                      &enters, &none);
        if (s.tap[1] > s.tap[0])
            fc_inside(size, d->stride[a], (s.tap[1] - 1) * d->dilation[a] - d->pad[a], outputs,
                      &none, &leaves);
        s.last = next = fc_min(enters, leaves);
        if (!segments) continue;
        struct fc_segment *to = &segments[index * fc_min(count, FC_SEGMENTS) / count];
        if (to->last > 0) {
            s.first = to->first;
            s.tap[0] = fc_min(to->tap[0], s.tap[0]);
            s.tap[1] = fc_max(to->tap[1], s.tap[1]);
        }
        *to = s;
    }
    return index;
}

static struct fc_segment united(const struct fc_segment *first, const struct fc_segment *last) {
    struct fc_segment all = {first->first, last->last, {first->tap[0], first->tap[1]}};
    for (const struct fc_segment *s = first + 1; s <= last; s++) {
        all.tap[0] = fc_min(all.tap[0], s->tap[0]);
        all.tap[1] = fc_max(all.tap[1], s->tap[1]);
    }
    return all;
}

/* Time of rows x columns pixels, in steps of one pixel: so many of them are computed together. */
static double piece_steps(const struct fc_segments *segments, int64_t rows, int64_t columns,
                          double taps) {
    int64_t lines = fc_min(rows, fc_max(1, segments->together / segments->width));
    double pixels = (double)fc_min(lines * columns, segments->together);
    double tiles = ceil(pixels / (double)segments->tile);
    double tile = fmax(pixels / tiles, FC_SMALLEST_TILE) * taps * (double)segments->channels;
    return (double)rows * (double)columns / pixels * tiles * (tile + FC_TILE_STEPS);
}

/* Unites neighbours along axis a so that all is done soonest, the other axis being cut as it is. */
static void unite(struct fc_segments *segments, int a) {
    struct fc_segment *own = segments->at[a], *other = segments->at[!a];
    double best[FC_SEGMENTS + 1] = {0};
    int64_t from[FC_SEGMENTS + 1] = {0};
    for (int64_t end = 1; end <= segments->count[a]; end++)
        for (int64_t begin = 0; begin < end; begin++) {
            struct fc_segment s = united(own + begin, own + end - 1);
            double steps = best[begin];
            for (int64_t i = 0; i < segments->count[!a]; i++) {
                double taps = (double)(s.tap[1] - s.tap[0]);
                taps *= (double)(other[i].tap[1] - other[i].tap[0]);
                int64_t size[2];
                size[a] = s.last - s.first;
                size[!a] = other[i].last - other[i].first;
                steps += piece_steps(segments, size[0], size[1], taps);
            }
            if (begin > 0 && steps >= best[end]) continue;
            best[end] = steps;
            from[end] = begin;
        }
    struct fc_segment cut[FC_SEGMENTS];
    int64_t count = 0;
    for (int64_t end = segments->count[a]; end > 0; end = from[end])
        cut[count++] = united(own + from[end], own + end - 1);
    segments->count[a] = count;
    for (int64_t i = 0; i < count; i++) own[i] = cut[count - 1 - i];
}

void fc_segments_plan(struct fc_segments *segments, const fc_conv2d_desc *d, int64_t tile,
                      int64_t together) {
    *segments = (struct fc_segments){
        .channels = d->weight.size[1], .width = d->y.size[3], .tile = tile, .together = together};
    struct fc_segment *columns = segments->at[1];
    int64_t finest[2];
    for (int a = 0; a < 2; a++) {
        int64_t count = cut(d, a, NULL, 0);
        cut(d, a, segments->at[a], count);
        finest[a] = count;
        segments->count[a] = fc_min(count, FC_SEGMENTS);
    }
    /* rows first, as if each were whole */
    struct fc_segments rows = *segments;
    rows.count[1] = 1;
    rows.at[1][0] = united(columns, columns + segments->count[1] - 1);
    unite(&rows, 0);
    segments->count[0] = rows.count[0];
    memcpy(segments->at[0], rows.at[0], sizeof rows.at[0]);
    unite(segments, 1);
    for (int a = 0; a < 2; a++) segments->exact[a] = segments->count[a] == finest[a];
}
