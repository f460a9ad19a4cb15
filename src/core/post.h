/*
 * Posts: callbacks that other threads hand to the loop, in memory of their own,
 * so that handing over cannot fail for want of it.
 */
#ifndef ASY_CORE_POST_H
#define ASY_CORE_POST_H

#include "asyncio/events.h"
#include "core/ready.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ASY_SIGNAL_PLACES 64

/* One place for a callback posted from a signal handler. */
struct signal_place {
    struct callback callback;  /* once collected */
    _Atomic uint32_t sequence; /* says who may use it: see threadsafe.c */
    asyncio_callback fn;
    void *arg;
};

/* What other threads and signal handlers touch of a loop; threadsafe.c says in which order. */
struct posts {
    _Atomic bool has_any;              /* something was posted since the loop last collected */
    bool is_watched;                   /* a simulation asks whether other threads post */
    _Atomic bool has_foreign;          /* one has */
    _Atomic bool is_sleeping;          /* the loop may be in its poll: whoever posts wakes it */
    _Atomic(struct callback *) newest; /* a stack, by ready.next; after the close a mark, for good */
    _Atomic uint32_t signal_tail;      /* the next ticket for a place in the ring */
    uint32_t signal_head;              /* the next ticket to collect; the loop's alone */
    struct signal_place signal_places[ASY_SIGNAL_PLACES];
};

/* Hands a callback over: its kind is set, and it runs, or is dropped, on the loop's thread. Any thread that
 * has a reference to the loop. 0; ASYNCIO_ESTATE when the loop is closed, or the parent process's: then the
 * callback is still the caller's. */
int asy_post(asyncio_loop *loop, struct callback *post);
/* The same for a poster that holds a lock. If *must_wake, it calls asy_loop_wake once it has released the
 * lock, and holds the loop (asy_loop_hold) until then. */
int asy_post_quietly(asyncio_loop *loop, struct callback *post, bool *must_wake);
void asy_loop_wake(asyncio_loop *loop);

void asy_posts_init(asyncio_loop *loop);
/* Moves what other threads and signal handlers posted to the ready queue. */
void asy_posts_collect(asyncio_loop *loop);
/* The same whether or not something is known to be there. */
void asy_posts_take(asyncio_loop *loop);
bool asy_posts_pending(asyncio_loop *loop);
/* Collects for the last time, and refuses posts from now on. */
void asy_posts_close(asyncio_loop *loop);

#endif
