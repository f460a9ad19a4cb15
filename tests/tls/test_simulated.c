/*
 * TLS in a simulated world: handshakes and bytes over links that cut and delay, by many seeds.
 */
#include "asyncio/sim.h"
#include "tls/tls_test.h"

#define BYTES 20000

static char data[BYTES];

ASYNC(echo, asyncio_stream *, stream)
{
    char block[512];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0)
        asyncio_stream_write(stream, block, (size_t)n);
    return n;
}

static asyncio_coro *make_echo(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

static const char *certificate;

/* Contexts keep sessions, so that each run makes its own. */
ASYNC(serve)
{
    asyncio_server *server = NULL;
    asyncio_server_options options = {.tls = new_server(certificate)};
    int err = asyncio_start_server(make_echo, NULL, NULL, 443, &options, &server);
    if (!err)
        err = asyncio_server_serve_forever(server);
    asyncio_server_release(server);
    asyncio_tls_context_release(options.tls);
    return err;
}

ASYNC(send_data, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, data, BYTES);
}

ASYNC(ask)
{
    asyncio_stream *stream = NULL;
    asyncio_connect_options options = {.tls = new_client("ca.pem"), .server_hostname = "server.test"};
    int err = asyncio_open_connection("server", 443, &options, &stream);
    if (!err) {
        char *back = malloc(BYTES);
        asyncio_task *writer = asyncio_create_task(send_data(stream));
        CHECK_EQUAL(asyncio_stream_readexactly(stream, back, BYTES), BYTES);
        CHECK(memcmp(back, data, BYTES) == 0);
        CHECK_EQUAL(asyncio_await(writer), 0);
        free(back);
        err = asyncio_stream_close(stream);
    }
    asyncio_tls_context_release(options.tls);
    return err;
}

ASYNC(scenario)
{
    asyncio_task *server = asyncio_sim_start("server", serve());
    asyncio_sleep(0);
    asyncio_task *a = asyncio_sim_start("a", ask()), *b = asyncio_sim_start("b", ask());
    intptr_t err = asyncio_gather(NULL, a, b);
    asyncio_cancel(server);
    asyncio_gather_settled(NULL, server);
    return err;
}

static asyncio_coro *make_scenario(void *arg)
{
    (void)arg;
    return scenario();
}

/* Not repeated: the length of an ECDSA signature is OpenSSL's chance. */
TEST(echo_over_bad_links)
{
    asyncio_sim_options options = {.runs = 20, .link = {.jitter = 0.01, .loss = 0.02}, .repeat = -1};
    asyncio_sim_result result;
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (char)(i % 251);
    certificate = "server";
    CHECK_EQUAL(asyncio_sim_run(make_scenario, NULL, &options, &result), 0);
    CHECK_EQUAL(result.runs, 20);
    harness_settle();
}

/* That of an Ed25519 signature is not. */
TEST(runs_are_the_same_with_ed25519)
{
    asyncio_sim_options options = {.runs = 10, .link = {.jitter = 0.01, .loss = 0.02}, .repeat = 1};
    certificate = "edwards";
    CHECK_EQUAL(asyncio_sim_run(make_scenario, NULL, &options, NULL), 0);
    harness_settle();
}

int main(void)
{
    certs_make();
    return tests_run(NULL);
}
