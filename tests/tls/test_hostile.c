/*
 * Peers that speak TLS well enough, and mean no good: floods of what is no data, records of sizes that
 * there are not, old versions.
 */
#include "fd/stream.h"
#include "tls/peer_test.h"

/* Connects one of our streams to the peer; *words: why not. */
static char words[256];

static int meet(struct peer *peer, bool is_server, int version, asyncio_stream **stream)
{
    int fds[2];
    asyncio_tls_context *tls = is_server ? new_client("ca.pem") : new_server("server");
    net_unix_pair(SOCK_STREAM, fds);
    peer_init(peer, fds[1], is_server, version);
    asyncio_task *other = asyncio_create_task(peer_shake_hands(peer));
    int err = connect_side(fds[0], tls, is_server ? "server.test" : NULL, stream);
    snprintf(words, sizeof words, "%s", asyncio_error_message());
    asyncio_await(other);
    asyncio_tls_context_release(tls);
    return err;
}

/* ---- Floods ------------------------------------------------------------------------------------ */

#define FLOOD_PIECES ((int)repeats(5000, 10000, 40000))

/* Gathers what the peer says when it asks for new keys, or another handshake, so many times. */
static void gather_flood(struct peer *peer, bool keys)
{
    for (int i = 0; i < FLOOD_PIECES; i++) {
        int asked = keys ? SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED) : SSL_renegotiate(peer->ssl);
        CHECK_EQUAL(asked, 1);
        if (SSL_do_handshake(peer->ssl) != 1) {
            harness_failed(__FILE__, __LINE__, "piece %d: %s", i, ERR_error_string(ERR_get_error(), NULL));
            break;
        }
    }
    CHECK_EQUAL(SSL_write(peer->ssl, "data", 4), 4);
    char *data;
    peer->flood_bytes = (size_t)BIO_get_mem_data(SSL_get_wbio(peer->ssl), &data);
    peer->flood = malloc(peer->flood_bytes);
    memcpy(peer->flood, data, peer->flood_bytes);
    BIO_reset(SSL_get_wbio(peer->ssl));
}

static size_t ticks, most_queued;

ASYNC(tick, asyncio_stream *, stream)
{
    for (;; ticks++) {
        size_t queued = asy_bytes_count(&stream->out);
        most_queued = queued > most_queued ? queued : most_queued;
        int err = asyncio_sleep(0);
        if (err)
            return err;
    }
}

ASYNC(send_rest, struct peer *, peer, size_t, from)
{
    return asyncio_sock_sendall(peer->fd, peer->flood + from, peer->flood_bytes - from, 0);
}

ASYNC(read_answers, struct peer *, peer)
{
    char block[65536];
    ssize_t n;
    do
        n = asyncio_sock_recv(peer->fd, block, sizeof block, 0);
    while (n > 0);
    return 0;
}

/* Others run meanwhile, and answers that the peer does not read come to an end. */
static void check_flood(bool is_server, int version, bool keys, bool reads)
{
    struct peer peer;
    asyncio_stream *stream;
    char text[8] = "";
    CHECK_EQUAL(meet(&peer, is_server, version, &stream), 0);
    gather_flood(&peer, keys);
    if (!reads)
        net_make_narrow(asyncio_stream_fd(stream));
    ticks = most_queued = 0;
    int room = 4 << 20; /* all of it is there before the first byte is read */
    setsockopt(peer.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    size_t there = (size_t)send(peer.fd, peer.flood, peer.flood_bytes, MSG_DONTWAIT);
    CHECK(there > 100000);
    asyncio_task *ticker = asyncio_create_task(tick(stream));
    asyncio_task *rest = asyncio_create_task(send_rest(&peer, there));
    asyncio_task *drain = reads ? asyncio_create_task(read_answers(&peer)) : NULL;
    ssize_t n = asyncio_stream_readexactly(stream, text, 4);
    if (reads) {
        CHECK_EQUAL(n, 4);
        CHECK_TEXT(text, "data");
        CHECK(ticks >= there / 50000);
    } else {
        CHECK_EQUAL(n, ASYNCIO_ETLS);
        CHECK_HAS(asyncio_error_message(), "TLS: the peer asks for answers, and does not read them");
    }
    CHECK(most_queued < 2 * STREAM_HIGH_WATER);
    asyncio_stream_abort(stream);
    asyncio_cancel(ticker);
    asyncio_cancel(rest);
    asyncio_gather_settled(NULL, ticker, rest);
    if (drain)
        asyncio_await(drain);
    peer_free(&peer);
}

ASYNC_TEST(key_updates)
{
    for (int reads = 0; reads < 2; reads++) {
        check_flood(false, TLS1_3_VERSION, true, reads);
        check_flood(true, TLS1_3_VERSION, true, reads);
    }
    return 0;
}

ASYNC_TEST(renegotiations)
{
    check_flood(true, TLS1_2_VERSION, false, false);
    check_flood(true, TLS1_2_VERSION, false, true);
    return 0;
}

/* ---- Records of sizes that there are not --------------------------------------------------------- */

/* Behind a handshake, or instead of one: what the reader is told. */
static void check_record(const char *record, size_t n, bool after, const char *expected)
{
    struct peer peer;
    asyncio_stream *stream = NULL;
    char block[64];
    if (after) {
        CHECK_EQUAL(meet(&peer, false, TLS1_2_VERSION, &stream), 0);
        CHECK_EQUAL(send(peer.fd, record, n, 0), n);
        CHECK_EQUAL(asyncio_stream_read(stream, block, sizeof block), ASYNCIO_ETLS);
    } else {
        int fds[2];
        asyncio_tls_context *tls = new_server("server");
        net_unix_pair(SOCK_STREAM, fds);
        peer_init(&peer, fds[1], false, TLS1_2_VERSION);
        CHECK_EQUAL(send(peer.fd, record, n, 0), n);
        CHECK_EQUAL(connect_side(fds[0], tls, NULL, &stream), ASYNCIO_ETLS);
        asyncio_tls_context_release(tls);
    }
    CHECK_TEXT(asyncio_error_message(), expected);
    asyncio_stream_abort(stream);
    peer_free(&peer);
}

ASYNC_TEST(records)
{
    char big[5 + 40000] = "\x17\x03\x03\xff\xff";
    check_record(big, 5, true, "TLS: packet length too long");
    check_record(big, sizeof big, true, "TLS: packet length too long");
    memcpy(big, "\x17\x03\x03\x45\x01", 5); /* one more than fits with what a cipher adds */
    check_record(big, sizeof big, true, "TLS: packet length too long");
    memcpy(big, "\x17\x03\x03\x00\x30", 5);
    check_record(big, 5 + 48, true, "TLS: decryption failed or bad record mac");
    memcpy(big, "\x99\x03\x03\x00\x30", 5);
    check_record(big, 5 + 48, true, "TLS: decryption failed or bad record mac");
    /* A hello of 16 MiB, and one of nothing. */
    check_record("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, false, "TLS: excessive message size");
    check_record("\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, false, "TLS: length too short");
    return 0;
}

/* ---- Versions that count no more ------------------------------------------------------------------- */

ASYNC_TEST(old_versions)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct peer peer;
        asyncio_stream *stream = NULL;
        CHECK_EQUAL(meet(&peer, false, versions[i], &stream), ASYNCIO_ETLS);
        CHECK_TEXT(words, "TLS: unsupported protocol");
        peer_free(&peer);
        CHECK_EQUAL(meet(&peer, true, versions[i], &stream), ASYNCIO_ETLS);
        CHECK_HAS(words, "TLS: the peer refuses: protocol version (server.test)");
        peer_free(&peer);
        CHECK(!stream);
    }
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
