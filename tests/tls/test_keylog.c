/*
 * The key log: its lines, its file, and that Wireshark's tshark decrypts a recorded connection with it.
 */
#include "tls/tls_test.h"
#include <sys/stat.h>

/* ---- A recording ------------------------------------------------------------------------- */

/* A capture file of raw IPv4 packets: one TCP connection, from port 40000 to 443. */
struct capture {
    FILE *file;
    uint32_t sequence[2]; /* of the client, and of the server */
    unsigned packets;
};

static void put(FILE *file, uint64_t number, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--)
        fputc((int)(number >> (8 * (i - 1)) & 255), file);
}

enum { FIN = 1, SYN = 2, PUSH = 8, ACK = 16 };

static void put_packet(struct capture *capture, int side, unsigned flags, const void *data, size_t n)
{
    FILE *file = capture->file;
    put(file, 1700000000, 4); /* seconds, microseconds, length in the file and on the wire */
    put(file, ++capture->packets * 1000, 4);
    put(file, 40 + n, 4);
    put(file, 40 + n, 4);
    put(file, 0x4500, 2);
    put(file, 40 + n, 2);
    put(file, 0x0000400040060000, 8); /* TCP; no checksum */
    put(file, side ? 0xc0000202 : 0xc0000201, 4);
    put(file, side ? 0xc0000201 : 0xc0000202, 4);
    put(file, side ? 443 : 40000, 2);
    put(file, side ? 40000 : 443, 2);
    put(file, capture->sequence[side], 4);
    put(file, flags & ACK ? capture->sequence[!side] : 0, 4);
    put(file, 0x5000 | flags, 2);
    put(file, 0xffff, 2);
    put(file, 0, 4);
    if (n)
        fwrite(data, 1, n, file);
    capture->sequence[side] += (uint32_t)n + (flags & (SYN | FIN) ? 1 : 0);
}

static void begin_capture(struct capture *capture, const char *path)
{
    *capture = (struct capture){.file = fopen(path, "w"), .sequence = {1000, 2000}};
    put(capture->file, 0xa1b2c3d400020004, 8);
    put(capture->file, 0, 8);
    put(capture->file, 65535, 4);
    put(capture->file, 101, 4); /* raw IP */
    put_packet(capture, 0, SYN, NULL, 0);
    put_packet(capture, 1, SYN | ACK, NULL, 0);
    put_packet(capture, 0, ACK, NULL, 0);
}

/* Passes bytes on from one side to the other, and records them. */
ASYNC(relay, asyncio_stream *, from, asyncio_stream *, to, struct capture *, capture, int, side)
{
    char buf[1200];
    ssize_t n;
    while ((n = asyncio_stream_read(from, buf, sizeof buf)) > 0) {
        put_packet(capture, side, PUSH | ACK, buf, (size_t)n);
        n = asyncio_stream_write(to, buf, (size_t)n);
        if (n < 0)
            return n;
    }
    return asyncio_stream_write_eof(to);
}

#define REQUEST "GET /a-secret-path HTTP/1.1\r\nHost: server.test\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: a-secret-server\r\n\r\nhi"

/* A request and its answer over TLS, with a relay in between. */
static void record(struct pair *pair, const char *path)
{
    int left[2], right[2];
    char text[sizeof REQUEST + sizeof ANSWER];
    asyncio_stream *client = NULL, *server = NULL;
    struct capture capture;
    begin_capture(&capture, path);
    net_tcp_pair(left);
    net_tcp_pair(right);
    CHECK_EQUAL(asyncio_stream_from_fd(left[1], NULL, &client), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(right[1], NULL, &server), 0);
    asyncio_task *there = asyncio_create_task(relay(client, server, &capture, 0));
    asyncio_task *back = asyncio_create_task(relay(server, client, &capture, 1));
    pair->fds[0] = left[0];
    pair->fds[1] = right[0];
    pair_connect_over(pair, "server.test");
    CHECK_EQUAL(pair->client_err, 0);
    CHECK_EQUAL(asyncio_stream_write(pair->client, REQUEST, sizeof REQUEST - 1), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(pair->server, text, sizeof REQUEST - 1), sizeof REQUEST - 1);
    CHECK_EQUAL(asyncio_stream_write(pair->server, ANSWER, sizeof ANSWER - 1), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(pair->client, text, sizeof ANSWER - 1), sizeof ANSWER - 1);
    pair_close(pair);
    CHECK_EQUAL(asyncio_await(there), 0);
    CHECK_EQUAL(asyncio_await(back), 0);
    put_packet(&capture, 0, FIN | ACK, NULL, 0);
    put_packet(&capture, 1, FIN | ACK, NULL, 0);
    fclose(capture.file);
    asyncio_stream_abort(client);
    asyncio_stream_abort(server);
}

/* ---- The log's lines ---------------------------------------------------------------------------- */

static bool is_hexadecimal(const char *word, size_t digits)
{
    return strspn(word, "0123456789abcdef") == digits && !word[digits];
}

/* How many lines have this label; each has two numbers behind it. */
static unsigned count_lines(const char *path, const char *label)
{
    char line[512], name[64], random[200], secret[200];
    unsigned count = 0;
    FILE *in = fopen(path, "r");
    CHECK(in != NULL);
    while (in && fgets(line, sizeof line, in)) {
        CHECK_EQUAL(sscanf(line, "%63s %199s %199s", name, random, secret), 3);
        CHECK(is_hexadecimal(random, 64));
        CHECK(is_hexadecimal(secret, 64) || is_hexadecimal(secret, 96));
        count += strcmp(name, label) == 0;
    }
    if (in)
        fclose(in);
    return count;
}

ASYNC_TEST(lines)
{
    struct stat status;
    char path[128];
    snprintf(path, sizeof path, "%s", cert("keys.log"));
    mode_t before = umask(0);
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_keylog(i ? pair.server_tls : pair.client_tls, path), 0);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, 0, i ? 0 : ASYNCIO_TLS_1_2), 0);
        pair_connect(&pair, "server.test");
        check_echo(&pair);
        pair_destroy(&pair);
    }
    umask(before);
    CHECK_EQUAL(stat(path, &status), 0);
    CHECK_EQUAL(status.st_mode & 07777, 0600);
    CHECK_EQUAL(count_lines(path, "CLIENT_RANDOM"), 1);
    CHECK_EQUAL(count_lines(path, "CLIENT_HANDSHAKE_TRAFFIC_SECRET"), 1);
    CHECK_EQUAL(count_lines(path, "SERVER_HANDSHAKE_TRAFFIC_SECRET"), 1);
    CHECK_EQUAL(count_lines(path, "CLIENT_TRAFFIC_SECRET_0"), 1);
    CHECK_EQUAL(count_lines(path, "SERVER_TRAFFIC_SECRET_0"), 1);
    return 0;
}

ASYNC_TEST(bad_files)
{
    asyncio_tls_context *tls = new_client(NULL);
    CHECK_EQUAL(asyncio_tls_context_set_keylog(tls, cert("none/keys.log")), -ENOENT);
    CHECK_HAS(asyncio_error_message(), "none/keys.log: No such file");
    CHECK_EQUAL(asyncio_tls_context_set_keylog(tls, cert("")), -EISDIR);
    CHECK_EQUAL(asyncio_tls_context_set_keylog(tls, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_keylog(NULL, "x"), -EINVAL);
    asyncio_tls_context_release(tls);
    return 0;
}

/* A log that cannot be written to harms nobody. */
ASYNC_TEST(full)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_keylog(pair.server_tls, "/dev/full"), 0);
    pair_connect(&pair, "server.test");
    check_echo(&pair);
    pair_destroy(&pair);
    return 0;
}

/* ---- Wireshark --------------------------------------------------------------------------------------- */

static bool decrypts(const char *recording, const char *log, const char *words)
{
    char command[1024], line[4096];
    bool is_found = false;
    snprintf(command, sizeof command, "tshark -n -r %s -o tls.keylog_file:%s -O http 2>/dev/null", recording,
             log);
    FILE *out = popen(command, "r");
    while (out && fgets(line, sizeof line, out))
        is_found = is_found || strstr(line, words);
    pclose(out);
    return is_found;
}

ASYNC_TEST(wireshark)
{
    char recording[128], log[128], none[128];
    if (system("tshark --version >/dev/null 2>&1") != 0) {
        print_message("skipped: tshark is not installed\n");
        return 0;
    }
    for (int i = is_thorough() ? 0 : 1; i < 2; i++) {
        struct pair pair;
        snprintf(recording, sizeof recording, "%s", cert(i ? "13.pcap" : "12.pcap"));
        snprintf(log, sizeof log, "%s", cert("wireshark.log"));
        snprintf(none, sizeof none, "%s", cert("keys.log"));
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_keylog(pair.server_tls, log), 0);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, 0, i ? 0 : ASYNCIO_TLS_1_2), 0);
        record(&pair, recording);
        pair_destroy(&pair);
        CHECK(decrypts(recording, log, "a-secret-server"));
        if (is_thorough()) {
            CHECK(decrypts(recording, log, "GET /a-secret-path"));
            CHECK(!decrypts(recording, none, "a-secret-server")); /* keys of other connections */
        }
    }
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
