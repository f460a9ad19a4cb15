/*
 * Servers: making the sockets they listen on.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/address.h"
#include "fd/socket_options.h"
#include "net/endpoint.h"
#include "net/server.h"
#include "net/server_spread.h"
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

static const asyncio_server_options server_defaults;

static int refuse_option(const char *words)
{
    return (int)asyncio_raise(-EINVAL, "%s", words);
}

/* `step`: what failed, if it was neither binding nor listening; or NULL. */
static int raise_listen_error(const struct sockaddr *address, const char *step, int err)
{
    char text[ASY_ADDRESS_TEXT], words[ASY_WORDS];
    asy_address_text(address, text);
    return (int)asyncio_raise(err, "listen on %s: %s%s%s", text, step ? step : "", step ? ": " : "",
                              asy_words(err, words));
}

static int get_backlog(const asyncio_server_options *options)
{
    return options->backlog > 0 ? options->backlog : 100;
}

/* 0, or an error; *step: of which option, if the program has asked for it. */
static int set_listener_options(int fd, int family, const asyncio_server_options *options, const char **step)
{
    int on = 1, v6only = options->v6only >= 0, err = 0;
    if (family != AF_UNIX)
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!err && (options->reuse_port > 0 || (options->loops && options->spread == SPREAD_BY_KERNEL)))
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!err && family == AF_INET6)
        err = asy_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (!err && family != AF_UNIX)
        err = asy_set_tcp_options(fd, options->keepalive, options->user_timeout, step);
    return err ? err : asy_set_up_socket(fd, options->setup, options->setup_arg, step);
}

/* Nobody can connect before the socket listens, so the file has its mode in time. */
static int begin_listening(int fd, const char *path, const asyncio_server_options *options)
{
    int err = path && options->mode ? asy_sys_chmod(path, (mode_t)options->mode) : 0;
    return err ? err : asy_sys_listen(fd, get_backlog(options));
}

int asy_server_listen_on(const struct sockaddr *address, socklen_t length,
                         const asyncio_server_options *options)
{
    const char *step = NULL, *path = NULL;
    int fd = asy_sys_socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return raise_listen_error(address, NULL, fd);
    int err = set_listener_options(fd, address->sa_family, options, &step);
    if (!err) {
        step = NULL;
        err = asy_sys_bind(fd, address, length);
    }
    if (!err && address->sa_family == AF_UNIX) /* an abstract name is the empty path here */
        path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    if (!err)
        err = begin_listening(fd, path, options);
    if (!err)
        return fd;
    if (path)
        asy_sys_unlink(path);
    asyncio_close(fd);
    return raise_listen_error(address, step, err);
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

/* ---- Hosts and ports ----------------------------------------------------------------- */

/* The addresses of one host and port. */
struct place {
    struct addrinfo *addresses;
    bool is_any_port;
};

/* All that a server is to listen on. */
struct places {
    struct place *list;
    size_t count;
};

static void drop_places(struct places *places)
{
    for (size_t i = 0; i < places->count; i++)
        if (places->list[i].addresses)
            freeaddrinfo(places->list[i].addresses);
    asy_sys_free(places->list);
}

static size_t count_addresses(const struct places *places)
{
    size_t count = 0;
    for (size_t i = 0; i < places->count; i++)
        for (const struct addrinfo *at = places->list[i].addresses; at; at = at->ai_next)
            count++;
    return count;
}

/* 0 or an error with a message; then there are none. */
static int look_up_places(const asyncio_address *addresses, size_t count, int family, struct places *places)
{
    int err = 0;
    *places = (struct places){.list = asy_sys_calloc(count, sizeof *places->list)};
    if (!places->list)
        return -ENOMEM;
    for (size_t i = 0; i < count && !err; i++) {
        struct place *place = &places->list[places->count++];
        place->is_any_port = addresses[i].port == 0;
        err = asy_look_up(&addresses[i], family, SOCK_STREAM, ASY_TO_LISTEN, &place->addresses);
    }
    if (err)
        drop_places(places);
    return err;
}

/* Two hosts may have an address in common: it is listened on once. */
static bool is_in_earlier_place(const struct places *places, size_t number, const struct addrinfo *address)
{
    for (size_t i = 0; i < number && !places->list[number].is_any_port; i++)
        for (const struct addrinfo *at = places->list[i].addresses; at; at = at->ai_next)
            if (asy_is_same_address(at, address))
                return true;
    return false;
}

/* If any port will do, the further addresses of a place get the one that the kernel chose for the first of
 * them, the server's listener with this number. */
static int use_same_port(const asyncio_server *server, size_t first, struct sockaddr *address)
{
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    if (server->listener_count == first || asy_address_port(address) != 0)
        return 0;
    int err = asy_sys_getsockname(server->listeners[first].fd, (struct sockaddr *)&name, &length);
    if (err)
        return raise_listen_error(address, NULL, err);
    set_port(address, asy_address_port((const struct sockaddr *)&name));
    return 0;
}

static int add_listener(asyncio_server *server, const struct addrinfo *address)
{
    int fd = asy_server_listen_on(address->ai_addr, address->ai_addrlen, &server->options);
    int err = fd < 0 ? fd : asy_server_add(server, fd);
    if (err && fd >= 0)
        asyncio_close(fd);
    return err;
}

static bool is_wildcard(const struct addrinfo *address, int family)
{
    if (address->ai_family != family)
        return false;
    return family == AF_INET
               ? ((const struct sockaddr_in *)(const void *)address->ai_addr)->sin_addr.s_addr == INADDR_ANY
               : IN6_IS_ADDR_UNSPECIFIED(
                     &((const struct sockaddr_in6 *)(const void *)address->ai_addr)->sin6_addr);
}

/* The IPv6 wildcard may take IPv4, too: then it comes first, and the other wildcard is left out. */
static void put_wildcard_first(struct addrinfo **list)
{
    for (struct addrinfo **link = list; *link; link = &(*link)->ai_next)
        if (is_wildcard(*link, AF_INET6)) {
            struct addrinfo *found = *link;
            *link = found->ai_next;
            found->ai_next = *list;
            *list = found;
            return;
        }
}

/* Listens on all addresses of a place, at one port. 0 or the error of one of them. */
static int add_place(asyncio_server *server, const struct places *places, size_t number)
{
    struct place *place = &places->list[number];
    size_t first = server->listener_count;
    bool takes_all = false; /* of IPv4 */
    int err = 0, skipped = 0;
    if (server->options.v6only < 0)
        put_wildcard_first(&place->addresses);
    for (const struct addrinfo *at = place->addresses; at; at = at->ai_next) {
        if (is_in_earlier_place(places, number, at) || (takes_all && is_wildcard(at, AF_INET)))
            continue;
        err = use_same_port(server, first, at->ai_addr);
        if (!err)
            err = add_listener(server, at);
        if (err && !can_skip(err))
            return err;
        skipped = err ? err : skipped;
        takes_all |= !err && server->options.v6only < 0 && is_wildcard(at, AF_INET6);
    }
    return server->listener_count > first ? 0 : skipped;
}

/* 0 or an error; *is_port_taken: the port that was free for one address is taken for another. */
static int add_places(asyncio_server *server, const struct places *places, bool *is_port_taken)
{
    for (size_t i = 0; i < places->count; i++) {
        size_t first = server->listener_count;
        int err = add_place(server, places, i);
        *is_port_taken = err == -EADDRINUSE && places->list[i].is_any_port && server->listener_count > first;
        if (err)
            return err;
    }
    return 0;
}

static void forget_ports(const struct places *places)
{
    for (size_t i = 0; i < places->count; i++)
        for (const struct addrinfo *at = places->list[i].addresses; at; at = at->ai_next)
            if (places->list[i].is_any_port)
                set_port(at->ai_addr, 0);
}

/* All is tried again if the port was not free everywhere; but not for ever. */
#define PORT_ATTEMPTS 8

static int start_on_places(asyncio_client_handler handler, void *arg, const asyncio_server_options *options,
                           const struct places *places, asyncio_server **server)
{
    for (int attempt = 1;; attempt++) {
        bool is_port_taken = false;
        int err = asy_server_new(handler, arg, options, count_addresses(places), server);
        if (err)
            return err;
        err = add_places(*server, places, &is_port_taken);
        if (!err)
            err = asy_spread_listen(*server);
        if (!err)
            return 0;
        asyncio_server_release(*server);
        if (!is_port_taken || attempt == PORT_ATTEMPTS)
            return err;
        forget_ports(places);
    }
}

/* 0 or -EINVAL with a message. */
static int check_places(const char *host, int port, const asyncio_server_options *options)
{
    if (options->mode)
        return refuse_option("the option mode is for the file of a Unix socket");
    if (!options->addresses != !options->address_count)
        return refuse_option("of the options addresses and address_count one is there without the other");
    if (options->addresses && (host || port))
        return refuse_option("with the option addresses, host is NULL and port is 0");
    return asy_check_family(options->family);
}

int asyncio_start_server(asyncio_client_handler handler, void *arg, const char *host, int port,
                         const asyncio_server_options *options, asyncio_server **server)
{
    if (!server || !handler)
        return -EINVAL;
    options = options ? options : &server_defaults;
    const asyncio_address one = {host, port};
    struct places places;
    int err = check_places(host, port, options);
    if (!err)
        err = options->addresses
                  ? look_up_places(options->addresses, options->address_count, options->family, &places)
                  : look_up_places(&one, 1, options->family, &places);
    if (err)
        return err;
    asyncio_server *made;
    err = start_on_places(handler, arg, options, &places, &made);
    drop_places(&places);
    if (err)
        return err;
    asy_server_begin(made);
    *server = made;
    return 0;
}

#define BY_KERNEL_WORDS "the kernel spreads clients among TCP sockets that the server makes itself, no others"

/* ---- A socket of the program's ------------------------------------------------------ */

/* Those that make sense for a socket that is there already. */
static int set_given_options(int fd, const asyncio_server_options *options, const char **step)
{
    int kind = asy_sys_fd_kind(fd);
    if (kind < 0 || !(kind & ASY_FD_TCP))
        return kind < 0 ? kind : 0;
    return asy_set_tcp_options(fd, options->keepalive, options->user_timeout, step);
}

/* A socket that listens already keeps its backlog, unless the options have one. */
static int begin_to_listen(int fd, const asyncio_server_options *options)
{
    int listens = 0;
    socklen_t length = sizeof listens;
    int err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
    bool keeps_backlog = listens && options->backlog <= 0;
    return err || keeps_backlog ? err : asy_sys_listen(fd, get_backlog(options));
}

static int raise_descriptor_error(int fd, const char *step, int err)
{
    char words[ASY_WORDS];
    return (int)asyncio_raise(err, "listen on descriptor %d: %s%s%s", fd, step ? step : "", step ? ": " : "",
                              asy_words(err, words));
}

int asyncio_start_server_on(int fd, asyncio_client_handler handler, void *arg,
                            const asyncio_server_options *options, asyncio_server **server)
{
    asyncio_server *made;
    const char *step = NULL;
    if (!server)
        return -EINVAL;
    options = options ? options : &server_defaults;
    if (options->loops && options->spread == SPREAD_BY_KERNEL)
        return refuse_option(BY_KERNEL_WORDS);
    if (options->addresses || options->address_count || options->mode)
        return refuse_option("the options addresses and mode are not for a socket that is there already");
    int err = asy_server_new(handler, arg, options, 1, &made);
    if (err)
        return err;
    err = set_given_options(fd, options, &step);
    if (!err) {
        step = NULL;
        err = begin_to_listen(fd, options);
    }
    if (!err)
        err = asy_server_add(made, fd);
    if (err) {
        asyncio_server_release(made);
        return raise_descriptor_error(fd, step, err);
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
    int fd = asy_server_listen_on((const struct sockaddr *)address, length, &server->options);
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

/* 0 or -EINVAL with a message. */
static int check_path_options(const char *path, const asyncio_server_options *options)
{
    if (options->addresses || options->address_count)
        return refuse_option("the option addresses is not for a Unix socket");
    if (options->loops && options->spread == SPREAD_BY_KERNEL)
        return refuse_option(BY_KERNEL_WORDS);
    if (options->mode < 0 || options->mode > 07777)
        return refuse_option("the option mode is not a mode of a file");
    if (options->mode && *path == '@')
        return refuse_option("an abstract name is no file, so it has no mode: any user may connect to it");
    return 0;
}

int asyncio_start_unix_server(asyncio_client_handler handler, void *arg, const char *path,
                              const asyncio_server_options *options, asyncio_server **server)
{
    struct sockaddr_un address;
    socklen_t length;
    if (!server)
        return -EINVAL;
    int err = asy_unix_address(path, &address, &length);
    if (!err && options)
        err = check_path_options(path, options);
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
