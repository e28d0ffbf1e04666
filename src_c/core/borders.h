/* borders.h: what padding holds. */
#ifndef FC_BORDERS_H
#define FC_BORDERS_H

#include "core/program.h"

/* The element that place i of an axis shows, i outside [0, size) lying in the padding; -1: none, a
 * constant. Beyond what a mode defines, any element (results there are dropped). */
static inline int64_t fc_border(int32_t mode, int64_t i, int64_t size) {
    if (i >= 0 && i < size) return i;
    switch (mode) {
    case FC_PAD_CONSTANT: return -1;
    case FC_PAD_REFLECT: i = i < 0 ? -i : 2 * (size - 1) - i; break;
    case FC_PAD_CIRCULAR: i %= size; return i < 0 ? i + size : i;
    }
    return fc_max(0, fc_min(i, size - 1));
}

#endif
