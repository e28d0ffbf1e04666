/* vector.tmpl.h: the part of the vector vocabulary that portable vector types express. */

FC_INLINE V V_(load)(const T *p) { return *(const VU *)p; }
FC_INLINE void V_(store)(T *p, V v) { *(VU *)p = v; }

/* Vectors that no instruction is faster on by halves are whole. */
#ifdef FC_HALF_VECTORS
#define FC_NARROW (VL / 2)
#else
#define FC_NARROW VL
FC_INLINE V V_(load_low)(const T *p) { return V_(load)(p); }
FC_INLINE V V_(fma_low)(V a, V b, V c) { return V_(fma)(a, b, c); }
#endif

/* the first n lanes and no others, which are left zero */
FC_INLINE V V_(loadn)(const T *p, ptrdiff_t n) { return V_(loadm)(p, V_(lanes)(0, n)); }

/* Vectors of two halves (load_two loads one): a and b in all lanes of theirs; the first n of each
 * half to p and q. */
FC_INLINE V V_(halves)(T a, T b) {
    V v;
    for (int l = 0; l < VL; l++) v[l] = l < VL / 2 ? a : b;
    return v;
}
FC_INLINE void V_(store_halves)(T *p, T *q, V v, ptrdiff_t n) {
    if (n > VL / 2) n = VL / 2;
    V_(storem)(p, v, V_(lanes)(0, n));
    V_(storem)(q - VL / 2, v, V_(lanes)(VL / 2, VL / 2 + n));
}

/* the lanes of the vector at element `at` of a row that fall into [0, length) */
FC_INLINE M V_(inside)(ptrdiff_t at, ptrdiff_t length) {
    ptrdiff_t first = at < 0 ? -at : 0, last = length - at;
    return V_(lanes)(first < VL ? first : VL, last < 0 ? 0 : last < VL ? last : VL);
}

/* a where mask is all ones, b where it is zero */
FC_INLINE V V_(select)(VI mask, V a, V b) { return (V)(((VI)a & mask) | ((VI)b & ~mask)); }

/* zip_lo: a0 b0 a1 b1 ... of the lower halves; zip_hi: of the upper halves. Applied log2(VL) times
 * to the pairs (i, i + VL/2) of VL rows they transpose a VL x VL block.
 * even: a0 a2 .. b0 b2 ..; odd: a1 a3 .. b1 b3 .. */
#if FC_VECTOR_BYTES * 8 / FC_BITS == 16
FC_INLINE V V_(zip_lo)(V a, V b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
FC_INLINE V V_(zip_hi)(V a, V b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}
FC_INLINE V V_(even)(V a, V b) {
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
FC_INLINE V V_(odd)(V a, V b) {
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 8
FC_INLINE V V_(zip_lo)(V a, V b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
FC_INLINE V V_(zip_hi)(V a, V b) {
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
FC_INLINE V V_(even)(V a, V b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
FC_INLINE V V_(odd)(V a, V b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 4
FC_INLINE V V_(zip_lo)(V a, V b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
FC_INLINE V V_(zip_hi)(V a, V b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
FC_INLINE V V_(even)(V a, V b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6); }
FC_INLINE V V_(odd)(V a, V b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7); }
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 2
FC_INLINE V V_(zip_lo)(V a, V b) { return __builtin_shufflevector(a, b, 0, 2); }
FC_INLINE V V_(zip_hi)(V a, V b) { return __builtin_shufflevector(a, b, 1, 3); }
FC_INLINE V V_(even)(V a, V b) { return __builtin_shufflevector(a, b, 0, 2); }
FC_INLINE V V_(odd)(V a, V b) { return __builtin_shufflevector(a, b, 1, 3); }
#endif

/* every third of the 2 VL elements in a and b from number n < 3 on, as many as there are for all n */
#if FC_VECTOR_BYTES * 8 / FC_BITS == 16
#define FC_THIRD(n) \
    n, n + 3, n + 6, n + 9, n + 12, n + 15, n + 18, n + 21, n + 24, n + 27, 0, 0, 0, 0, 0, 0
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 8
#define FC_THIRD(n) n, n + 3, n + 6, n + 9, n + 12, 0, 0, 0
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 4
#define FC_THIRD(n) n, n + 3, 0, 0
#else
#define FC_THIRD(n) n, 0
#endif
FC_INLINE V V_(third)(V a, V b, const int n) {
    switch (n) {
    case 0: return __builtin_shufflevector(a, b, FC_THIRD(0));
    case 1: return __builtin_shufflevector(a, b, FC_THIRD(1));
    default: return __builtin_shufflevector(a, b, FC_THIRD(2));
    }
}
#undef FC_THIRD

/* VL elements from number n on of the 2 VL in a and b; n is a constant, 0 <= n < 8 and n <= VL. */
#define FC_NEXT2(n) n, n + 1
#define FC_NEXT4(n) FC_NEXT2(n), FC_NEXT2(n + 2)
#define FC_NEXT8(n) FC_NEXT4(n), FC_NEXT4(n + 4)
#define FC_NEXT16(n) FC_NEXT8(n), FC_NEXT8(n + 8)
#if FC_VECTOR_BYTES == 64
#define FC_SHIFT(n) \
    case n: return V_(align)(a, b, n);
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 8
#define FC_SHIFT(n) \
    case n: return __builtin_shufflevector(a, b, FC_NEXT8(n));
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 4
#define FC_SHIFT(n) \
    case n: return __builtin_shufflevector(a, b, FC_NEXT4(n));
#elif FC_VECTOR_BYTES * 8 / FC_BITS == 2
#define FC_SHIFT(n) \
    case n: return __builtin_shufflevector(a, b, FC_NEXT2(n));
#endif
FC_INLINE V V_(shift)(V a, V b, const int n) {
    switch (n) {
    case 0: return a; FC_SHIFT(1)
#if FC_VECTOR_BYTES * 8 / FC_BITS > 2
        FC_SHIFT(2)
        FC_SHIFT(3)
#endif
#if FC_VECTOR_BYTES * 8 / FC_BITS > 4
        FC_SHIFT(4)
        FC_SHIFT(5)
        FC_SHIFT(6)
        FC_SHIFT(7)
#endif
    default: return b; /* VL, where that is less than 8 */
    }
}
#undef FC_SHIFT
#undef FC_NEXT2
#undef FC_NEXT4
#undef FC_NEXT8
#undef FC_NEXT16
