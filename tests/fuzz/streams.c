/*
 * Fuzzed: reading from a stream. The input is a list of commands: bytes that the peer sends, in
 * any pieces, calls that read them, with any limit, and cancels of these. A string and an offset
 * say what each call returns, and whether it may wait.
 */
#include "fuzz/fuzz.h"
#include <errno.h>

#define SENT_MAX 8192 /* fits into a socket */

enum call { READ, EXACTLY, LINE, UNTIL, CALLS };

/* What a reader was asked for, and what it got. */
struct reader {
    asyncio_task *task; /* NULL: none waits */
    enum call call;
    size_t n;           /* bytes asked for, or those of the separator */
    char separator[4];
    char buf[SENT_MAX]; /* of READ and EXACTLY */
    char *data;         /* where the bytes are */
};

static struct {
    asyncio_stream *stream;
    int peer;
    size_t limit;
    char sent[SENT_MAX];
    size_t length, read;
    bool ended;
    struct reader reader;
} model;

#define WOULD_WAIT INTPTR_MIN

/* ---- The model ------------------------------------------------------------------------------ */

static intptr_t expected_until(const struct reader *reader, size_t left)
{
    const char *from = model.sent + model.read;
    const char *found = left >= reader->n ? memmem(from, left, reader->separator, reader->n) : NULL;
    size_t before = found ? (size_t)(found - from) : left >= reader->n ? left - reader->n + 1 : 0;
    if (before > model.limit)
        return ASYNCIO_ELIMIT;
    if (found)
        return (intptr_t)(before + reader->n);
    if (!model.ended)
        return WOULD_WAIT;
    return reader->call == LINE ? (intptr_t)left : ASYNCIO_EINCOMPLETE;
}

/* What the call returns once all that was sent has come. Of READ: at most that. */
static intptr_t expected(const struct reader *reader)
{
    size_t left = model.length - model.read;
    switch (reader->call) {
    case READ:
        if (reader->n == 0 || left)
            return (intptr_t)(reader->n < left ? reader->n : left);
        return model.ended ? 0 : WOULD_WAIT;
    case EXACTLY:
        if (reader->n <= left)
            return (intptr_t)reader->n;
        return model.ended ? ASYNCIO_EINCOMPLETE : WOULD_WAIT;
    default:
        return expected_until(reader, left);
    }
}

static void check(const struct reader *reader, intptr_t result, intptr_t wanted)
{
    if (reader->call == READ && wanted > 0)
        MUST(result > 0 && result <= wanted);
    else
        MUST(result == wanted);
    if (result > 0) {
        MUST(memcmp(reader->data, model.sent + model.read, (size_t)result) == 0);
        MUST(reader->call < LINE || reader->data[result] == '\0');
        model.read += (size_t)result;
    }
    MUST(asyncio_stream_buffered(model.stream) <= model.length - model.read);
}

/* ---- The calls --------------------------------------------------------------------------------- */

static intptr_t call(struct reader *reader)
{
    reader->data = reader->buf;
    switch (reader->call) {
    case READ:
        return asyncio_stream_read(model.stream, reader->buf, reader->n);
    case EXACTLY:
        return asyncio_stream_readexactly(model.stream, reader->buf, reader->n);
    case LINE:
        return asyncio_stream_readline(model.stream, &reader->data);
    default:
        return asyncio_stream_readuntil(model.stream, reader->separator, reader->n, &reader->data);
    }
}

ASYNC(calls, struct reader *, reader)
{
    return call(reader);
}

/* Ends it, if all that it needs is there. */
static void look_at_reader(void)
{
    struct reader *reader = &model.reader;
    intptr_t wanted = reader->task ? expected(reader) : WOULD_WAIT;
    if (wanted == WOULD_WAIT)
        return;
    intptr_t result = asyncio_await(reader->task);
    reader->task = NULL;
    check(reader, result, wanted);
}

static void begin_reader(struct input *input, enum call which)
{
    struct reader second = {.call = READ, .n = 1};
    if (model.reader.task) { /* one reads already */
        MUST(call(&second) == ASYNCIO_ESTATE);
        return;
    }
    struct reader *reader = &model.reader;
    reader->call = which;
    if (which == UNTIL) {
        const uint8_t *separator;
        reader->n = take_bytes(input, &separator, 1 + take_byte(input) % sizeof reader->separator);
        if (!reader->n) {
            MUST(call(reader) == -EINVAL);
            return;
        }
        memcpy(reader->separator, separator, reader->n);
    } else if (which == LINE) {
        reader->n = 1;
        reader->separator[0] = '\n';
    } else {
        reader->n = (take_byte(input) & 1 ? take_byte(input) : take_number(input)) % sizeof reader->buf;
    }
    reader->task = asyncio_create_task(calls(reader));
    asyncio_sleep(0); /* it is the stream's reader from here on */
    look_at_reader();
}

/* A call that is cancelled has taken nothing. */
static void cancel_reader(void)
{
    struct reader *reader = &model.reader;
    asyncio_cancel(reader->task);
    if (!reader->task)
        return;
    asyncio_sleep(0);
    MUST(asyncio_await(reader->task) == -ECANCELED);
    reader->task = NULL;
}

static void peer_sends(struct input *input)
{
    const uint8_t *bytes;
    size_t room = sizeof model.sent - model.length;
    size_t n = take_bytes(input, &bytes, take_byte(input));
    n = model.ended ? 0 : n < room ? n : room;
    if (n == 0)
        return;
    MUST(send(model.peer, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    memcpy(model.sent + model.length, bytes, n);
    model.length += n;
}

/* The same byte many times: lines that are longer than any input. */
static void peer_sends_more(struct input *input)
{
    uint8_t block[2 + 255] = {255};
    memset(block + 1, (int)take_byte(input), sizeof block - 1);
    for (unsigned times = take_byte(input) % 8 + 1; times; times--) {
        struct input again = {block, sizeof block};
        peer_sends(&again);
    }
}

static void peer_ends(void)
{
    MUST(shutdown(model.peer, SHUT_WR) == 0 || errno == ENOTCONN);
    model.ended = true;
}

ASYNC(conversation, struct input *, input)
{
    while (input->left) {
        unsigned command = take_byte(input) % 16;
        if (command < 6)
            peer_sends(input);
        else if (command < 6 + CALLS)
            begin_reader(input, (enum call)(command - 6));
        else if (command == 10)
            peer_sends_more(input);
        else if (command == 11)
            peer_ends();
        else if (command == 12)
            cancel_reader();
        else
            asyncio_sleep(0);
        look_at_reader();
    }
    peer_ends();
    look_at_reader();
    MUST(!model.reader.task);
    MUST(asyncio_stream_at_eof(model.stream) <= (model.read == model.length));
    return 0;
}

ASYNC(fuzz_main, struct input *, input)
{
    int fds[2];
    make_pair(SOCK_STREAM, fds);
    model.limit = take_byte(input) & 1 ? take_byte(input) + 1u : take_number(input) + 1u;
    asyncio_connect_options options = {.limit = model.limit};
    MUST(asyncio_stream_from_fd(fds[0], &options, &model.stream) == 0);
    model.peer = fds[1];
    intptr_t result = asyncio_await(conversation(input));
    MUST(asyncio_stream_close(model.stream) == 0);
    close(model.peer);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    model.length = model.read = 0;
    model.ended = false;
    fuzz_run(fuzz_main(&input));
    return 0;
}
