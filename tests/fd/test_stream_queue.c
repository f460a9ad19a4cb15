/*
 * A stream's queue that goes on in the next turn: what becomes of it when the loop closes, and beside tasks
 * that send on the same descriptor. The peer is a thread that reads as fast as it can, so that the queue
 * never waits for it.
 */
#include "asyncio.h"
#include "support/harness.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* ---- The peer ---------------------------------------------------------------------------------- */

static pthread_t peer;
static size_t received, torn;
static size_t piece; /* equal bytes come in so many, or multiples of that */

static void *read_all(void *arg)
{
    static unsigned char block[MIB];
    int fd = (int)(intptr_t)arg;
    unsigned char latest = 0;
    size_t equal = 0;
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < n; i++, equal++) {
            if (block[i] == latest)
                continue;
            torn += equal % piece != 0;
            latest = block[i];
            equal = 0;
        }
        received += (size_t)n;
    }
    close(fd);
    return NULL;
}

/* A connection to a peer that has begun to read. */
static int connect_peer(size_t piece_bytes)
{
    int pair[2], room = (int)(8 * MIB);
    received = torn = 0;
    piece = piece_bytes;
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    CHECK_EQUAL(pthread_create(&peer, NULL, read_all, (void *)(intptr_t)pair[1]), 0);
    return pair[0];
}

/* ---- The loop closes ----------------------------------------------------------------------------- */

static asyncio_stream *left;

ASYNC(writes_and_returns)
{
    char *data = calloc(16, MIB);
    CHECK_EQUAL(asyncio_stream_from_fd(connect_peer(1), NULL, &left), 0);
    CHECK_EQUAL(asyncio_stream_write(left, data, 16 * MIB), 0);
    free(data);
    return 0;
}

/* The stream is its owner's, whatever the loop still had to do for it. */
TEST(left_open)
{
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(asyncio_run(writes_and_returns()), 0);
        int err = asyncio_stream_close(left);
        CHECK(err == 0 || err == -ECONNABORTED);
        pthread_join(peer, NULL);
    }
    harness_settle();
}

static asyncio_server *server;
static bool has_written;

ASYNC(handler_writes, asyncio_stream *, stream, void *, arg)
{
    (void)arg;
    char *data = calloc(64, MIB);
    int err = asyncio_stream_write(stream, data, 64 * MIB);
    free(data);
    has_written = true;
    asyncio_sleep(ASYNCIO_FOREVER);
    return err;
}

static void *connect_and_read(void *arg)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(intptr_t)arg)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        read_all((void *)(intptr_t)fd);
    return NULL;
}

ASYNC(serves_one)
{
    has_written = false;
    piece = 1;
    CHECK_EQUAL(
        asyncio_start_server((asyncio_client_handler)handler_writes, NULL, "127.0.0.1", 0, NULL, &server), 0);
    CHECK_EQUAL(pthread_create(&peer, NULL, connect_and_read, (void *)(intptr_t)asyncio_server_port(server)),
                0);
    while (!has_written)
        asyncio_sleep(0.0001);
    return 0;
}

/* The server's streams are freed with the loop, and once. */
TEST(closed_under_a_handler)
{
    for (int i = 0; i < 4; i++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        record_reports(loop);
        asyncio_task *task = asyncio_loop_create_task(loop, serves_one());
        CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_server_release(server);
        asyncio_loop_release(loop);
        pthread_join(peer, NULL);
    }
    harness_settle();
}

/* ---- Beside others that send ------------------------------------------------------------------------ */

#define SENDERS 10
#define EACH (3 * MIB)

static char *filled(int c)
{
    char *data = malloc(EACH);
    return memset(data, c, EACH);
}

ASYNC(sends, int, fd, int, c)
{
    char *data = filled(c);
    CHECK_EQUAL(asyncio_sock_sendall(fd, data, EACH, 0), EACH);
    free(data);
    return 0;
}

ASYNC(writes, asyncio_stream *, stream, int, c)
{
    char *data = filled(c);
    CHECK_EQUAL(asyncio_stream_write(stream, data, EACH), 0);
    free(data);
    return 0;
}

ASYNC(all_send)
{
    int fd = connect_peer(EACH);
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    asyncio_task_group group;
    int err;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < SENDERS; i++) {
            asyncio_task_group_create_task(&group, sends(fd, 2 * i + 1));
            asyncio_task_group_create_task(&group, writes(stream, 2 * i + 2));
        }
    }
    CHECK_EQUAL(err, 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    return 0;
}

/* Each write and each sendall goes out in one piece, though both give way in between. */
TEST(in_one_piece)
{
    CHECK_EQUAL(asyncio_run(all_send()), 0);
    pthread_join(peer, NULL);
    CHECK_EQUAL(received, 2 * SENDERS * EACH);
    CHECK_EQUAL(torn, 0);
    harness_settle();
}

TEST_MAIN()
