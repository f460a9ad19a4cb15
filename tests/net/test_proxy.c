/*
 * PROXY headers: by the specification and against it, a byte at a time, cut off, too late; and who the peer
 * is afterwards.
 */
#include "net/proxy.h"
#include "net/server_test.h"

struct header_case {
    int version;
    const char *bytes;
    size_t n;
    const char *peer; /* NULL: malformed; "": the connection's own */
};

#define V1(text, peer)                                                                                       \
    {                                                                                                        \
        1, text, sizeof text - 1, peer                                                                       \
    }
#define V2(text, peer)                                                                                       \
    {                                                                                                        \
        2, text, sizeof text - 1, peer                                                                       \
    }
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ADDRESSES_4 "\xc0\0\x02\x01\xc6\x33\x64\x07\x13\x88\0\x50"
#define ADDRESS_6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define ZEROS_36 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_108 ZEROS_36 ZEROS_36 ZEROS_36
#define X_100                                                                                                \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct header_case cases[] = {
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80\r\n", "192.0.2.1:5000"),
    V1("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0"),
    V1("PROXY TCP6 2001:db8::1 ::1 65535 443\r\n", "[2001:db8::1]:65535"),
    V1("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
       "65535\r\n",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    V1("PROXY UNKNOWN\r\n", ""),
    V1("PROXY UNKNOWN ffff::1 whatever it likes\r\n", ""),
    V1("PROXY UNKNOWN "
       "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n",
       ""), /* 107 bytes */
    V1("GET / HTTP/1.1\r\n", NULL),
    V1("proxy TCP4 192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY\r\n", NULL),
    V1("PROXY \r\n", NULL),
    V1("PROXY  TCP4 192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP4  192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80 \r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80 1\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 05000 80\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 65536 80\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 -1 80\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 8x\r\n", NULL),
    V1("PROXY TCP4 192.0.2.01 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP4 192.0.2 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP4 example.org 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP4 ::1 ::1 5000 80\r\n", NULL),
    V1("PROXY TCP6 192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY TCP6 fe80::1%eth0 ::1 5000 80\r\n", NULL),
    V1("PROXY UDP4 192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY UNKNOWNS\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80\n", NULL),
    V1("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80\r\r\n", NULL),
    V1("PROXY TCP4 192.0.2.1\0 198.51.100.7 5000 80\r\n", NULL),
    V1("PROXY UNKNOWN " X_100 "\r\n", NULL),
    V1(SIGNATURE "\x21\x11\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x11\0\x0c" ADDRESSES_4, "192.0.2.1:5000"),
    V2(SIGNATURE "\x21\x12\0\x0c" ADDRESSES_4, "192.0.2.1:5000"),
    V2(SIGNATURE "\x21\x11\0\x11" ADDRESSES_4 "\x04\0\x02hi", "192.0.2.1:5000"),
    V2(SIGNATURE "\x21\x11\0\x70" ADDRESSES_4 X_100, "192.0.2.1:5000"),
    V2(SIGNATURE "\x21\x21\0\x24" ADDRESS_6 ADDRESS_6 "\x01\xbb\0\x50", "[2001:db8::1]:443"),
    V2(SIGNATURE "\x21\x31\0\xd8/run/client.sock" ZEROS_36 ZEROS_36
                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_108,
       "/run/client.sock"),
    V2(SIGNATURE "\x21\x31\0\xd8" ZEROS_108 ZEROS_108, "a Unix socket"),
    V2(SIGNATURE "\x20\0\0\0", ""),
    V2(SIGNATURE "\x20\x11\0\x0c" ADDRESSES_4, ""),
    V2(SIGNATURE "\x20\xff\0\x03"
                 "abc",
       ""),
    V2(SIGNATURE "\x21\0\0\0", ""),
    V2(SIGNATURE "\x21\0\0\x04"
                 "junk",
       ""),
    V2("PROXY TCP4 192.0.2.1 198.51.100.7 5000 80\r\n", NULL),
    V2("GET / HTTP/1.1\r\n\r\n", NULL),
    V2("\r\n\r\n\0\r\nQUIT\r", NULL),
    V2(SIGNATURE "\x11\x11\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x31\x11\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x22\x11\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x41\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x13\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x10\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x11\0\x0b" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x21\0\x0c" ADDRESSES_4, NULL),
    V2(SIGNATURE "\x21\x31\0\xd7" ZEROS_108 ZEROS_108, NULL),
};
#define CASES (sizeof cases / sizeof *cases)

/* ---- The parser ------------------------------------------------------------------------- */

/* With each number of bytes: it asks for more until it knows, and then it knows for good. */
TEST(each_prefix)
{
    for (size_t i = 0; i < CASES; i++) {
        const struct header_case *one = &cases[i];
        bool is_known = false;
        for (size_t n = 0; n <= one->n; n++) {
            struct proxy_header header;
            const char *words = NULL;
            unsigned char *copy = malloc(n ? n : 1);
            memcpy(copy, one->bytes, n);
            int result = asy_proxy_parse(one->version, copy, n, &header, &words);
            free(copy);
            CHECK(!is_known || result != 0);
            is_known = result != 0;
            if (n == one->n && result != (one->peer ? 1 : -EPROTO))
                harness_failed(__FILE__, __LINE__, "case %zu: %d", i, result);
            if (result == 1)
                CHECK_EQUAL(header.length, one->n);
            if (result < 0)
                CHECK(!one->peer && words);
        }
    }
    harness_settle();
}

/* ---- Through a server ----------------------------------------------------------------------- */

/* What the handler saw of its client: the address, and its text. */
static char seen_peer[128], seen_text[128];

ASYNC(tells_peer, asyncio_stream *, stream)
{
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;
    char *line;
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&peer, &length), 0);
    asy_address_text((struct sockaddr *)&peer, seen_peer);
    snprintf(seen_text, sizeof seen_text, "%s", asyncio_stream_peer(stream));
    ssize_t n = asyncio_stream_readline(stream, &line);
    return n > 0 ? asyncio_stream_write(stream, line, (size_t)n) : n;
}

static asyncio_coro *peer_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return tells_peer(stream);
}

/* The header, with what follows it, in pieces of so many bytes. */
static void send_header(int client, const struct header_case *one, size_t piece)
{
    char all[1024];
    memcpy(all, one->bytes, one->n);
    memcpy(all + one->n, "hi\n", 3);
    for (size_t at = 0, n; at < one->n + 3; at += n) {
        n = piece < one->n + 3 - at ? piece : one->n + 3 - at;
        if (send(client, all + at, n, MSG_NOSIGNAL) < 0)
            return; /* it was aborted */
        if (n == piece)
            asyncio_sleep(0);
    }
}

static void own_address(int client, char text[ASY_ADDRESS_TEXT])
{
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    getsockname(client, (struct sockaddr *)&name, &length);
    asy_address_text((struct sockaddr *)&name, text);
}

static void check_case(asyncio_server *server, const struct header_case *one, size_t piece)
{
    char own[ASY_ADDRESS_TEXT], echo[8];
    int client = client_of(server), on = 1;
    setsockopt(client, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    own_address(client, own);
    report_count = 0;
    *seen_peer = '\0';
    send_header(client, one, piece);
    if (one->peer) {
        ssize_t n = 0;
        for (int i = 0; i < 20000 && n < 3; i++) {
            ssize_t got = recv(client, echo + n, sizeof echo - (size_t)n, MSG_DONTWAIT);
            n += got > 0 ? got : 0;
            asyncio_sleep(got > 0 ? 0 : 0.0002);
        }
        CHECK(n == 3 && memcmp(echo, "hi\n", 3) == 0);
        CHECK_TEXT(seen_peer, *one->peer ? one->peer : own);
        CHECK_TEXT(seen_text, seen_peer);
        CHECK_EQUAL(report_count, 0);
    } else {
        ssize_t end = seen_by(client); /* 0: a send has had the error */
        CHECK(end == -ECONNRESET || (end == 0 && piece == 1));
        CHECK_TEXT(seen_peer, "");
        CHECK_EQUAL(report_count, 1);
        CHECK_EQUAL(reports[0].error, -EPROTO);
        CHECK_TEXT(reports[0].peer, own);
    }
    close(client);
}

static void check_all(size_t piece)
{
    for (int version = 1; version <= 2; version++) {
        asyncio_server_options options = {.proxy_protocol = version};
        asyncio_server *server = serve(peer_handler, NULL, &options);
        for (size_t i = 0; i < CASES; i++)
            if (cases[i].version == version)
                check_case(server, &cases[i], piece);
        finish(server);
    }
    report_count = 0;
}

ASYNC_TEST(whole)
{
    check_all(1000);
    return 0;
}

ASYNC_TEST(byte_by_byte)
{
    check_all(1);
    return 0;
}

/* The largest header there is: what follows its addresses is not kept. */
ASYNC_TEST(largest)
{
    static char all[16 + 65535 + 3] = SIGNATURE "\x21\x11\xff\xff" ADDRESSES_4;
    asyncio_server_options options = {.proxy_protocol = 2, .limit = 16};
    asyncio_server *server = serve(peer_handler, NULL, &options);
    int client = client_of(server);
    memcpy(all + sizeof all - 3, "hi\n", 3);
    for (size_t at = 0; at < sizeof all;) {
        ssize_t n = send(client, all + at, sizeof all - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        asyncio_sleep(0);
    }
    CHECK_EQUAL(seen_by(client), 3);
    CHECK_TEXT(seen_peer, "192.0.2.1:5000");
    close(client);
    finish(server);
    return 0;
}

/* A client that says nothing and goes is not worth a report; one that goes amid its header is. */
ASYNC_TEST(cut_off)
{
    asyncio_server_options options = {.proxy_protocol = 1};
    asyncio_server *server = serve(peer_handler, NULL, &options);
    int client = client_of(server);
    close(client);
    settle();
    CHECK_EQUAL(report_count, 0);
    client = client_of(server);
    CHECK_EQUAL(send(client, "PROXY TCP4 ", 11, 0), 11);
    settle();
    shutdown(client, SHUT_WR);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    CHECK_EQUAL(report_count, 1);
    CHECK_EQUAL(reports[0].error, -EPROTO);
    report_count = 0;
    close(client);
    finish(server);
    return 0;
}

ASYNC(fails, asyncio_stream *, stream)
{
    (void)stream;
    return -EIO;
}

static asyncio_coro *failing(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return fails(stream);
}

/* Reports have the named peer, a path, too, and after the stream has gone. */
ASYNC_TEST(reported_peer)
{
    for (size_t i = 0; i < CASES; i++) {
        if (!cases[i].peer || !*cases[i].peer)
            continue;
        asyncio_server_options options = {.proxy_protocol = cases[i].version};
        asyncio_server *server = serve(failing, NULL, &options);
        int client = client_of(server);
        report_count = 0;
        CHECK_EQUAL(send(client, cases[i].bytes, cases[i].n, 0), cases[i].n);
        seen_by(client);
        CHECK_EQUAL(report_count, 1);
        CHECK_TEXT(reports[0].peer, cases[i].peer);
        close(client);
        finish(server);
    }
    report_count = 0;
    return 0;
}

/* The server's end of it all, while a header is awaited, or the rest of one: no report, it was the server. */
ASYNC_TEST(ends_amid_header)
{
    for (int way = 0; way < 8; way++) {
        asyncio_server_options options = {.proxy_protocol = 1};
        asyncio_server *server = serve(peer_handler, NULL, &options);
        int client = client_of(server);
        if (way >= 4)
            CHECK_EQUAL(send(client, "PROXY TCP4 ", 11, 0), 11);
        settle();
        if (way % 4 == 0)
            asyncio_server_close_clients(server);
        if (way % 4 == 3)
            asyncio_server_abort_clients(server);
        asyncio_server_close(server);
        CHECK_EQUAL(asyncio_server_wait_closed(server, way % 4 == 1 ? 0.01 : 0), 0);
        asyncio_server_release(server);
        CHECK(seen_by(client) <= 0);
        CHECK_EQUAL(report_count, 0);
        close(client);
    }
    return 0;
}

/* The whole ten seconds. */
ASYNC_TEST(too_late)
{
    if (!is_thorough())
        return 0;
    asyncio_server_options options = {.proxy_protocol = 1};
    asyncio_server *server = serve(peer_handler, NULL, &options);
    int client = client_of(server);
    double start = asyncio_time();
    CHECK_EQUAL(send(client, "PROXY TCP4 ", 11, 0), 11);
    asyncio_sleep(9.5);
    CHECK_EQUAL(report_count, 0);
    for (int i = 0; i < 100 && !report_count; i++)
        asyncio_sleep(0.1);
    CHECK(asyncio_time() - start >= 10);
    CHECK_EQUAL(reports[0].error, -ETIMEDOUT);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    report_count = 0;
    close(client);
    finish(server);
    return 0;
}

ASYNC_TEST(bad_versions)
{
    static const int bad[] = {-1, 3, 1000};
    asyncio_server *server = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        asyncio_server_options options = {.proxy_protocol = bad[i]};
        CHECK_EQUAL(asyncio_start_server(peer_handler, NULL, "127.0.0.1", 0, &options, &server), -EINVAL);
        CHECK_HAS(asyncio_error_message(), "proxy_protocol");
    }
    return 0;
}

/* ---- What fails ------------------------------------------------------------------------------- */

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

ASYNC(main_unix_peer)
{
    static const struct header_case *one;
    for (one = cases; !(one->peer && *one->peer == '/'); one++)
        ;
    asyncio_server_options options = {.proxy_protocol = 2};
    asyncio_connect_options with = {.limit = 0};
    asyncio_server *server = NULL;
    asyncio_stream *stream = NULL;
    char *line;
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), ignore_report, NULL);
    int err = asyncio_start_server(peer_handler, NULL, "127.0.0.1", 0, &options, &server);
    if (!err)
        err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), &with, &stream);
    if (!err)
        err = asyncio_stream_write(stream, one->bytes, one->n);
    if (!err)
        err = asyncio_stream_write(stream, "hi\n", 3);
    ssize_t n = err ? err : asyncio_stream_readline(stream, &line);
    asyncio_stream_abort(stream);
    asyncio_server_release(server);
    return n == 3 ? 0 : n < 0 ? n : -ECONNRESET;
}

TEST(sweeps)
{
    sweep_failures(main_unix_peer);
    sweep_cancels(main_unix_peer, NULL);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
