/*
 * Servers: the addresses that they listen on.
 */
#include "net/server_test.h"

ASYNC_TEST(all_addresses)
{
    int fds[8];
    for (int i = 0; i < 20; i++) {
        asyncio_server *server = NULL;
        forget_counts();
        CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, i % 2 ? NULL : "", 0, NULL, &server), 0);
        int count = asyncio_server_fds(server, fds, 8);
        CHECK(count >= 1);
        for (int k = 0; k < count; k++)
            CHECK_EQUAL(port_of(fds[k]), asyncio_server_port(server));
        int client = client_of(server);
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        close(client);
        wait_for_count(&ended, 1);
        finish(server);
    }
    return 0;
}

ASYNC_TEST(refused)
{
    int fds[2];
    asyncio_server *server = serve(echo_handler, NULL, NULL), *other = NULL;
    char words[64];
    int port = asyncio_server_port(server);
    snprintf(words, sizeof words, "listen on 127.0.0.1:%d: address already in use", port);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, NULL, &other), -EADDRINUSE);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK_EQUAL(asyncio_start_server(NULL, NULL, "127.0.0.1", 0, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 65536, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", -1, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "203.0.113.77", 0, NULL, &other), -EADDRNOTAVAIL);
    /* Nobody has loaded TLS: whatever that is, it is no context. */
    asyncio_server_options options = {.tls = (asyncio_tls_context *)(void *)words};
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, &options, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server_on(-1, echo_handler, NULL, NULL, &other), -EBADF);
    CHECK_EQUAL(asyncio_start_server_on(fds[0] = net_tcp(), echo_handler, NULL, NULL, NULL), -EINVAL);
    close(fds[0]);
    net_pipe(fds);
    CHECK_EQUAL(asyncio_start_server_on(fds[0], echo_handler, NULL, NULL, &other), -ENOTSOCK);
    CHECK_EQUAL(close(fds[0]), 0); /* still ours */
    close(fds[1]);
    CHECK_EQUAL(asyncio_server_port(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_server_fds(NULL, NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_server_fds(server, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_server_wait_closed(NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_server_serve_forever(NULL), -EINVAL);
    asyncio_server_close(NULL);
    asyncio_server_close_clients(NULL);
    asyncio_server_abort_clients(NULL);
    CHECK(other == NULL);
    finish(server);
    return 0;
}

ASYNC_TEST(given_listener)
{
    struct sockaddr_in address;
    int fd = net_listen(&address, 10), before = client_at(ntohs(address.sin_port));
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_server_on(fd, echo_handler, NULL, NULL, &server), 0);
    CHECK_EQUAL(asyncio_server_port(server), ntohs(address.sin_port));
    int after = client_of(server);
    peer_sends(before, "hello\n");
    peer_sends(after, "hello\n");
    CHECK_EQUAL(seen_by(before), 6);
    CHECK_EQUAL(seen_by(after), 6);
    close(before);
    close(after);
    finish(server);
    CHECK(fcntl(fd, F_GETFD) < 0);
    return 0;
}

/* Two servers at one port, among which the kernel spreads the clients. */
ASYNC_TEST(reuse_port)
{
    asyncio_server_options options = {.reuse_port = 1};
    asyncio_server *first = serve(echo_handler, NULL, &options), *second = NULL, *third = NULL;
    int port = asyncio_server_port(first);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, &options, &second), 0);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, NULL, &third), -EADDRINUSE);
    for (int i = 0; i < 20; i++) {
        int client = client_at(port);
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        close(client);
    }
    finish(first);
    finish(second);
    return 0;
}

static void check_unix(const char *path)
{
    int client = unix_client(path);
    peer_sends(client, "hello\n");
    CHECK_EQUAL(seen_by(client), 6);
    close(client);
}

/* A stale file is replaced; at the end the file goes, if it is still ours. */
ASYNC_TEST(behaviour_56_unix)
{
    char path[64], too_long[200];
    const char *abstract = unix_name();
    asyncio_server *server = NULL, *second = NULL;
    struct stat status;
    snprintf(path, sizeof path, "/tmp/asyncio-test-%d", (int)getpid());
    unlink(path);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), 0);
    check_unix(path);
    CHECK_EQUAL(asyncio_server_port(server), -EINVAL);
    finish(server);
    CHECK(stat(path, &status) < 0);
    /* Replaced by another server: its file stays. */
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), 0);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &second), 0);
    finish(server);
    check_unix(path);
    finish(second);
    CHECK(stat(path, &status) < 0);
    /* A file that is no socket is left alone. */
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), -EADDRINUSE);
    CHECK_HAS(asyncio_error_message(), path);
    CHECK_EQUAL(unlink(path), 0);
    /* Without a file. */
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, abstract, NULL, &server), 0);
    check_unix(abstract);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, abstract, NULL, &second), -EADDRINUSE);
    finish(server);
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, too_long, NULL, &server), -ENAMETOOLONG);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, "", NULL, &server), -EINVAL);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, NULL, NULL, &server), -EINVAL);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, NULL), -EINVAL);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
