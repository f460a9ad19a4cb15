/*
 * A loop that is held: who holds it and what that does, found out by another thread, and told.
 */
#ifndef ASY_CORE_STALL_H
#define ASY_CORE_STALL_H

#include "asyncio/inspect.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A copy of what the watchdog knows of a loop, which may close, and go, while it is looked at. */
struct suspect {
    const asyncio_loop *loop; /* is never read directly */
    uint64_t id;
    uint64_t progress; /* where the loop stands still */
    int64_t held_ns, limit_ns;
    int64_t cpu_ns;  /* what its thread had when that began; -1: unknown */
    uint64_t sleeps; /* and later, how often that had slept; UINT64_MAX: unknown */
    int tid, poll_fd;
    bool may_signal; /* its thread has an alternate stack */
};

#define ASY_STALL_TEXT 128
#define ASY_STALL_FRAMES 64

/* Of one loop, with room for what `told` points to. */
struct stall {
    asyncio_stall told;
    char task[ASY_STALL_TEXT], coroutine[ASY_STALL_TEXT], file[2 * ASY_STALL_TEXT], words[2 * ASY_STALL_TEXT];
    void *frames[ASY_STALL_FRAMES];
};

/* Finds out who holds the loop, and what that does. False: nobody holds it, since it waits for events or for
 * a processor, or a debugger has stopped it. Another thread than the loop's. */
bool asy_stall_look(const struct suspect *suspect, struct stall *stall);
/* Tells the program's handler, or prints lines. */
void asy_stall_tell(const asyncio_stall *stall);
/* In a forked child no handler runs. */
void asy_stall_forked(void);

#endif
