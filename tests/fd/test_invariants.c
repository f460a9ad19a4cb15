/*
 * Assertions of the layer fd: an invariant that a test breaks on purpose ends the process with a line that
 * names it. One test for each kind: ownership, list membership, states, counters.
 */
#include "asyncio.h"
#include "child.h"
#include "core/loop.h"
#include "core/task.h"
#include "fd/bytes.h"
#include "fd/fd_wait.h"
#include "fd/file.h"
#include "fd/stream.h"
#include "support/test.h"
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

static struct child child;

static void break_in_child(asyncio_coro *main)
{
    asyncio_run(main);
}

static void expect_broken(asyncio_coro *main, const char *words)
{
    child_run(&child, (void (*)(void *))(void *)break_in_child, main);
    asyncio_coro_close(main);
    assert_child_signal(&child, SIGABRT);
    assert_child_says(&child, "asyncio: broken invariant in ");
    assert_child_says(&child, words);
}

static asyncio_loop *here(void)
{
    return asyncio_get_running_loop();
}

/* The record of one end of a pair of sockets. */
static struct fd_record *make_socket_record(void)
{
    int ends[2];
    CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct fd_record *record = asy_fd_record(here(), ends[0]);
    CHILD_CHECK(record && asy_fd_prepare(record) == 0);
    return record;
}

/* ---- Ownership ------------------------------------------------------------------------ */

ASYNC(drops_a_copy)
{
    struct fd_record copy = *make_socket_record();
    asy_fd_drop(here(), &copy);
    return 0;
}

TEST(a_record_that_is_dropped_is_the_tables)
{
    expect_broken(drops_a_copy(), "asy_fd_drop (fd_table.c:");
}

ASYNC(makes_a_record_twice)
{
    asy_fd_make_record(here(), make_socket_record()->fd);
    return 0;
}

TEST(a_descriptor_has_one_record)
{
    expect_broken(makes_a_record_twice(), "asy_fd_make_record (fd_table.c:");
}

static void do_nothing(void *arg)
{
    (void)arg;
}

ASYNC(gives_callbacks_to_another)
{
    struct fd_record *record = make_socket_record(), *other = make_socket_record();
    CHILD_CHECK(asyncio_loop_add_reader(here(), record->fd, do_nothing, NULL) == 0);
    list_splice(&other->watches, &record->watches);
    asyncio_forget(other->fd);
    return 0;
}

TEST(callbacks_belong_to_one_record)
{
    expect_broken(gives_callbacks_to_another(), "asy_watches_drop (watches.c:");
}

/* ---- List membership -------------------------------------------------------------------- */

static void ignore(struct fd_waiter *waiter, int err)
{
    (void)waiter;
    (void)err;
}

ASYNC(watches_twice)
{
    struct fd_record *record = make_socket_record();
    struct fd_waiter waiter = {.events = FD_READ, .notify = ignore};
    list_init(&waiter.node);
    CHILD_CHECK(asy_fd_watch(here(), record, &waiter) == 0);
    asy_fd_watch(here(), record, &waiter);
    return 0;
}

TEST(a_waiter_is_in_one_list)
{
    expect_broken(watches_twice(), "watch_before (fd_wait.c:");
}

ASYNC(wakes_one_that_does_not_wait)
{
    struct fd_waiter waiter = {.events = FD_READ, .notify = ignore};
    list_init(&waiter.node);
    asy_fd_wake(&waiter, 0);
    return 0;
}

TEST(a_waiter_that_is_woken_waits)
{
    expect_broken(wakes_one_that_does_not_wait(), "asy_fd_wake (fd_wait.c:");
}

/* ---- States ------------------------------------------------------------------------------- */

ASYNC(gives_a_turn_to_one_that_takes_none)
{
    struct fd_record *record = make_socket_record();
    struct fd_waiter waiter = {.events = FD_READ, .notify = ignore};
    list_init(&waiter.node);
    list_append(&record->waiters, &waiter.node);
    asy_fd_give_turn(record, &waiter);
    return 0;
}

TEST(turns_are_for_those_that_take_them)
{
    expect_broken(gives_a_turn_to_one_that_takes_none(), "asy_fd_give_turn (fd_wait.c:");
}

static asyncio_stream *make_stream(void)
{
    asyncio_stream *stream = NULL;
    CHILD_CHECK(asyncio_stream_from_fd(make_socket_record()->fd, NULL, &stream) == 0);
    return stream;
}

static void forget_the_read(void *arg)
{
    asyncio_stream *stream = arg;
    stream->is_reading = false;
    asy_stream_end_input(stream, 0);
}

/* A read is in progress from its beginning to its end, and a stream has one at a time. */
ASYNC(ends_a_read_of_another)
{
    asyncio_stream *stream = make_stream();
    char c;
    asyncio_loop_call_soon(here(), forget_the_read, stream);
    asyncio_stream_read(stream, &c, 1);
    return 0;
}

TEST(a_read_ends_once)
{
    expect_broken(ends_a_read_of_another(), "end_read (stream_read.c:");
}

/* ---- Counters ----------------------------------------------------------------------------- */

ASYNC(consumes_too_much)
{
    struct bytes bytes = {0};
    CHILD_CHECK(asy_bytes_append(&bytes, "abc", 3) == 0);
    asy_bytes_consume(&bytes, 4);
    return 0;
}

TEST(no_more_is_consumed_than_is_there)
{
    expect_broken(consumes_too_much(), "asy_bytes_consume (bytes.c:");
}

ASYNC(leaves_too_often)
{
    asyncio_stream *stream = make_stream();
    stream->users = 0;
    asy_stream_leave(stream);
    return 0;
}

TEST(a_stream_counts_its_users)
{
    expect_broken(leaves_too_often(), "stream->users > 0");
}

ASYNC(writes_nothing_to_a_file)
{
    asy_stream_write_file(make_stream());
    return 0;
}

TEST(a_thread_is_given_bytes_to_write)
{
    expect_broken(writes_nothing_to_a_file(), "asy_stream_write_file (stream_file.c:");
}

static asyncio_file *make_file(void)
{
    asyncio_file *file = NULL;
    CHILD_CHECK(asyncio_file_open("/dev/null", O_RDONLY, 0, &file) == 0);
    return file;
}

ASYNC(drops_a_file_too_often)
{
    asyncio_file *file = make_file();
    atomic_store(&file->refs, 0);
    asy_file_unref(file);
    return 0;
}

TEST(a_file_counts_its_references)
{
    expect_broken(drops_a_file_too_often(), "drop_ref (file_close.c:");
}

static void forget_the_call(void *arg)
{
    ((asyncio_file *)arg)->calls = 0;
}

ASYNC(ends_a_call_of_another)
{
    asyncio_file *file = make_file();
    asyncio_loop_call_soon(here(), forget_the_call, file);
    asyncio_file_fsync(file);
    return 0;
}

TEST(a_file_counts_its_calls)
{
    expect_broken(ends_a_call_of_another(), "end_file_call (files.c:");
}

TEST_MAIN()
