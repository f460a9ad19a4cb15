/*
 * What the tests of child processes share: starting them, and checks that none of them is left.
 */
#ifndef TESTS_PROCESS_SUBPROCESS_TEST_H
#define TESTS_PROCESS_SUBPROCESS_TEST_H

#include "asyncio.h"
#include "base/random.h"
#include "child.h"
#include "support/harness.h"
#include "support/net.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) (&(asyncio_subprocess_options){__VA_ARGS__})
#define ALL_PIPES .stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_PIPE

static inline asyncio_process *spawn(const char *const *argv, const asyncio_subprocess_options *options)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, options, &process), 0);
    return process;
}

static inline asyncio_process *spawn_shell(const char *command, const asyncio_subprocess_options *options)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_shell(command, options, &process), 0);
    return process;
}

static inline int end_of(asyncio_process *process)
{
    int returncode = -1000;
    CHECK_EQUAL(asyncio_process_wait(process, &returncode), 0);
    return returncode;
}

static inline void check_no_children(void)
{
    siginfo_t info = {.si_pid = 0};
    CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD);
}

/* A run of the harness, after which no child is there, either. */
static inline void run_all(coroutine_function main)
{
    CHECK_EQUAL(run(main), 0);
    check_no_children();
    harness_settle();
}

/* There a child that cannot begin has begun, and /proc/self/exe is Valgrind. */
static inline void skip_under_valgrind(void)
{
    if (RUNNING_ON_VALGRIND)
        skip();
}

/* What a command prints, as a text that is valid until the next call. */
static inline const char *output_of(const char *const *argv, const asyncio_subprocess_options *options)
{
    static char text[8192];
    asyncio_process *process = spawn(argv, options);
    asyncio_buffer out = {0};
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK(out.length < sizeof text);
    CHECK(out.data && strlen(out.data) == out.length);
    snprintf(text, sizeof text, "%s", out.data ? out.data : "");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return text;
}

/* More than pipes and streams hold. */
#define BIG 1000000

static inline char *big_input(void)
{
    char *data = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        data[i] = (char)(i * 7 + i / 255);
    return data;
}

ASYNC(communicates, asyncio_process *, process, const char *, input, size_t, n, asyncio_buffer *, out)
{
    return asyncio_process_communicate(process, input, n, out, NULL);
}

#endif
