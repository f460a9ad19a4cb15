/*
 * Connections: a name or a path becomes a stream. This makes one attempt; happy_eyeballs.c decides their
 * order.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/sockets.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/address.h"
#include "fd/socket_options.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "net/endpoint.h"
#include "net/happy_eyeballs.h"
#include "net/server.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define ATTEMPT_DELAY_S 0.25 /* as RFC 8305 recommends */

/* Why an attempt failed. */
struct failure {
    int err;
    const char *step;             /* what failed before it could connect, but for binding; or NULL */
    bool is_at_bind;              /* it failed to bind */
    const struct sockaddr *local; /* to this address; NULL: there is none of the family */
    char host[ASY_HOST_TEXT];     /* the host that it was to connect to */
};

/* One call of asyncio_open_connection. */
struct dial {
    asyncio_address remote;
    const asyncio_connect_options *options;
    struct addrinfo *locals; /* the addresses of options->local, or NULL */
    struct failure last;     /* of the attempts */
};

/* ---- One attempt -------------------------------------------------------------------- */

/* A connection works without these options, so their errors do not matter. */
static void set_useful_options(int fd, const asyncio_address *local)
{
    int on = 1;
    asy_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!local)
        return;
    if (local->port) /* concurrent attempts share it, and so does a connection that lingers */
        asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    else /* the kernel chooses the port when it knows the peer, so that more connections find one */
        asy_sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
}

/* Those that the program has asked for. 0, or an error; *step: of which. */
static int set_options(int fd, const asyncio_connect_options *options, const char **step)
{
    int err = asy_set_tcp_options(fd, options->keepalive, options->user_timeout, step);
    if (!err)
        err = asy_set_up_socket(fd, options->setup, options->setup_arg, step);
    if (!err)
        *step = NULL;
    return err;
}

/* If no program listens at a port of the kernel's own range, the kernel may choose that port for us and
 * connect the socket to itself (TCP's simultaneous open). */
static bool is_own_address(int fd, const struct addrinfo *to)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    if (asy_sys_getsockname(fd, (struct sockaddr *)&name, &length))
        return false;
    if (to->ai_family == AF_INET) {
        const struct sockaddr_in *own = (const struct sockaddr_in *)&name;
        const struct sockaddr_in *peer = (const struct sockaddr_in *)(const void *)to->ai_addr;
        return own->sin_port == peer->sin_port && own->sin_addr.s_addr == peer->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *own = (const struct sockaddr_in6 *)&name;
    const struct sockaddr_in6 *peer = (const struct sockaddr_in6 *)(const void *)to->ai_addr;
    return to->ai_family == AF_INET6 && own->sin6_port == peer->sin6_port &&
           memcmp(&own->sin6_addr, &peer->sin6_addr, sizeof own->sin6_addr) == 0;
}

static int connect_socket(const struct dial *dial, int fd, const struct addrinfo *to, struct failure *failure)
{
    const asyncio_address *local = dial->options->local;
    set_useful_options(fd, local);
    int err = set_options(fd, dial->options, &failure->step);
    if (err)
        return err;
    if (local) {
        err = asy_bind_to_any(fd, to->ai_family, dial->locals, &failure->local);
        if (err) {
            failure->is_at_bind = true;
            return err;
        }
    }
    err = asyncio_sock_connect(fd, to->ai_addr, to->ai_addrlen);
    if (!err && !(local && local->port) && is_own_address(fd, to))
        err = -ECONNREFUSED;
    return err;
}

static int connect_attempt(void *arg, const struct addrinfo *to)
{
    struct dial *dial = arg;
    struct failure failure = {.is_at_bind = false};
    int fd = asy_sys_socket(to->ai_family, to->ai_socktype, to->ai_protocol);
    failure.err = fd < 0 ? fd : connect_socket(dial, fd, to, &failure);
    if (!failure.err)
        return fd;
    if (fd >= 0)
        asyncio_close(fd);
    asy_host_text(to->ai_addr, to->ai_addrlen, failure.host);
    dial->last = failure;
    return failure.err;
}

static int resolve_remote(void *arg, struct addrinfo **addresses)
{
    const struct dial *dial = arg;
    return asy_look_up(&dial->remote, dial->options->family, SOCK_STREAM, ASY_TO_CONNECT, addresses);
}

static void release_addresses(void *arg, struct addrinfo *addresses)
{
    (void)arg;
    freeaddrinfo(addresses);
}

static void close_attempt(void *arg, int fd)
{
    (void)arg;
    asyncio_close(fd);
}

/* ---- Messages ------------------------------------------------------------------------- */

/* "connect to example.org:443 (93.184.216.34): connection refused"; a number is said once. */
static int raise_attempts_failed(const struct dial *dial, size_t tried)
{
    const struct failure *last = &dial->last;
    char target[ASY_TARGET_TEXT], found[ASY_HOST_TEXT + 4] = "", step[ASY_ADDRESS_TEXT + 16] = "";
    char words[ASY_WORDS], count[48] = "";
    asy_target_text(&dial->remote, target);
    if (!dial->remote.host || strcmp(dial->remote.host, last->host) != 0)
        snprintf(found, sizeof found, " (%s)", last->host);
    asy_words(last->err, words);
    if (last->is_at_bind && last->local) {
        char local[ASY_ADDRESS_TEXT];
        asy_address_text(last->local, local);
        snprintf(step, sizeof step, "bind to %s: ", local);
    } else if (last->is_at_bind) {
        snprintf(step, sizeof step, "no local address of its family: ");
    } else if (last->step) {
        snprintf(step, sizeof step, "%s: ", last->step);
    }
    if (tried > 1)
        snprintf(count, sizeof count, "; %zu addresses were tried", tried);
    return (int)asyncio_raise(last->err, "connect to %s%s: %s%s%s", target, found, step, words, count);
}

/* ---- A name ------------------------------------------------------------------------------ */

/* A connected descriptor, or an error with its message. */
static int dial_name(struct dial *dial)
{
    double delay_s = dial->options->happy_eyeballs_delay;
    const struct happy_eyeballs with = {
        .resolve = resolve_remote,
        .release = release_addresses,
        .connect = connect_attempt,
        .close = close_attempt,
        .arg = dial,
        .delay_s = delay_s == 0 ? ATTEMPT_DELAY_S : delay_s,
    };
    const asyncio_address *local = dial->options->local;
    int err = local ? asy_look_up(local, dial->options->family, SOCK_STREAM, ASY_TO_BIND, &dial->locals) : 0;
    if (err)
        return err;
    size_t tried;
    int fd = asy_happy_eyeballs(&with, &tried);
    if (fd < 0 && fd == dial->last.err && fd != -ECANCELED)
        raise_attempts_failed(dial, tried);
    if (dial->locals)
        freeaddrinfo(dial->locals);
    return fd;
}

/* The stream owns the descriptor; on an error it is closed. */
static int open_stream_over(int fd, const asyncio_connect_options *options, const char *server_hostname,
                            asyncio_stream **out)
{
    asyncio_stream *stream;
    int err = asy_stream_make(asy_running_loop, fd, options, &stream);
    if (err) {
        asyncio_close(fd);
        return err;
    }
    asy_stream_learn_peer(stream);
    if (options->tls && (err = asyncio_stream_start_tls(stream, options->tls, server_hostname))) {
        asyncio_stream_abort(stream);
        return err;
    }
    *out = stream;
    return 0;
}

static const asyncio_connect_options defaults;

/* Checks the arguments of both kinds of connection. `host`: the name to verify if the options have none. */
static int check_connect_call(const asyncio_connect_options *options, const char *host,
                              asyncio_stream **stream)
{
    if (!asy_running_loop || !asy_running_loop->current)
        return ASYNCIO_ENOTASK;
    if (!stream || isnan(options->happy_eyeballs_delay))
        return -EINVAL;
    int err = asy_check_seconds(options->close_timeout, options->keepalive, options->user_timeout);
    if (!err)
        err = asy_check_family(options->family);
    if (err)
        return err;
    if (options->tls && !options->server_hostname && !host)
        return (int)asyncio_raise(-EINVAL, "TLS to a server without a name: set server_hostname");
    if (options->tls && asy_tls_hooks() && asy_tls_hooks()->is_server(options->tls))
        return (int)asyncio_raise(-EINVAL, "TLS: a connection needs a context that was made for clients");
    return 0;
}

int asyncio_open_connection(const char *host, int port, const asyncio_connect_options *options,
                            asyncio_stream **stream)
{
    options = options ? options : &defaults;
    int err = check_connect_call(options, host, stream);
    if (err)
        return err;
    struct dial dial = {.remote = {host, port}, .options = options};
    int fd = dial_name(&dial);
    if (fd < 0)
        return fd;
    return open_stream_over(fd, options, options->server_hostname ? options->server_hostname : host, stream);
}

/* ---- A path ------------------------------------------------------------------------------ */

/* A connected descriptor, or an error with its message. */
static int dial_path(const char *path, const asyncio_connect_options *options)
{
    const char *step = NULL;
    struct sockaddr_un address;
    socklen_t length;
    int err = asy_unix_address(path, &address, &length);
    if (err)
        return err;
    int fd = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    err = fd < 0 ? fd : asy_set_up_socket(fd, options->setup, options->setup_arg, &step);
    if (!err) {
        step = NULL;
        err = asyncio_sock_connect(fd, (const struct sockaddr *)&address, length);
    }
    if (!err)
        return fd;
    if (fd >= 0)
        asyncio_close(fd);
    char words[ASY_WORDS];
    if (err != -ECANCELED)
        asyncio_raise(err, "connect to %s: %s%s%s", path, step ? step : "", step ? ": " : "",
                      asy_words(err, words));
    return err;
}

int asyncio_open_unix_connection(const char *path, const asyncio_connect_options *options,
                                 asyncio_stream **stream)
{
    options = options ? options : &defaults;
    int err = check_connect_call(options, NULL, stream);
    if (err)
        return err;
    int fd = dial_path(path, options);
    return fd < 0 ? fd : open_stream_over(fd, options, options->server_hostname, stream);
}
