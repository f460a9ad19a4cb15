/*
 * Pipes, terminals, files and devices as streams; above all this process's own stdin,
 * stdout and stderr, whose flags others see.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static asyncio_stream *open_fd(int fd)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_open_pipe(fd, NULL, &stream), 0);
    return stream;
}

/* `fd` becomes this process's descriptor `number` for a while. */
static int stand_in(int number, int fd)
{
    int saved = fcntl(number, F_DUPFD_CLOEXEC, 50);
    CHECK(saved >= 0 && dup2(fd, number) == number);
    return saved;
}

static void stand_back(int number, int saved)
{
    CHECK(dup2(saved, number) == number);
    close(saved);
}

/* ---- Pipes ----------------------------------------------------------------------------------- */

ASYNC_TEST(a_pipe_has_an_end)
{
    int fds[2];
    char *line;
    net_pipe(fds);
    asyncio_stream *from = open_fd(fds[0]), *to = open_fd(fds[1]);
    CHECK_EQUAL(asyncio_stream_write(to, "one\ntwo\nth", 10), 0);
    CHECK_EQUAL(asyncio_stream_readline(from, &line), 4);
    CHECK_TEXT(line, "one\n");
    CHECK_EQUAL(asyncio_stream_readline(from, &line), 4);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    CHECK_EQUAL(fcntl(fds[1], F_GETFD), -1);
    CHECK_EQUAL(asyncio_stream_readline(from, &line), 2);
    CHECK_TEXT(line, "th");
    CHECK_EQUAL(asyncio_stream_readline(from, &line), 0);
    CHECK(asyncio_stream_at_eof(from));
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    CHECK_EQUAL(fcntl(fds[0], F_GETFD), -1);
    return 0;
}

ASYNC_TEST(write_eof_ends_a_pipe)
{
    int fds[2];
    char text[8];
    static char much[300000];
    net_pipe(fds);
    asyncio_stream *to = open_fd(fds[1]);
    CHECK_EQUAL(asyncio_stream_write(to, much, sizeof much), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(to), 0); /* most of it is queued still */
    CHECK_EQUAL(asyncio_stream_write_eof(to), 0);
    asyncio_stream *from = open_fd(fds[0]);
    static char read_back[sizeof much];
    CHECK_EQUAL(asyncio_stream_readexactly(from, read_back, sizeof much), sizeof much);
    CHECK_EQUAL(asyncio_stream_read(from, text, sizeof text), 0);
    CHECK_EQUAL(asyncio_stream_read(to, text, sizeof text), -EBADF);
    CHECK_EQUAL(asyncio_stream_write(to, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_drain(to), 0);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    return 0;
}

ASYNC_TEST(without_a_reader_there_is_an_error_and_no_signal)
{
    int fds[2];
    net_pipe(fds);
    asyncio_stream *to = open_fd(fds[1]);
    close(fds[0]);
    CHECK_EQUAL(asyncio_stream_write(to, "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_stream_write(to, "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_stream_close(to), -EPIPE);
    net_pipe(fds);
    close(fds[0]);
    char a[] = "a", b[] = "b";
    struct iovec parts[2] = {{a, 1}, {b, 1}};
    CHECK_EQUAL(asyncio_write(fds[1], "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_writev(fds[1], parts, 2), -EPIPE);
    CHECK_EQUAL(asyncio_close(fds[1]), 0);
    net_pipe(fds);
    int saved = stand_in(1, fds[1]);
    close(fds[0]);
    to = open_fd(1);
    CHECK_EQUAL(asyncio_stream_write(to, "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_stream_close(to), -EPIPE);
    stand_back(1, saved);
    close(fds[1]);
    return 0;
}

/* SIGPIPE has its default action here: it would end the test. */

/* ---- A slow reader --------------------------------------------------------------------------- */

#define MUCH 400000

static _Atomic int ticks;

/* For another thread: waits until the loop has gone on for so long, but not for ever. */
static void wait_for_ticks(int more)
{
    int until = atomic_load(&ticks) + more;
    for (int i = 0; i < 30000 && atomic_load(&ticks) < until; i++)
        usleep(1000);
    CHECK(atomic_load(&ticks) >= until);
}

/* Reads nothing at first, so that who writes has to wait. */
static void *read_slowly(void *fd)
{
    static char block[4096];
    size_t got = 0;
    wait_for_ticks(10);
    for (ssize_t n; (n = read((int)(intptr_t)fd, block, sizeof block)) > 0;) {
        for (ssize_t i = 0; i < n; i++)
            CHECK(block[i] == (char)((got + (size_t)i) * 31));
        got += (size_t)n;
        usleep(500);
    }
    return (void *)got;
}

ASYNC(ticks_on)
{
    while (asyncio_sleep(0.001) == 0)
        atomic_fetch_add(&ticks, 1);
    return -ECANCELED;
}

ASYNC(writes_to_a_slow_reader, int, number)
{
    int fds[2];
    char *data = malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i * 31);
    net_pipe(fds);
    int saved = number <= 2 ? stand_in(number, fds[1]) : -1;
    asyncio_stream *to = open_fd(number <= 2 ? number : fds[1]);
    asyncio_task *ticker = asyncio_create_task(ticks_on());
    pthread_t thread;
    pthread_create(&thread, NULL, read_slowly, (void *)(intptr_t)fds[0]);
    for (size_t i = 0; i < MUCH; i += 10000)
        CHECK_EQUAL(asyncio_stream_write(to, data + i, 10000), 0);
    CHECK_EQUAL(asyncio_stream_drain(to), 0);
    CHECK(net_is_blocking(fds[1]) == (number <= 2));
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    asyncio_cancel(ticker);
    CHECK_EQUAL(asyncio_await(ticker), -ECANCELED);
    if (number <= 2) {
        CHECK(fcntl(number, F_GETFD) >= 0); /* not closed with the stream */
        stand_back(number, saved);
        close(fds[1]);
    }
    void *got;
    pthread_join(thread, &got);
    CHECK_EQUAL(got, MUCH);
    close(fds[0]);
    free(data);
    return 0;
}

ASYNC_TEST(a_slow_reader_does_not_stop_the_loop)
{
    for (int number = 1; number <= 3; number++)
        CHECK_EQUAL(asyncio_await(writes_to_a_slow_reader(number)), 0);
    return 0;
}

/* ---- stdin ----------------------------------------------------------------------------------- */

/* Each part when the loop has gone on since the last one. */
static void *write_slowly(void *fd)
{
    static const char *const parts[] = {"first li", "ne\nsecond line\n", "rest"};
    for (int i = 0; i < 3; i++) {
        wait_for_ticks(2); /* while nothing is there to read */
        CHECK(write((int)(intptr_t)fd, parts[i], strlen(parts[i])) > 0);
    }
    close((int)(intptr_t)fd);
    return NULL;
}

ASYNC_TEST(stdin_as_a_pipe)
{
    int fds[2];
    char *line;
    net_pipe(fds);
    int saved = stand_in(0, fds[0]);
    asyncio_stream *in = open_fd(0);
    asyncio_task *ticker = asyncio_create_task(ticks_on());
    pthread_t thread;
    pthread_create(&thread, NULL, write_slowly, (void *)(intptr_t)fds[1]);
    CHECK(asyncio_stream_readline(in, &line) > 0);
    CHECK_TEXT(line, "first line\n");
    CHECK(asyncio_stream_readline(in, &line) > 0);
    CHECK_TEXT(line, "second line\n");
    CHECK(asyncio_stream_readline(in, &line) > 0);
    CHECK_TEXT(line, "rest");
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 0);
    CHECK(net_is_blocking(fds[0]));
    CHECK_EQUAL(asyncio_stream_close(in), 0);
    CHECK(fcntl(0, F_GETFD) >= 0);
    asyncio_cancel(ticker);
    CHECK_EQUAL(asyncio_await(ticker), -ECANCELED);
    pthread_join(thread, NULL);
    stand_back(0, saved);
    close(fds[0]);
    return 0;
}

/* ---- Terminals ------------------------------------------------------------------------------- */

/* What is written comes out as it is, and is not echoed. */
static void open_terminal(int *controller, int *terminal)
{
    struct termios modes;
    CHECK_EQUAL(openpty(controller, terminal, NULL, NULL, NULL), 0);
    CHECK_EQUAL(tcgetattr(*terminal, &modes), 0);
    modes.c_oflag &= ~(tcflag_t)OPOST;
    modes.c_lflag &= ~(tcflag_t)ECHO;
    CHECK_EQUAL(tcsetattr(*terminal, TCSANOW, &modes), 0);
}

ASYNC(talks_on_a_terminal, bool, standard)
{
    int controller, terminal;
    char *line, text[32] = "";
    open_terminal(&controller, &terminal);
    int saved_in = standard ? stand_in(0, terminal) : -1, saved_out = standard ? stand_in(1, terminal) : -1;
    asyncio_stream *in = open_fd(standard ? 0 : terminal), *out = standard ? open_fd(1) : in;
    CHECK_EQUAL(write(controller, "typed\n", 6), 6);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 6);
    CHECK_TEXT(line, "typed\n");
    CHECK_EQUAL(asyncio_stream_write(out, "shown\n", 6), 0);
    CHECK_EQUAL(asyncio_stream_drain(out), 0);
    CHECK_EQUAL(read(controller, text, sizeof text - 1), 6);
    CHECK_TEXT(text, "shown\n");
    CHECK(net_is_blocking(terminal));
    if (out != in)
        CHECK_EQUAL(asyncio_stream_close(out), 0);
    close(controller); /* the line is cut */
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 0);
    CHECK_EQUAL(asyncio_stream_close(in), 0);
    if (standard) {
        stand_back(0, saved_in);
        stand_back(1, saved_out);
        close(terminal);
    }
    return 0;
}

ASYNC_TEST(a_terminal_stays_as_it_is)
{
    CHECK_EQUAL(asyncio_await(talks_on_a_terminal(true)), 0);
    return asyncio_await(talks_on_a_terminal(false));
}

/* As who runs a program on a pseudo-terminal sees it: -EIO, where a pipe would end. */
ASYNC_TEST(the_other_side_of_a_terminal_ends)
{
    int controller, terminal;
    char *line;
    open_terminal(&controller, &terminal);
    asyncio_stream *out = open_fd(controller);
    CHECK_EQUAL(write(terminal, "bye\nnow", 7), 7);
    close(terminal);
    CHECK_EQUAL(asyncio_stream_readline(out, &line), 4);
    CHECK_EQUAL(asyncio_stream_readline(out, &line), 3);
    CHECK_TEXT(line, "now");
    CHECK_EQUAL(asyncio_stream_readline(out, &line), 0);
    CHECK(asyncio_stream_at_eof(out));
    CHECK_EQUAL(asyncio_stream_close(out), 0);
    return 0;
}

/* Nobody reads what is shown: the writer waits, and nobody else does. */
ASYNC_TEST(a_terminal_that_is_full)
{
    int controller, terminal;
    open_terminal(&controller, &terminal);
    asyncio_stream *out = open_fd(terminal);
    asyncio_task *ticker = asyncio_create_task(ticks_on());
    static char much[100000];
    memset(much, 'x', sizeof much);
    ticks = 0;
    CHECK_EQUAL(asyncio_stream_write(out, much, sizeof much), 0);
    for (int i = 0; i < 30000 && ticks < 2; i++)
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK(ticks >= 2);
    size_t got = 0;
    fcntl(controller, F_SETFL, O_NONBLOCK);
    while (got < sizeof much) {
        char block[4096];
        ssize_t n = read(controller, block, sizeof block);
        got += n > 0 ? (size_t)n : 0;
        CHECK_EQUAL(asyncio_sleep(n > 0 ? 0 : 0.001), 0);
    }
    CHECK_EQUAL(got, sizeof much);
    CHECK_EQUAL(asyncio_stream_close(out), 0);
    close(controller);
    asyncio_cancel(ticker);
    CHECK_EQUAL(asyncio_await(ticker), -ECANCELED);
    return 0;
}

/* This program's open, before the C library's: counts what is opened once more, and may refuse it. */
static unsigned reopenings;
static bool refuses_to_reopen;

int open(const char *path, int flags, ...)
{
    static int (*next)(const char *, int, ...);
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    if (!next)
        next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    if (strncmp(path, "/proc/self/fd/", 14) == 0) {
        reopenings++;
        if (refuses_to_reopen) {
            errno = EACCES; /* as where somebody else has logged in there */
            return -1;
        }
    }
    return next(path, flags, mode);
}

#define BIG 2000

/* All of it comes out, as it was written. */
static void expect_big(int controller, const char *big)
{
    char got[BIG];
    for (size_t done = 0; done < BIG;) {
        ssize_t n = asyncio_read(controller, got + done, BIG - done);
        CHECK(n > 0);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    CHECK_EQUAL(memcmp(big, got, BIG), 0);
}

/* In how many calls all of it is written. The terminal has room for it. */
static unsigned write_big(int controller, int terminal, bool parts)
{
    char big[BIG];
    unsigned calls = 0;
    memset(big, 'x', sizeof big);
    for (size_t done = 0; done < BIG; calls++) {
        struct iovec part = {big + done, BIG - done};
        ssize_t n =
            parts ? asyncio_writev(terminal, &part, 1) : asyncio_write(terminal, big + done, BIG - done);
        CHECK(n > 0);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    expect_big(controller, big);
    return calls;
}

static void stream_big(int controller, int terminal)
{
    char big[BIG];
    memset(big, 'y', sizeof big);
    asyncio_stream *out = open_fd(terminal);
    CHECK_EQUAL(asyncio_stream_write(out, big, BIG), 0);
    expect_big(controller, big);
    CHECK_EQUAL(asyncio_stream_close(out), 0); /* and the terminal */
}

/* It is opened once more, for as long as it is used, and a call writes what fits; or else it gets little at a
 * time, in which it says beforehand that it has room. */
ASYNC(writes_to_a_terminal, bool, refused)
{
    int controller, terminal, again;
    refuses_to_reopen = refused;
    open_terminal(&controller, &terminal);
    again = fcntl(terminal, F_DUPFD_CLOEXEC, 0);
    reopenings = 0;
    int before = count_descriptors();
    unsigned calls = write_big(controller, terminal, false);
    calls += write_big(controller, terminal, true);
    CHECK(refused ? calls >= 2 * BIG / 256 : calls >= 2);
    if (!refused)
        CHECK_EQUAL(reopenings, 1);
    CHECK_EQUAL(count_descriptors(), before + !refused);
    CHECK_EQUAL(asyncio_forget(terminal), 0);
    CHECK_EQUAL(count_descriptors(), before);
    stream_big(controller, terminal);
    CHECK_EQUAL(count_descriptors(), before - 1);
    CHECK(net_is_blocking(again));
    close(again);
    asyncio_close(controller);
    refuses_to_reopen = false;
    return 0;
}

ASYNC_TEST(a_terminal_is_opened_once_more)
{
    CHECK_EQUAL(asyncio_await(writes_to_a_terminal(false)), 0);
    return asyncio_await(writes_to_a_terminal(true));
}

/* ---- Files and devices ----------------------------------------------------------------------- */

ASYNC_TEST(redirected_to_a_file)
{
    char *line, text[32] = "";
    FILE *file = tmpfile();
    int fd = fileno(file);
    int saved = stand_in(1, fd);
    asyncio_stream *out = open_fd(1);
    CHECK_EQUAL(asyncio_stream_printf(out, "%s\n%s\n", "to a", "file"), 0);
    CHECK_EQUAL(asyncio_stream_close(out), 0);
    stand_back(1, saved);
    CHECK(net_is_blocking(fd));
    CHECK_EQUAL(pread(fd, text, sizeof text - 1, 0), 10);
    CHECK_TEXT(text, "to a\nfile\n");
    lseek(fd, 0, SEEK_SET);
    saved = stand_in(0, fd);
    asyncio_stream *in = open_fd(0);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 5);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 5);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 0);
    CHECK_EQUAL(asyncio_stream_close(in), 0);
    stand_back(0, saved);
    fclose(file);
    return 0;
}

ASYNC_TEST(redirected_to_nothing)
{
    char text[8];
    static char much[300000];
    for (int number = 0; number < 4; number += 3) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int saved = number < 3 ? stand_in(number, fd) : -1;
        asyncio_stream *stream = open_fd(number < 3 ? number : fd);
        CHECK_EQUAL(asyncio_stream_read(stream, text, sizeof text), 0);
        CHECK_EQUAL(asyncio_stream_write(stream, much, sizeof much), 0);
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
        if (number < 3) {
            stand_back(number, saved);
            close(fd);
        }
    }
    return 0;
}

ASYNC_TEST(stdin_as_a_socket)
{
    int fds[2];
    char *line;
    net_unix_pair(SOCK_STREAM, fds);
    int saved = stand_in(0, fds[0]);
    asyncio_stream *in = open_fd(0), *peer = open_fd(fds[1]);
    CHECK_EQUAL(asyncio_stream_write(peer, "hello\n", 6), 0);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 6);
    CHECK_EQUAL(asyncio_stream_write(in, "you\n", 4), 0);
    CHECK_EQUAL(asyncio_stream_readline(peer, &line), 4);
    CHECK_EQUAL(asyncio_stream_write_eof(peer), 0);
    CHECK_EQUAL(asyncio_stream_readline(in, &line), 0);
    CHECK(net_is_blocking(fds[0]));
    CHECK_EQUAL(asyncio_stream_close(in), 0);
    CHECK_EQUAL(asyncio_stream_close(peer), 0);
    stand_back(0, saved);
    close(fds[0]);
    return 0;
}

/* As inetd starts its servers. */

ASYNC(has_no_standard_ones)
{
    asyncio_stream *stream;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) >= 0 || asyncio_open_pipe(fd, NULL, &stream) != -EBADF)
            return -EEXIST;
    return 0;
}

/* As some start a server. What the loop opens for itself does not take their place, where all that is
 * printed would go to it. */
TEST(where_the_standard_ones_are_closed)
{
    int saved[3], standard_ones = 0;
    fflush(NULL);
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 50);
        close(fd);
    }
    intptr_t result = asyncio_run(has_no_standard_ones());
    for (int fd = 0; fd < 3; fd++) {
        standard_ones += fcntl(fd, F_GETFD) >= 0;
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
    assert_int_equal(result, 0);
    assert_int_equal(standard_ones, 0);
}

ASYNC(wrong_ones)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_open_pipe(-1, NULL, &stream), -EBADF);
    CHECK_EQUAL(asyncio_open_pipe(999, NULL, &stream), -EBADF);
    CHECK_EQUAL(asyncio_open_pipe(0, NULL, NULL), -EINVAL);
    CHECK(stream == NULL);
    return 0;
}

TEST(what_is_no_descriptor)
{
    asyncio_stream *stream;
    assert_int_equal(asyncio_open_pipe(0, NULL, &stream), ASYNCIO_ENOTASK);
    assert_int_equal(run(wrong_ones), 0);
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

ASYNC(fills, asyncio_stream **, to)
{
    static char much[200000];
    int err = asyncio_stream_write(*to, much, sizeof much);
    if (!err)
        err = asyncio_stream_write(*to, much, sizeof much);
    if (err)
        return err;
    asyncio_stream *stream = *to;
    *to = NULL;
    return asyncio_stream_close(stream);
}

ASYNC(empties, asyncio_stream **, from)
{
    char block[4096];
    ssize_t n;
    while ((n = asyncio_stream_read(*from, block, sizeof block)) > 0)
        ;
    asyncio_stream_abort(*from); /* whoever fills it is not to wait for us */
    *from = NULL;
    return n;
}

ASYNC(any_day)
{
    int fds[2];
    asyncio_stream *from, *to;
    net_pipe(fds);
    int err = asyncio_open_pipe(fds[0], NULL, &from);
    if (err) {
        asyncio_close(fds[0]);
        asyncio_close(fds[1]);
        return err;
    }
    err = asyncio_open_pipe(fds[1], NULL, &to);
    if (err) {
        asyncio_stream_abort(from);
        asyncio_close(fds[1]);
        return err;
    }
    err = asyncio_gather(NULL, fills(&to), empties(&from)); /* one that fails ends the other */
    asyncio_stream_abort(from);
    asyncio_stream_abort(to);
    return err;
}

TEST(every_call_may_fail)
{
    sweep_failures(any_day);
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

TEST(every_wait_may_be_cancelled)
{
    sweep_cancels(any_day, check_cancelled);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
