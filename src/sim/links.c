/*
 * Ways between hosts, and what becomes of what is sent over them. See asyncio/sim.h.
 *
 * A way is made when it is first used, or set. What is set for any host is kept as a rule, too, for ways that
 * are made later; the latest of those that fit counts.
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

struct rule {
    struct list node;
    struct sim_host *from, *to; /* NULL: any; at least one is */
    asyncio_sim_link link;
};

static THREAD_LOCAL struct {
    asyncio_sim_link usual;
    struct list rules; /* the latest last */
    struct list ways;  /* of way_entry */
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

static bool does_rule_fit(const struct rule *rule, const struct sim_host *from, const struct sim_host *to)
{
    return (!rule->from || rule->from == from) && (!rule->to || rule->to == to);
}

static const asyncio_sim_link *find_link(const struct sim_host *from, const struct sim_host *to)
{
    const asyncio_sim_link *link = &links.usual;
    LIST_EACH(node, &links.rules) {
        const struct rule *rule = LIST_ENTRY(node, struct rule, node);
        if (does_rule_fit(rule, from, to))
            link = &rule->link;
    }
    return link;
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

struct sim_way *asy_sim_way(struct sim_host *from, struct sim_host *to)
{
    if (from == to)
        return NULL;
    if (to->number >= from->way_room) {
        size_t room = from->way_room ? from->way_room : 8;
        while (room <= to->number)
            room *= 2;
        from->ways = asy_sim_realloc(from->ways, room * sizeof(struct sim_way *));
        for (size_t i = from->way_room; i < room; i++)
            from->ways[i] = NULL;
        from->way_room = room;
    }
    if (!from->ways[to->number])
        from->ways[to->number] = make_way(from, to);
    return from->ways[to->number];
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

/* A rule that the new one replaces altogether. */
static bool is_covered(const struct rule *old, const struct sim_host *from, const struct sim_host *to)
{
    return (!from || old->from == from) && (!to || old->to == to);
}

static void keep_rule(struct sim_host *from, struct sim_host *to, const asyncio_sim_link *link)
{
    LIST_EACH_SAFE(node, next, &links.rules) {
        struct rule *old = LIST_ENTRY(node, struct rule, node);
        if (!is_covered(old, from, to))
            continue;
        list_remove(&old->node);
        asy_sim_free(old);
    }
    struct rule *rule = asy_sim_alloc(sizeof *rule);
    *rule = (struct rule){.from = from, .to = to, .link = *link};
    list_append(&links.rules, &rule->node);
}

int asyncio_sim_set_link(const char *from, const char *to, const asyncio_sim_link *link)
{
    if (!asy_sim)
        return ASYNCIO_ENOTASK;
    int err = link ? asy_sim_link_check(link) : 0;
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
    LIST_EACH(node, &links.ways) {
        struct sim_way *way = &LIST_ENTRY(node, struct way_entry, node)->way;
        if ((!sender || way->from == sender) && (!receiver || way->to == receiver))
            assign_link(way, &value);
    }
    return 0;
}

/* ---- Beginning and end -------------------------------------------------------------------- */

void asy_sim_links_begin(const asyncio_sim_link *usual)
{
    links.usual = *usual;
    list_init(&links.rules);
    list_init(&links.ways);
}

void asy_sim_links_end(void)
{
    struct list *node;
    while ((node = list_take_first(&links.rules)))
        asy_sim_free(LIST_ENTRY(node, struct rule, node));
    while ((node = list_take_first(&links.ways)))
        asy_sim_free(LIST_ENTRY(node, struct way_entry, node));
}
