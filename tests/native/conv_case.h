/* conv_case.h: one convolution in plain numbers, and the descriptor and tensors made from it. */
#ifndef CONV_CASE_H
#define CONV_CASE_H

#include "harness.h"

struct conv_case {
    int64_t n, channels, filters, groups; /* channels and filters of one group */
    int64_t h, w, r, s, p, q;
    int64_t stride[2], pad[2], dilation[2], shuffle;
    int32_t activation, algorithm;
    int bias, packed, threads, adds;
    enum layout x, weight, y, addend;
};

/* One image, one group, unit strides, no padding, as many outputs as fit. */
struct conv_case conv_plain(int64_t channels, int64_t filters, int64_t h, int64_t w, int64_t r,
                            int64_t s);
/* Sets p and q to what fits with end_pad more rows and columns of zeros at the end. */
void conv_fit(struct conv_case *c, int64_t end_pad_h, int64_t end_pad_w);
/* Makes it what this of Winograd's tiles computes; call conv_fit again. */
#define CONV_TILES 15
void conv_tile(struct conv_case *c, int tile);
/* Any of all that, at most so many multiply-adds. */
struct conv_case conv_draw(struct random *random, double work);
double conv_work(const struct conv_case *c);

fc_conv2d_desc conv_desc(struct scene *scene, const struct conv_case *c, fc_dtype dtype);
/* Packs desc's weights into a slot of their own -> the descriptor that uses them. */
fc_conv2d_desc conv_packed(struct scene *scene, const fc_conv2d_desc *desc);
void conv_check(const struct conv_case *c, fc_dtype dtype, uint64_t seed);

#endif
