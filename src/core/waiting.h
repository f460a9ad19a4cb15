/*
 * What asyncio_wait and as_completed share: sets of futures that a task waits for and does not own. A NULL
 * in a set counts as done.
 */
#ifndef ASY_CORE_WAITING_H
#define ASY_CORE_WAITING_H

#include "core/future.h"
#include "core/task.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* May the task wait for all of them? 0, or -EINVAL with the reason as message. */
int asy_set_check(asyncio_future **set, size_t n, const asyncio_task *task);

/* The completion number of a future of the running loop; 0, which sorts first, for those that were done when
 * they came here: NULL, refused and foreign ones. */
uint64_t asy_set_order(const asyncio_future *future);

static inline bool set_is_done(const asyncio_future *future)
{
    return !future || future->is_done;
}

#endif
