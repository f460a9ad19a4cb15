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

struct post {
    struct callback callback; /* its kind is set by the poster; runs, or is dropped, on the loop's thread */
    struct post *next;
};

/* What other threads and signal handlers touch of a loop; threadsafe.c says in which order. */
struct posts {
    _Atomic bool has_any;          /* something was posted since the loop last collected */
    _Atomic bool is_sleeping;      /* the loop may be in its poll: whoever posts wakes it */
    _Atomic(struct post *) newest; /* a stack; after the close a mark, for good */
    _Atomic uint32_t signal_tail;  /* the next ticket for a place in the ring */
    uint32_t signal_head;          /* the next ticket to collect; the loop's alone */
    struct signal_place signal_places[ASY_SIGNAL_PLACES];
};

/* Hands a post over. Any thread that has a reference to the loop. 0; ASYNCIO_ESTATE when the loop is closed,
 * or the parent process's: then the post is still the caller's. */
int asy_post(asyncio_loop *loop, struct post *post);

void asy_posts_init(asyncio_loop *loop);
/* Moves what other threads and signal handlers posted to the ready queue. */
void asy_posts_collect(asyncio_loop *loop);
bool asy_posts_pending(asyncio_loop *loop);
/* Refuses posts from now on, and drops those that are there. */
void asy_posts_close(asyncio_loop *loop);

#endif
