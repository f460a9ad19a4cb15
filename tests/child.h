/*
 * Tests of what ends a process, or of what it prints: a function runs in a forked child; its
 * standard output and error, and how it ended, come back.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include "support/test.h"
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FAILED 99

struct child {
    int status;       /* as waitpid gives it */
    char text[16384]; /* what it printed */
};

/* In place of cmocka's asserts, which do not work in a child. */
#define CHILD_CHECK(condition)                                                                               \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(2, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                               \
            _exit(CHILD_FAILED);                                                                             \
        }                                                                                                    \
    } while (0)

/* The child starts with default actions: cmocka and sanitizers have theirs. One that hangs ends with the
 * test, which the suite ends in time; no time of its own would be right for every machine. */
static inline void child_begin(int out)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(out, 1);
    dup2(out, 2);
    if (out > 2)
        close(out);
    setvbuf(stdout, NULL, _IONBF, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* An emulator says what it makes of a signal that kills, in a line of its own. */
static inline void child_forget_emulator(struct child *child)
{
    char *at = child->text, *end;
    while ((at = strstr(at, "qemu: ")) && (end = strchr(at, '\n')))
        memmove(at, end + 1, strlen(end + 1) + 1);
}

static inline void child_run(struct child *child, void (*fn)(void *arg), void *arg)
{
    int ends[2];
    memset(child, 0, sizeof *child);
    fflush(NULL);
    if (pipe(ends) != 0)
        abort();
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        close(ends[0]);
        child_begin(ends[1]);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(ends[0], child->text + used, sizeof child->text - 1 - used)) > 0)
        used += (size_t)n;
    close(ends[0]);
    waitpid(pid, &child->status, 0);
    child_forget_emulator(child);
}

static inline int child_exit(const struct child *child)
{
    return WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1;
}

static inline int child_signal(const struct child *child)
{
    return WIFSIGNALED(child->status) ? WTERMSIG(child->status) : 0;
}

static inline size_t child_count(const struct child *child, const char *words)
{
    size_t count = 0;
    for (const char *at = child->text; (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

#define assert_child_exit(child, wanted)                                                                     \
    do {                                                                                                     \
        if (child_exit(child) != (wanted))                                                                   \
            print_error("status %#x; it printed:\n%s\n", (unsigned)(child)->status, (child)->text);          \
        assert_int_equal(child_exit(child), (wanted));                                                       \
    } while (0)

#define assert_child_signal(child, wanted)                                                                   \
    do {                                                                                                     \
        if (child_signal(child) != (wanted))                                                                 \
            print_error("status %#x; it printed:\n%s\n", (unsigned)(child)->status, (child)->text);          \
        assert_int_equal(child_signal(child), (wanted));                                                     \
    } while (0)

#define assert_child_says(child, words)                                                                      \
    do {                                                                                                     \
        if (!strstr((child)->text, (words)))                                                                 \
            print_error("no \"%s\" in:\n%s\n", (words), (child)->text);                                      \
        assert_non_null(strstr((child)->text, (words)));                                                     \
    } while (0)

#define assert_child_silent(child) assert_string_equal((child)->text, "")

#endif
