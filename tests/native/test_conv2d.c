/* test_conv2d.c: convolutions drawn at random, sizes at the edges of tiles and blocks, odd values. */
#include <math.h>

#include "conv_case.h"

void suite_conv2d(const struct setting *setting) {
    struct random random = {2};
    int cases = setting->small ? 60 : 600;
    suite_begin("conv2d", setting);
    for (int i = 0; i < cases; i++) {
        struct conv_case c = conv_draw(&random, setting->small ? 2e4 : 8e4);
        conv_check(&c, setting->dtype, random_bits(&random));
    }
    suite_end();
}

/* The same case by every algorithm, planar and channels last. */
static void every_way(struct conv_case c, const struct setting *setting) {
    for (int32_t algorithm = FC_ALGORITHM_IM2COL; algorithm <= FC_ALGORITHM_PLANAR; algorithm++)
        for (int last = 0; last < 2; last++) {
            c.algorithm = algorithm;
            c.x = c.y = c.addend = last ? LAYOUT_NHWC : LAYOUT_NCHW;
            c.adds = (c.channels + c.filters + c.w) % 2 == 0;
            conv_check(&c, setting->dtype, 3);
        }
}

/* Around the multiples of 2, 4, 8 and 16 lanes, and of panels of up to 4 vectors. */
static void filters(const struct setting *setting) {
    for (int64_t k = 1; k <= (setting->small ? 20 : 36); k++)
        every_way(conv_plain(3, k, 3, 5, 2, 2), setting);
    static const int64_t large[] = {47, 48, 49, 63, 64, 65, 79, 80, 81, 127, 129};
    for (size_t i = 0; i < sizeof large / sizeof large[0] && !setting->small; i++)
        every_way(conv_plain(2, large[i], 2, 4, 1, 2), setting);
}

/* Around the multiples of tiles of 6 and 8 pixels, of vectors of pixels, and of chunks of pixels. */
static void pixels(const struct setting *setting) {
    for (int64_t q = 1; q <= (setting->small ? 18 : 36); q++) {
        every_way(conv_plain(2, 5, 1, q, 1, 1), setting);
        every_way(conv_plain(2, 5, 3, q + 2, 3, 3), setting);
    }
    static const int64_t large[] = {47, 49, 63, 64, 65, 95, 96, 97, 127, 129, 191, 193, 511, 513};
    for (size_t i = 0; i < sizeof large / sizeof large[0] && !setting->small; i++)
        every_way(conv_plain(1, 17, 1, large[i], 1, 1), setting);
}

/* Around the multiples of vectors, and of 2 KiB and 4 KiB in a pixel or a plane. */
static void channels(const struct setting *setting) {
    for (int64_t c = 1; c <= (setting->small ? 18 : 34); c++)
        every_way(conv_plain(c, 3, 3, 6, 2, 3), setting);
    static const int64_t large[] = {127, 255, 256, 257, 511, 512, 513, 1024};
    for (size_t i = 0; i < sizeof large / sizeof large[0] && !setting->small; i++) {
        struct conv_case c = conv_plain(large[i], 3, 3, 4, 3, 3);
        c.pad[0] = c.pad[1] = 1;
        conv_fit(&c, 1, 1);
        every_way(c, setting);
    }
}

/* More rows, longer rows and deeper strips than one block takes. */
static void blocks(const struct setting *setting) {
    struct conv_case tall = conv_plain(64, 3, 66, 60, 3, 3),
                     wide = conv_plain(64, 2, 3, 3000, 3, 3);
    struct conv_case line = conv_plain(1, 2, 2, 20001, 1, 2),
                     deep = conv_plain(400, 2, 9, 30, 5, 5);
    struct conv_case strided = conv_plain(8, 3, 101, 215, 3, 3);
    struct conv_case batch = conv_plain(32, 1, 40, 40, 3, 3);
    batch.n = 12; /* more images than im2col takes at a time */
    batch.threads = 3;
    if (setting->small) {
        strided.h = 23;
        strided.w = 37;
    } else {
        every_way(tall, setting);
        every_way(wide, setting);
        every_way(line, setting);
        every_way(deep, setting);
        every_way(batch, setting);
    }
    strided.stride[0] = 2;
    strided.stride[1] = 3;
    strided.pad[0] = strided.pad[1] = 1;
    conv_fit(&strided, 2, 1);
    every_way(strided, setting);
}

/* Windows that lie in the padding in part or wholly; more padding than image. */
static void padding(const struct setting *setting) {
    for (int64_t pad = 1; pad <= 7; pad += 2)
        for (int64_t end = 0; end <= 6; end += 3) {
            struct conv_case c = conv_plain(3, 5, 2, 3, 3, 2);
            c.pad[0] = pad;
            c.pad[1] = pad + 1;
            c.stride[1] = 2;
            conv_fit(&c, end, end + 1);
            every_way(c, setting);
        }
}

/* Nothing to sum, or nothing to write. */
static void empty(const struct setting *setting) {
    struct conv_case none = conv_plain(3, 4, 5, 5, 3, 3);
    none.n = 0;
    every_way(none, setting);
    every_way(conv_plain(3, 0, 5, 5, 3, 3), setting);
    every_way(conv_plain(0, 4, 5, 5, 3, 3), setting); /* y is the bias alone */
    struct conv_case hollow = conv_plain(2, 4, 0, 0, 1, 1);
    hollow.pad[0] = hollow.pad[1] = 2;
    conv_fit(&hollow, 1, 1);
    every_way(hollow, setting);
}

/* Around the multiples of each tile; nothing but padding under some. */
static void winograd_tiles(const struct setting *setting) {
    for (int tile = 0; tile < CONV_TILES; tile++)
        for (int last = 0; last < 2; last++) {
            struct conv_case c = conv_plain(3, 5, 5, 5, 5, 5);
            conv_tile(&c, tile);
            c.x = c.y = c.addend = last ? LAYOUT_NHWC : LAYOUT_NCHW;
            c.pad[1] = 2;
            for (int i = 0; i < 9; i++) {
                c.adds = i % 2;
                c.h = c.r + i;
                c.w = c.s + i * 5 % 9;
                conv_fit(&c, i % 3, 0);
                conv_check(&c, setting->dtype, 3);
            }
            c.h = c.w = 1;
            c.pad[0] = c.pad[1] = 11;
            conv_fit(&c, 11, 11);
            conv_check(&c, setting->dtype, 3);
        }
}

/* Around the multiples of tiles of 4x4, of blocks of tiles, of vectors and of panels. */
static void winograd(const struct setting *setting, int32_t algorithm) {
    for (int last = 0; last < 2; last++) {
        struct conv_case c = conv_plain(2, 3, 3, 3, 3, 3);
        c.algorithm = algorithm;
        c.x = c.y = c.addend = last ? LAYOUT_NHWC : LAYOUT_NCHW;
        for (c.h = 3; c.h <= 11; c.h++)
            for (c.w = 3; c.w <= 11; c.w++) {
                c.adds = (c.h + c.w) % 2;
                conv_fit(&c, 0, 0);
                conv_check(&c, setting->dtype, 3);
            }
        c.h = c.w = 5;
        c.pad[0] = c.pad[1] = 1;
        conv_fit(&c, 1, 1);
        for (c.channels = 1; c.channels <= (setting->small ? 9 : 34); c.channels++)
            conv_check(&c, setting->dtype, 3);
        c.channels = 2;
        for (c.filters = 1; c.filters <= (setting->small ? 20 : 70); c.filters++) {
            c.adds = c.filters % 3 > 0;
            conv_check(&c, setting->dtype, 3);
        }
        c.filters = 2;
        c.h = setting->small ? 20 : 70;
        c.w = setting->small ? 40 : 140;
        conv_fit(&c, 0, 2);
        conv_check(&c, setting->dtype, 3);
        if (algorithm != FC_ALGORITHM_WINOGRAD_ROWS) continue;
        for (c.s = 1; c.s <= 5; c.s += 2)
            for (c.dilation[1] = 1; c.dilation[1] <= 2; c.dilation[1]++)
                for (c.w = 30; c.w <= 32; c.w++) {
                    conv_fit(&c, 1, c.s / 2 * c.dilation[1]);
                    conv_check(&c, setting->dtype, 3);
                }
    }
}

/* Each filter that has a kernel of its own and one that has none, around the widths of vectors. */
static void depthwise(const struct setting *setting) {
    int64_t widest = setting->small ? 20 : 40;
    for (int64_t size = 3; size <= 9; size += 2)
        for (int64_t w = 1; w <= widest; w += setting->small ? 3 : 1)
            for (int way = 0; way < 4; way++) {
                struct conv_case c = conv_plain(1, 1, 5, w, size, size);
                c.groups = 1 + w % 18;
                c.filters = 1 + (way == 3 && w % 2);
                c.algorithm = FC_ALGORITHM_DEPTHWISE;
                c.stride[0] = c.stride[1] = 1 + way / 2;
                c.pad[0] = c.pad[1] = size / 2;
                c.x = c.y = way % 2 ? LAYOUT_NHWC : LAYOUT_NCHW;
                conv_fit(&c, size / 2, size / 2);
                conv_check(&c, setting->dtype, 3);
            }
}

/* A channel shuffle in what is read, in either layout. */
static void shuffled(const struct setting *setting) {
    for (int64_t shuffle = 1; shuffle <= 4; shuffle++)
        for (int64_t each = 1; each <= (setting->small ? 3 : 7); each++)
            for (int64_t groups = 1; groups <= shuffle; groups++) {
                struct conv_case c = conv_plain(each * shuffle, 9, 3, 5, 1, 1);
                c.n = 2;
                c.groups = groups;
                c.shuffle = shuffle;
                c.x = each % 2 ? LAYOUT_NHWC : LAYOUT_NCHW;
                c.y = each % 3 ? LAYOUT_NHWC : LAYOUT_NCHW;
                c.packed = each > 2;
                conv_check(&c, setting->dtype, 3);
                c.stride[0] = c.stride[1] = 2;
                conv_fit(&c, 0, 0);
                conv_check(&c, setting->dtype, 3);
            }
}

/* With enough channels auto stands for Winograd, whether weights are packed before or not. */
static void automatic(const struct setting *setting) {
    int64_t size = setting->small ? 32 : 64;
    struct conv_case c = conv_plain(size, size, 10, 10, 3, 3);
    for (c.packed = 0; c.packed < 2; c.packed++) {
        conv_check(&c, setting->dtype, 3);
        c.algorithm = FC_ALGORITHM_DIRECT;
        conv_check(&c, setting->dtype, 3);
        c.algorithm = FC_ALGORITHM_AUTO;
    }
}

void suite_conv2d_edges(const struct setting *setting) {
    suite_begin("conv2d at the edges", setting);
    filters(setting);
    pixels(setting);
    channels(setting);
    blocks(setting);
    padding(setting);
    empty(setting);
    winograd_tiles(setting);
    winograd(setting, FC_ALGORITHM_WINOGRAD);
    winograd(setting, FC_ALGORITHM_WINOGRAD_ROWS);
    depthwise(setting);
    shuffled(setting);
    automatic(setting);
    suite_end();
}

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_conv2d(program, desc);
}

/* NaN and infinities reach exactly the outputs whose windows contain them, whatever the activation
 * (but for Winograd's, which mixes the inputs of a tile). */
void suite_conv2d_values(const struct setting *setting) {
    struct random random = {5};
    suite_begin("conv2d with NaN and infinities", setting);
    for (int i = 0; i < (setting->small ? 14 : 140); i++) {
        struct conv_case c = conv_draw(&random, 3e4);
        c.x = i % 2 ? LAYOUT_NHWC : LAYOUT_NCHW;
        c.activation = i % 7;
        if (winograd_algorithm(c.algorithm) || c.algorithm == FC_ALGORITHM_WINOGRAD_ROWS)
            c.algorithm = FC_ALGORITHM_AUTO;
        uint64_t seed = random_bits(&random);
        case_begin("case %d: algorithm %d, activation %d", i, c.algorithm, c.activation);
        struct scene scene;
        scene_open(&scene, seed);
        fc_conv2d_desc d = conv_desc(&scene, &c, setting->dtype);
        static const real values[] = {NAN, INFINITY, -INFINITY};
        for (int v = 0; v < 3; v++) {
            int64_t at[4];
            for (int a = 0; a < 4; a++) at[a] = random_range(&random, 0, d.x.size[a] - 1);
            tensor_set(&scene, &d.x, at, values[v]);
        }
        struct output y = {&d.y, oracle_conv2d, &d};
        run_step(&scene, add, &d, &y, 1, 1);
        scene_close(&scene);
        case_end();
    }
    suite_end();
}
