/*
 * Ways between hosts, and what becomes of what is sent over them. See asyncio/sim.h.
 *
 * A way is made when it is first used, or set. What is set for any host is kept as a rule, too, for ways that
 * are made later; the latest of those that fit counts. Three may: that of the sender, that of the receiver,
 * that of all.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "sim/draws.h"
#include "sim/net.h"
#include "sim/world.h"
#include <errno.h>
#include <math.h>

#define NS_PER_S 1e9
#define DEFAULT_LATENCY_S 0.001
#define DEFAULT_WINDOW 65536
#define LONGEST_S 1e6
/* From here on sums are not to overflow: 146 years. */
#define FAR_NS (INT64_C(1) << 62)

static THREAD_LOCAL struct {
    asyncio_sim_link usual;
    struct sim_rule any;
    uint64_t turn;    /* of the latest rule */
    struct list ways; /* of way_entry */
} links;

/* A way, among all. */
struct way_entry {
    struct sim_way way;
    struct list node;
};

/* ---- Checks ------------------------------------------------------------------------- */

static bool is_share(double value)
{
    return value >= 0 && value <= 1;
}

int asy_sim_link_check(const asyncio_sim_link *link)
{
    const char *wrong = !(link->latency <= LONGEST_S)                          ? "latency"
                        : !(link->jitter >= 0 && link->jitter <= LONGEST_S)    ? "jitter"
                        : !is_share(link->loss)                                ? "loss"
                        : !is_share(link->duplicate)                           ? "duplicate"
                        : !is_share(link->reorder)                             ? "reorder"
                        : !(link->bandwidth >= 0 && isfinite(link->bandwidth)) ? "bandwidth"
                        : link->window > INT32_MAX                             ? "window"
                        : (unsigned)link->state > (unsigned)ASYNCIO_SIM_HOLD   ? "state"
                                                                               : NULL;
    return wrong ? (int)asyncio_raise(-EINVAL, "a link of the simulation: %s is out of its range", wrong) : 0;
}

/* ---- Ways --------------------------------------------------------------------------- */

static void assign_link(struct sim_way *way, const asyncio_sim_link *link)
{
    double latency = link->latency > 0 ? link->latency : link->latency < 0 ? 0 : DEFAULT_LATENCY_S;
    way->link = *link;
    way->link.window = link->window ? link->window : DEFAULT_WINDOW;
    way->latency_ns = llround(latency * NS_PER_S);
    way->jitter_ns = llround(link->jitter * NS_PER_S);
    LIST_EACH_SAFE(node, next, &way->stuck)
        asy_sim_pipe_look_for_room(LIST_ENTRY(node, struct sim_pipe, stuck));
    if (link->state == ASYNCIO_SIM_HOLD)
        return;
    struct list held;
    list_init(&held);
    list_splice(&held, &way->held);
    for (struct list *node; (node = list_take_first(&held));) {
        struct sim_held *one = LIST_ENTRY(node, struct sim_held, node);
        one->release(one);
    }
}

static const asyncio_sim_link *find_link(const struct sim_host *from, const struct sim_host *to)
{
    const struct sim_rule *latest = &links.any;
    if (from->sends.turn > latest->turn)
        latest = &from->sends;
    if (to->takes.turn > latest->turn)
        latest = &to->takes;
    return latest->turn ? &latest->link : &links.usual;
}

static struct sim_way *make_way(struct sim_host *from, struct sim_host *to)
{
    struct way_entry *entry = asy_sim_alloc(sizeof *entry);
    struct sim_way *way = &entry->way;
    way->from = from;
    way->to = to;
    list_init(&way->held);
    list_init(&way->stuck);
    list_append(&links.ways, &entry->node);
    assign_link(way, find_link(from, to));
    return way;
}

/* Where the way to a host stands, or is to stand, in an open hash table. */
static struct sim_way **find_place_of_way(struct sim_host *from, const struct sim_host *to)
{
    size_t mask = from->way_room - 1, i = (uint32_t)to->number * UINT32_C(2654435761) >> 8;
    while (from->ways[i & mask] && from->ways[i & mask]->to != to)
        i++;
    return &from->ways[i & mask];
}

static void make_room_for_way(struct sim_host *from)
{
    struct sim_way **old = from->ways;
    size_t old_room = from->way_room;
    if ((from->way_count + 1) * 2 <= old_room)
        return;
    from->way_room = old_room ? old_room * 2 : 8;
    from->ways = asy_sim_alloc(from->way_room * sizeof(struct sim_way *));
    for (size_t i = 0; i < old_room; i++)
        if (old[i])
            *find_place_of_way(from, old[i]->to) = old[i];
    asy_sim_free(old);
}

struct sim_way *asy_sim_way(struct sim_host *from, struct sim_host *to)
{
    if (from == to)
        return NULL;
    make_room_for_way(from);
    struct sim_way **place = find_place_of_way(from, to);
    if (!*place) {
        *place = make_way(from, to);
        from->way_count++;
    }
    return *place;
}

/* What would take longer than the run can last never arrives. */
static int64_t time_to_send(const struct sim_way *way, size_t bytes)
{
    double most_ns = way->busy_ns < FAR_NS ? (double)(FAR_NS - way->busy_ns) : 0;
    return llround(fmin((double)bytes / way->link.bandwidth * NS_PER_S, most_ns));
}

int64_t asy_sim_way_arrival(struct sim_way *way, size_t bytes)
{
    int64_t now_ns = asy_sim_now();
    if (!way)
        return now_ns;
    if (way->busy_ns < now_ns)
        way->busy_ns = now_ns;
    if (way->link.bandwidth > 0)
        way->busy_ns += time_to_send(way, bytes);
    int64_t late_ns = 0;
    if (way->jitter_ns) {
        late_ns = (int64_t)asy_sim_draw(SIM_JITTER, (uint64_t)way->jitter_ns + 1);
        asy_sim_tell("%.6f s late, %s -> %s", (double)late_ns / NS_PER_S, way->from->name, way->to->name);
    }
    return way->busy_ns + way->latency_ns + late_ns;
}

void asy_sim_way_hold(struct sim_way *way, struct sim_held *held)
{
    list_append(&way->held, &held->node);
}

/* ---- Set --------------------------------------------------------------------------------- */

static void keep_rule(struct sim_host *from, struct sim_host *to, const asyncio_sim_link *link)
{
    struct sim_rule *rule = from ? &from->sends : to ? &to->takes : &links.any;
    *rule = (struct sim_rule){++links.turn, *link};
}

static void assign_to_all(struct sim_host *from, const struct sim_host *to, const asyncio_sim_link *link)
{
    for (size_t i = 0; from && i < from->way_room; i++)
        if (from->ways[i])
            assign_link(from->ways[i], link);
    if (from)
        return;
    LIST_EACH(node, &links.ways) {
        struct sim_way *way = &LIST_ENTRY(node, struct way_entry, node)->way;
        if (!to || way->to == to)
            assign_link(way, link);
    }
}

int asyncio_sim_set_link(const char *from, const char *to, const asyncio_sim_link *link)
{
    if (!asy_sim)
        return ASYNCIO_ENOTASK;
    int err = link ? asy_sim_link_check(link) : 0;
    if (!err && from)
        err = asy_sim_host_check(from);
    if (!err && to)
        err = asy_sim_host_check(to);
    if (err)
        return err;
    struct sim_host *sender = from ? asy_sim_host(from) : NULL, *receiver = to ? asy_sim_host(to) : NULL;
    const asyncio_sim_link value = link ? *link : links.usual;
    if (sender && sender == receiver)
        return (int)asyncio_raise(-EINVAL, "a host has no link to itself: %s", from);
    if (sender && receiver) {
        assign_link(asy_sim_way(sender, receiver), &value);
        return 0;
    }
    keep_rule(sender, receiver, &value);
    assign_to_all(sender, receiver, &value);
    return 0;
}

/* ---- Beginning and end -------------------------------------------------------------------- */

void asy_sim_links_begin(const asyncio_sim_link *usual)
{
    links.usual = *usual;
    links.any.turn = links.turn = 0;
    list_init(&links.ways);
}

void asy_sim_links_end(void)
{
    struct list *node;
    while ((node = list_take_first(&links.ways)))
        asy_sim_free(LIST_ENTRY(node, struct way_entry, node));
}
