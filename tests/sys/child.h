/* A forked child for tests that end in a signal, or that change the whole process; and what kind of
 * process this is. */
#ifndef TESTS_SYS_CHILD_H
#define TESTS_SYS_CHILD_H

#include "support/repeats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* In a child, where cmocka's own asserts would unwind into the parent's tests. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* Runs fn in a child and returns its exit status, or 128 and the number of the
 * signal that ended it. fn's return counts as 0. */
static inline int run_in_child(void (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* An emulator takes any advice. */
static inline bool is_emulated(void)
{
    static const int no_advice = 30000;
    return madvise(NULL, 0, no_advice) == 0;
}

/* Under a checker or an emulator, which are slow, and whose own memory is counted as the process's. */
static inline bool is_slow(void)
{
    return is_slow_build() || is_emulated();
}

#endif
