/*
 * asyncio_wait_fd for foreign libraries, which close their descriptors themselves: whoever waits at a number
 * that belongs to another file meanwhile, before, while or after somebody waits there, gets that file's
 * events; and nothing stays registered.
 */
#include "asyncio.h"
#include "base/random.h"
#include "core/loop.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void settle(void)
{
    for (int i = 0; i < 4; i++)
        asyncio_sleep(0.0001);
}

/* What the loop does when its tasks wait; none of them runs. */
static void let_loop_poll(void)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    net_poll(loop);
}

ASYNC(waits, int, fd, int, events, double, timeout)
{
    return asyncio_wait_fd(fd, events, timeout);
}

/* ---- All orders ------------------------------------------------------------------------------ */

/* Who is at the number when its file is closed. */
enum before { NOBODY, WAITING, TWO_WAITING, AWAKE, TIMED_OUT, CANCELLED, BEFORES };
/* What the library does to the number. */
enum change { CLOSE_AND_OPEN, REPLACE, CLOSE_WITH_COPY, CHANGES };
/* What the number is then, and what happens there. */
enum after { READABLE, WRITABLE, HANGS_UP, READABLE_BEFORE, AFTERS };

struct number {
    int fd, peer; /* the file that it is now, and its other end */
    int copy;     /* of the old file, or -1 */
    int old_peer;
};

static void open_at_first(struct number *number, int type)
{
    int fds[2];
    net_unix_pair(type, fds);
    *number = (struct number){.fd = fds[0], .peer = fds[1], .copy = -1, .old_peer = -1};
}

static void change(struct number *number, enum change how)
{
    int fds[2];
    number->old_peer = number->peer;
    if (how == CLOSE_WITH_COPY)
        number->copy = dup(number->fd);
    if (how != REPLACE)
        CHECK_EQUAL(close(number->fd), 0);
    net_unix_pair(SOCK_STREAM, fds);
    if (how == REPLACE) {
        CHECK_EQUAL(dup2(fds[0], number->fd), number->fd);
        close(fds[0]);
    } else {
        CHECK_EQUAL(fds[0], number->fd); /* the lowest that is free */
    }
    number->peer = fds[1];
}

static void happen(const struct number *number, enum after what)
{
    if (what == WRITABLE)
        CHECK(net_drain(number->peer) > 0);
    else if (what == HANGS_UP)
        shutdown(number->peer, SHUT_RDWR);
    else
        CHECK_EQUAL(write(number->peer, "x", 1), 1);
}

static size_t begin_before(const struct number *number, enum before who, asyncio_task *tasks[2])
{
    size_t count = who == NOBODY ? 0 : who == TWO_WAITING ? 2 : 1;
    for (size_t i = 0; i < count; i++)
        tasks[i] = asyncio_create_task(waits(number->fd, i ? POLLIN | POLLPRI : POLLIN, 5));
    settle();
    if (who == AWAKE) { /* it has an event, and has not run yet */
        CHECK_EQUAL(write(number->peer, "x", 1), 1);
        let_loop_poll();
    } else if (who == CANCELLED) {
        asyncio_cancel(tasks[0]);
    } else if (who == TIMED_OUT) {
        asyncio_cancel(tasks[0]);
        asyncio_release(tasks[0]);
        tasks[0] = asyncio_create_task(waits(number->fd, POLLIN, 0.0001));
        asyncio_sleep(0);
    }
    return count;
}

/* Those who came before get the events of the new file, too, or what they had coming. */
static void end_before(asyncio_task *const tasks[2], size_t count, enum before who, enum after what)
{
    for (size_t i = 0; i < count; i++) {
        settle();
        if (what == WRITABLE)
            asyncio_cancel(tasks[i]);
        intptr_t result = asyncio_await(tasks[i]);
        bool ready = result > 0 && result & (POLLIN | POLLHUP);
        CHECK(ready || (result == -ECANCELED && (who == CANCELLED || what == WRITABLE)) ||
              (result == -ETIMEDOUT && who == TIMED_OUT));
    }
}

static void check_order(enum before who, enum change how, enum after what)
{
    static const int expected[] = {POLLIN, POLLOUT, POLLIN | POLLHUP, POLLIN};
    struct number number;
    asyncio_task *tasks[2];
    open_at_first(&number, how == REPLACE ? SOCK_SEQPACKET : SOCK_STREAM);
    size_t count = begin_before(&number, who, tasks);
    change(&number, how);
    if (what == WRITABLE)
        CHECK(net_fill(number.fd) > 0);
    if (what == READABLE_BEFORE)
        happen(&number, what);
    asyncio_task *task = asyncio_create_task(waits(number.fd, what == WRITABLE ? POLLOUT : POLLIN, 5));
    settle();
    CHECK_EQUAL(asyncio_done(task), what == READABLE_BEFORE);
    if (what != READABLE_BEFORE)
        happen(&number, what);
    CHECK_EQUAL(asyncio_await(task), expected[what]);
    if (what == READABLE_BEFORE) /* the new one has seen it without a registration: look again */
        CHECK_EQUAL(asyncio_await(waits(number.fd, POLLIN, 5)), POLLIN);
    if (what == READABLE_BEFORE && count) {
        for (size_t i = 0; i < count; i++)
            asyncio_cancel(tasks[i]);
        for (size_t i = 0; i < count; i++) {
            intptr_t result = asyncio_await(tasks[i]);
            CHECK(result == POLLIN || result == -ECANCELED || result == -ETIMEDOUT);
        }
    } else {
        end_before(tasks, count, who, what);
    }
    if (number.copy >= 0)
        close(number.copy);
    close(number.old_peer);
    CHECK_EQUAL(asyncio_get_running_loop()->timers.count, 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(number.fd);
    close(number.peer);
}

ASYNC_TEST(orders)
{
    for (int who = 0; who < BEFORES; who++)
        for (int how = 0; how < CHANGES; how++)
            for (int what = 0; what < AFTERS; what++) {
                check_order((enum before)who, (enum change)how, (enum after)what);
                if (harness_failures()) {
                    harness_failed(__FILE__, __LINE__, "order %d %d %d", who, how, what);
                    return -1;
                }
            }
    return 0;
}

/* A copy of the closed file goes on having events. They are nobody's: one at most is told, and the
 * loop sleeps. */
ASYNC_TEST(copy_goes_on)
{
    struct number number;
    open_at_first(&number, SOCK_STREAM);
    asyncio_task *task = asyncio_create_task(waits(number.fd, POLLIN, 5));
    settle();
    change(&number, CLOSE_WITH_COPY);
    CHECK_EQUAL(write(number.old_peer, "stale", 5), 5);
    settle();
    CHECK(!asyncio_done(task));
    uint64_t turns = asyncio_get_running_loop()->steps;
    asyncio_sleep(0.01);
    CHECK(asyncio_get_running_loop()->steps - turns < 5);
    /* It was woken in vain, and waits at the new file since. */
    CHECK_EQUAL(write(number.peer, "x", 1), 1);
    CHECK_EQUAL(asyncio_await(task), POLLIN);
    close(number.copy);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(number.fd), close(number.peer), close(number.old_peer);
    return 0;
}

/* Closed, and the number is free: who comes is told at once, who waits when its time is over. */
ASYNC_TEST(closed_for_good)
{
    struct number number;
    open_at_first(&number, SOCK_STREAM);
    asyncio_task *first = asyncio_create_task(waits(number.fd, POLLIN, 1));
    asyncio_task *second = asyncio_create_task(waits(number.fd, POLLIN, 0.5));
    settle();
    close(number.fd);
    CHECK_EQUAL(asyncio_wait_fd(number.fd, POLLIN, 5), -EBADF);
    CHECK_EQUAL(asyncio_await(second), -EBADF);
    CHECK_EQUAL(asyncio_await(first), -EBADF);
    close(number.peer);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* As libpq does for each connection: open, wait, close, at one number, many times. */
ASYNC_TEST(again_and_again)
{
    int first = -1;
    for (int i = 0; i < 300; i++) {
        int fds[2];
        if (i % 3 == 0)
            net_pipe(fds);
        else
            net_unix_pair(SOCK_STREAM, fds);
        CHECK(first < 0 || fds[0] == first);
        first = fds[0];
        asyncio_task *task = asyncio_create_task(waits(fds[0], POLLIN, i % 5 == 0 ? 0.0002 : 5));
        asyncio_sleep(0);
        if (i % 5)
            CHECK_EQUAL(write(fds[1], "x", 1), 1);
        CHECK_EQUAL(asyncio_await(task), i % 5 ? POLLIN : -ETIMEDOUT);
        close(fds[0]), close(fds[1]);
        CHECK_EQUAL(net_registrations(-1), 0);
    }
    return 0;
}

/* ---- Whatever has no events ------------------------------------------------------------------ */

ASYNC_TEST(others)
{
    static const char *const paths[] = {"/proc/self/exe", "/", "/dev/null", "/dev/zero", "/proc/self/stat"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        CHECK_EQUAL(asyncio_wait_readable(fd, ASYNCIO_FOREVER), 0);
        CHECK_EQUAL(asyncio_wait_fd(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
        intptr_t result = asyncio_wait_fd(fd, POLLPRI, 0.001); /* which none of them ever has */
        CHECK(result == -ETIMEDOUT || result == -EPERM);
        close(fd);
    }
    int closed = dup(0);
    close(closed);
    const int invalid[] = {-1, -100, INT32_MIN, INT32_MAX, 1 << 20, closed};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        CHECK_EQUAL(asyncio_wait_fd(invalid[i], POLLIN, 5), -EBADF);
        CHECK_EQUAL(asyncio_wait_fd(invalid[i], POLLOUT, 0), -EBADF);
        CHECK_EQUAL(asyncio_wait_writable(invalid[i], ASYNCIO_FOREVER), -EBADF);
        CHECK_EQUAL(asyncio_wait_fd(invalid[i], 0, 5), -EINVAL);
    }
    /* Another epoll is a descriptor as any other. */
    int fds[2], epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    net_pipe(fds);
    CHECK_EQUAL(epoll_ctl(epfd, EPOLL_CTL_ADD, fds[0], &event), 0);
    asyncio_task *task = asyncio_create_task(waits(epfd, POLLIN, 5));
    settle();
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(asyncio_await(task), POLLIN);
    close(epfd), close(fds[0]), close(fds[1]);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* ---- Any order ------------------------------------------------------------------------------- */

#define NUMBERS 3
#define WAITERS 4

/* A number, who waits there, and what is known of it. */
static struct {
    int fd, peer;
    bool readable;
    bool registered; /* somebody has begun to wait, or left others behind, since it became another file */
    asyncio_task *waiters[WAITERS];
} at[NUMBERS];

static struct random dice;

static int choose(int below)
{
    return (int)asy_random_below(&dice, (uint64_t)below);
}

static void replace(int i, bool close_first)
{
    int fds[2];
    if (close_first)
        close(at[i].fd);
    net_unix_pair(SOCK_STREAM, fds);
    if (fds[1] == at[i].fd) { /* the two are alike */
        fds[1] = fds[0];
        fds[0] = at[i].fd;
    }
    if (fds[0] != at[i].fd) {
        CHECK_EQUAL(dup2(fds[0], at[i].fd), at[i].fd);
        close(fds[0]);
    }
    close(at[i].peer);
    at[i].peer = fds[1];
    at[i].readable = at[i].registered = false;
}

/* All that wait at a file that is readable know it, as soon as anybody has told the kernel of it. */
static void check_number(int i)
{
    for (int k = 0; k < WAITERS; k++) {
        asyncio_task *task = at[i].waiters[k];
        if (!task)
            continue;
        if (asyncio_done(task))
            CHECK_EQUAL(asyncio_result(task), POLLIN);
        CHECK(!(at[i].readable && at[i].registered) || asyncio_done(task));
        if (!asyncio_done(task))
            continue;
        asyncio_release(task);
        at[i].waiters[k] = NULL;
    }
}

static void one_step(void)
{
    int i = choose(NUMBERS), k = choose(WAITERS);
    asyncio_task **place = &at[i].waiters[k];
    switch (choose(7)) {
    case 0:
    case 1:
        if (!*place && !at[i].readable) {
            *place = asyncio_create_task(waits(at[i].fd, POLLIN, 50));
            at[i].registered = true;
            asyncio_sleep(0);
        }
        break;
    case 2:
        CHECK_EQUAL(write(at[i].peer, "x", 1), 1);
        at[i].readable = true;
        break;
    case 3:
        CHECK(net_drain(at[i].fd) > 0 || !at[i].readable);
        at[i].readable = false;
        break;
    case 4:
        if (*place) {
            asyncio_cancel(*place);
            intptr_t result = asyncio_await(*place);
            CHECK(result == -ECANCELED || result == POLLIN);
            *place = NULL;
            at[i].registered = true;
        }
        break;
    default:
        replace(i, choose(2));
    }
}

ASYNC(main_any_order)
{
    for (int i = 0; i < NUMBERS; i++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        memset(&at[i], 0, sizeof at[i]);
        at[i].fd = fds[0];
        at[i].peer = fds[1];
    }
    for (int step = 0; step < 80 && !harness_failures(); step++) {
        one_step();
        if (choose(3))
            continue;
        settle();
        for (int i = 0; i < NUMBERS; i++)
            check_number(i);
    }
    for (int i = 0; i < NUMBERS; i++) {
        for (int k = 0; k < WAITERS; k++) {
            asyncio_cancel(at[i].waiters[k]);
            if (at[i].waiters[k])
                asyncio_await(at[i].waiters[k]);
        }
        close(at[i].fd), close(at[i].peer);
    }
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

static void any_order(uint64_t seed)
{
    asy_random_seed(&dice, seed);
    CHECK_EQUAL(run(main_any_order), 0);
}

TEST(any_order)
{
    for_each_seed(any_order);
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

/* Waits with a deadline, beside another, while the number becomes another file. */
ASYNC(main_reused)
{
    struct number number;
    open_at_first(&number, SOCK_STREAM);
    asyncio_task *other = asyncio_create_task(waits(number.fd, POLLIN, 0.002));
    int err = asyncio_sleep(0);
    change(&number, CLOSE_AND_OPEN);
    (void)!write(number.peer, "", net_fill(number.fd) ? 0 : 1);
    if (!err)
        err = (int)asyncio_wait_fd(number.fd, POLLOUT, 0.0005);
    if (err == -ETIMEDOUT) {
        net_drain(number.peer);
        err = (int)asyncio_wait_fd(number.fd, POLLOUT, 1);
    }
    intptr_t result = asyncio_await(other);
    close(number.fd), close(number.peer), close(number.old_peer);
    return err < 0 ? err : result < 0 && result != -ETIMEDOUT ? result : 0;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK(suspension == 0 ? result == 0 : result == 0 || result == -ECANCELED);
}

TEST(cancel_sweep)
{
    sweep_cancels(main_reused, check_swept);
}

TEST(failure_sweep)
{
    sweep_failures(main_reused);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
