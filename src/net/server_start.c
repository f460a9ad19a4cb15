/*
 * Servers: making the sockets they listen on.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/address.h"
#include "net/endpoint.h"
#include "net/server.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int raise_listen_error(const struct sockaddr *address, int err)
{
    char text[ASY_ADDRESS_TEXT], words[ASY_WORDS];
    asy_address_text(address, text);
    return (int)asyncio_raise(err, "listen on %s: %s", text, asy_words(err, words));
}

static int get_backlog(const asyncio_server_options *options)
{
    return options && options->backlog > 0 ? options->backlog : 100;
}

static int set_listener_options(int fd, int family, const asyncio_server_options *options)
{
    int on = 1, err = 0;
    if (family != AF_UNIX)
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!err && options && options->reuse_port > 0)
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!err && family == AF_INET6)
        err = asy_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return err;
}

/* A listening socket, or a negative errno with a message. */
static int listen_on(const struct sockaddr *address, socklen_t length, const asyncio_server_options *options)
{
    int fd = asy_sys_socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return raise_listen_error(address, fd);
    int err = set_listener_options(fd, address->sa_family, options);
    if (!err)
        err = asy_sys_bind(fd, address, length);
    bool has_file = !err && address->sa_family == AF_UNIX;
    if (!err)
        err = asy_sys_listen(fd, get_backlog(options));
    if (!err)
        return fd;
    if (has_file) /* an abstract name is the empty path here */
        asy_sys_unlink(((const struct sockaddr_un *)(const void *)address)->sun_path);
    asyncio_close(fd);
    return raise_listen_error(address, err);
}

/* A family that this host does not have is skipped if another one works. */
static bool can_skip(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL || err == -EPROTONOSUPPORT;
}

static void set_port(struct sockaddr *address, int port)
{
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
    else if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
}

/* If any port will do, the further addresses get the one that the kernel chose for the first. */
static int use_same_port(asyncio_server *server, struct sockaddr *address)
{
    if (!server->listener_count || asy_address_port(address) != 0)
        return 0;
    int port = asyncio_server_port(server);
    if (port < 0)
        return raise_listen_error(address, port);
    set_port(address, port);
    return 0;
}

/* Listens on all addresses, at one port. */
static int add_listeners(asyncio_server *server, const struct addrinfo *addresses)
{
    int err = 0;
    for (const struct addrinfo *at = addresses; at; at = at->ai_next) {
        err = use_same_port(server, at->ai_addr);
        if (err)
            return err;
        int fd = listen_on(at->ai_addr, at->ai_addrlen, &server->options);
        if (fd < 0) {
            err = fd;
            if (can_skip(fd))
                continue;
            return err;
        }
        err = asy_server_add(server, fd);
        if (err) {
            asyncio_close(fd);
            return err;
        }
    }
    return server->listener_count ? 0 : err;
}

/* The port that was free for one address may be taken for another; then all is tried again. */
#define PORT_ATTEMPTS 8

static int start_on_addresses(asyncio_client_handler handler, void *arg,
                              const asyncio_server_options *options, const struct addrinfo *addresses,
                              bool is_any_port, asyncio_server **server)
{
    size_t count = 0;
    for (const struct addrinfo *at = addresses; at; at = at->ai_next)
        count++;
    for (int attempt = 1;; attempt++) {
        int err = asy_server_new(handler, arg, options, count, server);
        if (err)
            return err;
        err = add_listeners(*server, addresses);
        if (!err)
            return 0;
        bool must_retry =
            err == -EADDRINUSE && is_any_port && (*server)->listener_count && attempt < PORT_ATTEMPTS;
        asyncio_server_release(*server);
        if (!must_retry)
            return err;
        for (const struct addrinfo *at = addresses; at; at = at->ai_next)
            set_port(at->ai_addr, 0);
    }
}

int asyncio_start_server(asyncio_client_handler handler, void *arg, const char *host, int port,
                         const asyncio_server_options *options, asyncio_server **server)
{
    if (!server || !handler)
        return -EINVAL;
    const asyncio_address address = {host, port};
    struct addrinfo *addresses;
    int err = asy_look_up(&address, AF_UNSPEC, SOCK_STREAM, ASY_TO_LISTEN, &addresses);
    if (err)
        return err;
    asyncio_server *made;
    err = start_on_addresses(handler, arg, options, addresses, port == 0, &made);
    freeaddrinfo(addresses);
    if (err)
        return err;
    asy_server_begin(made);
    *server = made;
    return 0;
}

/* ---- A socket of the program's ------------------------------------------------------ */

/* A socket that listens already keeps its backlog, unless the options have one. */
static int begin_to_listen(int fd, const asyncio_server_options *options)
{
    int listens = 0;
    socklen_t length = sizeof listens;
    int err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
    bool keeps_backlog = listens && !(options && options->backlog > 0);
    return err || keeps_backlog ? err : asy_sys_listen(fd, get_backlog(options));
}

static int raise_descriptor_error(int fd, int err)
{
    char words[ASY_WORDS];
    return (int)asyncio_raise(err, "listen on descriptor %d: %s", fd, asy_words(err, words));
}

int asyncio_start_server_on(int fd, asyncio_client_handler handler, void *arg,
                            const asyncio_server_options *options, asyncio_server **server)
{
    asyncio_server *made;
    if (!server)
        return -EINVAL;
    int err = asy_server_new(handler, arg, options, 1, &made);
    if (err)
        return err;
    err = begin_to_listen(fd, options);
    if (!err)
        err = asy_server_add(made, fd);
    if (err) {
        asyncio_server_release(made);
        return raise_descriptor_error(fd, err);
    }
    asy_server_begin(made);
    *server = made;
    return 0;
}

/* ---- Unix sockets -------------------------------------------------------------------- */

/* Removes an earlier socket file, whoever made it, as Python does: else bind fails with -EADDRINUSE. */
static void remove_socket(const char *path)
{
    struct stat status;
    if (asy_sys_stat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        asy_sys_unlink(path);
}

static char *copy_path(const char *path)
{
    size_t bytes = strlen(path) + 1;
    char *copy = asy_sys_alloc(bytes);
    return copy ? memcpy(copy, path, bytes) : NULL;
}

/* Remembers the file, so that the end removes this one and no other. */
static void remember_file(asyncio_server *server)
{
    struct stat status;
    if (asy_sys_stat(server->path, &status) < 0)
        return;
    server->device = status.st_dev;
    server->inode = status.st_ino;
}

/* Listens at a path, or at an abstract name. 0 or an error. */
static int add_path(asyncio_server *server, const char *path, const struct sockaddr_un *address,
                    socklen_t length)
{
    bool is_file = *path != '@';
    if (is_file && !(server->path = copy_path(path)))
        return -ENOMEM;
    if (is_file)
        remove_socket(path);
    int fd = listen_on((const struct sockaddr *)address, length, &server->options);
    if (fd < 0)
        return fd;
    if (is_file)
        remember_file(server);
    int err = asy_server_add(server, fd);
    if (err)
        asyncio_close(fd);
    return err;
}

void asy_server_unlink(asyncio_server *server)
{
    struct stat status;
    if (server->path && !asy_loop_is_parents(server->loop) && asy_sys_stat(server->path, &status) == 0 &&
        status.st_dev == server->device && status.st_ino == server->inode)
        asy_sys_unlink(server->path);
}

int asyncio_start_unix_server(asyncio_client_handler handler, void *arg, const char *path,
                              const asyncio_server_options *options, asyncio_server **server)
{
    struct sockaddr_un address;
    socklen_t length;
    if (!server)
        return -EINVAL;
    int err = asy_unix_address(path, &address, &length);
    asyncio_server *made = NULL;
    if (!err)
        err = asy_server_new(handler, arg, options, 1, &made);
    if (err)
        return err;
    err = add_path(made, path, &address, length);
    if (err) {
        asyncio_server_release(made);
        return err;
    }
    asy_server_begin(made);
    *server = made;
    return 0;
}
