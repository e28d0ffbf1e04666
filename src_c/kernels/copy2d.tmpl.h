/* copy2d.tmpl.h: strided copies and sums; the contracts are above fc_copy2d_fn and fc_add2d_fn. */

FC_INLINE V V_(load_some)(const T *p, ptrdiff_t n) {
    return n >= VL ? V_(load)(p) : V_(loadn)(p, n);
}
FC_INLINE void V_(store_some)(T *p, V v, ptrdiff_t n) {
    if (n >= VL)
        V_(store)(p, v);
    else
        V_(storen)(p, v, n);
}

/* n <= VL elements, every second from p: reads the first 2n - 1 and no more. */
FC_INLINE V V_(load_every_second)(const T *p, ptrdiff_t n) {
    ptrdiff_t needed = 2 * n - 1;
    V low = V_(load_some)(p, needed);
    return V_(even)(low, needed > VL ? V_(loadn)(p + VL, needed - VL) : low);
}

/* Where a transposed block goes: column j to dst + at[j], or + j*dst_j where there is no table. */
struct FC_NAME(place) {
    T *dst;
    ptrdiff_t dst_j;
    const ptrdiff_t *at;
};

/* dst[i + column j] = src[i*src_i + j*step] for one block of rows x columns <= VL x VL, step 1 or 2 */
FC_INLINE void FC_NAME(transpose_block)(const T *src, ptrdiff_t src_i, struct FC_NAME(place) to,
                                        ptrdiff_t rows, ptrdiff_t columns, const int step) {
    V a[FC_VECTOR_BYTES / sizeof(T)], b[FC_VECTOR_BYTES / sizeof(T)];
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < VL; i++)
        a[i] = i >= rows   ? V_(set1)(0)
               : step == 2 ? V_(load_every_second)(src + i * src_i, columns)
                           : V_(load_some)(src + i * src_i, columns);
    for (ptrdiff_t stage = VL; stage > 1; stage /= 2) {
#pragma GCC unroll 8
        for (ptrdiff_t i = 0; i < VL / 2; i++) {
            b[2 * i] = V_(zip_lo)(a[i], a[i + VL / 2]);
            b[2 * i + 1] = V_(zip_hi)(a[i], a[i + VL / 2]);
        }
#pragma GCC unroll 16
        for (ptrdiff_t i = 0; i < VL; i++) a[i] = b[i];
    }
#pragma GCC unroll 16
    for (ptrdiff_t j = 0; j < VL; j++)
        if (j < columns) V_(store_some)(to.dst + (to.at ? to.at[j] : j * to.dst_j), a[j], rows);
}

/* Whole blocks have no branches; of the others one side is often whole. */
FC_INLINE void FC_NAME(transpose_any)(const T *src, ptrdiff_t src_i, struct FC_NAME(place) to,
                                      ptrdiff_t rows, ptrdiff_t columns, const int step) {
    if (rows >= VL && columns >= VL)
        FC_NAME(transpose_block)(src, src_i, to, VL, VL, step);
    else if (rows >= VL)
        FC_NAME(transpose_block)(src, src_i, to, VL, columns, step);
    else
        FC_NAME(transpose_block)(src, src_i, to, rows, columns < VL ? columns : VL, step);
}

/* The side whose lines lie farther apart is the one that is not in cache: go along its lines. */
FC_INLINE void FC_NAME(transpose)(const struct fc_copy2d_args *a, const ptrdiff_t *at,
                                  const int step) {
    const T *src = (const T *)a->src;
    int down = !at && a->dst_j > a->src_i;
    ptrdiff_t blocks_i = (a->rows + VL - 1) / VL, blocks_j = (a->columns + VL - 1) / VL;
    for (ptrdiff_t b = 0; b < blocks_i * blocks_j; b++) {
        ptrdiff_t i = (down ? b % blocks_i : b / blocks_j) * VL;
        ptrdiff_t j = (down ? b / blocks_i : b % blocks_j) * VL;
        struct FC_NAME(place) to = {.dst = (T *)a->dst + i + (at ? 0 : j * a->dst_j),
                                    .dst_j = a->dst_j,
                                    .at = at ? at + j : at};
        FC_NAME(transpose_any)(src + i * a->src_i + j * step, a->src_i, to, a->rows - i,
                               a->columns - j, step);
    }
}

static void FC_NAME(transpose_dense)(const struct fc_copy2d_args *a) {
    FC_NAME(transpose)(a, NULL, 1);
}
static void FC_NAME(transpose_scattered)(const struct fc_copy2d_args *a) {
    FC_NAME(transpose)(a, a->dst_at, 1);
}
static void FC_NAME(transpose_every_second)(const struct fc_copy2d_args *a) {
    FC_NAME(transpose)(a, NULL, 2);
}

static void FC_NAME(copy_rows)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_i,
                               ptrdiff_t rows, ptrdiff_t columns) {
    if (src_i == columns && dst_i == columns) { /* rows that follow each other are one */
        columns *= rows;
        rows = 1;
    }
    for (ptrdiff_t i = 0; i < rows; i++, src += src_i, dst += dst_i) {
        ptrdiff_t j = 0;
        for (; j + VL <= columns; j += VL) V_(store)(dst + j, V_(load)(src + j));
        if (j < columns) V_(storen)(dst + j, V_(loadn)(src + j, columns - j), columns - j);
    }
}

static void FC_NAME(copy_every_second)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_i,
                                       ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t i = 0; i < rows; i++, src += src_i, dst += dst_i)
        for (ptrdiff_t j = 0; j < columns; j += VL)
            V_(store_some)(dst + j,
                           V_(load_every_second)(src + 2 * j, columns - j < VL ? columns - j : VL),
                           columns - j);
}

FC_INLINE ptrdiff_t FC_NAME(span)(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

/* dst_i and dst_j, and src_i and src_j, change roles. */
FC_INLINE struct fc_copy2d_args FC_NAME(swapped)(const struct fc_copy2d_args *a) {
    return (struct fc_copy2d_args){
        .src = a->src,
        .src_i = a->src_j,
        .src_j = a->src_i,
        .dst = a->dst,
        .dst_i = a->dst_j,
        .dst_j = a->dst_i,
        .rows = a->columns,
        .columns = a->rows,
    };
}

static void FC_NAME(copy2d)(const struct fc_copy2d_args *a) {
    const T *src = (const T *)a->src;
    T *dst = (T *)a->dst;
    if (a->dst_at) {
        FC_NAME(transpose_scattered)(a);
    } else if (a->src_j == 1 && a->dst_j == 1) {
        FC_NAME(copy_rows)(src, a->src_i, dst, a->dst_i, a->rows, a->columns);
    } else if (a->src_i == 1 && a->dst_i == 1) {
        FC_NAME(copy_rows)(src, a->src_j, dst, a->dst_j, a->columns, a->rows);
    } else if (a->src_j == 1 && a->dst_i == 1) {
        FC_NAME(transpose_dense)(a);
    } else if (a->src_i == 1 && a->dst_j == 1) {
        struct fc_copy2d_args swapped = FC_NAME(swapped)(a);
        FC_NAME(transpose_dense)(&swapped);
    } else if (a->src_j == 2 && a->dst_i == 1) {
        FC_NAME(transpose_every_second)(a);
    } else if (a->src_j == 2 && a->dst_j == 1) {
        FC_NAME(copy_every_second)(src, a->src_i, dst, a->dst_i, a->rows, a->columns);
    } else { /* write near by near */
        int swap = FC_NAME(span)(a->dst_i) < FC_NAME(span)(a->dst_j);
        struct fc_copy2d_args b = swap ? FC_NAME(swapped)(a) : *a;
        for (ptrdiff_t i = 0; i < b.rows; i++)
            for (ptrdiff_t j = 0; j < b.columns; j++)
                dst[i * b.dst_i + j * b.dst_j] = src[i * b.src_i + j * b.src_j];
    }
}

static void FC_NAME(add2d)(const struct fc_copy2d_args *a) {
    for (ptrdiff_t i = 0; i < a->rows; i++) {
        const T *src = (const T *)a->src + i * a->src_i;
        T *dst = (T *)a->dst + i * a->dst_i;
        ptrdiff_t j = 0;
        if (a->src_j == 1 && a->dst_j == 1)
            for (; j + VL <= a->columns; j += VL)
                V_(store)(dst + j, V_(load)(dst + j) + V_(load)(src + j));
        for (; j < a->columns; j++) dst[j * a->dst_j] += src[j * a->src_j];
    }
}
