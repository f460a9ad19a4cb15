/*
 * Contexts set up in more ways: certificates from memory and behind passwords, ciphers, groups, keys for
 * tickets; and the words of all that goes wrong.
 */
#include "tls/tls.h"
#include "tls/tls_test.h"
#include <sys/wait.h>

static char *read_file(const char *path, size_t *n)
{
    static char texts[4][8192];
    static unsigned next;
    char *text = texts[next++ % 4];
    FILE *in = fopen(path, "r");
    *n = in ? fread(text, 1, sizeof texts[0], in) : 0;
    CHECK(in != NULL);
    if (in)
        fclose(in);
    return text;
}

static asyncio_tls_context *empty_server(void)
{
    asyncio_tls_context *tls = NULL;
    CHECK_EQUAL(asyncio_tls_context_new_server(&tls), 0);
    return tls;
}

/* A connection to a server of this context, which is released. */
static void check_serves(asyncio_tls_context *server)
{
    struct pair pair = {.client_tls = new_client("ca.pem"), .server_tls = server};
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, 0);
    CHECK_EQUAL(pair.server_err, 0);
    check_echo(&pair);
    pair_destroy(&pair);
}

/* ---- From memory ------------------------------------------------------------------------ */

ASYNC_TEST(memory)
{
    size_t chain_bytes, key_bytes;
    char *chain = read_file(cert("server.pem"), &chain_bytes),
         *key = read_file(cert("server.key"), &key_bytes);
    asyncio_tls_context *tls = empty_server();
    char *copy = malloc(chain_bytes); /* without a NUL, and gone after the call */
    memcpy(copy, chain, chain_bytes);
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(tls, copy, chain_bytes, key, key_bytes), 0);
    free(copy);
    check_serves(tls);
    char both[16384];
    memcpy(both, key, key_bytes);
    memcpy(both + key_bytes, chain, chain_bytes);
    tls = empty_server();
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(tls, both, key_bytes + chain_bytes, NULL, 0), 0);
    check_serves(tls);
    return 0;
}

static void check_memory(const char *chain, size_t chain_bytes, const char *key, size_t key_bytes, int err,
                         const char *words)
{
    asyncio_tls_context *tls = empty_server();
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(tls, chain, chain_bytes, key, key_bytes), err);
    CHECK_HAS(asyncio_error_message(), words);
    CHECK(!SSL_CTX_get0_certificate(tls->ssl));
    asyncio_tls_context_release(tls);
}

ASYNC_TEST(bad_memory)
{
    size_t n, key_n, other_n, locked_n;
    char *chain = read_file(cert("server.pem"), &n), *key = read_file(cert("server.key"), &key_n);
    char *other = read_file(cert("client.key"), &other_n), command[512];
    check_memory(NULL, 0, key, key_n, -EINVAL, "the certificate in memory is empty");
    check_memory(chain, 0, key, key_n, -EINVAL, "the certificate in memory is empty");
    check_memory(chain, n, key, 0, -EINVAL, "the key in memory is empty");
    check_memory("garbage", 7, key, key_n, ASYNCIO_ETLS,
                 "the certificate in memory cannot be used: it has no certificate in PEM");
    check_memory(chain, n, "garbage", 7, ASYNCIO_ETLS, "the key in memory cannot be used");
    check_memory(chain, n / 2, key, key_n, ASYNCIO_ETLS, "the certificate in memory cannot be used");
    check_memory(chain, n, key, key_n / 2, ASYNCIO_ETLS, "the key in memory cannot be used");
    check_memory(chain, n, other, other_n, ASYNCIO_ETLS,
                 "the key in memory cannot be used: key values mismatch");
    check_memory(chain, n, NULL, 0, ASYNCIO_ETLS, "the key in memory cannot be used");
    check_memory(key, key_n, key, key_n, ASYNCIO_ETLS,
                 "the certificate in memory cannot be used: it has no certificate in PEM");
    snprintf(command, sizeof command, "openssl pkey -in %s -aes128 -passout pass:secret -out %s 2>/dev/null",
             cert("server.key"), cert("locked.key"));
    CHECK_EQUAL(system(command), 0);
    char *locked = read_file(cert("locked.key"), &locked_n);
    check_memory(chain, n, locked, locked_n, ASYNCIO_ETLS, "the key has a password");
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(NULL, chain, n, key, key_n), -EINVAL);
    return 0;
}

/* A truncated chain is no chain: nothing of it is used. */
ASYNC_TEST(torn_chain)
{
    size_t n, key_n, ca_n;
    char *chain = read_file(cert("server.pem"), &n), *key = read_file(cert("server.key"), &key_n);
    char *ca = read_file(cert("ca.pem"), &ca_n), both[16384];
    memcpy(both, chain, n);
    memcpy(both + n, ca, ca_n);
    check_memory(both, n + ca_n / 2, key, key_n, ASYNCIO_ETLS, "the certificate in memory cannot be used");
    asyncio_tls_context *tls = empty_server();
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(tls, both, n + ca_n, key, key_n), 0);
    CHECK_EQUAL(sk_X509_num(tls->identities[0].chain), 1);
    check_serves(tls);
    return 0;
}

/* ---- Passwords ------------------------------------------------------------------------------ */

struct answer {
    const char *text;
    int result; /* if there is no text */
    int calls;
};

static int answer_with(char *buf, size_t size, void *arg)
{
    struct answer *answer = arg;
    answer->calls++;
    CHECK_EQUAL(size, 1024);
    if (!answer->text)
        return answer->result;
    memcpy(buf, answer->text, strlen(answer->text));
    return (int)strlen(answer->text);
}

static void check_password(const char *key, struct answer answer, int err, int calls, const char *words)
{
    asyncio_tls_context *tls = empty_server();
    CHECK_EQUAL(
        asyncio_tls_context_load_cert_password(tls, cert("server.pem"), cert(key), answer_with, &answer),
        err);
    CHECK_EQUAL(answer.calls, calls);
    if (err)
        CHECK_HAS(asyncio_error_message(), words);
    if (err)
        asyncio_tls_context_release(tls);
    else
        check_serves(tls);
}

ASYNC_TEST(passwords)
{
    static const char *const ways[] = {"pkey -aes128", "ec -aes256"}; /* PKCS #8, and the traditional form */
    char command[512];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "openssl %s -in %s -passout pass:secret -out %s 2>/dev/null",
                 ways[i], cert("server.key"), cert("locked.key"));
        CHECK_EQUAL(system(command), 0);
        check_password("locked.key", (struct answer){.text = "secret"}, 0, 1, "");
        check_password("locked.key", (struct answer){.text = "wrong"}, ASYNCIO_ETLS, 1,
                       "locked.key cannot be used: the password does not open the key");
        check_password("locked.key", (struct answer){.text = ""}, ASYNCIO_ETLS, 1,
                       "locked.key cannot be used");
        check_password("locked.key", (struct answer){.result = -EPERM}, -EPERM, 1, "no password was given");
        check_password("locked.key", (struct answer){.result = 1025}, ASYNCIO_ETLS, 1,
                       "longer than there is room");
    }
    check_password("server.key", (struct answer){.text = "secret"}, 0, 0, ""); /* it needs none */
    check_password("client.key", (struct answer){.text = "secret"}, ASYNCIO_ETLS, 0, "key values mismatch");
    check_password("none.key", (struct answer){.text = "secret"}, -ENOENT, 0, "none.key: No such file");
    asyncio_tls_context *tls = empty_server();
    CHECK_EQUAL(
        asyncio_tls_context_load_cert_password(tls, cert("server.pem"), cert("locked.key"), NULL, NULL),
        -EINVAL);
    asyncio_tls_context_release(tls);
    return 0;
}

/* The folder of the certificates is its owner's alone. */
ASYNC_TEST(unreadable)
{
    asyncio_tls_context *tls = empty_server();
    if (geteuid() == 0) {
        CHECK_EQUAL(seteuid(65534), 0);
        CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("server.pem"), cert("server.key")), -EACCES);
        CHECK_HAS(asyncio_error_message(), "server.pem: Permission denied");
        CHECK_EQUAL(asyncio_tls_context_set_keylog(tls, cert("keys.log")), -EACCES);
        CHECK_HAS(asyncio_error_message(), "keys.log: Permission denied");
        CHECK_EQUAL(seteuid(0), 0);
    }
    CHECK(asyncio_tls_context_load_cert(tls, cert(""), cert("server.key")) < 0); /* a directory */
    asyncio_tls_context_release(tls);
    return 0;
}

/* ---- Ciphers and groups ------------------------------------------------------------------------- */

static void check_cipher(asyncio_tls_version version, const char *client, const char *server,
                         const char *chosen)
{
    struct pair pair;
    asyncio_tls_info info = {.version = ""};
    pair_init(&pair);
    if (client)
        CHECK_EQUAL(asyncio_tls_context_set_ciphers(pair.client_tls, client), 0);
    if (server)
        CHECK_EQUAL(asyncio_tls_context_set_ciphers(pair.server_tls, server), 0);
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, version, version), 0);
    pair_connect(&pair, "server.test");
    if (chosen) {
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK_TEXT(info.cipher, chosen);
    } else {
        CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
        CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
    }
    pair_destroy(&pair);
}

ASYNC_TEST(ciphers)
{
    check_cipher(ASYNCIO_TLS_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, "ECDHE-ECDSA-AES128-GCM-SHA256");
    check_cipher(ASYNCIO_TLS_1_2, NULL, "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305");
    check_cipher(ASYNCIO_TLS_1_3, "TLS_AES_128_GCM_SHA256", NULL, "TLS_AES_128_GCM_SHA256");
    check_cipher(ASYNCIO_TLS_1_3, NULL, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256");
    /* Both in one list; and what is not named stays as it was. */
    const char *both = "ECDHE+AESGCM:TLS_AES_128_GCM_SHA256:-AES256";
    check_cipher(ASYNCIO_TLS_1_2, NULL, both, "ECDHE-ECDSA-AES128-GCM-SHA256");
    check_cipher(ASYNCIO_TLS_1_3, NULL, both, "TLS_AES_128_GCM_SHA256");
    check_cipher(ASYNCIO_TLS_1_3, NULL, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_256_GCM_SHA384");
    check_cipher(ASYNCIO_TLS_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", NULL);
    return 0;
}

ASYNC_TEST(bad_lists)
{
    static const struct {
        const char *list, *words;
    } ciphers[] =
        {
            {"NO-SUCH", "\"NO-SUCH\" is no cipher"},
            {"ECDHE-ECDSA-AES128-GCM-SHA256:NO-SUCH:AES128-SHA", "\"NO-SUCH\" is no cipher"},
            {"TLS_NO_SUCH", "\"TLS_NO_SUCH\" is no cipher"},
            {"TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA265", "\"TLS_AES_128_GCM_SHA265\" is no cipher"},
            {"", "empty"},
            {":::", "empty"},
            {"!ALL", "the list of ciphers cannot be used"},
        },
      groups[] = {
          {"NO-SUCH", "\"NO-SUCH\" is no group"},
          {"X25519:P-255", "\"P-255\" is no group"},
          {"", "empty"},
      };
    asyncio_tls_context *tls = empty_server();
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        CHECK_EQUAL(asyncio_tls_context_set_ciphers(tls, ciphers[i].list), -EINVAL);
        CHECK_HAS(asyncio_error_message(), ciphers[i].words);
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        CHECK_EQUAL(asyncio_tls_context_set_groups(tls, groups[i].list), -EINVAL);
        CHECK_HAS(asyncio_error_message(), groups[i].words);
    }
    CHECK_EQUAL(asyncio_tls_context_set_ciphers(tls, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_groups(tls, NULL), -EINVAL);
    asyncio_tls_context_release(tls);
    return 0;
}

static SSL *ssl_of(asyncio_stream *stream)
{
    return ((struct tls_filter *)stream->filter)->ssl;
}

ASYNC_TEST(groups)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_groups(pair.server_tls, "P-384:P-256"), 0);
    CHECK_EQUAL(asyncio_tls_context_set_groups(pair.client_tls, "P-384"), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, 0);
    CHECK_EQUAL(SSL_get_negotiated_group(ssl_of(pair.client)), NID_secp384r1);
    pair_destroy(&pair);
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_groups(pair.server_tls, "P-256"), 0);
    CHECK_EQUAL(asyncio_tls_context_set_groups(pair.client_tls, "X25519"), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
    pair_destroy(&pair);
    return 0;
}

/* ---- Too late --------------------------------------------------------------------------------------- */

static void check_late(asyncio_tls_context *tls)
{
    const char *words = "the context has been used";
    CHECK_EQUAL(asyncio_tls_context_set_ciphers(tls, "ALL"), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), words);
    CHECK_EQUAL(asyncio_tls_context_set_groups(tls, "P-256"), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_tls_context_set_keylog(tls, cert("late.log")), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(tls, words, 80), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_tls_context_load_crl(tls, cert("ca.pem")), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_tls_context_load_cert_memory(tls, words, 9, words, 9), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_tls_context_load_cert_password(tls, "x", "x", answer_with, NULL), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), words);
    CHECK(access(cert("late.log"), F_OK) != 0);
}

ASYNC_TEST(too_late)
{
    struct pair pair;
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    check_late(pair.client_tls);
    check_late(pair.server_tls);
    pair_destroy(&pair);
    return 0;
}

/* ---- Keys for tickets --------------------------------------------------------------------------------- */

static unsigned char keys[3 * 80];

static asyncio_tls_context *server_with(size_t first, size_t count)
{
    asyncio_tls_context *tls = new_server("server");
    if (count)
        CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(tls, keys + 80 * first, 80 * count), 0);
    return tls;
}

/* One client comes to servers with these sets of keys, one after the other: which of them resumes? A client
 * remembers sessions by name and port; over Unix sockets there is no port. */
static void check_visits(asyncio_tls_version version, const int (*sets)[2], size_t count,
                         const char *expected)
{
    asyncio_tls_context *servers[8], *client = new_client("ca.pem");
    CHECK_EQUAL(asyncio_tls_context_set_versions(client, version, version), 0);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = {.client_tls = client,
                            .server_tls = servers[i] = server_with((size_t)sets[i][0], (size_t)sets[i][1])};
        asyncio_tls_info info = {.resumed = false};
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, "server.test");
        CHECK_EQUAL(pair.client_err, 0);
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        if (info.resumed != (expected[i] == 'r'))
            harness_failed(__FILE__, __LINE__, "visit %zu of %s: resumed %d", i, expected, info.resumed);
        pair_close(&pair);
        asyncio_tls_context_release(servers[i]);
    }
    asyncio_tls_context_release(client);
}

ASYNC_TEST(ticket_keys)
{
    static const int same[][2] = {{0, 1}, {0, 1}, {0, 1}}, own[][2] = {{0, 0}, {0, 0}};
    /* The old key alone, a new one before it, the new one alone; and a third that nobody has seen. */
    static const int changing[][2] = {{1, 1}, {0, 2}, {0, 1}, {2, 1}, {0, 3}};
    for (size_t i = 0; i < sizeof keys; i++)
        keys[i] = (unsigned char)(i * 7 + i / 80);
    for (int i = 0; i < 2; i++) {
        asyncio_tls_version version = i ? ASYNCIO_TLS_1_3 : ASYNCIO_TLS_1_2;
        check_visits(version, same, 3, "frr");
        check_visits(version, own, 2, "ff");
        check_visits(version, changing, 5, "frrfr");
    }
    asyncio_tls_context *client = new_client(NULL), *server = empty_server();
    CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(client, keys, 80), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "only a server");
    CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(server, keys, 48), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "80 bytes");
    CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(server, keys, 0), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_ticket_keys(server, NULL, 80), -EINVAL);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return 0;
}

/* ---- Two processes
 * --------------------------------------------------------------------------------------- */

ASYNC(serve_once, int, fd)
{
    char text[8];
    asyncio_stream *stream = NULL;
    asyncio_tls_context *tls = server_with(0, 1);
    CHECK_EQUAL(connect_side(fd, tls, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, text, 4), 4);
    CHECK_EQUAL(asyncio_stream_write(stream, text, 4), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_tls_context_release(tls);
    return 0;
}

static pid_t server_process(int fd, int other)
{
    fflush(NULL);
    pid_t child = fork();
    if (child)
        return child;
    close(other);
    _exit(asyncio_run(serve_once(fd)) != 0 || harness_failures() != 0);
}

ASYNC(visit_both, int *, fds)
{
    asyncio_tls_context *client = new_client("ca.pem");
    for (int i = 0; i < 2; i++) {
        asyncio_stream *stream = NULL;
        asyncio_tls_info info = {.resumed = false};
        char text[8];
        CHECK_EQUAL(connect_side(fds[i], client, "server.test", &stream), 0);
        CHECK_EQUAL(asyncio_stream_write(stream, "ping", 4), 0);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, text, 4), 4);
        CHECK_EQUAL(asyncio_stream_tls_info(stream, &info), 0);
        CHECK_EQUAL(info.resumed, i == 1);
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
    }
    asyncio_tls_context_release(client);
    return 0;
}

TEST(two_processes)
{
    pid_t children[2];
    int fds[2];
    for (int i = 0; i < 2; i++) {
        int both[2];
        net_unix_pair(SOCK_STREAM, both);
        fds[i] = both[0];
        children[i] = server_process(both[1], both[0]);
        close(both[1]);
    }
    CHECK_EQUAL(asyncio_run(visit_both(fds)), 0);
    for (int i = 0; i < 2; i++) {
        int status = -1;
        CHECK_EQUAL(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQUAL(status, 0);
    }
    harness_settle();
}

/* ---- What fails
 * -------------------------------------------------------------------------------------------- */

ASYNC(main_settings)
{
    size_t n, key_n;
    char *chain = read_file(cert("server.pem"), &n), *key = read_file(cert("server.key"), &key_n);
    asyncio_tls_context *tls = NULL;
    int err = asyncio_tls_context_new_server(&tls);
    if (!err)
        err = asyncio_tls_context_load_cert_memory(tls, chain, n, key, key_n);
    if (!err)
        err = asyncio_tls_context_set_ciphers(tls, "ECDHE+AESGCM:TLS_AES_128_GCM_SHA256");
    if (!err)
        err = asyncio_tls_context_set_groups(tls, "P-256");
    if (!err)
        err = asyncio_tls_context_set_ticket_keys(tls, keys, sizeof keys);
    if (!err)
        err = asyncio_tls_context_set_keylog(tls, cert("sweep.log"));
    if (!err)
        err = asyncio_tls_context_reload_cert(tls, cert("server.pem"), cert("server.key"));
    asyncio_tls_context_release(tls);
    return err;
}

TEST(sweep)
{
    sweep_failures(main_settings);
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
