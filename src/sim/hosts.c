/*
 * Hosts of a simulated world, and on which of them a task runs: a context variable, whose value is the host's
 * life. A crash ends that life, and all that was of it stays of it: a task that is still cleaning up cannot
 * reach the network through the host's next life.
 */
#include "asyncio/contextvars.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "sim/net.h"
#include "sim/world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define FIRST_NAME "test"

static asyncio_contextvar life_here = ASYNCIO_CONTEXTVAR_INIT("asyncio_sim_host", NULL);

static THREAD_LOCAL struct {
    struct sim_host **all; /* by number - 1 */
    size_t count, room;
    size_t *by_name; /* an open hash table of numbers; 0: free */
    size_t name_room;
    struct sim_life **lives;
    size_t life_count, life_room;
} hosts;

/* ---- By name ----------------------------------------------------------------------------- */

static size_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

/* Where the name stands, or is to stand. */
static size_t *find_place_of_name(const char *name)
{
    size_t i = hash_name(name) & (hosts.name_room - 1);
    while (hosts.by_name[i] && strcmp(hosts.all[hosts.by_name[i] - 1]->name, name) != 0)
        i = (i + 1) & (hosts.name_room - 1);
    return &hosts.by_name[i];
}

static void make_room_for_name(void)
{
    if ((hosts.count + 1) * 2 <= hosts.name_room)
        return;
    asy_sim_free(hosts.by_name);
    hosts.name_room = hosts.name_room ? hosts.name_room * 2 : 16;
    hosts.by_name = asy_sim_alloc(hosts.name_room * sizeof *hosts.by_name);
    for (size_t i = 0; i < hosts.count; i++)
        *find_place_of_name(hosts.all[i]->name) = i + 1;
}

struct sim_host *asy_sim_host_find(const char *name)
{
    size_t number = hosts.name_room ? *find_place_of_name(name) : 0;
    return number ? hosts.all[number - 1] : NULL;
}

int asy_sim_host_check(const char *name)
{
    if (*name && strcmp(name, "localhost") != 0 && !asy_sim_is_address(name))
        return 0;
    return (int)asyncio_raise(-EINVAL, "\"%s\" is no name for a host of the simulation", name);
}

static struct sim_life *begin_life(struct sim_host *host)
{
    if (hosts.life_count == hosts.life_room) {
        hosts.life_room = hosts.life_room ? hosts.life_room * 2 : 16;
        hosts.lives = asy_sim_realloc(hosts.lives, hosts.life_room * sizeof(struct sim_life *));
    }
    struct sim_life *life = asy_sim_alloc(sizeof *life);
    life->host = host;
    list_init(&life->sockets);
    return hosts.lives[hosts.life_count++] = host->life = life;
}

struct sim_host *asy_sim_host(const char *name)
{
    struct sim_host *host = asy_sim_host_find(name);
    if (host)
        return host;
    make_room_for_name();
    if (hosts.count == hosts.room) {
        hosts.room = hosts.room ? hosts.room * 2 : 16;
        hosts.all = asy_sim_realloc(hosts.all, hosts.room * sizeof(struct sim_host *));
    }
    host = asy_sim_alloc(sizeof *host);
    host->name = asy_sim_alloc(strlen(name) + 1);
    memcpy(host->name, name, strlen(name));
    host->number = hosts.count + 1;
    *find_place_of_name(name) = host->number;
    hosts.all[hosts.count++] = host;
    begin_life(host);
    return host;
}

void asy_sim_hosts_begin(void)
{
    asy_sim_host(FIRST_NAME);
}

void asy_sim_hosts_end(void)
{
    for (size_t i = 0; i < hosts.life_count; i++) {
        asy_sim_ports_end(hosts.lives[i]);
        asy_sim_unix_end(hosts.lives[i]);
        asy_sim_free(hosts.lives[i]);
    }
    for (size_t i = 0; i < hosts.count; i++) {
        asy_sim_free(hosts.all[i]->name);
        asy_sim_free(hosts.all[i]->ways);
        asy_sim_free(hosts.all[i]);
    }
    asy_sim_free(hosts.all);
    asy_sim_free(hosts.by_name);
    asy_sim_free(hosts.lives);
    memset(&hosts, 0, sizeof hosts);
}

/* ---- By task ----------------------------------------------------------------------------- */

struct sim_life *asy_sim_life_here(void)
{
    struct sim_life *life = asyncio_contextvar_get(&life_here);
    return life ? life : hosts.all[0]->life;
}

static struct sim_life *life_of_task(const asyncio_task *task)
{
    struct sim_life *life = asy_vars_find(task->context, &life_here);
    return life ? life : hosts.all[0]->life;
}

bool asy_sim_world_is_down_here(void)
{
    return asy_sim && asy_sim_life_here()->is_over;
}

const char *asy_sim_world_host_of(const asyncio_task *task)
{
    return asy_sim ? life_of_task(task)->host->name : "";
}

asyncio_task *asyncio_sim_start_at(const char *host, asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_contextvar_token token;
    if (!asy_running_loop || !coro)
        return asyncio_create_task_at(coro, site);
    int err = asy_sim ? asy_sim_host_check(host ? host : "") : ASYNCIO_ENOTASK;
    if (err)
        return asy_task_refused(asy_running_loop, coro, site, err);
    struct sim_host *at = asy_sim_host(host);
    struct sim_life *life = at->life->is_over ? begin_life(at) : at->life;
    if (asyncio_contextvar_set(&life_here, life, &token)) {
        asyncio_coro_close(coro);
        return NULL;
    }
    asyncio_task *task = asyncio_create_task_at(coro, site);
    asyncio_contextvar_reset(&life_here, token);
    return task;
}

asyncio_task *(asyncio_sim_start)(const char *host, asyncio_coro *coro)
{
    return asyncio_sim_start_at(host, coro, NULL);
}

static void cancel_tasks_of(const struct sim_life *life)
{
    LIST_EACH(node, &asy_running_loop->tasks) {
        asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
        if (life_of_task(task) == life)
            asyncio_cancel(task);
    }
}

/* A listener's unaccepted clients leave the list meanwhile. */
static void bury_sockets(struct sim_life *life)
{
    struct list rest;
    list_init(&rest);
    list_splice(&rest, &life->sockets);
    for (struct list *node; (node = list_take_first(&rest));) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, of_life);
        list_append(&life->sockets, node);
        socket->is_gone = true;
        socket->kind->vanish(socket);
        asy_sim_socket_woke(socket, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
    }
}

int asyncio_sim_crash(const char *host)
{
    if (!asy_sim || !asy_running_loop)
        return ASYNCIO_ENOTASK;
    struct sim_host *at = host ? asy_sim_host_find(host) : NULL;
    if (!at)
        return (int)asyncio_raise(-ENOENT, "no host is named %s", host ? host : "NULL");
    if (at->number == 1)
        return (int)asyncio_raise(-EINVAL, "%s, where main runs, cannot crash", host);
    struct sim_life *life = at->life;
    if (life->is_over)
        return 0;
    life->is_over = true;
    bury_sockets(life);
    cancel_tasks_of(life);
    return 0;
}

static bool is_between(const struct sim_connection *connection, const struct sim_host *one,
                       const struct sim_host *other)
{
    struct sim_host *const *ends = connection->hosts;
    if (ends[0] == ends[1])
        return false;
    return ((!one || ends[0] == one) && (!other || ends[1] == other)) ||
           ((!one || ends[1] == one) && (!other || ends[0] == other));
}

static int reset_connections(const struct sim_life *life, const struct sim_host *one,
                             const struct sim_host *other)
{
    int count = 0;
    LIST_EACH(node, &life->sockets) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, of_life);
        if (!socket->connection || socket->state == SIM_BROKEN || !is_between(socket->connection, one, other))
            continue;
        asy_sim_tcp_break(socket->connection);
        count++;
    }
    return count;
}

int asyncio_sim_reset(const char *host, const char *other)
{
    if (!asy_sim)
        return ASYNCIO_ENOTASK;
    const struct sim_host *one = host ? asy_sim_host_find(host) : NULL;
    const struct sim_host *two = other ? asy_sim_host_find(other) : NULL;
    int count = 0;
    if ((host && !one) || (other && !two))
        return 0;
    for (size_t i = 0; i < hosts.life_count; i++)
        count += reset_connections(hosts.lives[i], one, two);
    return count;
}

/* ---- By address -------------------------------------------------------------------------------- */

static bool is_version_4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

bool asy_sim_is_loopback(const struct in6_addr *ip)
{
    return is_version_4(ip) ? ip->s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(ip);
}

struct in6_addr asy_sim_loopback(int family)
{
    struct in6_addr ip = {.s6_addr = {[15] = 1}};
    if (family == AF_INET) {
        ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
        ip.s6_addr[12] = 127;
    }
    return ip;
}

/* 10.0.0.1 and fd00::1 are the first host's. */
struct in6_addr asy_sim_address_of(const struct sim_host *host, int family)
{
    struct in6_addr ip = {.s6_addr = {[0] = 0xfd}};
    if (family == AF_INET)
        ip = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 10}};
    ip.s6_addr[13] = (uint8_t)(host->number >> 16);
    ip.s6_addr[14] = (uint8_t)(host->number >> 8);
    ip.s6_addr[15] = (uint8_t)host->number;
    return ip;
}

struct sim_host *asy_sim_host_at(const struct sim_life *life, const struct in6_addr *ip)
{
    if (asy_sim_is_loopback(ip))
        return life->host;
    size_t number = (size_t)ip->s6_addr[13] << 16 | (size_t)ip->s6_addr[14] << 8 | ip->s6_addr[15];
    if (number == 0 || number > hosts.count)
        return NULL;
    struct sim_host *host = hosts.all[number - 1];
    struct in6_addr its = asy_sim_address_of(host, is_version_4(ip) ? AF_INET : AF_INET6);
    return memcmp(&its, ip, sizeof its) == 0 ? host : NULL;
}

bool asy_sim_is_own(const struct sim_life *life, const struct in6_addr *ip)
{
    return asy_sim_host_at(life, ip) == life->host;
}
