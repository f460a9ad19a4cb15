/*
 * The simulated backend: a clock that stands still while anything runs, and jumps to the next deadline when
 * nothing is ready. A wait without a deadline that nobody has ended can never end: a deadlock. While other
 * threads are at work it waits for them in real time, and that time counts towards the next deadline.
 *
 * In a simulated world (sys/world.h) it has descriptors, too: those of the world, whose events come at times
 * of this clock. The clock then stops at each time at which something happens in the world.
 */
#include "backend/backend.h"
#include "base/assert.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "sys/world.h"
#include <errno.h>
#include <stdatomic.h>

/* How long it waits for threads before it looks again whether they are there. */
#define LOOK_NS 10000000
#define EVENTS_MAX 64
#define TICK_NS 1000

struct sim {
    struct asy_backend base;
    int64_t now_ns;
    int64_t stood_ns;                /* real time that has passed since this clock moved */
    _Atomic uint32_t woken;          /* any thread; what it wrote before a wake is seen after the wait */
    const struct asy_sim_ops *world; /* in which it was opened, or NULL */
    struct epoll_event events[EVENTS_MAX];
};

static int sim_open(struct asy_backend **out)
{
    struct sim *sim = asy_sys_calloc(1, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    sim->base.ops = &asy_backend_sim;
    sim->base.epfd = -1;
    sim->world = asy_sim;
    *out = &sim->base;
    return 0;
}

static void sim_close(struct asy_backend *backend)
{
    asy_sys_free(backend);
}

static int64_t sim_now_ns(struct asy_backend *backend)
{
    return ((struct sim *)backend)->now_ns;
}

static void advance_clock(struct sim *sim, int64_t deadline_ns)
{
    ASY_ASSERT(deadline_ns != ASY_NO_DEADLINE);
    if (deadline_ns > sim->now_ns) {
        sim->now_ns = deadline_ns;
        sim->stood_ns = 0;
    }
}

/* What is due in the world happens; fetches the events of descriptors that this brings. */
static void fetch_from_world(struct sim *sim)
{
    sim->world->advance(sim->now_ns);
    int n = sim->world->take_events(sim->events, EVENTS_MAX);
    if (n > 0) {
        sim->base.fetched = (uint32_t)n;
        sim->base.fetches++;
    }
}

/* A program that leaves a level-triggered event as it is has it told without end. That takes it some time, so
 * that its timers come due. */
static void tick_clock(struct sim *sim, int64_t deadline_ns)
{
    int64_t next_ns = sim->now_ns + TICK_NS;
    advance_clock(sim, next_ns < deadline_ns ? next_ns : deadline_ns);
}

/* Goes from one event of the world to the next until one wakes a descriptor, or the deadline comes. */
static int wait_in_world(struct sim *sim, int64_t deadline_ns)
{
    if (deadline_ns > 0 && sim->world->only_tells_again())
        tick_clock(sim, deadline_ns);
    fetch_from_world(sim);
    bool is_over = deadline_ns == 0 || atomic_exchange(&sim->woken, 0);
    while (!is_over && !sim->base.fetched) {
        int64_t next_ns = sim->world->next_ns();
        if (next_ns == ASY_NO_DEADLINE && deadline_ns == ASY_NO_DEADLINE)
            return -EDEADLK;
        is_over = deadline_ns <= next_ns;
        advance_clock(sim, is_over ? deadline_ns : next_ns);
        fetch_from_world(sim);
    }
    return 0;
}

static int sim_wait(struct asy_backend *backend, int64_t deadline_ns)
{
    struct sim *sim = (struct sim *)backend;
    backend->began_ns = sim->now_ns;
    if (backend->fetched)
        return 0;
    if (sim->world)
        return wait_in_world(sim, deadline_ns);
    if (atomic_exchange(&sim->woken, 0))
        return 0;
    if (deadline_ns == ASY_NO_DEADLINE)
        return -EDEADLK;
    advance_clock(sim, deadline_ns);
    return 0;
}

static void sim_deliver(struct asy_backend *backend)
{
    struct sim *sim = (struct sim *)backend;
    int count = (int)backend->fetched;
    backend->fetched = 0;
    if (backend->happened)
        backend->happened(backend->context, sim->events, count);
}

/* Without a deadline it returns now and then: the other threads may have gone without a wake-up. */
static void sim_wait_for_others(struct asy_backend *backend, int64_t deadline_ns)
{
    struct sim *sim = (struct sim *)backend;
    backend->began_ns = sim->now_ns;
    if (sim->world) {
        fetch_from_world(sim);
        int64_t next_ns = sim->world->next_ns();
        if (backend->fetched)
            return;
        deadline_ns = next_ns < deadline_ns ? next_ns : deadline_ns;
    }
    bool is_limited = deadline_ns != ASY_NO_DEADLINE;
    int64_t began_ns = asy_sys_now_ns(), stood_ns = 0;
    int64_t most_ns = is_limited ? deadline_ns - sim->now_ns - sim->stood_ns : LOOK_NS;
    while (!atomic_exchange(&sim->woken, 0)) {
        if (stood_ns >= most_ns) {
            if (is_limited)
                advance_clock(sim, deadline_ns);
            return;
        }
        asy_sys_futex_wait(&sim->woken, 0, most_ns - stood_ns);
        stood_ns = asy_sys_now_ns() - began_ns;
    }
    sim->stood_ns += stood_ns;
}

static int sim_attach(struct asy_backend *backend, int fd, uint64_t tag, uint32_t events, bool is_attached)
{
    const struct asy_sim_ops *world = ((struct sim *)backend)->world;
    int err = world ? world->attach(fd, tag, events, is_attached) : -ENOSYS;
    if (!err && !is_attached)
        backend->attached++;
    return err;
}

static void sim_detach(struct asy_backend *backend, int fd)
{
    struct sim *sim = (struct sim *)backend;
    if (!sim->world)
        return;
    ASY_ASSERT(backend->attached > 0);
    sim->world->detach(fd);
    backend->attached--;
}

static bool sim_needs_poll(const struct asy_backend *backend)
{
    const struct sim *sim = (const struct sim *)backend;
    return sim->world && sim->world->next_ns() <= sim->now_ns;
}

static void sim_wake(struct asy_backend *backend)
{
    struct sim *sim = (struct sim *)backend;
    atomic_store(&sim->woken, 1);
    asy_sys_futex_wake(&sim->woken, 1);
}

static int sim_fd(struct asy_backend *backend)
{
    (void)backend;
    return -ENOSYS;
}

const struct asy_backend_ops asy_backend_sim = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .now_ns = sim_now_ns,
    .wait = sim_wait,
    .deliver = sim_deliver,
    .attach = sim_attach,
    .detach = sim_detach,
    .needs_poll = sim_needs_poll,
    .wake = sim_wake,
    .wait_for_others = sim_wait_for_others,
    .fd = sim_fd,
    .is_virtual = true,
};
