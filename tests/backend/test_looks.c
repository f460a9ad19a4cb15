/*
 * The io_uring backend's looks at its epoll set and at wake-ups: whatever comes while it looks is told.
 */
#include "backend/backend.h"
#include "backend/transfers.h"
#include "support/net.h"
#include "support/ring_plan.h"
#include "support/test.h"
#include "sys/sys.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIPES 150 /* more than two fetches bring */

static struct asy_backend *backend;
static int pipes[PIPES][2];
static int told[PIPES];

static void note_events(void *context, const struct epoll_event *events, int count)
{
    (void)context;
    for (int i = 0; i < count; i++)
        if (events[i].data.u64 < PIPES) /* else the backend's own */
            told[events[i].data.u64]++;
}

/* A loop that another one embeds waits by its ring, which looks at the set. */
static void open_backend(void)
{
    memset(told, 0, sizeof told);
    backend = NULL;
    if (asy_backend_io_uring.open(&backend)) {
        print_message("skipped: there is no io_uring here\n");
        skip();
    }
    backend->happened = note_events;
    assert_true(backend->ops->fd(backend) >= 0);
}

static void attach_pipe(int i, uint32_t events)
{
    net_pipe(pipes[i]);
    assert_int_equal(backend->ops->attach(backend, pipes[i][0], (uint64_t)i, events, false), 0);
}

static void put_byte(int i)
{
    assert_int_equal(write(pipes[i][1], "x", 1), 1);
}

static void detach_pipe(int i)
{
    backend->ops->detach(backend, pipes[i][0]);
    close(pipes[i][0]);
    close(pipes[i][1]);
}

/* Waits as a loop does that has nothing else. One event that is lost, and this hangs. */
static void await_event(int i, int times)
{
    while (told[i] < times) {
        assert_int_equal(backend->ops->wait(backend, ASY_NO_DEADLINE), 0);
        if (backend->fetched)
            backend->ops->deliver(backend);
    }
}

/* More events than one fetch brings: no edge tells of those that are left. */
TEST(each_of_many_events_is_told)
{
    open_backend();
    for (int i = 0; i < PIPES; i++)
        attach_pipe(i, EPOLLIN | EPOLLET);
    for (int i = 0; i < PIPES; i++)
        put_byte(i);
    for (int i = 0; i < PIPES; i++)
        await_event(i, 1);
    for (int i = 0; i < PIPES; i++) {
        assert_int_equal(told[i], 1);
        detach_pipe(i);
    }
    backend->ops->close(backend);
}

static void put_late_byte(void)
{
    put_byte(PIPES - 1);
}

/* The rest of many events is fetched before the ring is entered, and another one comes right behind it. */
TEST(an_event_behind_a_fetch_is_told)
{
    open_backend();
    for (int i = 0; i < PIPES; i++)
        attach_pipe(i, EPOLLIN | EPOLLET);
    for (int i = 0; i < 100; i++)
        put_byte(i);
    while (!told[0]) {
        assert_int_equal(backend->ops->wait(backend, ASY_NO_DEADLINE), 0);
        backend->ops->deliver(backend);
    }
    assert_true(backend->ops->needs_poll(backend)); /* there are more */
    ring_plan.before_enter = put_late_byte;
    await_event(99, 1);
    await_event(PIPES - 1, 1);
    for (int i = 0; i < PIPES; i++)
        detach_pipe(i);
    backend->ops->close(backend);
}

/* A level watch is told again as long as it is not served, and not when it is. */
TEST(a_level_is_told_again)
{
    char byte;
    open_backend();
    attach_pipe(0, EPOLLIN);
    put_byte(0);
    await_event(0, 3);
    assert_true(backend->ops->needs_poll(backend));
    assert_int_equal(read(pipes[0][0], &byte, 1), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(backend->ops->wait(backend, 0), 0);
        backend->ops->deliver(backend);
    }
    assert_false(backend->ops->needs_poll(backend));
    detach_pipe(0);
    backend->ops->close(backend);
}

/* ---- Completions ------------------------------------------------------------------------------------ */

#define MANY 2000

static int nops_done;

static void prepare_nop(struct asy_op *op, struct io_uring_sqe *sqe)
{
    (void)op;
    sqe->opcode = IORING_OP_NOP;
    sqe->fd = -1;
}

static void nop_done(struct asy_op *op, const struct asy_done *what)
{
    (void)op;
    assert_int_equal(what->result, 0);
    nops_done++;
}

static const struct asy_op_kind nop_kind = {prepare_nop, nop_done};

/* Tasks that are ready run between two lots of them. */
TEST(a_turn_tells_so_many_completions)
{
    static struct asy_op ops[MANY];
    open_backend();
    nops_done = 0;
    for (int i = 0; i < MANY; i++) {
        asy_op_init(&ops[i], &nop_kind);
        asy_op_begin(backend->transfers->completions, &ops[i]);
    }
    for (int turns = 1; nops_done < MANY; turns++) {
        assert_true(backend->ops->needs_poll(backend));
        assert_int_equal(backend->ops->wait(backend, ASY_NO_DEADLINE), 0);
        backend->ops->deliver(backend);
        assert_true(nops_done <= turns * 1024);
    }
    backend->ops->close(backend);
}

/* ---- Wake-ups ---------------------------------------------------------------------------------------- */

static bool wakes_amid;

/* As another thread does, right behind the look at its signal. */
bool __real_asy_sys_eventfd_clear(int fd);
bool __wrap_asy_sys_eventfd_clear(int fd);
bool __wrap_asy_sys_eventfd_clear(int fd)
{
    bool was_signalled = __real_asy_sys_eventfd_clear(fd);
    if (wakes_amid) {
        wakes_amid = false;
        backend->ops->wake(backend);
    }
    return was_signalled;
}

/* Of a loop inside another one, which has two descriptors to look at. */
TEST(a_wake_up_behind_the_look_ends_the_wait)
{
    open_backend();
    struct pollfd outer = {.fd = backend->ops->fd(backend), .events = POLLIN};
    assert_true(outer.fd >= 0);
    for (int i = 0; i < 3; i++) /* its own looks */
        assert_int_equal(backend->ops->wait(backend, 0), 0);
    backend->ops->deliver(backend);
    for (int i = 0; i < 10; i++) {
        wakes_amid = true;
        assert_int_equal(backend->ops->wait(backend, ASY_NO_DEADLINE), 0);
        assert_false(wakes_amid);
        backend->ops->deliver(backend);
    }
    backend->ops->close(backend);
}

/* The ring is made anew in another thread; the descriptor that the outer loop looks at is the same. */
static void *look_elsewhere(void *arg)
{
    struct pollfd *outer = arg;
    bool is_well = backend->ops->enter(backend) == 0;
    for (int i = 0; i < 3 && is_well; i++) {
        is_well = backend->ops->wait(backend, 0) == 0;
        backend->ops->deliver(backend);
    }
    for (int i = 0; i < 3 && is_well; i++) { /* the first may be the end of the old ring */
        is_well = write(pipes[0][1], "x", 1) == 1 && poll(outer, 1, 30000) == 1;
        while (is_well && told[0] <= i) {
            is_well = backend->ops->wait(backend, ASY_NO_DEADLINE) == 0;
            backend->ops->deliver(backend);
        }
        if (is_well)
            backend->ops->rest(backend);
    }
    return is_well ? outer : NULL;
}

TEST(the_descriptor_stays_when_the_thread_changes)
{
    pthread_t thread;
    void *well = NULL;
    open_backend();
    struct pollfd outer = {.fd = backend->ops->fd(backend), .events = POLLIN};
    attach_pipe(0, EPOLLIN | EPOLLET);
    assert_int_equal(pthread_create(&thread, NULL, look_elsewhere, &outer), 0);
    pthread_join(thread, &well);
    assert_non_null(well);
    assert_int_equal(told[0], 3);
    detach_pipe(0);
    backend->ops->close(backend);
}

TEST_MAIN()
