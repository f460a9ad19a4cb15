/*
 * Reading from a stream, against a model: random bytes come in random pieces, and random
 * calls read them, among them calls that are cancelled; a string and an offset say what
 * each of them must return.
 */
#include "base/random.h"
#include "fd/stream.h"
#include "fd/stream_test.h"
#include <sys/ioctl.h>

#define TEXT_MAX 60000

struct model {
    struct random random;
    char text[TEXT_MAX]; /* what is sent */
    size_t length;
    size_t read; /* how much of it the program has */
    size_t limit;
    int fd, peer;
};

static struct model model;

static size_t choose(size_t below)
{
    return (size_t)asy_random_below(&model.random, below);
}

/* Few different letters, so that separators, and beginnings of them, are frequent. */
static void make_text(void)
{
    static const char letters[] = "aab-\n\0";
    model.length = choose(choose(6) ? 4000 : TEXT_MAX);
    size_t kinds = 3 + choose(4);
    for (size_t i = 0; i < model.length; i++)
        model.text[i] = letters[choose(kinds)];
    model.read = 0;
    model.limit = 1 + choose(choose(2) ? 20 : 20000);
}

/* Gives the reader time to take what was sent: all of it, if it wants that much. */
static void let_read(int turns)
{
    int unread = 1;
    for (; unread && turns; turns--) {
        asyncio_sleep(0);
        CHECK_EQUAL(ioctl(model.fd, FIONREAD, &unread), 0);
    }
}

/* Pieces of one to many bytes, with more or less time between them; then the end. */
ASYNC(sends)
{
    size_t piece = 1 + choose(model.length > 4000 ? 5000 : choose(2) ? 8 : 500);
    for (size_t sent = 0; sent < model.length;) {
        size_t n = 1 + choose(piece);
        n = n < model.length - sent ? n : model.length - sent;
        if (send(model.peer, model.text + sent, n, MSG_NOSIGNAL) != (ssize_t)n)
            return -EIO;
        sent += n;
        if (choose(4))
            let_read(30);
    }
    return shutdown(model.peer, SHUT_WR);
}

/* ---- What each call must do -------------------------------------------------------------- */

static size_t left(void)
{
    return model.length - model.read;
}

static void check_taken(const char *data, ssize_t n)
{
    CHECK(n >= 0 && (size_t)n <= left());
    CHECK(memcmp(data, model.text + model.read, (size_t)n) == 0);
    model.read += (size_t)n;
}

/* How much readuntil returns: a length, 0 at the end, or ASYNCIO_ELIMIT. */
static ssize_t expected_until(const char *separator, size_t length)
{
    const char *from = model.text + model.read;
    const char *found = left() ? memmem(from, left(), separator, length) : NULL;
    size_t before = found ? (size_t)(found - from) : left() >= length ? left() - length + 1 : 0;
    if (before > model.limit)
        return ASYNCIO_ELIMIT;
    return found ? (ssize_t)(before + length) : 0;
}

static void check_until(asyncio_stream *stream, const char *separator, size_t length)
{
    char *data = NULL;
    bool is_line = *separator == '\n' && length == 1 && choose(2);
    ssize_t expected = expected_until(separator, length);
    if (expected == 0)
        expected = is_line ? (ssize_t)left() : ASYNCIO_EINCOMPLETE;
    ssize_t n = is_line ? asyncio_stream_readline(stream, &data)
                        : asyncio_stream_readuntil(stream, separator, length, &data);
    CHECK_EQUAL(n, expected);
    if (n <= 0 || n != expected)
        return;
    CHECK_EQUAL(data[n], '\0');
    check_taken(data, n);
}

static void check_exactly(asyncio_stream *stream, char *buf)
{
    size_t n = choose(left() + 20);
    if (choose(4))
        n = choose(10);
    ssize_t got = asyncio_stream_readexactly(stream, buf, n);
    CHECK_EQUAL(got, n <= left() ? (ssize_t)n : ASYNCIO_EINCOMPLETE);
    if (got > 0)
        check_taken(buf, got);
}

static void check_read(asyncio_stream *stream, char *buf)
{
    size_t n = 1 + choose(choose(2) ? 10 : 3000);
    ssize_t got = asyncio_stream_read(stream, buf, n);
    CHECK(got >= 0 && (size_t)got <= n);
    CHECK((got == 0) == (left() == 0));
    if (got > 0)
        check_taken(buf, got);
}

/* A read that may be cut short has taken everything, or nothing. */
static void check_cancelled(asyncio_stream *stream, char *buf)
{
    size_t n = 1 + choose(choose(3) ? 300 : 20000);
    asyncio_task *reader = asyncio_create_task(read_exactly(stream, buf, n));
    for (size_t turns = choose(4); turns; turns--)
        asyncio_sleep(0);
    asyncio_cancel(reader);
    intptr_t got = asyncio_await(reader);
    if (got > 0)
        check_taken(buf, got);
    else
        CHECK(got == -ECANCELED || (got == ASYNCIO_EINCOMPLETE && n > left()));
}

ASYNC(main_model)
{
    static char buf[TEXT_MAX + 100]; /* more than anybody asks for */
    static const struct {
        const char *text;
        size_t length;
    } separators[] = {{"\n", 1}, {"\0", 1}, {"--", 2}, {"a-", 2}, {"ab-\n", 4}, {"aaa", 3}, {"\n\n", 2}};
    asyncio_stream *stream = stream_with_limit(&model.peer, model.limit);
    model.fd = asyncio_stream_fd(stream);
    asyncio_task *sender = asyncio_create_task(sends());
    for (bool ended = false; !ended;) {
        size_t which = choose(sizeof separators / sizeof *separators);
        switch (choose(8)) {
        case 0:
            check_exactly(stream, buf);
            break;
        case 1:
        case 2:
            check_read(stream, buf);
            break;
        case 3:
            check_cancelled(stream, buf);
            break;
        default:
            check_until(stream, separators[which].text, separators[which].length);
        }
        CHECK(asyncio_stream_buffered(stream) <= left());
        CHECK(stream->in.capacity <= model.limit + TEXT_MAX + 3 * 16384);
        ended = asyncio_stream_at_eof(stream) || harness_failures();
    }
    CHECK_EQUAL(asyncio_await(sender), 0);
    CHECK_EQUAL(left(), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(model.peer);
    return 0;
}

static void one_model(uint64_t seed)
{
    asy_random_seed(&model.random, seed);
    make_text();
    CHECK_EQUAL(run(main_model), 0);
}

TEST(model)
{
    for_each_seed(one_model);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
