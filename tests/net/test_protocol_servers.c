/*
 * Servers of protocols: serving, closing, limits, factories that fail.
 */
#include "asyncio/tls.h"
#include "fd/transport_test.h"
#include "net/server_test.h"

struct host {
    size_t made, lost, count;
    bool refuses, closes_in_factory;
    asyncio_server *server;
    struct echoing *all[64];
    int last_error;
};

struct echoing {
    struct host *host;
    asyncio_transport *transport;
    bool is_made;
};

static void echo_made(void *self, asyncio_transport *transport)
{
    struct echoing *echoing = self;
    echoing->transport = transport;
    echoing->is_made = true;
    echoing->host->made++;
}

static void echo_data(void *self, const void *data, size_t n)
{
    struct echoing *echoing = self;
    CHECK(echoing->is_made);
    CHECK_EQUAL(asyncio_transport_write(echoing->transport, data, n), 0);
}

static void echo_lost(void *self, intptr_t err)
{
    struct echoing *echoing = self;
    echoing->host->lost++;
    echoing->host->last_error = (int)err;
    free(echoing);
}

static const asyncio_protocol echo_protocol = {
    .connection_made = echo_made, .data_received = echo_data, .connection_lost = echo_lost};

static void *make_echo(void *arg, const asyncio_protocol **protocol)
{
    struct host *host = arg;
    CHECK(!asyncio_current_task());
    if (host->closes_in_factory)
        asyncio_server_close(host->server);
    if (host->refuses)
        return NULL;
    struct echoing *echoing = calloc(1, sizeof *echoing);
    echoing->host = host;
    host->all[host->count++ % 64] = echoing;
    *protocol = &echo_protocol;
    return echoing;
}

static asyncio_server *serve_protocols(struct host *host, const asyncio_server_options *options)
{
    CHECK_EQUAL(asyncio_create_server(make_echo, host, "127.0.0.1", 0, options, &host->server), 0);
    return host->server;
}

static void wait_for_size(const size_t *count, size_t value)
{
    for (int i = 0; *count != value && i < 20000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(*count, value);
}

/* What the client gets back, without blocking the loop. */
static void check_echo_of(int client)
{
    char buf[8] = "";
    CHECK_EQUAL(send(client, "hello", 5, 0), 5);
    ssize_t n = 0;
    for (int i = 0; n <= 0 && i < 20000; i++) {
        n = recv(client, buf, sizeof buf, MSG_DONTWAIT);
        asyncio_sleep(0.0002);
    }
    CHECK_EQUAL(n, 5);
    CHECK_TEXT(buf, "hello");
}

ASYNC_TEST(clients_are_served_and_waited_for)
{
    struct host host = {0};
    asyncio_server *server = serve_protocols(&host, NULL);
    int clients[5];
    for (int i = 0; i < 5; i++)
        clients[i] = client_of(server);
    for (int i = 0; i < 5; i++)
        check_echo_of(clients[i]);
    asyncio_task *waits = asyncio_create_task(wait_closed(server, 5));
    asyncio_server_close(server);
    check_echo_of(clients[0]); /* closed to new ones alone */
    for (int i = 0; i < 5; i++) {
        CHECK(!asyncio_done(waits));
        close(clients[i]);
    }
    CHECK_EQUAL(asyncio_await(waits), 0);
    CHECK_EQUAL(host.made, 5);
    CHECK_EQUAL(host.lost, 5);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(close_clients_flushes)
{
    struct host host = {0};
    asyncio_server *server = serve_protocols(&host, NULL);
    int client = client_of(server);
    check_echo_of(client);
    asyncio_transport_write(host.all[0]->transport, "bye", 3);
    asyncio_server_close_clients(server);
    wait_for_size(&host.lost, 1);
    CHECK_EQUAL(host.last_error, 0);
    CHECK_EQUAL(seen_by(client), 3);
    CHECK_EQUAL(seen_by(client), 0);
    close(client);
    finish(server);
    return 0;
}

ASYNC_TEST(abort_clients_and_the_grace)
{
    struct host host = {0};
    asyncio_server *server = serve_protocols(&host, NULL);
    int client = client_of(server);
    check_echo_of(client);
    asyncio_server_abort_clients(server);
    wait_for_size(&host.lost, 1);
    CHECK_EQUAL(host.last_error, -ECONNABORTED);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    close(client);
    client = client_of(server);
    check_echo_of(client);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0.01), 0);
    CHECK_EQUAL(host.lost, 2);
    CHECK_EQUAL(host.last_error, -ECONNABORTED);
    close(client);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(release_leaves_the_rest_to_the_loop)
{
    struct host host = {0};
    asyncio_server *server = serve_protocols(&host, NULL);
    int client = client_of(server);
    check_echo_of(client);
    asyncio_server_release(server);
    CHECK_EQUAL(host.lost, 0); /* not inside the call */
    wait_for_size(&host.lost, 1);
    close(client);
    return 0;
}

ASYNC_TEST(max_connections)
{
    struct host host = {0};
    asyncio_server_options options = {.max_connections = 1};
    asyncio_server *server = serve_protocols(&host, &options);
    int first = client_of(server), second = client_of(server);
    check_echo_of(first);
    asyncio_sleep(0.005);
    CHECK_EQUAL(host.count, 1);
    close(first);
    check_echo_of(second);
    CHECK_EQUAL(host.count, 2);
    close(second);
    wait_for_size(&host.lost, 2);
    finish(server);
    return 0;
}

ASYNC_TEST(a_factory_that_makes_nothing)
{
    struct host host = {.refuses = true};
    asyncio_server *server = serve_protocols(&host, NULL);
    int client = client_of(server);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    close(client);
    host.refuses = false;
    client = client_of(server);
    check_echo_of(client);
    close(client);
    wait_for_size(&host.lost, 1);
    expect_reports(1);
    finish(server);
    CHECK_HAS(reports[0].message, "the factory made no protocol");
    CHECK_HAS(reports[0].peer, "127.0.0.1");
    return 0;
}

ASYNC_TEST(a_factory_that_closes_its_server)
{
    struct host host = {.closes_in_factory = true};
    asyncio_server *server = serve_protocols(&host, NULL);
    int client = client_of(server);
    check_echo_of(client);
    close(client);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 5), 0);
    CHECK_EQUAL(host.lost, 1);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(a_proxy_names_the_client)
{
    struct host host = {0};
    asyncio_server_options options = {.proxy_protocol = 1};
    asyncio_server *server = serve_protocols(&host, &options);
    int client = client_of(server);
    static const char words[] = "PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\nhello";
    CHECK_EQUAL(send(client, words, sizeof words - 1, 0), sizeof words - 1);
    CHECK_EQUAL(seen_by(client), 5); /* what came behind the header is not lost */
    struct sockaddr_in name = {0};
    socklen_t length = sizeof name;
    CHECK_EQUAL(asyncio_transport_peername(host.all[0]->transport, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(ntohs(name.sin_port), 4000);
    close(client);
    wait_for_size(&host.lost, 1);
    finish(server);
    return 0;
}

ASYNC_TEST(a_unix_server)
{
    struct host host = {0};
    CHECK_EQUAL(asyncio_create_unix_server(make_echo, &host, unix_name(), NULL, &host.server), 0);
    int client = unix_client(unix_name());
    check_echo_of(client);
    close(client);
    wait_for_size(&host.lost, 1);
    finish(host.server);
    CHECK_EQUAL(asyncio_create_unix_server(NULL, &host, unix_name(), NULL, &host.server), -EINVAL);
    CHECK_EQUAL(asyncio_create_server(NULL, &host, NULL, 0, NULL, &host.server), -EINVAL);
    return 0;
}

/* ---- The end of the loop ---------------------------------------------------------------------- */

static struct host leaving;
static int leaving_clients[3];

ASYNC(leave_clients)
{
    memset(&leaving, 0, sizeof leaving);
    asyncio_server *server = serve_protocols(&leaving, NULL);
    for (int i = 0; i < 3; i++)
        leaving_clients[i] = client_of(server);
    check_echo_of(leaving_clients[0]);
    asyncio_server_release(server);
    return 0;
}

ASYNC(leave_it_serving)
{
    memset(&leaving, 0, sizeof leaving);
    asyncio_server *server = serve_protocols(&leaving, NULL);
    leaving_clients[0] = client_of(server);
    check_echo_of(leaving_clients[0]);
    leaving_clients[1] = client_of(server);
    leaving_clients[2] = client_of(server);
    asyncio_task *task = asyncio_create_task(serve_forever(server));
    asyncio_sleep(0);
    asyncio_release(task);
    return 0;
}

TEST(the_end_of_asyncio_run)
{
    asyncio_coro *(*const mains[])(void) = {leave_clients, leave_it_serving};
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_run(mains[i]()), 0);
        CHECK(leaving.made >= 1 && leaving.made == leaving.lost && leaving.count == leaving.made);
        for (int j = 0; j < 3; j++)
            close(leaving_clients[j]);
        if (i)
            asyncio_server_release(leaving.server);
    }
    harness_settle();
}

/* ---- Few descriptors, faults ------------------------------------------------------------------- */

ASYNC_TEST(no_descriptor_left)
{
    static struct net_shortage shortage;
    struct host host = {0};
    net_prepare_shortage(&shortage);
    asyncio_server *server = serve_protocols(&host, NULL);
    int first = client_of(server), second = net_tcp();
    check_echo_of(first);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    net_begin_shortage(&shortage);
    CHECK_EQUAL(connect(second, (struct sockaddr *)&address, sizeof address), 0);
    asyncio_sleep(0.005);
    check_echo_of(first); /* those that are there are served */
    net_end_shortage(&shortage);
    check_echo_of(second); /* after the pause */
    close(first);
    close(second);
    wait_for_size(&host.lost, 2);
    expect_reports(1);
    finish(server);
    return 0;
}

static struct host swept;

ASYNC(serve_whatever_fails)
{
    memset(&swept, 0, sizeof swept);
    if (asyncio_create_server(make_echo, &swept, "127.0.0.1", 0, NULL, &swept.server))
        return 0;
    int port = asyncio_server_port(swept.server);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    if (port > 0 && connect(client, (struct sockaddr *)&address, sizeof address) == 0)
        send(client, "hello", 5, MSG_NOSIGNAL);
    for (int i = 0; i < 300; i++)
        asyncio_sleep(0);
    close(client);
    for (int i = 0; i < 300; i++)
        asyncio_sleep(0);
    asyncio_server_release(swept.server);
    for (int i = 0; i < 1000 && swept.lost < swept.made; i++)
        asyncio_sleep(0);
    CHECK_EQUAL(swept.lost, swept.made);
    return 0;
}

TEST(each_call_fails)
{
    sweep_failures(serve_whatever_fails);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
