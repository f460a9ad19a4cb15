/*
 * What the program keeps with a stream, and when it is dropped.
 */
#include "fd/stream_test.h"
#include <fcntl.h>

/* Something to keep. */
struct kept {
    unsigned drops;
    int fd; /* which must be closed by then; or -1 */
    bool was_open;
    intptr_t wait_result;
};

static void drop_kept(void *data)
{
    struct kept *kept = data;
    kept->drops++;
    if (kept->fd >= 0)
        kept->was_open = fcntl(kept->fd, F_GETFD) >= 0;
    kept->wait_result = asyncio_sleep(0);
}

#define NO_FD                                                                                                \
    {                                                                                                        \
        .fd = -1                                                                                             \
    }

ASYNC_TEST(keeping)
{
    struct kept one = NO_FD, two = NO_FD;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK(asyncio_stream_data(stream) == NULL);
    asyncio_stream_set_data(stream, &one, drop_kept);
    CHECK(asyncio_stream_data(stream) == &one);
    asyncio_stream_set_data(stream, &two, drop_kept);
    CHECK(asyncio_stream_data(stream) == &two);
    CHECK_EQUAL(one.drops, 1);
    CHECK_EQUAL(one.wait_result, ASYNCIO_ENOTASK);
    two.fd = asyncio_stream_fd(stream);
    CHECK_EQUAL(two.drops, 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(one.drops, 1);
    CHECK_EQUAL(two.drops, 1);
    CHECK(!two.was_open);
    CHECK_EQUAL(two.wait_result, ASYNCIO_ENOTASK);
    close(peer);
    return 0;
}

/* The same data does not drop itself, and can be taken back. */
ASYNC_TEST(taking_back)
{
    struct kept kept = NO_FD;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_stream_set_data(stream, &kept, drop_kept);
    asyncio_stream_set_data(stream, &kept, drop_kept);
    CHECK_EQUAL(kept.drops, 0);
    asyncio_stream_set_data(stream, &kept, NULL);
    asyncio_stream_set_data(stream, NULL, NULL);
    CHECK(asyncio_stream_data(stream) == NULL);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(kept.drops, 0);
    close(peer);
    return 0;
}

ASYNC_TEST(no_stream)
{
    struct kept kept = NO_FD;
    CHECK(asyncio_stream_data(NULL) == NULL);
    asyncio_stream_set_data(NULL, &kept, drop_kept);
    CHECK_EQUAL(kept.drops, 1);
    CHECK_EQUAL(kept.wait_result, ASYNCIO_ENOTASK);
    asyncio_stream_set_data(NULL, &kept, NULL);
    CHECK_EQUAL(kept.drops, 1);
    return 0;
}

/* A drop function may put other data into its stream. */
static asyncio_stream *refilled;
static struct kept second = NO_FD;

static void refill(void *data)
{
    struct kept *kept = data;
    kept->drops++;
    asyncio_stream_set_data(refilled, &second, drop_kept);
}

ASYNC_TEST(replacing_amid_a_drop)
{
    struct kept first = NO_FD;
    int peer;
    refilled = stream_to(&peer, NULL);
    asyncio_stream_set_data(refilled, &first, refill);
    asyncio_stream_set_data(refilled, NULL, NULL);
    CHECK_EQUAL(first.drops, 1);
    CHECK(asyncio_stream_data(refilled) == &second);
    CHECK_EQUAL(asyncio_stream_close(refilled), 0);
    CHECK_EQUAL(second.drops, 1);
    close(peer);
    return 0;
}

/* A call that waits keeps the stream, and its data, until it has returned. */
ASYNC_TEST(a_reader_amid_an_abort)
{
    char buf[8];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    struct kept kept = {.fd = asyncio_stream_fd(stream)};
    asyncio_stream_set_data(stream, &kept, drop_kept);
    asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
    settle();
    asyncio_stream_abort(stream);
    CHECK_EQUAL(kept.drops, 0);
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    CHECK_EQUAL(kept.drops, 1);
    CHECK(!kept.was_open);
    close(peer);
    return 0;
}

/* A regular file's descriptor is closed by a thread. */
ASYNC_TEST(a_file)
{
    char path[] = "/tmp/asyncio-data-XXXXXX";
    int fd = mkstemp(path);
    asyncio_stream *stream = NULL;
    unlink(path);
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    struct kept kept = {.fd = fd};
    asyncio_stream_set_data(stream, &kept, drop_kept);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(kept.drops, 1);
    CHECK(!kept.was_open);
    return 0;
}

/* ---- Loops that close -------------------------------------------------------------------- */

static asyncio_stream *left;
static struct kept kept_by_left;

ASYNC(leave_open)
{
    int peer;
    left = stream_to(&peer, NULL);
    close(peer);
    kept_by_left = (struct kept){.fd = asyncio_stream_fd(left)};
    asyncio_stream_set_data(left, &kept_by_left, drop_kept);
    return 0;
}

TEST(loop_closes)
{
    CHECK_EQUAL(asyncio_run(leave_open()), 0);
    CHECK_EQUAL(kept_by_left.drops, 0); /* the stream is still the program's */
    CHECK(asyncio_stream_data(left) == &kept_by_left);
    CHECK_EQUAL(asyncio_stream_close(left), 0);
    CHECK_EQUAL(kept_by_left.drops, 1);
    CHECK(!kept_by_left.was_open);
    CHECK_EQUAL(kept_by_left.wait_result, ASYNCIO_ENOTASK);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
