/*
 * Sockets from /proc/PID/net, which shows the network namespace of that process. See sockets.h.
 */
#include "sockets.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct socket {
    const char *protocol;
    char local[64], remote[64]; /* remote "": none */
    bool is_listening;
};

struct sockets {
    struct socket *all;
    size_t count, capacity;
    struct table by_inode;
};

#define LISTENING 10 /* TCP_LISTEN */

static struct socket *add_socket(struct sockets *sockets, uint64_t inode, const char *protocol)
{
    GROW(sockets->all, sockets->capacity, sockets->count);
    struct socket *socket = &sockets->all[sockets->count];
    *socket = (struct socket){.protocol = protocol};
    if (inode)
        table_put(&sockets->by_inode, inode, (uint32_t)sockets->count);
    sockets->count++;
    return socket;
}

/* "0100007F:1F90": each group of eight digits is a word in the machine's order. */
static void parse_address(const char *digits, char *out, size_t bytes)
{
    uint32_t words[4];
    char text[INET6_ADDRSTRLEN] = "";
    size_t length = strcspn(digits, ":");
    unsigned port = (unsigned)strtoul(digits + length + (digits[length] == ':'), NULL, 16);
    size_t count = length / 8;
    out[0] = '\0';
    if (count != 1 && count != 4)
        return;
    bool is_any = port == 0;
    for (size_t i = 0; i < count; i++) {
        char group[9] = "";
        memcpy(group, digits + 8 * i, 8);
        words[i] = (uint32_t)strtoul(group, NULL, 16);
        is_any &= words[i] == 0;
    }
    if (is_any || !inet_ntop(count == 1 ? AF_INET : AF_INET6, words, text, sizeof text))
        return;
    snprintf(out, bytes, count == 1 ? "%s:%u" : "[%s]:%u", text, port);
}

static void parse_internet(struct sockets *sockets, char *text, const char *protocol)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char local[64], remote[64];
        unsigned state;
        unsigned long long inode;
        if (sscanf(line, " %*u: %63s %63s %x %*s %*s %*s %*u %*d %llu", local, remote, &state, &inode) != 4)
            continue;
        struct socket *socket = add_socket(sockets, inode, protocol);
        socket->is_listening = state == LISTENING && strncmp(protocol, "tcp", 3) == 0;
        parse_address(local, socket->local, sizeof socket->local);
        parse_address(remote, socket->remote, sizeof socket->remote);
    }
}

static void parse_unix(struct sockets *sockets, char *text)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        unsigned long long inode;
        unsigned flags;
        int path_at = 0;
        if (sscanf(line, "%*s %*x %*x %x %*x %*x %llu %n", &flags, &inode, &path_at) != 2)
            continue;
        struct socket *socket = add_socket(sockets, inode, "unix");
        socket->is_listening = flags & 0x10000;
        if (path_at)
            snprintf(socket->local, sizeof socket->local, "%s", line + path_at);
    }
}

struct sockets *sockets_read(pid_t pid)
{
    static const char *const names[] = {"tcp", "tcp6", "udp", "udp6", "unix"};
    struct sockets *sockets = must_alloc(sizeof *sockets);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[32];
        snprintf(path, sizeof path, "net/%s", names[i]);
        char *text = read_proc_file(pid, path);
        if (text && strcmp(names[i], "unix") == 0)
            parse_unix(sockets, text);
        else if (text)
            parse_internet(sockets, text, names[i]);
        free(text);
    }
    return sockets;
}

void sockets_describe(const struct sockets *sockets, uint64_t inode, bool is_reading, struct text *text)
{
    uint32_t i = table_find(&sockets->by_inode, inode);
    if (i == UINT32_MAX) {
        text_add(text, ", socket:[%llu]", (unsigned long long)inode);
        return;
    }
    const struct socket *socket = &sockets->all[i];
    text_add(text, ", %s", socket->protocol);
    if (socket->local[0]) {
        text_add(text, " ");
        text_add_clean(text, socket->local);
    }
    if (socket->is_listening)
        text_add(text, ", listening");
    else if (socket->remote[0])
        text_add(text, " %s %s", is_reading ? "<-" : "->", socket->remote);
}

void sockets_free(struct sockets *sockets)
{
    if (!sockets)
        return;
    free(sockets->all);
    table_free(&sockets->by_inode);
    free(sockets);
}
