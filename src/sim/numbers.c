/*
 * The numbers of a world's sockets. Each is a real descriptor, a duplicate of one that no call but close(2)
 * and dup(2) takes, so the kernel decides which is next.
 *
 * The program should close a socket by the library. The world does not see a close(2): the number is free, or
 * somebody else's, and the socket is lost. That comes out where the number comes back from the kernel, where
 * it is closed, and at the end. Each of these tells of it, and the run has failed.
 */
#include "sim/net.h"
#include "sim/world.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TOLD_MAX 3
#define LOST_WORDS 192

static THREAD_LOCAL struct {
    int origin;                  /* of which all are duplicates */
    struct sim_socket **sockets; /* by number */
    size_t room, count;
    size_t lost; /* by close(2) */
    char lost_words[LOST_WORDS];
} numbers;

static void make_room_for_number(size_t fd)
{
    size_t room = numbers.room ? numbers.room : 64;
    while (room <= fd)
        room *= 2;
    numbers.sockets = asy_sim_realloc(numbers.sockets, room * sizeof(struct sim_socket *));
    memset(numbers.sockets + numbers.room, 0, (room - numbers.room) * sizeof(struct sim_socket *));
    numbers.room = room;
}

/* Appends "fd 9, tcp 10.0.0.1:32768 -> 10.0.0.2:80 (sent 16, received 0)", after "; " if need be. */
static void append_socket(int fd, char *text, size_t bytes)
{
    char words[128];
    size_t used = strlen(text);
    asy_sim_world_describe_fd(fd, words, sizeof words);
    if (used < bytes)
        snprintf(text + used, bytes - used, "%sfd %d, %s", used ? "; " : "", fd, words);
}

/* ---- Installing and closing ---------------------------------------------------------------------- */

static void lose_socket(struct sim_socket *socket)
{
    if (numbers.lost++ < TOLD_MAX)
        append_socket(socket->fd, numbers.lost_words, sizeof numbers.lost_words);
    asy_sim_socket_close(socket);
}

void asy_sim_number_taken(int fd)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    if (socket)
        lose_socket(socket);
}

int asy_sim_socket_install(struct sim_socket *socket)
{
    int fd = asy_sim_dup(numbers.origin);
    if (fd < 0)
        return fd;
    asy_sim_number_taken(fd);
    if ((size_t)fd >= numbers.room)
        make_room_for_number((size_t)fd);
    numbers.sockets[fd] = socket;
    numbers.count++;
    socket->fd = fd;
    list_append(&socket->life->sockets, &socket->of_life);
    return fd;
}

struct sim_socket *asy_sim_socket_at(int fd)
{
    return fd >= 0 && (size_t)fd < numbers.room ? numbers.sockets[fd] : NULL;
}

void asy_sim_socket_close(struct sim_socket *socket)
{
    numbers.sockets[socket->fd] = NULL;
    numbers.count--;
    if (!socket->is_gone)
        socket->kind->close(socket);
    asy_sim_socket_free(socket);
}

int asy_sim_number_close(int fd)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    if (!asy_sim_is_dup(fd)) {
        lose_socket(socket);
        return asy_sys_close(fd); /* of whoever has it now */
    }
    asy_sim_socket_close(socket);
    asy_sim_close_real(fd);
    return 0;
}

/* ---- For the runner -------------------------------------------------------------------------------- */

size_t asy_sim_world_open(char *text, size_t bytes)
{
    size_t told = 0;
    if (bytes)
        *text = '\0';
    for (size_t fd = 0; fd < numbers.room; fd++) {
        if (!numbers.sockets[fd])
            continue;
        if (!asy_sim_is_dup((int)fd))
            lose_socket(numbers.sockets[fd]);
        else if (told++ < TOLD_MAX)
            append_socket((int)fd, text, bytes);
    }
    return numbers.count;
}

size_t asy_sim_world_lost(char *text, size_t bytes)
{
    snprintf(text, bytes, "%s", numbers.lost_words);
    return numbers.lost;
}

size_t asy_sim_world_sockets(void)
{
    return numbers.count;
}

size_t asy_sim_world_attached(int fd)
{
    size_t count = 0;
    for (size_t i = 0; i < numbers.room; i++)
        count += numbers.sockets[i] && (fd < 0 || (size_t)fd == i) && numbers.sockets[i]->is_attached;
    return count;
}

void asy_sim_world_describe_fd(int fd, char *text, size_t bytes)
{
    const struct sim_socket *socket = asy_sim_socket_at(fd);
    if (socket)
        socket->kind->describe(socket, text, bytes);
    else if (bytes)
        *text = '\0';
}

/* ---- Beginning and end ------------------------------------------------------------------------------ */

void asy_sim_numbers_begin(int origin)
{
    memset(&numbers, 0, sizeof numbers);
    numbers.origin = origin;
}

void asy_sim_numbers_close_all(void)
{
    for (size_t fd = 0; fd < numbers.room; fd++)
        if (numbers.sockets[fd])
            asy_sim_number_close((int)fd);
}

void asy_sim_numbers_end(void)
{
    asy_sim_free(numbers.sockets);
    asy_sim_close_real(numbers.origin);
    memset(&numbers, 0, sizeof numbers);
}
