/*
 * A service and its manager: sockets that it hands over, and what it is told (sd_listen_fds(3),
 * sd_notify(3)).
 *
 * The environment is only read, since another thread may be reading it, too. Children that inherit it are not
 * taken in: LISTEN_PID is not theirs.
 */
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/servers.h"
#include "core/message.h"
#include "fd/address.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define UNNAMED "unknown" /* as systemd has it, where there are no names */

/* ---- Sockets ------------------------------------------------------------------------- */

/* A number in decimal digits, or -EINVAL with a message. */
static int read_variable(const char *variable, const char *text)
{
    long number = 0;
    const char *at = text;
    while (*at >= '0' && *at <= '9' && number <= INT_MAX)
        number = 10 * number + (*at++ - '0');
    if (at == text || *at || number > INT_MAX - FIRST_FD)
        return (int)asyncio_raise(-EINVAL, "the environment's %s is \"%.40s\", and no number", variable,
                                  text);
    return (int)number;
}

/* How many descriptors this process was given, from FIRST_FD on; or an error. */
static int count_given(void)
{
    const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");
    if (!pid || !count)
        return 0;
    int owner = read_variable("LISTEN_PID", pid);
    if (owner < 0)
        return owner;
    return owner == (int)getpid() ? read_variable("LISTEN_FDS", count) : 0;
}

/* The next of the names, which colons part; *length: of it. NULL: there are no more. */
static const char *next_name(const char **names, size_t *length)
{
    const char *name = *names;
    if (!name)
        return NULL;
    *length = strcspn(name, ":");
    *names = name[*length] ? name + *length + 1 : NULL;
    return name;
}

/* All of them, whatever is asked for: a child that starts before the next call must not get the others. */
static int keep_from_children(int count)
{
    for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
        int err = asy_sys_set_cloexec(fd);
        if (err)
            return (int)asyncio_raise(err, "LISTEN_FDS is %d, but descriptor %d is not open", count, fd);
    }
    return 0;
}

int asyncio_listen_fds(int *out, size_t n, const char *name)
{
    int count = count_given(), found = 0;
    if (!out && n)
        return -EINVAL;
    int err = count < 0 ? count : keep_from_children(count);
    if (err)
        return err;
    const char *names = secure_getenv("LISTEN_FDNAMES");
    bool has_names = names != NULL;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(UNNAMED);
        const char *its = has_names ? next_name(&names, &length) : UNNAMED;
        if (!its)
            return (int)asyncio_raise(-EINVAL, "LISTEN_FDNAMES has %d names for %d descriptors", i, count);
        if (name && (strlen(name) != length || memcmp(name, its, length) != 0))
            continue;
        if ((size_t)found < n)
            out[found] = FIRST_FD + i;
        found++;
    }
    return found;
}

/* ---- News -------------------------------------------------------------------------------- */

static int send_news(const char *path, const char *state)
{
    struct sockaddr_un address;
    socklen_t length;
    int err = asy_unix_address(path, &address, &length);
    if (err)
        return err;
    int fd = asy_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    ssize_t sent = asy_sys_sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                                  (const struct sockaddr *)&address, length);
    asyncio_close(fd);
    return sent < 0 ? (int)sent : 1;
}

int asyncio_notify(const char *state)
{
    const char *path = secure_getenv("NOTIFY_SOCKET");
    char words[ASY_WORDS];
    if (!state || !*state)
        return -EINVAL;
    if (!path)
        return 0;
    if (*path != '/' && *path != '@')
        return (int)asyncio_raise(-EAFNOSUPPORT, "NOTIFY_SOCKET is \"%.100s\", which is no Unix socket",
                                  path);
    int sent = send_news(path, state);
    if (sent < 0)
        asyncio_raise(sent, "notify %.107s: %s", path, asy_words(sent, words));
    return sent;
}
