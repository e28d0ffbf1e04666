/* conv_blocks.c: how convolutions go through their output in blocks, and bring the input near. */
#include "core/conv.h"

struct fc_block fc_block_at(const struct fc_blocks *blocks, int64_t index) {
    int64_t per_image = blocks->count[0] * blocks->count[1];
    int64_t position[2] = {index % per_image / blocks->count[1], index % blocks->count[1]};
    struct fc_block block = {.n = index / (per_image * blocks->groups),
                             .g = index / per_image % blocks->groups};
    for (int a = 0; a < 2; a++) {
        int64_t last;
        fc_share(blocks->outputs[a], position[a], blocks->count[a], &block.first[a], &last);
        block.size[a] = last - block.first[a];
    }
    return block;
}

int64_t fc_blocks_pass(const struct fc_packing *packing) {
    return packing->bytes > fc_l2_bytes() / 2 ? 8 : 3;
}

/* Entering a block for a further part of its panels, in the time of a panel. */
#define FC_ENTER_PANELS 0.2
/* Candidates: so many parts of the panels, so many items a thread. */
#define FC_WALK_CANDIDATES 8

/* The work of the busiest of n threads, in pixels times panels. */
static double busiest(const struct fc_blocks *blocks, int64_t panels, int64_t splits, int64_t n) {
    int64_t pixels = 1, items = fc_ceil_div(fc_blocks_total(blocks) * splits, n);
    for (int a = 0; a < 2; a++) pixels *= fc_ceil_div(blocks->outputs[a], blocks->count[a]);
    int64_t passes = items / splits * panels + items % splits * fc_ceil_div(panels, splits);
    double entering = FC_ENTER_PANELS * (double)(fc_ceil_div(items, splits) * pixels);
    return (double)(passes * (pixels + blocks->pass)) + entering;
}

/* Cuts blocks and panels so that n threads finish together. Blocks only become smaller; no bits depend on it. */
static void balance(struct fc_block_walk *walk, int64_t n) {
    struct fc_blocks trial = walk->blocks;
    int few_rows = trial.outputs[0] < fc_min(2 * n, trial.outputs[1]);
    int a = few_rows && !trial.whole_rows;
    int64_t planned = trial.count[a], others = fc_blocks_total(&trial) / planned;
    double best = busiest(&trial, walk->panels, 1, n);
    double even = busiest(&trial, walk->panels, 1, 1) / (double)n;
    for (int64_t splits = 1; splits <= fc_min(walk->panels, FC_WALK_CANDIDATES); splits++)
        for (int64_t items = 1; items <= FC_WALK_CANDIDATES && best > 1.01 * even; items++) {
            int64_t before = items > 1 ? trial.count[a] : 0;
            int64_t count = fc_min(items * n / (others * splits), trial.outputs[a]);
            trial.count[a] = fc_max(count, planned);
            if (trial.count[a] == before) continue;
            double work = busiest(&trial, walk->panels, splits, n);
            if (work >= best) continue;
            best = work;
            walk->blocks.count[a] = trial.count[a];
            walk->splits = splits;
        }
}

void fc_walk_start(struct fc_block_walk *walk, const struct fc_blocks *blocks, int64_t panels,
                   int64_t i, int64_t n) {
    *walk = (struct fc_block_walk){.blocks = *blocks, .panels = panels, .splits = 1};
    if (n > 1) balance(walk, n);
    fc_share(fc_blocks_total(&walk->blocks) * walk->splits, i, n, &walk->item, &walk->end);
    walk->item--; /* the first call of fc_walk_next steps onto the share */
}

int fc_walk_next(struct fc_block_walk *walk) {
    int64_t before = walk->item, begin, end;
    if (++walk->item >= walk->end) return 0;
    int64_t index = walk->item / walk->splits;
    int first = walk->last_panel == 0; /* nothing entered so far */
    walk->entering = first || before / walk->splits != index;
    if (walk->entering) {
        walk->fresh = first || fc_block_place(&walk->blocks, before / walk->splits) !=
                                   fc_block_place(&walk->blocks, index);
        walk->block = fc_block_at(&walk->blocks, index);
    }
    fc_share(walk->panels, walk->item % walk->splits, walk->splits, &begin, &end);
    walk->first_panel = begin;
    walk->last_panel = end;
    return 1;
}

void fc_strip_plan(struct fc_strip *strip, const struct fc_kernel_set *kernels, int64_t channels,
                   int64_t rows, int64_t columns, int64_t bytes) {
    *strip = (struct fc_strip){
        .kernels = kernels, .channels = channels, .bytes = bytes, .channel_stride = 1};
    /* pixels a multiple of 2 KiB apart would all fall into the same few sets of L1 */
    strip->pixel_stride = channels * bytes % 2048 ? channels : channels + 64 / bytes;
    strip->row_stride = fc_product(columns, strip->pixel_stride);
    strip->total_bytes = fc_product(fc_product(rows, strip->row_stride), bytes);
}

void fc_strip_plan_planes(struct fc_strip *strip, const struct fc_kernel_set *kernels,
                          int64_t channels, int64_t rows, int64_t columns, int64_t bytes) {
    int64_t plane = fc_product(rows, columns);
    /* planes a multiple of 1 KiB apart would all fall into the same few sets of L1 */
    if (plane == 1 || (plane >= 0 && plane * bytes % 1024 == 0)) plane += 64 / bytes;
    *strip = (struct fc_strip){
        .kernels = kernels,
        .channels = channels,
        .bytes = bytes,
        .channel_stride = plane,
        .pixel_stride = 1,
        .row_stride = columns,
        .total_bytes = fc_product(fc_product(channels, plane), bytes),
    };
}

/* Zeros where the strip sticks out of the image: input rows and columns inside are given. */
static void clear_border(const struct fc_strip *strip, char *to, const int64_t row[2],
                         const int64_t column[2], int64_t rows, int64_t columns) {
    int64_t pixel = strip->pixel_stride * strip->bytes;
    for (int64_t i = 0; i < rows; i++, to += strip->row_stride * strip->bytes) {
        int64_t left = i >= row[0] && i < row[1] ? column[0] : columns;
        memset(to, 0, (size_t)(left * pixel));
        if (left < columns)
            memset(to + column[1] * pixel, 0, (size_t)((columns - column[1]) * pixel));
    }
}

/* A plane of each channel: input rows and columns inside are given. */
static void gather_planes(const struct fc_strip *strip, char *to, const char *x, const fc_tensor *t,
                          const int64_t row[2], const int64_t column[2]) {
    struct fc_copy2d_args copy = {
        .src = x,
        .src_i = t->stride[2],
        .src_j = t->stride[3],
        .dst = to + (row[0] * strip->row_stride + column[0]) * strip->bytes,
        .dst_i = strip->row_stride,
        .dst_j = 1,
        .rows = row[1] - row[0],
        .columns = column[1] - column[0],
    };
    strip->kernels->copy2d(&copy);
}

void fc_gather_strip(const struct fc_strip *strip, const struct fc_run *run, const fc_tensor *x,
                     int64_t n, int64_t c, int64_t h, int64_t w, int64_t rows, int64_t columns,
                     int fresh) {
    int64_t row[2], column[2];
    fc_inside(x->size[2], 1, h, rows, &row[0], &row[1]);
    fc_inside(x->size[3], 1, w, columns, &column[0], &column[1]);
    if (strip->channel_stride != 1) {
        for (int64_t k = 0; k < strip->channels; k++) {
            char *to = run->scratch + k * strip->channel_stride * strip->bytes;
            if (fresh) clear_border(strip, to, row, column, rows, columns);
            gather_planes(strip, to,
                          fc_at(run, x) + fc_offset(x, n, c + k, h + row[0], w + column[0]), x, row,
                          column);
        }
        return;
    }
    if (fresh) clear_border(strip, run->scratch, row, column, rows, columns);
    int64_t lines = row[1] - row[0], line = column[1] - column[0];
    if (line * x->stride[3] == x->stride[2] && line * strip->pixel_stride == strip->row_stride) {
        line *= lines; /* whole rows follow each other in both */
        lines = 1;
    }
    /* a vector of channels at a time: so many planes are read from end to end */
    int64_t slab = x->stride[1] == 1 ? strip->channels : strip->kernels->lanes;
    for (int64_t k = 0; k < strip->channels; k += slab)
        for (int64_t i = 0; i < lines; i++) {
            int64_t to = (row[0] + i) * strip->row_stride + column[0] * strip->pixel_stride + k;
            struct fc_copy2d_args copy = {
                .src = fc_at(run, x) + fc_offset(x, n, c + k, h + row[0] + i, w + column[0]),
                .src_i = x->stride[1],
                .src_j = x->stride[3],
                .dst = run->scratch + to * strip->bytes,
                .dst_i = 1,
                .dst_j = strip->pixel_stride,
                .rows = fc_min(slab, strip->channels - k),
                .columns = line,
            };
            strip->kernels->copy2d(&copy);
        }
}
