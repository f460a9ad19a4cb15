/*
 * The simulated backend: a clock that stands still while anything runs, and
 * jumps to the next deadline when nothing is ready. A wait without a deadline
 * that nobody has ended can never end: a deadlock.
 */
#include "backend/backend.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdatomic.h>

struct sim {
    struct asy_backend base;
    int64_t now_ns;
    _Atomic bool woken;
};

static int sim_open(struct asy_backend **out)
{
    struct sim *sim = asy_sys_calloc(1, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    sim->base.ops = &asy_backend_sim;
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

static int sim_wait(struct asy_backend *backend, int64_t deadline_ns)
{
    struct sim *sim = (struct sim *)backend;
    if (atomic_exchange(&sim->woken, false))
        return 0;
    if (deadline_ns == ASY_NO_DEADLINE)
        return -EDEADLK;
    if (deadline_ns > sim->now_ns)
        sim->now_ns = deadline_ns;
    return 0;
}

static int sim_attach(struct asy_backend *backend, int fd, uint64_t tag, uint32_t events, bool change)
{
    (void)backend, (void)fd, (void)tag, (void)events, (void)change;
    return -ENOSYS;
}

static void sim_detach(struct asy_backend *backend, int fd)
{
    (void)backend, (void)fd;
}

static bool sim_needs_poll(const struct asy_backend *backend)
{
    (void)backend;
    return false;
}

static void sim_wake(struct asy_backend *backend)
{
    atomic_store(&((struct sim *)backend)->woken, true);
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
    .attach = sim_attach,
    .detach = sim_detach,
    .needs_poll = sim_needs_poll,
    .wake = sim_wake,
    .fd = sim_fd,
    .is_virtual = true,
};
