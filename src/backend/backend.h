/*
 * What a loop asks of the system: the time, and to wait until something happens or a deadline comes. A
 * backend knows nothing of tasks. Only the chooser (backend.c) knows the backends by name.
 */
#ifndef ASY_BACKEND_BACKEND_H
#define ASY_BACKEND_BACKEND_H

#include "asyncio/runners.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct asy_backend;
struct asy_transfers;
struct completions;

struct asy_backend_ops {
    const char *name;
    /* Makes one. 0 or a negative errno; *out is untouched on failure. */
    int (*open)(struct asy_backend **out);
    void (*close)(struct asy_backend *backend);
    /* This backend's monotonic clock, in nanoseconds. */
    int64_t (*now_ns)(struct asy_backend *backend);
    /*
     * Waits until woken, or until the clock reads deadline_ns: 0 polls without waiting, ASY_NO_DEADLINE
     * waits without limit. Returns 0, or a negative errno. -EDEADLK: a virtual clock with nothing to wait
     * for. May return early; never late on purpose. Events that came are counted in `fetched`; while there
     * are any, it does not wait, and fetches no more.
     */
    int (*wait)(struct asy_backend *backend, int64_t deadline_ns);
    /* Tells `happened` the events that were fetched. NULL: a backend without descriptors. */
    void (*deliver)(struct asy_backend *backend);
    /*
     * Registers a descriptor for `events`, which are epoll's. `is_attached`: it is registered already, and
     * its events change. `happened` is told of each event, with the tag in its data.u64. 0 or a negative
     * errno; -EPERM: a file that is always ready; -ENOSYS: a backend without descriptors.
     */
    int (*attach)(struct asy_backend *backend, int fd, uint64_t tag, uint32_t events, bool is_attached);
    /* Before the descriptor is closed. Late events may still come. */
    void (*detach)(struct asy_backend *backend, int fd);
    /* Tells whether a wait with deadline 0 could bring anything but a wake-up. */
    bool (*needs_poll)(const struct asy_backend *backend);
    /* Ends the wait under way, or the next one. Any thread, async-signal-safe. */
    void (*wake)(struct asy_backend *backend);
    /*
     * For a virtual clock alone: waits while other threads are at work, which live by real time. The clock
     * stands still, at most until a real clock would have reached the deadline. May return early.
     */
    void (*wait_for_others)(struct asy_backend *backend, int64_t deadline_ns);
    /*
     * Makes sure that `files_ring` is there, if calls on files may go through a ring: it is made when it is
     * first needed, in the thread that runs. NULL, also as a function: there is none now.
     */
    struct completions *(*files)(struct asy_backend *backend);
    /* A descriptor that is readable when wait would have something to report, or -ENOSYS where there is
     * none. */
    int (*fd)(struct asy_backend *backend);
    /* The thread that is about to run the loop, which may be another one than before. 0; -EBUSY: operations
     * of the other thread are under way; or an error. NULL: any thread will do. */
    int (*enter)(struct asy_backend *backend);
    /* The loop stops running for a while: hands over what it has begun. NULL: nothing is ever put off. */
    void (*rest)(struct asy_backend *backend);
    /* The loop closes, and begins nothing any more: ends what is under way. NULL: nothing is. */
    void (*end)(struct asy_backend *backend);
    /* True when the clock only moves by waiting: no iteration skips the poll. */
    bool is_virtual;
};

struct asy_backend {
    const struct asy_backend_ops *ops;
    uint32_t fetched; /* events that have come, and were not delivered */
    uint64_t fetches; /* how often any have come */
    size_t attached;  /* descriptors that are registered */
    int epfd;         /* the epoll set that they are in, or -1 */
    /* Operations that it carries out (transfers.h); NULL: none. */
    struct asy_transfers *transfers;
    /* What carries out calls on files; NULL: nothing did so far. `wait` hands over what has begun, and
     * `deliver` tells what was done. */
    struct completions *files_ring;
    int64_t began_ns; /* the clock when the latest wait with a deadline that lies ahead began */
    /* Called by `deliver` with the events that came, many at once, so that memory can be fetched ahead. It
     * ignores tags that nobody attached. */
    void (*happened)(void *context, const struct epoll_event *events, int count);
    void *context;
};

#define ASY_NO_DEADLINE INT64_MAX
/* Events that one wait of epoll fetches: as many as the cache can keep until their turn
 * (docs/decisions/0007). */
#define ASY_EPOLL_EVENTS 64

extern const struct asy_backend_ops asy_backend_epoll;
extern const struct asy_backend_ops asy_backend_io_uring;
extern const struct asy_backend_ops asy_backend_sim;

/*
 * Opens the backend that the options and the environment (ASYNCIO_BACKEND) ask for. One that is
 * unavailable: its error if the options name it; if the environment does, epoll, with one line on stderr.
 */
int asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out);
/* Why there is no io_uring, if that is what the error means; or NULL. */
const char *asy_backend_denial(int err);

#endif
