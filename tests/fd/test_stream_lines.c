/*
 * Streams: reading by lines and separators.
 */
#include "core/loop.h"
#include "fd/stream.h"
#include "fd/stream_test.h"
#include "support/ledger.h"
#include <fcntl.h>
#include <pthread.h>

/* ---- Lines ------------------------------------------------------------------------------- */

/* However the bytes come, the same lines go out. */
ASYNC_TEST(behaviour_52_chunks)
{
    static const char text[] = "one\ntwo\r\n\n\0zero\nlast";
    static const size_t lengths[] = {4, 5, 1, 6, 4, 0};
    for (size_t chunk = 1; chunk <= sizeof text; chunk++) {
        int peer;
        asyncio_stream *stream = stream_to(&peer, NULL);
        size_t at = 0, sent = 0, total = sizeof text - 1;
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            char *line = NULL;
            asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
            while (asyncio_sleep(0) == 0 && !asyncio_done(reader) && sent < total) {
                size_t n = total - sent < chunk ? total - sent : chunk;
                CHECK_EQUAL(send(peer, text + sent, n, 0), n);
                sent += n;
                settle();
                if (sent == total)
                    CHECK_EQUAL(shutdown(peer, SHUT_WR), 0);
            }
            CHECK_EQUAL(asyncio_await(reader), lengths[i]);
            if (!lengths[i])
                break;
            CHECK(memcmp(line, text + at, lengths[i]) == 0);
            CHECK_EQUAL(line[lengths[i]], '\0');
            at += lengths[i];
        }
        CHECK_EQUAL(at, total);
        CHECK(asyncio_stream_at_eof(stream));
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
        close(peer);
    }
    return 0;
}

/* A separator of several bytes, cut in every place; what looks like its beginning is not it. */
ASYNC_TEST(behaviour_52_split_separator)
{
    static const char text[] = "a--b-=--=-=c--=-=";
    for (size_t cut = 1; cut < 16; cut++) {
        int peer;
        char *data = NULL;
        asyncio_stream *stream = stream_to(&peer, NULL);
        CHECK_EQUAL(send(peer, text, cut, 0), cut);
        settle();
        CHECK_EQUAL(asyncio_stream_buffered(stream), 0);
        char first;
        CHECK_EQUAL(asyncio_stream_read(stream, &first, 1), 1);
        CHECK_EQUAL(asyncio_stream_buffered(stream), cut - 1);
        CHECK_EQUAL(send(peer, text + cut, 17 - cut, 0), 17 - cut);
        CHECK_EQUAL(asyncio_stream_readuntil(stream, "--=-=", 5, &data), 10);
        CHECK_TEXT(data, "--b-=--=-=");
        CHECK_EQUAL(asyncio_stream_readuntil(stream, "-=-=", 4, &data), 6);
        CHECK_TEXT(data, "c--=-=");
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
        close(peer);
    }
    return 0;
}

/* The limit counts what stands before the separator; what is beyond it stays. */
ASYNC_TEST(behaviour_52_limit)
{
    char buf[64], *line = NULL;
    int peer;
    asyncio_stream *stream = stream_with_limit(&peer, 8);
    /* Just within. */
    peer_sends(peer, "12345678\nabcdefgh--");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 9);
    CHECK_TEXT(line, "12345678\n");
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "--", 2, &line), 10);
    CHECK_TEXT(line, "abcdefgh--");
    /* Found, but beyond. */
    peer_sends(peer, "123456789\nrest\n");
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), ASYNCIO_ELIMIT);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 15);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "5", 1, &line), 5);
    CHECK_TEXT(line, "12345");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 5);
    CHECK_TEXT(line, "6789\n");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 5);
    /* Not found: it would be beyond. */
    peer_sends(peer, "12345678");
    asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
    settle();
    CHECK(!asyncio_done(reader));
    peer_sends(peer, "9");
    CHECK_EQUAL(asyncio_await(reader), ASYNCIO_ELIMIT);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 9), 9);
    CHECK(memcmp(buf, "123456789", 9) == 0);
    /* Part of the separator may be part of what is there. */
    peer_sends(peer, "12345678-");
    asyncio_task *until = asyncio_create_task(read_line(stream, &line));
    settle();
    CHECK_EQUAL(asyncio_await(until), ASYNCIO_ELIMIT);
    peer_sends(peer, "-");
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "--", 2, &line), 10);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

ASYNC_TEST(behaviour_52_end)
{
    char buf[64], *line = NULL;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    peer_sends(peer, "partial");
    shutdown(peer, SHUT_WR);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_stream_readuntil(stream, "\n", 1, &line), ASYNCIO_EINCOMPLETE);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 8), ASYNCIO_EINCOMPLETE);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 7);
    CHECK(!asyncio_stream_at_eof(stream));
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 3), 3);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 4);
    CHECK_TEXT(line, "tial");
    CHECK(asyncio_stream_at_eof(stream));
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), 0);
        CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), 0);
        CHECK_EQUAL(asyncio_stream_readuntil(stream, "\n", 1, &line), ASYNCIO_EINCOMPLETE);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 1), ASYNCIO_EINCOMPLETE);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 0), 0);
    }
    /* The other direction goes on. */
    CHECK_EQUAL(asyncio_stream_write(stream, "bye", 3), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(read(peer, buf, sizeof buf), 3);
    close(peer);
    return 0;
}

/* The byte that a line's NUL stands on comes back, whatever is called next. */
ASYNC_TEST(covered)
{
    char buf[16] = "", *line = NULL;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    peer_sends(peer, "a\nb\ncdef\ng");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 2);
    CHECK_TEXT(line, "a\n");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 2);
    CHECK_TEXT(line, "b\n");
    CHECK_EQUAL(asyncio_stream_buffered(stream), 6);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 0), 0);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 2), 2);
    CHECK_TEXT(buf, "cd");
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "e", 1, &line), 1);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 2), 2);
    CHECK_TEXT(buf, "f\n");
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "g", 1, &line), 1);
    CHECK_TEXT(line, "g");
    /* Handed out and followed by nothing; a cancelled read in between. */
    CHECK_EQUAL(asyncio_wait_for(read_some(stream, buf, 4), 0.001), -ETIMEDOUT);
    peer_sends(peer, "x\ny\n");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 2);
    CHECK_EQUAL(asyncio_wait_for(read_exactly(stream, buf, 4), 0.001), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 2);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 2);
    CHECK_TEXT(line, "y\n");
    /* Closed with a line in use. */
    peer_sends(peer, "x\ny\n");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 2);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
