/*
 * What the tests of descriptors share.
 */
#ifndef TESTS_FD_FD_TEST_H
#define TESTS_FD_FD_TEST_H

#include "asyncio.h"
#include "core/loop.h"
#include "core/task.h"
#include "fd/fd_wait.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static size_t timers(void)
{
    return asyncio_get_running_loop()->timers.count;
}

/* Lets the others run, and the loop look at its descriptors. */
static void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static void put(int fd, const char *text)
{
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
}

ASYNC(read_text, int, fd, char *, text, size_t, size)
{
    ssize_t n = asyncio_read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

ASYNC(fill_pipe, int, fd, size_t, n)
{
    char *block = calloc(1, n);
    size_t sent = 0;
    ssize_t part = 0;
    for (; sent < n && part >= 0; sent += part > 0 ? (size_t)part : 0)
        part = asyncio_write(fd, block, n - sent);
    free(block);
    return part < 0 ? part : (ssize_t)sent;
}

ASYNC(wait_events, int, fd, int, events, double, timeout)
{
    return asyncio_wait_fd(fd, events, timeout);
}

#endif
