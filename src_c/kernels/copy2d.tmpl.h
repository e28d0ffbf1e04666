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

/* dst[i + j*dst_j] = src[i*src_i + j] for one block of rows x columns <= VL x VL */
FC_INLINE void FC_NAME(transpose_block)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_j,
                                        ptrdiff_t rows, ptrdiff_t columns) {
    V a[FC_VECTOR_BYTES / sizeof(T)], b[FC_VECTOR_BYTES / sizeof(T)];
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < VL; i++)
        a[i] = i < rows ? V_(load_some)(src + i * src_i, columns) : V_(set1)(0);
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
        if (j < columns) V_(store_some)(dst + j * dst_j, a[j], rows);
}

static void FC_NAME(transpose)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_j,
                               ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t i = 0; i < rows; i += VL) {
        ptrdiff_t m = rows - i < VL ? rows - i : VL;
        ptrdiff_t j = 0;
        if (m == VL)
            for (; j + VL <= columns; j += VL)
                FC_NAME(transpose_block)(src + i * src_i + j, src_i, dst + i + j * dst_j, dst_j, VL,
                                         VL);
        for (; j < columns; j += VL)
            FC_NAME(transpose_block)(src + i * src_i + j, src_i, dst + i + j * dst_j, dst_j, m,
                                     columns - j < VL ? columns - j : VL);
    }
}

static void FC_NAME(copy_rows)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_i,
                               ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t i = 0; i < rows; i++, src += src_i, dst += dst_i) {
        ptrdiff_t j = 0;
        for (; j + VL <= columns; j += VL) V_(store)(dst + j, V_(load)(src + j));
        if (j < columns) V_(storen)(dst + j, V_(loadn)(src + j, columns - j), columns - j);
    }
}

/* n <= VL elements, every second from p: reads the first 2n - 1 and no more. */
FC_INLINE V V_(load_every_second)(const T *p, ptrdiff_t n) {
    ptrdiff_t needed = 2 * n - 1;
    V low = V_(load_some)(p, needed);
    return V_(even)(low, needed > VL ? V_(loadn)(p + VL, needed - VL) : low);
}

static void FC_NAME(copy_every_second)(const T *src, ptrdiff_t src_i, T *dst, ptrdiff_t dst_i,
                                       ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t i = 0; i < rows; i++, src += src_i, dst += dst_i)
        for (ptrdiff_t j = 0; j < columns; j += VL)
            V_(store_some)(dst + j,
                           V_(load_every_second)(src + 2 * j, columns - j < VL ? columns - j : VL),
                           columns - j);
}

static void FC_NAME(copy2d)(const struct fc_copy2d_args *a) {
    const T *src = (const T *)a->src;
    T *dst = (T *)a->dst;
    if (a->src_j == 1 && a->dst_j == 1) {
        FC_NAME(copy_rows)(src, a->src_i, dst, a->dst_i, a->rows, a->columns);
    } else if (a->src_i == 1 && a->dst_i == 1) {
        FC_NAME(copy_rows)(src, a->src_j, dst, a->dst_j, a->columns, a->rows);
    } else if (a->src_j == 1 && a->dst_i == 1) {
        FC_NAME(transpose)(src, a->src_i, dst, a->dst_j, a->rows, a->columns);
    } else if (a->src_i == 1 && a->dst_j == 1) {
        FC_NAME(transpose)(src, a->src_j, dst, a->dst_i, a->columns, a->rows);
    } else if (a->src_j == 2 && a->dst_j == 1) {
        FC_NAME(copy_every_second)(src, a->src_i, dst, a->dst_i, a->rows, a->columns);
    } else {
        for (ptrdiff_t i = 0; i < a->rows; i++)
            for (ptrdiff_t j = 0; j < a->columns; j++)
                dst[i * a->dst_i + j * a->dst_j] = src[i * a->src_i + j * a->src_j];
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
