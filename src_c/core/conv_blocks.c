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

void fc_walk_start(struct fc_block_walk *walk, const struct fc_blocks *blocks, int64_t panels,
                   int64_t i, int64_t n) {
    int64_t total = fc_blocks_total(blocks);
    *walk = (struct fc_block_walk){.blocks = blocks, .panels = panels, .splits = 1};
    while (walk->splits < panels && total * walk->splits < 8 * n && total * walk->splits % n)
        walk->splits++;
    fc_share(total * walk->splits, i, n, &walk->item, &walk->end);
    walk->item--; /* the first call of fc_walk_next steps onto the share */
}

int fc_walk_next(struct fc_block_walk *walk) {
    int64_t before = walk->item, begin, end;
    if (++walk->item >= walk->end) return 0;
    int64_t index = walk->item / walk->splits;
    int first = walk->last_panel == 0; /* nothing entered so far */
    walk->entering = first || before / walk->splits != index;
    if (walk->entering) {
        walk->fresh = first || fc_block_place(walk->blocks, before / walk->splits) !=
                                   fc_block_place(walk->blocks, index);
        walk->block = fc_block_at(walk->blocks, index);
    }
    fc_share(walk->panels, walk->item % walk->splits, walk->splits, &begin, &end);
    walk->first_panel = begin;
    walk->last_panel = end;
    return 1;
}

void fc_strip_plan(struct fc_strip *strip, const struct fc_kernel_set *kernels, int64_t channels,
                   int64_t rows, int64_t columns, int64_t bytes) {
    *strip = (struct fc_strip){.kernels = kernels, .channels = channels, .bytes = bytes};
    /* pixels a multiple of 2 KiB apart would all fall into the same few sets of L1 */
    strip->pixel_stride = channels * bytes % 2048 ? channels : channels + 64 / bytes;
    strip->row_stride = fc_product(columns, strip->pixel_stride);
    strip->total_bytes = fc_product(fc_product(rows, strip->row_stride), bytes);
}

void fc_gather_strip(const struct fc_strip *strip, const struct fc_run *run, const fc_tensor *x,
                     int64_t n, int64_t c, int64_t h, int64_t w, int64_t rows, int64_t columns,
                     int fresh) {
    int64_t row[2], column[2];
    fc_inside(x->size[2], 1, h, rows, &row[0], &row[1]);
    fc_inside(x->size[3], 1, w, columns, &column[0], &column[1]);
    if (fresh) memset(run->scratch, 0, (size_t)strip->total_bytes);
    for (int64_t i = row[0]; i < row[1]; i++) {
        int64_t to = i * strip->row_stride + column[0] * strip->pixel_stride;
        struct fc_copy2d_args copy = {
            .src = fc_at(run, x) + fc_offset(x, n, c, h + i, w + column[0]),
            .src_i = x->stride[1],
            .src_j = x->stride[3],
            .dst = run->scratch + to * strip->bytes,
            .dst_i = 1,
            .dst_j = strip->pixel_stride,
            .rows = strip->channels,
            .columns = column[1] - column[0],
        };
        strip->kernels->copy2d(&copy);
    }
}
