/* pool_integers.tmpl.h: maxima of integers, T; contract above fc_combine_fn. Compilers make vectors of
 * the inner loop; the block between lets y overlap what is read later. */

static void FC_NAME_OF(FC_PASTE4(fc_, T, _, ), combine)(enum fc_reduce_op op, const void *a,
                                                        const void *b, void *y, ptrdiff_t count) {
    enum { BLOCK = FC_VECTOR_BYTES / sizeof(T) };
    const T *p = (const T *)a, *q = (const T *)b;
    T *out = (T *)y, block[BLOCK];
    ptrdiff_t i = 0;
    (void)op;
    count_call();
    for (; i + BLOCK <= count; i += BLOCK) {
        for (int j = 0; j < BLOCK; j++) block[j] = p[i + j] > q[i + j] ? p[i + j] : q[i + j];
        for (int j = 0; j < BLOCK; j++) out[i + j] = block[j];
    }
    for (; i < count; i++) out[i] = p[i] > q[i] ? p[i] : q[i];
}
#undef T
