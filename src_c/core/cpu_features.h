/* cpu_features.h: one question per instruction set. */
#ifndef FC_CPU_FEATURES_H
#define FC_CPU_FEATURES_H

int fc_cpu_has_baseline(void);
int fc_cpu_has_avx2(void);
int fc_cpu_has_avx512(void);
int fc_cpu_has_neon(void);

#endif
