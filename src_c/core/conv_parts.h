/* conv_parts.h: the ordinary convolutions that a convolution over volumes, or its transpose, consists of.
 *
 * A transposed convolution of stride S scatters input m to outputs m*S + r*D - pad. Turned around: the
 * outputs that tap r reaches are those congruent to r*D - pad modulo S, and with G = gcd(S, D) taps
 * r0, r0 + S/G, r0 + 2*S/G, ... reach the same ones. So each r0 < S/G is a part: an ordinary convolution
 * at stride 1 of those taps, backwards, at dilation D/G, that writes every S-th output. Outputs that no tap
 * reaches are a part without channels, which goes first. Nothing is ever multiplied by stuffed zeros.
 *
 * An ordinary convolution is a single part. The weights of each part are brought into the order
 * [k][t][c][r][s] and packed one after another.
 */
#ifndef FC_CONV_PARTS_H
#define FC_CONV_PARTS_H

#include "core/conv.h"

struct fc_axis_part {
    int64_t taps, first_tap, tap_step;   /* in the weight as given */
    int64_t stride, dilation, pad, crop; /* crop: inputs dropped before the first */
    int64_t first, step, count;          /* outputs first, first + step, ... */
};

struct fc_part {
    int fill; /* the outputs that no tap reaches: no channels */
    struct fc_axis_part axis[3];
};

struct fc_parts {
    int64_t count;   /* with the fill */
    int64_t axis[3]; /* along each axis, without it */
    int fill;
};

struct fc_parts fc_parts(const fc_conv3d_desc *d);
/* Part `index`; apart from crop, pad and the outputs, x and y are not looked at. */
struct fc_part fc_part_at(const fc_conv3d_desc *d, int64_t index);
/* The part as an ordinary convolution; its weight has sizes, but no memory. */
fc_conv3d_desc fc_part_conv(const fc_conv3d_desc *d, const struct fc_part *part);
/* What the part takes where the whole takes d->algorithm. */
int32_t fc_part_algorithm(const fc_conv3d_desc *d, const struct fc_part *part);
struct fc_packing fc_part_packing(const fc_conv3d_desc *d, const struct fc_part *part,
                                  const struct fc_program *program);
/* Bytes of all parts' packed weights; -1: overflow. */
int64_t fc_parts_bytes(const fc_conv3d_desc *d, const struct fc_program *program);
/* Adds the steps that pack all parts into slots[slot] + offset_bytes. */
fc_status fc_add_parts_pack(struct fc_program *program, const fc_conv3d_desc *d, int32_t slot,
                            int64_t offset_bytes);

#endif
