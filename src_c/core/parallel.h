/* parallel.h: the only door to threads. One team runs one program; a barrier of our own parts steps.
 *
 * Serial stubs stand in when OpenMP is not compiled in.
 */
#ifndef FC_PARALLEL_H
#define FC_PARALLEL_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Sense-reversing barrier: the last to arrive opens it for all. */
struct fc_barrier {
    _Atomic int waiting;
    _Atomic int sense;
    int members;
    int patience;
};

/* How often a thread pauses for others before it yields. A thread that yields while another process
 * wants the CPU loses it for milliseconds, however soon the others arrive: a team that has a CPU for
 * each of its threads is patient (a third of a millisecond). Where threads of this process share
 * CPUs, those that wait make room soon. */
enum { FC_PATIENT = 20000, FC_HASTY = 2000 };

static inline void fc_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void fc_barrier_wait(struct fc_barrier *barrier) {
    if (barrier->members == 1) return;
    int sense = atomic_load_explicit(&barrier->sense, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->waiting, 1, memory_order_acq_rel) + 1 ==
        barrier->members) {
        atomic_store_explicit(&barrier->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->sense, !sense, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->sense, memory_order_acquire) == sense;) {
        if (spins < barrier->patience) {
            spins++;
            fc_pause();
        } else {
            sched_yield();
        }
    }
}

typedef void (*fc_team_fn)(void *argument, struct fc_barrier *barrier, int i, int n);

/* Runs body(argument, barrier, i, n) on threads i < n; n is num_threads or what OpenMP grants. */
static inline void fc_team_run(int num_threads, fc_team_fn body, void *argument) {
    struct fc_barrier barrier = {0, 0, 1, FC_HASTY};
#ifdef _OPENMP
    if (num_threads > 1) {
        static _Atomic int teams;
        int others = atomic_fetch_add_explicit(&teams, 1, memory_order_relaxed);
        if (others == 0 && num_threads <= omp_get_num_procs()) barrier.patience = FC_PATIENT;
#pragma omp parallel num_threads(num_threads)
        {
            int n = omp_get_num_threads();
#pragma omp single
            barrier.members = n;
            body(argument, &barrier, omp_get_thread_num(), n);
        }
        atomic_fetch_sub_explicit(&teams, 1, memory_order_relaxed);
        return;
    }
#endif
    (void)num_threads;
    body(argument, &barrier, 0, 1);
}

static inline int fc_team_limit(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

static inline int fc_team_compiled(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* Share i of n of total items: [begin, end), sizes differing by one at most. */
static inline void fc_share(int64_t total, int64_t i, int64_t n, int64_t *begin, int64_t *end) {
    int64_t base = total / n, extra = total % n;
    *begin = i * base + (i < extra ? i : extra);
    *end = *begin + base + (i < extra);
}

#endif
