/*
 * Descriptors: waiting until one is ready, reading and writing, turns, and
 * what is left when somebody closes one.
 */
#include "fd/fd_test.h"

/* ---- Reading and writing ------------------------------------------------------------- */

/* Through a pair of descriptors, the first of which is read from: at once, and waiting. */
static void check_pair(const int fds[2])
{
    char text[64] = "";
    asyncio_task *reader = asyncio_create_task(read_text(fds[0], text, sizeof text));
    settle();
    CHECK(!asyncio_done(reader));
    CHECK_EQUAL(asyncio_write(fds[1], "one", 3), 3);
    CHECK_EQUAL(asyncio_await(reader), 3);
    CHECK_TEXT(text, "one");
    struct iovec parts[] = {{(void *)"two", 3}, {NULL, 0}, {(void *)"three", 5}};
    CHECK_EQUAL(asyncio_writev(fds[1], parts, 3), 8);
    char a[3] = "", b[16] = "";
    struct iovec into[] = {{a, 2}, {b, sizeof b - 1}};
    CHECK_EQUAL(asyncio_readv(fds[0], into, 2), 8);
    CHECK_TEXT(a, "tw");
    CHECK_TEXT(b, "othree");
    CHECK_EQUAL(asyncio_read(fds[0], a, 0), 0);
    CHECK(!net_is_blocking(fds[0]) && !net_is_blocking(fds[1]));
    CHECK_EQUAL(asyncio_close(fds[1]), 0);
    CHECK_EQUAL(asyncio_read(fds[0], a, 1), 0);
    CHECK_EQUAL(asyncio_read(fds[0], a, 1), 0);
    CHECK_EQUAL(asyncio_close(fds[0]), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
}

ASYNC_TEST(pairs)
{
    int fds[2];
    net_pipe(fds);
    check_pair(fds);
    net_unix_pair(SOCK_STREAM, fds);
    check_pair(fds);
    net_unix_pair(SOCK_SEQPACKET, fds);
    check_pair(fds);
    net_tcp_pair(fds);
    check_pair(fds);
    return 0;
}

ASYNC_TEST(errors)
{
    char c = 0;
    int fds[2];
    struct iovec part = {&c, 1};
    net_pipe(fds);
    close(fds[0]), close(fds[1]);
    CHECK_EQUAL(asyncio_read(fds[0], &c, 1), -EBADF);
    CHECK_EQUAL(asyncio_write(fds[0], &c, 1), -EBADF);
    CHECK_EQUAL(asyncio_readv(fds[0], &part, 1), -EBADF);
    CHECK_EQUAL(asyncio_writev(-1, &part, 1), -EBADF);
    CHECK_EQUAL(asyncio_read(-1, &c, 1), -EBADF);
    CHECK_EQUAL(asyncio_read(1 << 30, &c, 1), -EBADF);
    CHECK_EQUAL(asyncio_wait_readable(fds[0], 1), -EBADF);
    CHECK_EQUAL(asyncio_wait_readable(-1, 1), -EBADF);
    CHECK_EQUAL(asyncio_wait_writable(1 << 30, 1), -EBADF);
    CHECK_EQUAL(asyncio_close(fds[0]), -EBADF);
    CHECK_EQUAL(asyncio_close(-1), -EBADF);
    CHECK_EQUAL(asyncio_forget(-1), -EBADF);
    CHECK_EQUAL(asyncio_forget(1 << 30), -EBADF);
    net_pipe(fds);
    CHECK_EQUAL(asyncio_write(fds[0], &c, 1), -EBADF); /* the end to read */
    CHECK_EQUAL(asyncio_writev(fds[1], &part, -1), -EINVAL);
    CHECK_EQUAL(asyncio_wait_fd(fds[0], 0, 1), -EINVAL);
    CHECK_EQUAL(asyncio_wait_fd(fds[0], POLLIN, NAN), -EINVAL);
    CHECK_EQUAL(asyncio_wait_readable(fds[0], NAN), -EINVAL);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

TEST(outside_a_task)
{
    char c = 0;
    struct iovec part = {&c, 1};
    int fds[2];
    net_pipe(fds);
    put(fds[1], "x");
    CHECK_EQUAL(asyncio_read(fds[0], &c, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_write(fds[1], &c, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_readv(fds[0], &part, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_writev(fds[1], &part, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_wait_readable(fds[0], 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_wait_fd(fds[0], POLLIN, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_forget(fds[0]), -EBADF);
    CHECK_EQUAL(asyncio_close(fds[0]), 0);
    CHECK_EQUAL(asyncio_close(fds[1]), 0);
    CHECK_EQUAL(asyncio_close(fds[1]), -EBADF);
    harness_settle();
}

ASYNC_TEST(files)
{
    char path[] = "/tmp/asyncio-fdio-XXXXXX", text[16] = "";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    CHECK_EQUAL(asyncio_write(fd, "file", 4), 4);
    CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQUAL(asyncio_wait_readable(fd, 1), 0);
    CHECK_EQUAL(asyncio_wait_writable(fd, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(asyncio_read(fd, text, sizeof text), 4);
    CHECK_EQUAL(asyncio_read(fd, text, sizeof text), 0);
    CHECK(net_is_blocking(fd));
    CHECK_EQUAL(asyncio_close(fd), 0);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_EQUAL(asyncio_write(fd, "away", 4), 4);
    CHECK_EQUAL(asyncio_read(fd, text, sizeof text), 0);
    CHECK_EQUAL(asyncio_close(fd), 0);
    fd = open("/", O_RDONLY | O_CLOEXEC);
    CHECK_EQUAL(asyncio_read(fd, text, sizeof text), -EISDIR);
    CHECK_EQUAL(asyncio_close(fd), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC_TEST(full_pipe)
{
    int fds[2];
    net_pipe(fds);
    asyncio_task *writer = asyncio_create_task(fill_pipe(fds[1], 300000));
    char block[7001];
    size_t got = 0;
    ssize_t n;
    while (got < 300000 && (n = asyncio_read(fds[0], block, sizeof block)) > 0)
        got += (size_t)n;
    CHECK_EQUAL(got, 300000);
    CHECK_EQUAL(asyncio_await(writer), 300000);
    /* The reader goes: who waits is told. */
    writer = asyncio_create_task(fill_pipe(fds[1], 300000));
    settle();
    signal(SIGPIPE, SIG_IGN);
    asyncio_close(fds[0]);
    CHECK_EQUAL(asyncio_await(writer), -EPIPE);
    signal(SIGPIPE, SIG_DFL);
    asyncio_close(fds[1]);
    return 0;
}

/* A socket is gone: an error, no signal, which would end this program. */
ASYNC_TEST(no_sigpipe)
{
    int fds[2];
    struct iovec part = {(void *)"x", 1};
    net_unix_pair(SOCK_STREAM, fds);
    close(fds[1]);
    CHECK_EQUAL(asyncio_write(fds[0], "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_writev(fds[0], &part, 1), -EPIPE);
    asyncio_close(fds[0]);
    return 0;
}

/* ---- Files that others share ----------------------------------------------------------- */

/* In a child whose stdin, stdout and stderr are these. Exits with 0 if all is well. */
static int as_child(coroutine_function main, int in, int out, int err)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(in, 0), dup2(out, 1), dup2(err, 2);
        _exit(asyncio_run(main()) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#define NEED(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return -1;                                                                                       \
    } while (0)

static bool standard_ones_block(void)
{
    return net_is_blocking(0) && net_is_blocking(1) && net_is_blocking(2);
}

ASYNC(copy_standard, size_t, n)
{
    char text[64];
    size_t got = 0;
    while (got < n) {
        ssize_t part = asyncio_read(0, text, sizeof text);
        NEED(part > 0);
        got += (size_t)part;
        NEED(asyncio_write(1, text, (size_t)part) == part);
        struct iovec parts[] = {{NULL, 0}, {text, 1}};
        NEED(asyncio_writev(2, parts, 2) == 1);
    }
    return 0;
}

ASYNC(write_later, int, fd, double, delay)
{
    asyncio_sleep(delay);
    return write(fd, "later", 5);
}

/* Its stdin is a pipe that it can write to itself: at 9. */
ASYNC(main_standard)
{
    asyncio_task *writer = asyncio_create_task(write_later(9, 0.005));
    NEED(asyncio_await(copy_standard(5)) == 0);
    NEED(asyncio_await(writer) == 5);
    NEED(standard_ones_block());
    NEED(asyncio_wait_fd(0, POLLIN, 0.001) == -ETIMEDOUT);
    NEED(asyncio_wait_writable(1, 1) == 0);
    NEED(standard_ones_block());
    NEED(net_registrations(-1) == 0);
    return 0;
}

TEST(standard_descriptors)
{
    int in[2], out[2];
    char text[16] = "";
    net_pipe(in);
    net_pipe(out);
    assert_int_equal(dup2(in[1], 9), 9);
    assert_int_equal(as_child(main_standard, in[0], out[1], out[1]), 0);
    assert_true(net_is_blocking(in[0]) && net_is_blocking(out[1]));
    assert_int_equal(read(out[0], text, sizeof text), 6);
    assert_string_equal(text, "laterl");
    /* Sockets there are left alone, too. */
    int pair[2];
    net_unix_pair(SOCK_STREAM, pair);
    close(9);
    assert_int_equal(dup2(pair[1], 9), 9);
    assert_int_equal(as_child(main_standard, pair[0], out[1], out[1]), 0);
    assert_true(net_is_blocking(pair[0]));
    close(9);
    for (int i = 0; i < 2; i++)
        close(in[i]), close(out[i]), close(pair[i]);
}

ASYNC_TEST(terminal)
{
    int master, slave;
    char text[64] = "", *big = calloc(1, 20000);
    CHECK_EQUAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
    asyncio_task *reader = asyncio_create_task(read_text(slave, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_write(master, "typed\n", 6), 6);
    CHECK_EQUAL(asyncio_await(reader), 6);
    CHECK_TEXT(text, "typed\n");
    CHECK(net_is_blocking(slave));
    CHECK_EQUAL(asyncio_wait_readable(slave, 0.001), -ETIMEDOUT);
    /* What does not fit at once waits for who reads at the other side. */
    memset(big, 'x', 20000);
    CHECK_EQUAL(write(slave, big, 101), 101); /* the room is no multiple of anything */
    asyncio_task *writer = asyncio_create_task(fill_pipe(slave, 20000));
    settle(); /* nobody reads; the loop goes on */
    size_t got = 0;
    while (got < 20101) {
        ssize_t n = asyncio_read(master, big, 20000);
        CHECK(n > 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    CHECK_EQUAL(asyncio_await(writer), 20000);
    CHECK(net_is_blocking(slave));
    if (!RUNNING_ON_VALGRIND) /* which complains */
        CHECK_EQUAL(asyncio_writev(slave, NULL, 1), -EFAULT);
    free(big);
    asyncio_close(slave);
    asyncio_close(master);
    return 0;
}

/* ---- Waiting until ready --------------------------------------------------------------- */

ASYNC_TEST(wait_timeouts)
{
    int fds[2];
    net_pipe(fds);
    const double none[] = {0, -1, -INFINITY};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK_EQUAL(asyncio_wait_readable(fds[0], none[i]), -ETIMEDOUT);
        CHECK_EQUAL(asyncio_wait_writable(fds[1], none[i]), 0);
    }
    CHECK_EQUAL(timers(), 0);
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_wait_readable(fds[0], 0.01), -ETIMEDOUT);
    CHECK(asyncio_time() - began >= 0.01);
    CHECK_EQUAL(timers(), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    asyncio_task *task = asyncio_create_task(wait_events(fds[0], POLLIN, 100));
    settle();
    CHECK_EQUAL(net_registrations(fds[0]), 1);
    CHECK_EQUAL(timers(), 1);
    put(fds[1], "x");
    CHECK_EQUAL(asyncio_await(task), POLLIN);
    CHECK_EQUAL(timers(), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    CHECK(net_is_blocking(fds[0])); /* only looked at */
    CHECK_EQUAL(asyncio_wait_fd(fds[0], POLLIN, ASYNCIO_FOREVER), POLLIN);
    task = asyncio_create_task(wait_events(fds[0], POLLPRI, 100));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(timers(), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(fds[0]), close(fds[1]);
    return 0;
}

ASYNC_TEST(wait_kinds)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_wait_fd(fds[0], POLLIN | POLLOUT, 1), POLLOUT);
    /* Both directions at once: whichever comes. */
    CHECK(net_fill(fds[0]) > 0);
    asyncio_task *task = asyncio_create_task(wait_events(fds[0], POLLIN | POLLOUT, 5));
    asyncio_task *writable = asyncio_create_task(wait_events(fds[0], POLLOUT, 5));
    settle();
    put(fds[1], "x");
    CHECK_EQUAL(asyncio_await(task), POLLIN);
    settle();
    CHECK(!asyncio_done(writable));
    while (!asyncio_done(writable)) {
        net_drain(fds[1]);
        settle();
    }
    CHECK_EQUAL(asyncio_await(writable), POLLOUT);
    close(fds[0]), close(fds[1]);
    /* Urgent data. */
    net_tcp_pair(fds);
    task = asyncio_create_task(wait_events(fds[0], POLLPRI, 5));
    settle();
    CHECK_EQUAL(send(fds[1], "!", 1, MSG_OOB), 1);
    CHECK_EQUAL(asyncio_await(task), POLLPRI);
    char c;
    CHECK_EQUAL(recv(fds[0], &c, 1, MSG_OOB), 1);
    /* The peer has nothing more to say. */
    task = asyncio_create_task(wait_events(fds[0], POLLRDHUP, 5));
    settle();
    shutdown(fds[1], SHUT_WR);
    CHECK_EQUAL(asyncio_await(task), POLLRDHUP);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(fds[0]), close(fds[1]);
    /* A pipe nobody writes to any more, or reads from. */
    net_pipe(fds);
    task = asyncio_create_task(wait_events(fds[0], POLLIN, 5));
    settle();
    close(fds[1]);
    CHECK_EQUAL(asyncio_await(task), POLLHUP);
    close(fds[0]);
    net_pipe(fds);
    signal(SIGPIPE, SIG_IGN);
    asyncio_await(wait_events(fds[1], POLLOUT, 5));
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    char block[4096] = "";
    while (write(fds[1], block, sizeof block) > 0)
        ;
    task = asyncio_create_task(wait_events(fds[1], POLLOUT, 5));
    settle();
    close(fds[0]);
    CHECK(asyncio_await(task) & POLLERR);
    signal(SIGPIPE, SIG_DFL);
    close(fds[1]);
    return 0;
}

/* Many wait for one thing: all are told. */
ASYNC_TEST(wait_together)
{
    int fds[2];
    asyncio_task *tasks[10];
    net_pipe(fds);
    for (int i = 0; i < 10; i++)
        tasks[i] =
            asyncio_create_task(wait_events(fds[0], i % 2 ? POLLIN : POLLIN | POLLPRI, i == 4 ? 0.001 : 5));
    settle();
    CHECK_EQUAL(net_registrations(fds[0]), 1);
    asyncio_cancel(tasks[0]);
    asyncio_sleep(0.002);
    CHECK_EQUAL(asyncio_result(tasks[4]), -ETIMEDOUT);
    CHECK(!asyncio_done(tasks[5]));
    put(fds[1], "x");
    settle();
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), i == 0 ? -ECANCELED : i == 4 ? -ETIMEDOUT : POLLIN);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(fds[0]), close(fds[1]);
    return 0;
}

/* Who reads and who only wants to know, at the same descriptor. */
ASYNC_TEST(wait_and_read)
{
    int fds[2];
    char text[2][16];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *lookers[2], *readers[2];
    lookers[0] = asyncio_create_task(wait_events(fds[0], POLLIN, 5));
    settle();
    readers[0] = asyncio_create_task(read_text(fds[0], text[0], 2));
    readers[1] = asyncio_create_task(read_text(fds[0], text[1], 2));
    lookers[1] = asyncio_create_task(wait_events(fds[0], POLLIN, 5));
    settle();
    put(fds[1], "ab");
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_await(readers[i]), 1);
    CHECK_TEXT(text[0], "a");
    CHECK_TEXT(text[1], "b");
    CHECK_EQUAL(asyncio_await(lookers[0]), POLLIN);
    asyncio_cancel(lookers[1]); /* it may have come too late */
    intptr_t seen = asyncio_await(lookers[1]);
    CHECK(seen == POLLIN || seen == -ECANCELED);
    CHECK_EQUAL(asyncio_wait_readable(fds[0], 0.001), -ETIMEDOUT);
    CHECK_EQUAL(net_registrations(fds[0]), 1); /* for the readers */
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

/* ---- Turns -------------------------------------------------------------------------------- */

static char order[64];

ASYNC(read_letters, int, fd, char, name, int, count)
{
    for (int i = 0; i < count; i++) {
        char c;
        ssize_t n = asyncio_read(fd, &c, 1);
        if (n <= 0)
            return n;
        strncat(order, (char[]){name, c, '\0'}, sizeof order - strlen(order) - 1);
    }
    return 0;
}

ASYNC_TEST(turns)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *a = asyncio_create_task(read_letters(fds[0], 'a', 2));
    asyncio_task *b = asyncio_create_task(read_letters(fds[0], 'b', 2));
    asyncio_task *c = asyncio_create_task(read_letters(fds[0], 'c', 2));
    settle();
    order[0] = '\0';
    put(fds[1], "123456");
    CHECK_EQUAL(asyncio_gather(NULL, a, b, c), 0);
    CHECK_TEXT(order, "a1b2c3a4b5c6");
    /* One byte at a time: who was woken in vain keeps its place; who comes later comes later. */
    order[0] = '\0';
    a = asyncio_create_task(read_letters(fds[0], 'a', 1));
    b = asyncio_create_task(read_letters(fds[0], 'b', 1));
    settle();
    put(fds[1], "1");
    c = asyncio_create_task(read_letters(fds[0], 'c', 1));
    settle();
    CHECK_TEXT(order, "a1");
    put(fds[1], "2");
    settle();
    put(fds[1], "3");
    CHECK_EQUAL(asyncio_gather(NULL, a, b, c), 0);
    CHECK_TEXT(order, "a1b2c3");
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

/* One of three is cancelled: waiting, or when its turn has come already. No byte is lost. */
static void check_cancelled_turn(int which, bool granted)
{
    int fds[2];
    asyncio_task *tasks[3];
    net_unix_pair(SOCK_STREAM, fds);
    order[0] = '\0';
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(read_letters(fds[0], (char)('a' + i), 1));
    settle();
    put(fds[1], "1");
    if (granted) {
        /* What the loop does; the task has not run yet. */
        asyncio_loop *loop = asyncio_get_running_loop();
        net_poll(loop);
    }
    asyncio_cancel(tasks[which]);
    settle();
    put(fds[1], "23");
    settle();
    CHECK_EQUAL(asyncio_result(tasks[which]), granted && which == 0 ? 0 : -ECANCELED);
    const char *expected[] = {"b1c2", "a1c2", "a1b2"};
    CHECK_TEXT(order, granted && which == 0 ? "a1b2c3" : expected[which]);
    CHECK_EQUAL(net_drain(fds[0]), granted && which == 0 ? 0 : 1);
    CHECK(asyncio_gather_settled_array(NULL, tasks, 3) == 0);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
}

ASYNC_TEST(cancelled_turns)
{
    for (int which = 0; which < 3; which++) {
        check_cancelled_turn(which, false);
        check_cancelled_turn(which, true);
    }
    return 0;
}

/* Who has the turn finds nothing, and a request to cancel: the next one is first. */
ASYNC_TEST(turn_in_vain)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    order[0] = '\0';
    asyncio_task *a = asyncio_create_task(read_letters(fds[0], 'a', 1));
    asyncio_task *b = asyncio_create_task(read_letters(fds[0], 'b', 1));
    settle();
    put(fds[1], "1");
    asyncio_loop *loop = asyncio_get_running_loop();
    net_poll(loop);
    CHECK_EQUAL(net_drain(fds[0]), 1); /* somebody else was faster */
    asyncio_cancel(a);
    settle();
    CHECK_EQUAL(asyncio_result(a), -ECANCELED);
    put(fds[1], "2");
    CHECK_EQUAL(asyncio_gather(NULL, b), 0);
    CHECK_TEXT(order, "b2");
    asyncio_release(a);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

/* ---- Fairness, sweeps ------------------------------------------------------------------------- */

ASYNC(read_firehose, int, fd)
{
    char block[64];
    for (;;) {
        ssize_t n = asyncio_read(fd, block, sizeof block);
        if (n < 0)
            return n;
    }
}

ASYNC_TEST(firehose)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    asyncio_task *task = asyncio_create_task(read_firehose(fd));
    double began = asyncio_time();
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK(asyncio_time() - began < 20); /* and not for ever */
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    asyncio_close(fd);
    return 0;
}

/* Every call that waits, one after the other, fed by a thread. */
struct feeder {
    pthread_t thread;
    int fd;
    atomic_bool ends;
};

static void *feed(void *arg)
{
    struct feeder *feeder = arg;
    do {
        usleep(50);
        (void)!write(feeder->fd, "x", 1);
    } while (!feeder->ends);
    return NULL;
}

ASYNC(main_waits)
{
    int fds[2];
    char c;
    struct iovec part = {&c, 1};
    net_pipe(fds);
    struct feeder feeder = {.fd = fds[1]};
    pthread_create(&feeder.thread, NULL, feed, &feeder);
    /* A thread that is quick feeds each call before it waits: one wait there is in any case. */
    intptr_t result = asyncio_sleep(0);
    if (result >= 0)
        result = asyncio_wait_readable(fds[0], 5);
    for (int i = 0; i < 3 && result >= 0; i++) {
        result = asyncio_read(fds[0], &c, 1);
        if (result >= 0)
            result = asyncio_readv(fds[0], &part, 1);
        if (result >= 0)
            result = asyncio_wait_fd(fds[0], POLLIN, 5);
    }
    feeder.ends = true;
    pthread_join(feeder.thread, NULL);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return result < 0 ? result : 0;
}

/* One of two leaves, and what the other one waits for cannot be registered: it does not wait in vain. */
ASYNC(main_one_leaves)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *first = asyncio_create_task(wait_events(fds[0], POLLIN, ASYNCIO_FOREVER));
    asyncio_task *second = asyncio_create_task(wait_events(fds[0], POLLRDHUP, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    put(fds[1], "x");
    intptr_t result = asyncio_await(first);
    shutdown(fds[1], SHUT_WR);
    intptr_t other = asyncio_await(second);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return result < 0 ? result : other < 0 ? other : 0;
}

static void check_waits(intptr_t result, unsigned suspension)
{
    CHECK(suspension == 0 ? result == 0 : result == 0 || result == -ECANCELED);
}

TEST(cancel_sweep)
{
    sweep_cancels(main_waits, check_waits);
}

TEST(failure_sweep)
{
    sweep_failures(main_waits);
    sweep_failures(main_one_leaves);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
