/* report.c: counts cases, names the one in hand, and says which one crashed. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define SHOWN_FAILURES 20

static struct {
    char suite[80], name[480];
    int failed; /* the case in hand */
    int suite_passed, suite_failed, passed, total_failed;
} report;

const char *dtype_name(fc_dtype dtype) {
    static const char *const names[] = {"float32", "float64", "int8",   "uint8", "int16",
                                        "uint16",  "int32",   "uint32", "int64", "uint64"};
    return (unsigned)dtype < sizeof names / sizeof names[0] ? names[dtype] : "-";
}

void suite_begin(const char *name, const struct setting *setting) {
    snprintf(report.suite, sizeof report.suite, "%-9s %-8s %s", setting->isa,
             dtype_name(setting->dtype), name);
    report.suite_passed = report.suite_failed = 0;
}

void suite_end(void) {
    printf("%-40s %6d passed, %d failed\n", report.suite, report.suite_passed, report.suite_failed);
    fflush(stdout);
    report.passed += report.suite_passed;
    report.total_failed += report.suite_failed;
}

void case_begin(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report.name, sizeof report.name, format, arguments);
    va_end(arguments);
    report.failed = 0;
}

void case_fail(const char *format, ...) {
    report.failed = 1;
    if (report.total_failed + report.suite_failed >= SHOWN_FAILURES) return;
    printf("FAILED %s: %s: ", report.suite, report.name);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

int case_failed(void) { return report.failed; }

void case_end(void) {
    if (report.failed)
        report.suite_failed++;
    else
        report.suite_passed++;
    report.name[0] = 0;
}

int report_close(void) {
    printf("%d passed, %d failed\n", report.passed, report.total_failed);
    return report.total_failed || !report.passed;
}

static void put(const char *text) {
    ssize_t written = write(STDOUT_FILENO, text, strlen(text));
    (void)written; /* there is nothing left to be done about it */
}

static void crashed(int signal_number) {
    put("CRASHED (");
    put(signal_number == SIGFPE ? "SIGFPE" : signal_number == SIGBUS ? "SIGBUS" : "SIGSEGV");
    put(") in ");
    put(report.suite);
    put(": ");
    put(report.name);
    put("\n");
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Before the sanitizers' own handlers, which then run when the signal is raised again. */
void report_crashes(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old, new = {.sa_handler = crashed};
        sigaction(signals[i], NULL, &old);
        if (old.sa_handler == SIG_DFL) sigaction(signals[i], &new, NULL);
    }
}
