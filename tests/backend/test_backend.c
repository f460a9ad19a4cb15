/*
 * The backends: time, waiting for it, and being woken; the same checks for each.
 */
#include "asyncio/inspect.h"
#include "backend/backend.h"
#include "backend/uring.h"
#include "child.h"
#include "support/deny.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define MS INT64_C(1000000)
#define FAR (30000 * MS)

/* The last one is left out where the kernel has none: `has_ring` says so. */
static const struct asy_backend_ops *const all[] = {&asy_backend_epoll, &asy_backend_sim,
                                                    &asy_backend_io_uring};
#define EACH(i) for (size_t i = 0; i < sizeof all / sizeof all[0] - !has_ring(); i++)
/* Those whose clock is real. */
#define EACH_REAL(i)                                                                                         \
    EACH(i)                                                                                                  \
        if (all[i] != &asy_backend_sim)

static bool has_ring(void)
{
    static int answer = -1; /* as yet unknown */
    struct asy_backend *backend = NULL;
    if (answer >= 0)
        return answer;
    answer = asy_backend_io_uring.open(&backend) == 0;
    if (answer)
        backend->ops->close(backend);
    else
        puts("there is no io_uring here: its backend is left out");
    return answer;
}

static struct asy_backend *opened(const struct asy_backend_ops *ops)
{
    struct asy_backend *backend = NULL;
    assert_int_equal(ops->open(&backend), 0);
    assert_ptr_equal(backend->ops, ops);
    return backend;
}

static int64_t now(struct asy_backend *backend)
{
    return backend->ops->now_ns(backend);
}

/* A ring that was closed a moment ago leaves the kernel work to do in this thread, which interrupts it. */
static int wait_until(struct asy_backend *backend, int64_t deadline_ns)
{
    int err;
    do
        err = backend->ops->wait(backend, deadline_ns);
    while (err == -EINTR);
    if (backend->fetched)
        backend->ops->deliver(backend);
    return err;
}

/* The wait may be interrupted: a ring's is, when the kernel has work for the thread. */
static void wait_out(struct asy_backend *backend, int64_t deadline_ns)
{
    do
        assert_int_equal(wait_until(backend, deadline_ns), 0);
    while (now(backend) < deadline_ns && backend->ops == &asy_backend_io_uring);
}

TEST(a_deadline_is_never_early)
{
    static const int64_t delays[] = {1, 100, 999, 50000, MS - 1, MS, MS + 1, 2 * MS, 3 * MS + 500000};
    EACH(i) {
        struct asy_backend *backend = opened(all[i]);
        for (size_t d = 0; d < sizeof delays / sizeof delays[0]; d++) {
            int64_t deadline_ns = now(backend) + delays[d];
            wait_out(backend, deadline_ns);
            assert_true(now(backend) >= deadline_ns);
            assert_true(now(backend) < deadline_ns + FAR);
        }
        all[i]->close(backend);
    }
}

TEST(a_deadline_in_the_past_does_not_wait)
{
    EACH(i) {
        struct asy_backend *backend = opened(all[i]);
        assert_int_equal(wait_until(backend, now(backend) + MS), 0);
        int64_t begun_ns = now(backend);
        assert_int_equal(wait_until(backend, 0), 0);
        assert_int_equal(wait_until(backend, -5), 0);
        assert_int_equal(wait_until(backend, INT64_MIN), 0);
        assert_int_equal(wait_until(backend, begun_ns), 0);
        assert_int_equal(wait_until(backend, begun_ns - MS), 0);
        assert_true(now(backend) >= begun_ns);
        assert_true(now(backend) < begun_ns + FAR);
        all[i]->close(backend);
    }
}

/* Ends the next wait, and only that one, however often it was called. */
TEST(a_wake_before_the_wait_ends_it)
{
    EACH(i) {
        struct asy_backend *backend = opened(all[i]);
        for (int wakes = 1; wakes <= 3; wakes++) {
            for (int n = 0; n < wakes; n++)
                all[i]->wake(backend);
            int64_t begun_ns = now(backend);
            assert_int_equal(wait_until(backend, ASY_NO_DEADLINE), 0);
            assert_true(now(backend) < begun_ns + FAR);
            int64_t deadline_ns = now(backend) + 2 * MS;
            wait_out(backend, deadline_ns);
            assert_true(now(backend) >= deadline_ns);
        }
        all[i]->close(backend);
    }
}

static void *wake_later(void *backend)
{
    struct timespec pause = {.tv_nsec = 3 * MS};
    nanosleep(&pause, NULL);
    ((struct asy_backend *)backend)->ops->wake(backend);
    return NULL;
}

static void wakes_after_a_while(const struct asy_backend_ops *ops, int64_t deadline_ns)
{
    struct asy_backend *backend = opened(ops);
    pthread_t thread;
    int64_t begun_ns = now(backend);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, backend), 0);
    while (now(backend) < begun_ns + 3 * MS) /* a ring returns early once, for its own looks */
        assert_int_equal(wait_until(backend, deadline_ns), 0);
    pthread_join(thread, NULL);
    backend->ops->close(backend);
}

/* A virtual clock does not wait for real: the sim is woken before, or finds a deadlock. */
TEST(a_wake_from_another_thread_ends_the_wait)
{
    EACH_REAL(i)
    {
        wakes_after_a_while(all[i], ASY_NO_DEADLINE);
        wakes_after_a_while(all[i], INT64_MAX - 1);
    }
    struct asy_backend *sim = opened(&asy_backend_sim);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_later, sim), 0);
    pthread_join(thread, NULL);
    assert_int_equal(wait_until(sim, ASY_NO_DEADLINE), 0);
    asy_backend_sim.close(sim);
}

#define ROUNDS 2000
#define ENOUGH_NS INT64_C(5000000000) /* on a busy machine fewer will do */
#define OVER INT_MAX

struct game {
    struct asy_backend *backend;
    _Atomic int asked, answered;
};

static void *ask(void *arg)
{
    struct game *game = arg;
    int64_t begun_ns = now(game->backend);
    for (int i = 1; i <= ROUNDS && now(game->backend) < begun_ns + ENOUGH_NS; i++) {
        atomic_store(&game->asked, i);
        game->backend->ops->wake(game->backend);
        while (atomic_load(&game->answered) < i)
            sched_yield();
    }
    atomic_store(&game->asked, OVER);
    game->backend->ops->wake(game->backend);
    return NULL;
}

/* One lost wake-up, and this hangs. */
static void play(const struct asy_backend_ops *ops, bool is_inside_another)
{
    struct game game = {.backend = opened(ops)};
    pthread_t thread;
    if (is_inside_another)
        assert_true(ops->fd(game.backend) >= 0);
    assert_int_equal(pthread_create(&thread, NULL, ask, &game), 0);
    for (int i = 1; atomic_load(&game.asked) != OVER; i++) {
        while (atomic_load(&game.asked) < i)
            assert_int_equal(wait_until(game.backend, ASY_NO_DEADLINE), 0);
        atomic_store(&game.answered, i);
    }
    pthread_join(thread, NULL);
    game.backend->ops->close(game.backend);
}

TEST(no_wake_is_lost)
{
    EACH_REAL(i)
    {
        play(all[i], /* is_inside_another= */ false);
        play(all[i], /* is_inside_another= */ true);
    }
}

TEST(the_simulated_clock_jumps)
{
    struct asy_backend *sim = opened(&asy_backend_sim);
    assert_true(sim->ops->is_virtual);
    int64_t begun_ns = now(sim);
    assert_int_equal(now(sim), begun_ns);
    int64_t year_ns = INT64_C(365) * 86400 * 1000 * MS;
    assert_int_equal(wait_until(sim, begun_ns + year_ns), 0);
    assert_int_equal(now(sim), begun_ns + year_ns);
    assert_int_equal(wait_until(sim, begun_ns), 0);
    assert_int_equal(wait_until(sim, begun_ns + 1), 0);
    assert_int_equal(wait_until(sim, begun_ns + year_ns - 1), 0);
    assert_int_equal(now(sim), begun_ns + year_ns);
    /* Woken: it does not jump. */
    sim->ops->wake(sim);
    assert_int_equal(wait_until(sim, begun_ns + 2 * year_ns), 0);
    assert_int_equal(now(sim), begun_ns + year_ns);
    assert_int_equal(wait_until(sim, begun_ns + 2 * year_ns), 0);
    assert_int_equal(now(sim), begun_ns + 2 * year_ns);
    sim->ops->close(sim);
}

TEST(nothing_to_wait_for_is_a_deadlock)
{
    struct asy_backend *sim = opened(&asy_backend_sim);
    assert_int_equal(wait_until(sim, ASY_NO_DEADLINE), -EDEADLK);
    sim->ops->wake(sim);
    assert_int_equal(wait_until(sim, ASY_NO_DEADLINE), 0);
    assert_int_equal(wait_until(sim, ASY_NO_DEADLINE), -EDEADLK);
    sim->ops->close(sim);
}

TEST(the_descriptor_tells_of_a_wake)
{
    EACH_REAL(i)
    {
        struct asy_backend *backend = opened(all[i]);
        struct pollfd pollfd = {.fd = backend->ops->fd(backend), .events = POLLIN};
        assert_true(pollfd.fd >= 0);
        assert_int_equal(poll(&pollfd, 1, 0), 0);
        backend->ops->wake(backend);
        assert_int_equal(poll(&pollfd, 1, 0), 1);
        assert_int_equal(wait_until(backend, ASY_NO_DEADLINE), 0);
        assert_int_equal(poll(&pollfd, 1, 0), 0);
        backend->ops->close(backend);
    }
    struct asy_backend *sim = opened(&asy_backend_sim);
    assert_int_equal(sim->ops->fd(sim), -ENOSYS);
    sim->ops->close(sim);
}

/* News of a descriptor, which no wake-up tells of: the kernel puts the ring's completion off. */
TEST(its_descriptor_tells_of_events)
{
    EACH_REAL(i)
    {
        struct asy_backend *backend = opened(all[i]);
        struct pollfd pollfd = {.fd = backend->ops->fd(backend), .events = POLLIN};
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(backend->ops->attach(backend, fds[0], 1, EPOLLIN | EPOLLET, false), 0);
        assert_int_equal(wait_until(backend, now(backend)), 0);
        assert_int_equal(poll(&pollfd, 1, 0), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(poll(&pollfd, 1, 30000), 1);
        backend->ops->detach(backend, fds[0]);
        backend->ops->close(backend);
        close(fds[0]);
        close(fds[1]);
    }
}

TEST(the_chooser_heeds_options)
{
    struct asy_backend *backend = NULL;
    if (has_ring()) {
        assert_int_equal(asy_backend_open(ASYNCIO_BACKEND_IO_URING, ASYNCIO_CLOCK_REAL, &backend), 0);
        assert_string_equal(backend->ops->name, "io_uring");
        backend->ops->close(backend);
    }
    assert_int_equal(asy_backend_open(ASYNCIO_BACKEND_EPOLL, ASYNCIO_CLOCK_REAL, &backend), 0);
    assert_string_equal(backend->ops->name, "epoll");
    assert_false(backend->ops->is_virtual);
    backend->ops->close(backend);
    assert_int_equal(asy_backend_open(ASYNCIO_BACKEND_AUTO, ASYNCIO_CLOCK_VIRTUAL, &backend), 0);
    assert_string_equal(backend->ops->name, "sim");
    backend->ops->close(backend);
}

static void open_epoll(void *environment)
{
    struct asy_backend *backend = NULL;
    setenv("ASYNCIO_BACKEND", environment, 1);
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_EPOLL, ASYNCIO_CLOCK_REAL, &backend) == 0);
    backend->ops->close(backend);
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_AUTO, ASYNCIO_CLOCK_REAL, &backend) == 0);
    CHILD_CHECK(strcmp(backend->ops->name, "epoll") == 0);
    backend->ops->close(backend);
}

static void open_denied(void *arg)
{
    struct asy_backend *backend = NULL;
    const int *err = arg;
    setenv("ASYNCIO_BACKEND", "io_uring", 1);
    CHILD_CHECK(deny_call(DENY_RING_SETUP, *err));
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_IO_URING, ASYNCIO_CLOCK_REAL, &backend) == -*err);
    CHILD_CHECK(!backend);
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_AUTO, ASYNCIO_CLOCK_REAL, &backend) == 0);
    CHILD_CHECK(strcmp(backend->ops->name, "epoll") == 0);
    backend->ops->close(backend);
}

/* Of the kernel's refusals each has its words. */
TEST(a_ring_that_is_denied_is_told)
{
    static const struct {
        int err;
        const char *words;
    } all_refusals[] = {
        {EPERM, "asyncio: ASYNCIO_BACKEND=io_uring: io_uring is denied (EPERM)"},
        {EACCES, "io_uring is denied (EACCES)"},
        {ENOSYS, "there is no io_uring (ENOSYS)"},
        {ENOMEM, "memory or descriptors are short"},
        {EMFILE, "memory or descriptors are short"},
    };
    if (!has_ring())
        skip(); /* what denies it here has been found, and stays */
    struct child child;
    for (size_t i = 0; i < sizeof all_refusals / sizeof all_refusals[0]; i++) {
        int err = all_refusals[i].err;
        child_run(&child, open_denied, &err);
        assert_child_exit(&child, 0);
        assert_int_equal(child_count(&child, "\n"), 1);
        assert_child_says(&child, all_refusals[i].words);
        assert_child_says(&child, "; using epoll\n");
    }
}

/* The self test has passed before, and a ring can still be made. */
static void open_denied_late(void *arg)
{
    struct asy_backend *backend = NULL;
    (void)arg;
    setenv("ASYNCIO_BACKEND", "io_uring", 1);
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_IO_URING, ASYNCIO_CLOCK_REAL, &backend) == 0);
    backend->ops->close(backend);
    CHILD_CHECK(deny_call(DENY_RING_ENTER, EPERM));
    backend = NULL;
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_IO_URING, ASYNCIO_CLOCK_REAL, &backend) == -EPERM);
    CHILD_CHECK(!backend);
    CHILD_CHECK(asy_backend_open(ASYNCIO_BACKEND_AUTO, ASYNCIO_CLOCK_REAL, &backend) == 0);
    CHILD_CHECK(strcmp(backend->ops->name, "epoll") == 0);
    backend->ops->close(backend);
}

TEST(a_filter_that_comes_late_is_told)
{
    struct child child;
    if (!has_ring())
        skip();
    child_run(&child, open_denied_late, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "asyncio: ASYNCIO_BACKEND=io_uring: io_uring is denied (EPERM)");
}

TEST(the_chooser_heeds_the_environment)
{
    struct child child;
    char silent[][8] = {"", "auto", "epoll"};
    char kqueue[] = "kqueue";
    for (size_t i = 0; i < 3; i++) {
        child_run(&child, open_epoll, silent[i]);
        assert_child_exit(&child, 0);
        assert_child_silent(&child);
    }
    child_run(&child, open_epoll, kqueue);
    assert_child_exit(&child, 0);
    assert_int_equal(child_count(&child, "\n"), 1);
    assert_child_says(&child, "kqueue: is not a backend (auto, epoll, io_uring); using epoll");
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

TEST(each_failure_of_open_is_clean)
{
    EACH(i) {
        int before = descriptors();
        for (uint64_t n = 1;; n++) {
            struct asy_backend *backend = NULL;
            asy_fault_arm(n, false);
            int err = all[i]->open(&backend);
            asy_fault_disarm();
            if (!asy_fault.failed) {
                assert_int_equal(err, 0);
                assert_true(n > 1);
                backend->ops->close(backend);
                break;
            }
            if (err == 0 && !strcmp(asy_fault.failed, "ring_enter")) { /* which the first wait makes up for */
                backend->ops->close(backend);
                continue;
            }
            assert_true(err < 0);
            assert_null(backend);
            assert_int_equal(descriptors(), before);
        }
        assert_int_equal(descriptors(), before);
    }
}

/* ---- The self test, and words ---------------------------------------------------------------------- */

/* What is short for the moment must not speak against io_uring for ever. */
TEST(a_failure_of_the_self_test_is_not_the_last_word)
{
    if (!has_ring())
        skip();
    int before = descriptors();
    for (uint64_t n = 1;; n++) {
        uint64_t ops = 0;
        asy_fault_arm(n, false);
        int err = asy_uring_try(&ops);
        asy_fault_disarm();
        assert_int_equal(descriptors(), before);
        if (!asy_fault.failed) {
            assert_int_equal(err, 0);
            assert_true(ops);
            break;
        }
        assert_true(err != -EIO && err != -EPERM && err != -EACCES && err != -ENOSYS && err != -ENOTSUP);
    }
}

#define WHY_DENIED "io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile"
#define FILES_DENIED "threads carry out calls on files: " WHY_DENIED "; "
#define FILES_BY_RING "io_uring carries out calls on files; "

/* Each is a process of its own, since the self test is made once. */
static const struct refusal {
    unsigned call;
    const char *name, *without, *backend, *why;
    int lines;
} refusals[] = {
    {DENY_RING_SETUP, "io_uring", "", "epoll", FILES_DENIED "epoll serves streams: " WHY_DENIED "\n", 1},
    {DENY_RING_ENTER, "io_uring", "", "epoll", FILES_DENIED "epoll serves streams: " WHY_DENIED "\n", 1},
    {DENY_RING_REGISTER, "io_uring", "", "epoll", FILES_DENIED "epoll serves streams: " WHY_DENIED "\n", 1},
    {DENY_RING_SETUP, "epoll", "", "epoll",
     FILES_DENIED "epoll serves streams: ASYNCIO_BACKEND does not ask for io_uring\n", 0},
    {DENY_RING_SETUP, "kqueue", "", "epoll",
     FILES_DENIED "epoll serves streams: ASYNCIO_BACKEND is not auto, epoll or io_uring\n", 1},
    {0, "io_uring", "", "io_uring", FILES_BY_RING "io_uring serves streams\n", 0},
    {0, "io_uring", "send", "io_uring", FILES_BY_RING "io_uring serves streams, without send\n", 0},
    {0, "io_uring", "receive,send", "io_uring",
     FILES_BY_RING "io_uring serves streams, without receive and send\n", 0},
    {0, "io_uring", "files", "io_uring",
     "threads carry out calls on files: ASYNCIO_URING_WITHOUT has files; io_uring serves streams\n", 0},
};

/* In the new process: the backend that was opened, and why. */
static int be_refused(const struct refusal *refusal)
{
    struct asy_backend *backend = NULL;
    setenv("ASYNCIO_BACKEND", refusal->name, 1);
    setenv("ASYNCIO_URING_CALL_NS", "2000", 1);
    setenv("ASYNCIO_URING_WITHOUT", refusal->without, 1);
    setenv("ASYNCIO_FILES", "auto", 1);
    if (refusal->call && !deny_call(refusal->call, EPERM))
        return 1;
    if (refusal->call && asy_backend_open(ASYNCIO_BACKEND_IO_URING, ASYNCIO_CLOCK_REAL, &backend) != -EPERM)
        return 2;
    if (asy_backend_open(ASYNCIO_BACKEND_AUTO, ASYNCIO_CLOCK_REAL, &backend) != 0)
        return 3;
    printf("opened %s: %s\n", backend->ops->name, asyncio_backend_why());
    backend->ops->close(backend);
    return 0;
}

static void become_refused(void *number)
{
    execl("/proc/self/exe", "test", "--refused", (char *)number, NULL);
}

TEST(words_tell_of_files_and_of_streams)
{
    if (!has_ring())
        skip();
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct child child;
        char number[8], opened_as[32];
        snprintf(number, sizeof number, "%zu", i);
        snprintf(opened_as, sizeof opened_as, "opened %s: ", refusals[i].backend);
        child_run(&child, become_refused, number);
        assert_child_exit(&child, 0);
        assert_child_says(&child, opened_as);
        assert_child_says(&child, refusals[i].why);
        assert_int_equal(child_count(&child, "\n"), 1 + refusals[i].lines);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--refused"))
        return be_refused(&refusals[atoi(argv[2])]);
    return tests_run(NULL);
}
