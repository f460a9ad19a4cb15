/*
 * What a client may call its server: names and addresses in their spellings, which of them it asks
 * for (SNI), and what is neither.
 */
#include "tls/tls_test.h"

/* Connects, wanting this; what each side says that the client asked for. */
static void check_asked(const char *name, const char *asked)
{
    struct pair pair;
    asyncio_tls_info info;
    pair_init(&pair);
    pair_connect(&pair, name);
    if (pair.client_err || pair.server_err) {
        harness_failed(__FILE__, __LINE__, "%s: %s", name, asyncio_error_message());
    } else {
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK_TEXT(info.server_name, asked);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK_TEXT(info.server_name, asked);
        check_echo(&pair);
    }
    pair_destroy(&pair);
}

ASYNC_TEST(spellings)
{
    check_asked("server.test", "server.test");
    check_asked("server.test.", "server.test");
    check_asked("SERVER.Test", "server.test");
    check_asked("xn--bcher-kva.wild.test", "xn--bcher-kva.wild.test");
    return 0;
}

/* No address is asked for, and each is looked for among the certificate's addresses. */
ASYNC_TEST(addresses)
{
    static const char *const addresses[] = {
        "127.0.0.1", "127.0.0.1.", "127.1",   "0x7F.0.0.1",   "2130706433",   "::1",
        "[::1]",     "0:0:0::0:1", "fe80::1", "fe80::1%eth0", "FE80::1%eth0", "[fe80::1%2]",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        check_asked(addresses[i], "");
    return 0;
}

/* A handshake that the client refuses with these words. */
static void check_mismatch(const char *name, const char *words)
{
    struct pair pair;
    pair_init(&pair);
    pair_connect(&pair, name);
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), words);
    asyncio_stream_abort(pair.server);
    pair.server = NULL;
    pair_destroy(&pair);
}

/* Reports name the server as the program does. */
ASYNC_TEST(mismatches)
{
    check_mismatch("fe80::2%eth0", "TLS: certificate verify failed: IP address mismatch (fe80::2%eth0)");
    check_mismatch("[::2]", "TLS: certificate verify failed: IP address mismatch ([::2])");
    check_mismatch("127.2", "TLS: certificate verify failed: IP address mismatch (127.2)");
    check_mismatch("Other.test.", "TLS: certificate verify failed: hostname mismatch (Other.test.)");
    check_mismatch("wild.test", "TLS: certificate verify failed: hostname mismatch (wild.test)");
    return 0;
}

/* The handshake does not begin, whether or not anything is verified. */
static void check_no_name(asyncio_tls_context *tls, const char *name, const char *why)
{
    int fds[2];
    char c, words[600];
    asyncio_stream *stream = NULL;
    net_tcp_pair(fds);
    CHECK_EQUAL(connect_side(fds[0], tls, name, &stream), -EINVAL);
    snprintf(words, sizeof words, "TLS: \"%s\" cannot be the name of a server: %s", name, why);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK_EQUAL(recv(fds[1], &c, 1, 0), 0);
    asyncio_close(fds[1]);
}

static void check_no_names(asyncio_tls_context *tls)
{
    static const char dot[] = "nothing stands before one of its dots";
    static const char odd[] = "it has a character that no name has";
    char part[64 + sizeof ".test"], whole[254 + 1];
    memset(part, 'a', 64);
    memcpy(part + 64, ".test", sizeof ".test");
    for (size_t i = 0; i < sizeof whole; i++)
        whole[i] = i % 10 == 9 ? '.' : 'a';
    whole[254] = '\0';
    check_no_name(tls, ".server.test", dot);
    check_no_name(tls, ".test", dot);
    check_no_name(tls, "server..test", dot);
    check_no_name(tls, "server.test..", dot);
    check_no_name(tls, ".", "it is empty");
    check_no_name(tls, "*.wild.test", odd);
    check_no_name(tls, "server.test ", odd);
    check_no_name(tls, " server.test", odd);
    check_no_name(tls, "a\tb.test", odd);
    check_no_name(tls, "127.0.0.1%eth0", odd);
    check_no_name(tls, "fe80::1%", odd);
    check_no_name(tls, "[server.test]", odd);
    check_no_name(tls, "[::1", odd);
    check_no_name(tls, "server.test:443", odd);
    check_no_name(tls,
                  "b\xc3\xbc"
                  "cher.test",
                  "it is not in ASCII (its other form begins with xn--)");
    check_no_name(tls, part, "a part of it is longer than 63 characters");
    check_no_name(tls, whole, "it is longer than 253 characters");
}

ASYNC_TEST(no_names)
{
    asyncio_tls_context *tls = new_client("ca.pem");
    check_no_names(tls);
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_cert(tls), 0);
    check_no_names(tls);
    asyncio_tls_context_release(tls);
    return 0;
}

/* Spellings of a name are one server; an address in another zone is another. */
ASYNC_TEST(sessions)
{
    static const struct {
        const char *name;
        bool resumed;
    } steps[] = {{"server.test", false},  {"SERVER.test.", true}, {"fe80::1%eth0", false},
                 {"fe80::1%eth1", false}, {"fe80::1", false},     {"fe80::1%eth1", true}};
    struct pair pair;
    pair_init(&pair);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        asyncio_tls_info info;
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, steps[i].name);
        CHECK_EQUAL(pair.client_err, 0);
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK_EQUAL(info.resumed, steps[i].resumed);
        pair_close(&pair);
    }
    pair_destroy(&pair);
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
