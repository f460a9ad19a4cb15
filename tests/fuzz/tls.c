/*
 * Fuzzed: TLS over a stream. In the first two ways a client or a server is told any bytes, in any
 * pieces. In the third the two talk to each other through somebody who alters what they say: bytes changed, lost
 * or added, anything cut. Whatever is delivered is what was sent, and everybody comes to an end.
 */
#include "asyncio/tls.h"
#include "fuzz/fuzz.h"
#include "tls/certs.h"
#include <errno.h>

static asyncio_tls_context *client_tls, *server_tls;

static void make_contexts(void)
{
    if (client_tls)
        return;
    certs_make();
    MUST(asyncio_tls_context_new_client(&client_tls) == 0);
    MUST(asyncio_tls_context_load_ca(client_tls, cert("ca.pem")) == 0);
    MUST(asyncio_tls_context_new_server(&server_tls) == 0);
    MUST(asyncio_tls_context_load_cert(server_tls, cert("server.pem"), cert("server.key")) == 0);
}

/* ---- One side ---------------------------------------------------------------------------- */

#define SAID 3000

/* What both say. */
static const char *speech(void)
{
    static char text[SAID];
    for (size_t i = 0; i < SAID && !text[SAID - 1]; i++)
        text[i] = (char)(1 + i % 251);
    return text;
}

/* Shakes hands, says its speech, hears the other's; how much of that came is in *heard. */
ASYNC(side, int, fd, asyncio_tls_context *, tls, size_t *, heard)
{
    char buf[512];
    ssize_t n = 0;
    asyncio_stream *stream;
    asyncio_connect_options options = {.tls = tls, .server_hostname = tls == client_tls ? "server.test" : NULL};
    int err = asyncio_stream_from_fd(fd, &options, &stream);
    if (err) {
        asyncio_close(fd);
        return err;
    }
    err = asyncio_stream_write(stream, speech(), SAID);
    while (!err && *heard < SAID && (n = asyncio_stream_read(stream, buf, sizeof buf)) > 0) {
        MUST(*heard + (size_t)n <= SAID && memcmp(buf, speech() + *heard, (size_t)n) == 0);
        *heard += (size_t)n;
    }
    if (err || n < 0)
        asyncio_stream_abort(stream);
    else
        err = asyncio_stream_close(stream);
    return err ? err : n < 0 ? n : 0;
}

/* ---- Any bytes ------------------------------------------------------------------------------ */

static void drop_what_came(int fd)
{
    char buf[4096];
    while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
}

ASYNC(told, struct input *, input, asyncio_tls_context *, tls)
{
    int fds[2];
    size_t heard = 0;
    unsigned piece = 1 + take_byte(input);
    make_pair(SOCK_STREAM, fds);
    asyncio_task *task = asyncio_create_task(side(fds[0], tls, &heard));
    asyncio_sleep(0);
    while (input->left && !asyncio_done(task)) {
        const uint8_t *bytes;
        size_t n = take_bytes(input, &bytes, piece);
        send(fds[1], bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        asyncio_sleep(0);
        drop_what_came(fds[1]);
    }
    shutdown(fds[1], SHUT_WR);
    intptr_t result = asyncio_await(task);
    MUST(result < 0 && result != -ETIMEDOUT);
    MUST(heard == 0);
    close(fds[1]);
    return 0;
}

/* ---- Somebody between ------------------------------------------------------------------------- */

enum edit_kind { CHANGE, LOSE, ADD, CUT, KINDS };

struct edit {
    enum edit_kind kind;
    size_t at; /* in the bytes of its direction */
    char value;
};

#define EDITS_MAX 8

struct way {
    int from, to;
    size_t piece, at;
    struct edit edits[EDITS_MAX];
    size_t count;
};

static size_t moved; /* in all, to see a standstill */

/* The byte at a place, as it goes on: none, one or two. false: cut. */
static bool alter(const struct way *way, size_t at, char byte, char *out, size_t *n)
{
    bool lost = false;
    for (size_t i = 0; i < way->count; i++) {
        const struct edit *edit = &way->edits[i];
        if (edit->at != at)
            continue;
        if (edit->kind == CUT)
            return false;
        lost = lost || edit->kind == LOSE;
        if (edit->kind == CHANGE)
            byte = (char)(byte ^ edit->value);
        if (edit->kind == ADD)
            out[(*n)++] = edit->value;
    }
    if (!lost)
        out[(*n)++] = byte;
    return true;
}

ASYNC(carries, struct way *, way)
{
    char in[600], out[600 * (EDITS_MAX + 1)];
    ssize_t n;
    bool goes_on = true;
    while (goes_on && (n = asyncio_sock_recv(way->from, in, way->piece, 0)) > 0) {
        size_t count = 0;
        for (ssize_t i = 0; i < n && goes_on; i++)
            goes_on = alter(way, way->at++, in[i], out, &count);
        moved += (size_t)n;
        if (count && asyncio_sock_sendall(way->to, out, count, 0) < 0)
            break;
    }
    shutdown(way->to, SHUT_WR);
    if (!goes_on)
        shutdown(way->from, SHUT_RD);
    moved++;
    return 0;
}

static struct way take_way(struct input *input, int from, int to)
{
    struct way way = {.from = from, .to = to, .piece = 1 + take_byte(input) * 2u};
    way.count = take_byte(input) % (EDITS_MAX + 1);
    for (size_t i = 0; i < way.count; i++) {
        way.edits[i].kind = (enum edit_kind)(take_byte(input) % KINDS);
        way.edits[i].at = take_number(input) % 6000;
        way.edits[i].value = (char)take_byte(input);
    }
    return way;
}

/* A lost byte leaves both sides waiting for it: then the connection ends. */
static void end_standstill(asyncio_task *const sides[2], const struct way ways[2])
{
    for (int quiet = 0; quiet < 500; quiet++) {
        size_t before = moved;
        if (asyncio_done(sides[0]) && asyncio_done(sides[1]))
            return;
        asyncio_sleep(0);
        if (moved != before)
            quiet = 0;
    }
    for (int i = 0; i < 2; i++)
        shutdown(ways[i].from, SHUT_RDWR);
}

ASYNC(between, struct input *, input)
{
    int client[2], server[2];
    size_t heard[2] = {0, 0};
    make_pair(SOCK_STREAM, client);
    make_pair(SOCK_STREAM, server);
    struct way ways[2];
    ways[0] = take_way(input, client[1], server[1]);
    ways[1] = take_way(input, server[1], client[1]);
    bool honest = ways[0].count + ways[1].count == 0;
    asyncio_task *sides[2] = {asyncio_create_task(side(client[0], client_tls, &heard[0])),
                              asyncio_create_task(side(server[0], server_tls, &heard[1]))};
    asyncio_task *carriers[2] = {asyncio_create_task(carries(&ways[0])),
                                 asyncio_create_task(carries(&ways[1]))};
    if (!honest)
        end_standstill(sides, ways);
    for (int i = 0; i < 2; i++) {
        intptr_t result = asyncio_await(sides[i]);
        MUST(!honest || (result == 0 && heard[i] == SAID));
    }
    MUST(asyncio_gather(NULL, carriers[0], carriers[1]) == 0);
    asyncio_close(client[1]);
    asyncio_close(server[1]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    make_contexts();
    switch (take_byte(&input) % 3) {
    case 0:
        fuzz_run(told(&input, client_tls));
        break;
    case 1:
        fuzz_run(told(&input, server_tls));
        break;
    default:
        fuzz_run(between(&input));
    }
    return 0;
}
