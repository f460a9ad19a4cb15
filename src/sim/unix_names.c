/*
 * The names of simulated Unix sockets. A host has names of its own, of abstract sockets and of paths. A path
 * is no file of the real world, and stays when its socket is closed, until it is unlinked.
 */
#include "sim/unix.h"
#include "sys/net.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEADS 64

struct sim_name {
    struct list node;
    struct sim_socket *socket; /* NULL: the path of one that is closed */
    bool is_copy;              /* an accepted client's, of its listener's: it leads nowhere */
    uint64_t inode;
    mode_t mode;
    socklen_t length; /* of the bytes of sun_path */
    char text[];
};

static THREAD_LOCAL uint64_t inode_count;

/* ---- Names ------------------------------------------------------------------------------------ */

static struct list *head_of_name(struct sim_life *life, const char *text, size_t length)
{
    unsigned hash = 5381;
    for (size_t i = 0; i < length; i++)
        hash = hash * 33 ^ (unsigned char)text[i];
    if (!life->names) {
        life->names = asy_sim_alloc(HEADS * sizeof *life->names);
        for (unsigned i = 0; i < HEADS; i++)
            list_init(&life->names[i]);
    }
    return &life->names[hash % HEADS];
}

static struct sim_name *find_unix_name(struct sim_life *life, const char *text, size_t length)
{
    LIST_EACH(node, head_of_name(life, text, length)) {
        struct sim_name *name = LIST_ENTRY(node, struct sim_name, node);
        if (name->length == length && memcmp(name->text, text, length) == 0)
            return name;
    }
    return NULL;
}

void asy_sim_unix_forget_name(struct sim_name *name)
{
    list_remove(&name->node);
    if (name->socket)
        name->socket->name = NULL;
    asy_sim_free(name);
}

void asy_sim_unix_end(struct sim_life *life)
{
    for (unsigned i = 0; life->names && i < HEADS; i++)
        while (!list_is_empty(&life->names[i]))
            asy_sim_unix_forget_name(LIST_ENTRY(life->names[i].next, struct sim_name, node));
    asy_sim_free(life->names);
}

static bool is_abstract(const char *text)
{
    return !*text;
}

/* The bytes that name a socket: of a path those before the NUL. 0: none. Below 0: an error. */
static int read_name(const struct sockaddr *to, socklen_t length, const char **text)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)(const void *)to;
    size_t most = offsetof(struct sockaddr_un, sun_path);
    if (!to || length < sizeof to->sa_family || length > sizeof *name)
        return -EINVAL;
    if (to->sa_family != AF_UNIX)
        return -EINVAL;
    if (length <= most)
        return 0;
    *text = name->sun_path;
    return (int)(is_abstract(*text) ? length - most : strnlen(*text, length - most));
}

/* A file of the real world is in the way, or is no socket, as on Linux. */
static bool is_real_file(const char *text, size_t length)
{
    char path[sizeof(struct sockaddr_un)];
    struct stat status;
    if (is_abstract(text))
        return false;
    memcpy(path, text, length);
    path[length] = '\0';
    return asy_sys_stat(path, &status) == 0;
}

static struct sim_name *make_unix_name(struct sim_socket *socket, const char *text, size_t bytes)
{
    struct sim_name *name = asy_sim_alloc(sizeof *name + bytes);
    memcpy(name->text, text, bytes);
    name->length = (socklen_t)bytes;
    name->socket = socket;
    list_init(&name->node);
    return socket->name = name;
}

int asy_sim_unix_bind(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    const char *text = NULL;
    char made[8];
    int bytes = read_name(to, length, &text);
    if (bytes < 0 || socket->name)
        return bytes < 0 ? bytes : -EINVAL;
    if (bytes == 0) { /* the kernel chooses an abstract name of five digits */
        made[0] = '\0';
        snprintf(made + 1, sizeof made - 1, "%05x", (unsigned)(++inode_count & 0xfffff));
        text = made;
        bytes = 6;
    }
    if (find_unix_name(socket->life, text, (size_t)bytes) || is_real_file(text, (size_t)bytes))
        return -EADDRINUSE;
    struct sim_name *name = make_unix_name(socket, text, (size_t)bytes);
    name->inode = ++inode_count;
    name->mode = 0755;
    list_append(head_of_name(socket->life, text, (size_t)bytes), &name->node);
    return 0;
}

/* Its name as an address, in which `length` was the room. */
void asy_sim_unix_write_name(const struct sim_name *name, struct sockaddr *to, socklen_t *length)
{
    struct sockaddr_un full;
    memset(&full, 0, sizeof full);
    full.sun_family = AF_UNIX;
    size_t bytes = sizeof full.sun_family;
    if (name) {
        memcpy(full.sun_path, name->text, name->length);
        bytes = offsetof(struct sockaddr_un, sun_path) + name->length + !is_abstract(name->text);
    }
    memcpy(to, &full, bytes < *length ? bytes : *length);
    *length = (socklen_t)bytes;
}

int asy_sim_unix_name_of(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    asy_sim_unix_write_name(socket->name, name, length);
    return 0;
}

void asy_sim_unix_unbind(struct sim_socket *socket)
{
    struct sim_name *name = socket->name;
    if (!name)
        return;
    if (is_abstract(name->text) || name->is_copy)
        asy_sim_unix_forget_name(name);
    else
        name->socket = NULL;
    socket->name = NULL;
}

/* The socket that an address names, of this kind. */
int asy_sim_unix_find(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                      struct sim_socket **out)
{
    const char *text = NULL;
    int bytes = read_name(to, length, &text);
    if (bytes <= 0)
        return bytes ? bytes : -EINVAL;
    const struct sim_name *name = find_unix_name(socket->life, text, (size_t)bytes);
    if (!name && !is_abstract(text) && !is_real_file(text, (size_t)bytes))
        return -ENOENT;
    if (!name || !name->socket)
        return -ECONNREFUSED;
    if (name->socket->kind != socket->kind)
        return -EPROTOTYPE;
    *out = name->socket;
    return 0;
}

void asy_sim_unix_copy_name(struct sim_socket *client, const struct sim_socket *listener)
{
    make_unix_name(client, listener->name->text, listener->name->length)->is_copy = true;
}

void asy_sim_unix_describe(const struct sim_socket *socket, char *text, size_t bytes)
{
    const struct sim_name *name = socket->name;
    bool is_stream = socket->kind == &asy_sim_unix_stream;
    int shown = name ? (int)name->length - is_abstract(name->text) : 0;
    int used = snprintf(text, bytes, "unix%s%s%s%.*s", is_stream ? "" : " datagram", name ? " " : "",
                        name && is_abstract(name->text) ? "@" : "", shown,
                        name ? name->text + is_abstract(name->text) : "");
    if (socket->connection && (size_t)used < bytes)
        snprintf(text + used, bytes - (size_t)used, " (sent %llu, received %llu)",
                 (unsigned long long)asy_sim_pipe_out(socket)->sent,
                 (unsigned long long)asy_sim_pipe_in(socket)->received);
}

/* ---- Paths ----------------------------------------------------------------------------------------- */

static struct sim_name *find_path(const char *path)
{
    return *path ? find_unix_name(asy_sim_life_here(), path, strlen(path)) : NULL;
}

int asy_sim_path_stat(const char *path, struct stat *status)
{
    const struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    *status = (struct stat){.st_mode = S_IFSOCK | name->mode, .st_ino = name->inode, .st_nlink = 1};
    return 0;
}

int asy_sim_path_unlink(const char *path)
{
    struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    asy_sim_unix_forget_name(name);
    return 0;
}

int asy_sim_path_chmod(const char *path, mode_t mode)
{
    struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    name->mode = mode;
    return 0;
}
