/* conv_choose.c: which algorithm a convolution takes.
 *
 * A cost model in cycles an output pixel of one group, at one vector multiply-add a cycle. It looks at
 * the shape of one image, never at batch, threads or values: bits must not depend on those.
 */
#include "core/conv_planar.h"

/* Strips of more than this many bytes for a single output pixel are not worth gathering: such
 * geometry (large filters far apart) goes through the column matrix. */
#define FC_LARGEST_STRIP_BYTES ((int64_t)64 << 20)

/* With fewer channels Winograd's rounding error is more than 2.5 times that of the direct sum; the same for
 * tiles that sum channels in several chains. */
#define FC_WINOGRAD_CHANNELS 16
#define FC_WINOGRAD_CHAINED_CHANNELS 96
/* The same for F(4, 3) along columns, by channels times filter columns. */
#define FC_WINOGRAD_ROWS_COLUMNS 6

/* What ending a chain takes, in the time of one channel's products. */
#define FC_CHAIN_CHANNELS 0.7

/* Weights of more than this many bytes stream from memory; bytes a cycle from there, and from the caches. */
#define FC_CACHED_BYTES (16 << 20)
#define FC_DRAM_RATE 8
#define FC_CACHE_RATE 24

/* Pages of memory that a core finds at once. */
#define FC_NEAR_PAGES 64

/* Cycles a weight takes to be packed, times lanes: as it is, transformed (in double, written to many places),
 * and one by one. */
#define FC_TIME_OF_TAP 9
#define FC_TIME_OF_TERM 24
#define FC_TIME_OF_ROW_TERM 40

struct shape {
    double lanes, filters, vectors, channels, depth;
    double packed;     /* vectors, of which the last may be narrow */
    double inputs;     /* input pixels an output pixel */
    double transposes; /* vectors of channels that are transposed in, and of filters out */
    double move; /* multiply-adds in the time of moving a vector: narrow ones come two a cycle */
    double pack; /* packings of a weight an output pixel, by lanes */
};

static struct shape shape_of(const fc_conv2d_desc *d, const struct fc_kernel_set *kernels,
                             double packings) {
    const fc_tensor *w = &d->weight;
    int64_t filters = w->size[0] / d->groups;
    double vector_bytes = (double)(kernels->lanes * fc_dtype_bytes((fc_dtype)d->x.dtype));
    struct shape s = {
        .lanes = (double)kernels->lanes,
        .filters = (double)filters,
        .vectors = (double)fc_ceil_div(filters, kernels->lanes),
        .packed = (double)(fc_ceil_div(filters, kernels->narrow) * kernels->narrow) /
                  (double)kernels->lanes,
        .channels = (double)w->size[1],
        .depth = (double)(w->size[1] * w->size[2] * w->size[3]),
        .inputs = (double)d->x.size[2] * (double)d->x.size[3] /
                  ((double)d->y.size[2] * (double)d->y.size[3]),
        .move = vector_bytes < 64 ? 2 : 1,
        .pack = packings / (double)(kernels->lanes * d->y.size[2] * d->y.size[3]),
    };
    if (d->x.stride[1] != 1)
        s.transposes += (double)fc_ceil_div(w->size[1], kernels->lanes) * s.inputs;
    if (d->y.stride[1] != 1) s.transposes += s.vectors;
    return s;
}

/* What part of the filter's taps along axis a lies inside the image, over all outputs. */
static double taps_inside(const fc_conv2d_desc *d, int a) {
    double inside = 0, taps = (double)fc_max(d->weight.size[2 + a], 1);
    for (int64_t t = 0; t < d->weight.size[2 + a]; t++) {
        int64_t begin, end;
        fc_inside(d->x.size[2 + a], d->stride[a], t * d->dilation[a] - d->pad[a], d->y.size[2 + a],
                  &begin, &end);
        inside += (double)(end - begin);
    }
    return inside / (taps * (double)d->y.size[2 + a]);
}

/* What a tile waits for at each plane that lies in a page of memory of its own: wide vectors take long enough. */
static double far_planes(const fc_conv2d_desc *d, const struct shape *s) {
    double bytes = (double)fc_dtype_bytes((fc_dtype)d->x.dtype);
    double plane = (double)d->x.size[2] * (double)d->x.size[3] * bytes;
    double pages = s->channels * fmin(plane / 4096, 1) / FC_NEAR_PAGES;
    return s->move > 1 ? 6 * fmax(0, fmin(pages - 1, 1)) : 0;
}

/* A tile's step meets a line of memory for each row of its pixels there, not one for many channels: that costs
 * all filters and taps what the transpose costs once. */
int fc_reads_planes(const fc_conv2d_desc *d, const struct fc_kernel_set *kernels) {
    const int64_t *size = d->weight.size;
    if (d->x.stride[1] == 1 || d->shuffle > 1) return 0;
    if (size[3] > size[1]) return 1;
    int64_t vectors = fc_ceil_div(size[0] / d->groups, kernels->lanes);
    int64_t panels = fc_ceil_div(vectors, kernels->tile_vectors);
    return fc_product(fc_product(size[2], size[3]), panels) <=
           2 * kernels->tile_vectors * d->stride[0];
}

/* Vectors along the filters lose the lanes that filters do not fill (a lone narrow vector is bound by
 * its loads), a little in every run, and what transposes planes of y. */
static double channels_last_cycles(const fc_conv2d_desc *d, const struct shape *s,
                                   const struct fc_kernel_set *kernels) {
    int bound_by_loads = s->vectors == 1 && (s->move > 1 || s->packed < 1);
    double product = bound_by_loads ? 1.2 : 1.02 * s->packed;
    if (!bound_by_loads && s->move > 1) product += 0.33 * fmod(s->vectors, 2); /* a lone last one */
    int planes = fc_reads_planes(d, kernels), wide = (int)kernels->tile_vectors;
    if (planes) product += 0.6 * s->packed / (wide * wide);
    double cycles = product * s->depth * taps_inside(d, 0) * taps_inside(d, 1);
    cycles += s->vectors * 2.8 + 4 * s->move;
    if (d->y.stride[1] != 1) cycles += s->vectors * 5.6 * s->move;
    double moved = ceil(s->channels / s->lanes) * s->inputs;
    double panels = ceil(s->vectors / wide);
    if (planes)
        cycles +=
            0.6 * far_planes(d, s) * s->channels * panels / (double)kernels->tile_pixels[wide];
    if (d->x.stride[1] != 1 && !planes)
        cycles += moved * 10;
    else if (d->pad[0] || d->pad[1])
        cycles += moved * s->move * (planes ? 3 : 5.6);
    return cycles;
}

/* Vectors along tile rows lose what padded rows are wider than the output, and what the last tiles stick
 * out: vectors an output pixel, times lanes. */
static double tile_row_width(const fc_conv2d_desc *d, const struct shape *s,
                             const struct fc_kernel_set *kernels) {
    double reach = (double)((d->weight.size[3] - 1) * d->dilation[1] / d->stride[1]);
    double q = (double)d->y.size[3], rows = (double)fc_ceil_div(d->y.size[2], FC_TILE);
    int by_rows = fc_planar_by_rows(d, kernels, FC_TILE, (int64_t)rows, (int64_t)(q + reach));
    double vectors =
        by_rows ? rows * ceil(q / s->lanes) : ((rows - 1) * (q + reach) + q) / s->lanes + 0.5;
    return vectors * s->lanes * FC_TILE / ((double)d->y.size[2] * q);
}

/* Moving one element from or to planes where its neighbours are n elements apart: the wider pixels
 * are, the more often a line comes and goes. */
static double scattered(double n) { return fmin(1.3 + n / 32, 18); }

/* What gathering and writing cost where pixels are not side by side. */
static double planar_strides(const fc_conv2d_desc *d, const struct shape *s) {
    double cycles = 0;
    if (d->x.stride[3] > 2) cycles += s->channels * s->inputs * scattered(s->channels);
    if (d->y.stride[3] != 1) cycles += s->filters * scattered(s->filters);
    return cycles * s->move;
}

/* Taps of different phases (h % stride) along an axis. */
static int64_t phases(const fc_conv2d_desc *d, int a) {
    int64_t stride = d->stride[a], step = d->dilation[a] % stride, count = 1;
    for (int64_t at = step; at && count < d->weight.size[2 + a]; count++) at = (at + step) % stride;
    return count;
}

/* Gathering planes an output pixel: strips that fill half of L2 overlap by the filter's reach. */
static double planar_gather(const fc_conv2d_desc *d, const struct shape *s) {
    int dense = d->stride[0] == 1 && d->stride[1] == 1 && d->x.stride[3] == 1;
    if (dense && !d->pad[0] && !d->pad[1]) return 0;
    double reach[2], planes = s->channels * (double)(phases(d, 0) * phases(d, 1));
    for (int a = 0; a < 2; a++)
        reach[a] = (double)((d->weight.size[2 + a] - 1) * d->dilation[a] / d->stride[a]);
    double q = (double)d->y.size[3], bytes = (double)fc_dtype_bytes((fc_dtype)d->x.dtype);
    double rows = (double)fc_l2_bytes() / 2 / (planes * (q + reach[1]) * bytes) - reach[0];
    rows = fmax(1, fmin(rows, (double)d->y.size[2]));
    double elements = planes * (rows + reach[0]) / rows * (q + reach[1]) / q;
    double element = d->x.stride[3] > 2 ? scattered(s->channels) : dense ? 0.8 : 1.3;
    return elements * element * s->move;
}

/* A chunk of rows in whole vectors, those in tiles whose filters share every tap's loads. */
static double planar_cycles(const fc_conv2d_desc *d, const struct shape *s,
                            const struct fc_kernel_set *kernels) {
    int64_t lanes = kernels->lanes, q = d->y.size[3];
    int64_t columns = fc_max(d->weight.size[3], 1);
    int64_t pitch = fc_max(1, q) + (columns - 1) * d->dilation[1] / d->stride[1];
    int straight = pitch == q && d->y.stride[3] == 1;
    int64_t together = straight ? FC_PLANAR_STRAIGHT : FC_PLANAR_CHUNK;
    int64_t rows = fc_max(1, fc_min(d->y.size[2], together / pitch));
    int by_rows = fc_planar_by_rows(d, kernels, 1, rows, pitch);
    int64_t runs = by_rows ? rows : 1, count = (rows - runs) * pitch + q;
    int64_t full = runs * (count / lanes), tails = count % lanes ? runs : 0;
    double pixels = (double)(rows * q), vectors = (double)(full + tails);
    double tiles = (double)(fc_ceil_div(full, kernels->tile_vectors) +
                            fc_ceil_div(tails, kernels->tile_vectors));
    double panels = ceil(s->filters / FC_PLANAR_FILTERS);
    double loads = by_rows ? 0.5 : 2; /* a tap of a tile, aligned or not */
    double cycles = s->depth * (s->filters * vectors + loads * panels * tiles) + 8 * panels * tiles;
    cycles += far_planes(d, s) * s->channels * panels * tiles;
    cycles = cycles / pixels + planar_gather(d, s);
    if (d->y.stride[3] != 1) return cycles + s->filters * scattered(s->filters) * s->move;
    return by_rows || pitch == q ? cycles : cycles + s->filters / (double)q * 8 * s->move;
}

/* Four rows by 6 products instead of 12; transforms of about 28 operations a vector of a channel (more
 * where many channels leave L1) and 17 a vector of a filter. Tiles of two filters spend themselves on loads. */
static double winograd_rows_cycles(const fc_conv2d_desc *d, const struct shape *s,
                                   const struct fc_kernel_set *kernels) {
    double products = s->depth / 3 * 6 * (kernels->rows_filters > 2 ? 1.08 : 2.2);
    double row = s->filters * (products + 17) + s->channels * fmin(28 + s->channels, 200);
    double cycles = row / FC_TILE / s->lanes * tile_row_width(d, s, kernels);
    cycles += s->filters * 3 / s->lanes + 1;
    return cycles + planar_strides(d, s);
}

/* Products of a tile, or the time to stream its weights past, if that is longer (some of the shorter one is
 * seen, too, where they come from memory; taps of several products come again from the caches); transforms in
 * and out, and what the last tiles stick out. */
static double winograd_cycles(const fc_conv2d_desc *d, const struct shape *s,
                              const struct fc_winograd_tile *tile) {
    double pixels = (double)(d->y.size[2] * d->y.size[3]);
    double tiles = (double)(fc_ceil_div(d->y.size[2], tile->outputs[0]) *
                            fc_ceil_div(d->y.size[3], tile->outputs[1]));
    double vectors_in = (double)fc_ceil_div((int64_t)s->channels, (int64_t)s->lanes);
    double products = (double)(tile->patch[0] * tile->patch[1]);
    double channels = s->channels + (tile->chains - 1) * FC_CHAIN_CHANNELS;
    double multiply = products * channels * s->vectors * 1.1 * tiles;
    double tap = s->channels * s->vectors * s->lanes * (double)fc_dtype_bytes((fc_dtype)d->x.dtype);
    double taps = (double)fc_winograd_taps(tile), weights = taps * tap;
    int cached = weights <= FC_CACHED_BYTES;
    double stream =
        weights / (cached ? FC_CACHE_RATE : FC_DRAM_RATE) + (products - taps) * tap / FC_CACHE_RATE;
    double both = fmax(stream, multiply) + (cached ? 0 : 0.15 * fmin(stream, multiply));
    double transform = products * (6 * vectors_in + 6 * s->vectors) * tiles;
    return (both + transform) / pixels + 4 + s->transposes * s->lanes / 3;
}

/* Packing so many weights for a channel and filter, in such a time each. */
static double pack_cycles(const struct shape *s, double weights, double time) {
    return s->channels * s->filters * weights * time * s->pack;
}

/* The best tile that fits; NULL: none does. */
static const struct fc_winograd_tile *choose_tile(const fc_conv2d_desc *d,
                                                  const struct fc_kernel_set *kernels,
                                                  const struct shape *s, double *cycles) {
    const struct fc_winograd_tile *choice = NULL;
    for (int i = 0; i < FC_WINOGRAD_TILE_COUNT; i++) {
        const struct fc_winograd_tile *tile = &kernels->winograd[i];
        if (!fc_winograd_fits(tile, d)) continue;
        if (tile->chains > 1 && s->channels < FC_WINOGRAD_CHAINED_CHANNELS) continue;
        double own = winograd_cycles(d, s, tile) +
                     pack_cycles(s, (double)fc_winograd_taps(tile), FC_TIME_OF_TERM);
        if (choice && own >= *cycles) continue;
        *cycles = own;
        choice = tile;
    }
    return choice;
}

int fc_winograd_rows_fits(const fc_conv2d_desc *d) {
    return d->weight.size[2] == 3 && d->stride[0] == 1 && d->stride[1] == 1 && d->dilation[0] == 1;
}

int fc_algorithm_fits(const fc_conv2d_desc *d) {
    if (d->algorithm == FC_ALGORITHM_DEPTHWISE) return d->weight.size[1] == 1;
    if (d->algorithm == FC_ALGORITHM_WINOGRAD_ROWS) return fc_winograd_rows_fits(d);
    return !fc_is_winograd(d->algorithm) || fc_winograd_largest(d->algorithm, d);
}

/* Vectors along the filters read an x whose pixels are not side by side as planes. */
static int along_filters(const fc_conv2d_desc *d) {
    int planes = d->x.stride[1] != 1 && d->weight.size[3] > d->weight.size[1];
    return planes ? FC_ALGORITHM_PLANES : FC_ALGORITHM_CHANNELS_LAST;
}

/* Of strides, the choice sees which axis is innermost and no more: one image gives the same bits wherever it lies. */
static fc_conv2d_desc without_strides(const fc_conv2d_desc *d) {
    fc_conv2d_desc dense = *d;
    if (d->x.stride[1] != 1) dense.x.stride[3] = 1;
    if (d->y.stride[1] != 1) dense.y.stride[3] = 1;
    return dense;
}

int fc_choose_algorithm(const fc_conv2d_desc *desc, const struct fc_kernel_set *kernels,
                        double packings) {
    const fc_conv2d_desc dense = without_strides(desc), *d = &dense;
    if (d->shuffle > 1) return FC_ALGORITHM_CHANNELS_LAST;
    struct shape s = shape_of(d, kernels, packings);
    double best, planar;
    if (d->algorithm == FC_ALGORITHM_WINOGRAD) {
        const struct fc_winograd_tile *tile = choose_tile(d, kernels, &s, &best);
        return tile ? fc_winograd_algorithm(tile) : d->algorithm;
    }
    if (d->algorithm == FC_ALGORITHM_CHANNELS_LAST && !d->weight_is_packed) return along_filters(d);
    if (d->algorithm != FC_ALGORITHM_AUTO && d->algorithm != FC_ALGORITHM_DIRECT)
        return d->algorithm;
    int64_t rows = (d->weight.size[2] - 1) * d->dilation[0] + 1;
    int64_t columns = (d->weight.size[3] - 1) * d->dilation[1] + 1;
    int64_t bytes = fc_product(fc_product(rows, columns),
                               d->weight.size[1] * fc_dtype_bytes((fc_dtype)d->x.dtype));
    int automatic = d->algorithm == FC_ALGORITHM_AUTO;
    if (automatic && (bytes < 0 || bytes > FC_LARGEST_STRIP_BYTES)) return FC_ALGORITHM_IM2COL;
    best = channels_last_cycles(d, &s, kernels);
    planar = planar_cycles(d, &s, kernels);
    int choice = along_filters(d);
    if (planar < best) {
        choice = FC_ALGORITHM_PLANAR;
        best = planar;
    }
    if (d->weight.size[1] == 1 && fc_depthwise_cycles(d, kernels) < best)
        return FC_ALGORITHM_DEPTHWISE;
    if (!automatic) return choice;
    best += pack_cycles(&s, (double)(d->weight.size[2] * d->weight.size[3]), FC_TIME_OF_TAP);
    double by_rows = winograd_rows_cycles(d, &s, kernels) +
                     pack_cycles(&s, FC_PATCH * (double)d->weight.size[3], FC_TIME_OF_ROW_TERM);
    double by_tiles;
    if (fc_winograd_rows_fits(d) &&
        s.channels * (double)d->weight.size[3] >= FC_WINOGRAD_ROWS_COLUMNS && by_rows < best) {
        choice = FC_ALGORITHM_WINOGRAD_ROWS;
        best = by_rows;
    }
    const struct fc_winograd_tile *tile = choose_tile(d, kernels, &s, &by_tiles);
    if (tile && s.channels >= FC_WINOGRAD_CHANNELS && by_tiles < best)
        choice = fc_winograd_algorithm(tile);
    return choice;
}
