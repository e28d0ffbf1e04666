/* binary.tmpl.h: functions of two operands; contracts above fc_binary_fn and the two after it. */

#if FC_BITS == 32
#define FC_POWER powf
#else
#define FC_POWER pow
#endif

FC_INLINE V V_(binary)(const int operation, V a, V b) {
    switch (operation) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a / b;
    case 4: return V_(select)((VI)(a != a), a, V_(min)(a, b));
    case 5: return V_(max_nan)(a, b);
    default: return V_(select)((VI)(a < V_(set1)(0)), a * b, a);
    }
}

FC_INLINE V V_(operand)(const T *p, const ptrdiff_t step, ptrdiff_t n) {
    if (step == 0) return V_(set1)(*p);
    return n >= VL ? V_(load)(p) : V_(loadn)(p, n);
}

FC_INLINE void FC_NAME(binary_rows)(const struct fc_binary_args *args, const int operation,
                                    const ptrdiff_t a_step, const ptrdiff_t b_step) {
    for (ptrdiff_t r = 0; r < args->rows; r++) {
        const T *a = (const T *)args->a + r * args->a_row,
                *b = (const T *)args->b + r * args->b_row;
        T *y = (T *)args->y + r * args->y_row;
        ptrdiff_t i = 0;
        for (; i + VL <= args->count; i += VL)
            V_(store)(y + i, V_(binary)(operation, V_(operand)(a + i * a_step, a_step, VL),
                                        V_(operand)(b + i * b_step, b_step, VL)));
        ptrdiff_t n = args->count - i;
        if (n > 0)
            V_(storen)(y + i,
                       V_(binary)(operation, V_(operand)(a + i * a_step, a_step, n),
                                  V_(operand)(b + i * b_step, b_step, n)),
                       n);
    }
}

FC_INLINE void FC_NAME(binary_steps)(const struct fc_binary_args *args, const int operation) {
    if (args->a_step && args->b_step)
        FC_NAME(binary_rows)(args, operation, 1, 1);
    else if (args->a_step)
        FC_NAME(binary_rows)(args, operation, 1, 0);
    else
        FC_NAME(binary_rows)(args, operation, 0, args->b_step);
}

static void FC_NAME(power)(const struct fc_binary_args *args) {
    for (ptrdiff_t r = 0; r < args->rows; r++) {
        const T *a = (const T *)args->a + r * args->a_row,
                *b = (const T *)args->b + r * args->b_row;
        T *y = (T *)args->y + r * args->y_row;
        for (ptrdiff_t i = 0; i < args->count; i++)
            y[i] = FC_POWER(a[i * args->a_step], b[i * args->b_step]);
    }
}

static void FC_NAME(binary)(int operation, const struct fc_binary_args *args) {
    count_call();
    switch (operation) {
    case 0: FC_NAME(binary_steps)(args, 0); break;
    case 1: FC_NAME(binary_steps)(args, 1); break;
    case 2: FC_NAME(binary_steps)(args, 2); break;
    case 3: FC_NAME(binary_steps)(args, 3); break;
    case 4: FC_NAME(binary_steps)(args, 4); break;
    case 5: FC_NAME(binary_steps)(args, 5); break;
    case 6: FC_NAME(binary_steps)(args, 6); break;
    default: FC_NAME(power)(args); break;
    }
}

#define FC_COMPARE_ROW(relation) \
    for (ptrdiff_t i = 0; i < args->count; i++) \
    y[i] = a[i * args->a_step] relation b[i * args->b_step]

static void FC_NAME(compare)(int relation, const struct fc_binary_args *args) {
    count_call();
    for (ptrdiff_t r = 0; r < args->rows; r++) {
        const T *a = (const T *)args->a + r * args->a_row,
                *b = (const T *)args->b + r * args->b_row;
        uint8_t *y = (uint8_t *)args->y + r * args->y_row;
        switch (relation) {
        case 0: FC_COMPARE_ROW(==); break;
        case 1: FC_COMPARE_ROW(!=); break;
        case 2: FC_COMPARE_ROW(<); break;
        default: FC_COMPARE_ROW(<=); break;
        }
    }
}

static void FC_NAME(choose)(const uint8_t *condition, ptrdiff_t condition_step,
                            const struct fc_binary_args *args) {
    const I *a = (const I *)args->a, *b = (const I *)args->b; /* bits, whatever they mean */
    I *y = (I *)args->y;
    for (ptrdiff_t i = 0; i < args->count; i++)
        y[i] = condition[i * condition_step] ? a[i * args->a_step] : b[i * args->b_step];
}

#undef FC_COMPARE_ROW
#undef FC_POWER
