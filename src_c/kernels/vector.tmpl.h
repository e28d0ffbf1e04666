/* vector.tmpl.h: the part of the vector vocabulary that portable vector types express. */

FC_INLINE V V_(load)(const T *p) { return *(const VU *)p; }
FC_INLINE void V_(store)(T *p, V v) { *(VU *)p = v; }

/* a where mask is all ones, b where it is zero */
FC_INLINE V V_(select)(VI mask, V a, V b) { return (V)(((VI)a & mask) | ((VI)b & ~mask)); }

/* the larger operand; NaN where either is NaN */
FC_INLINE V V_(max_nan)(V a, V b) { return V_(select)((VI)(a != a), a, V_(max)(a, b)); }

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
