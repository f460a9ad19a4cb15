/*
 * Happy eyeballs. See happy_eyeballs.h.
 *
 * The calling task starts an attempt, waits until it has failed or the delay is over, and starts the next.
 * Attempts never fail the group: they write their outcome into the race. The first connection ends the
 * group, which cancels the other attempts and the wait for the next. An attempt that connects in the same
 * iteration, or in spite of its cancel, closes its connection.
 */
#include "net/happy_eyeballs.h"
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "asyncio/locks.h"
#include "asyncio/taskgroups.h"
#include "asyncio/timeouts.h"
#include "base/assert.h"
#include "sys/sys.h"
#include <errno.h>

struct race {
    const struct happy_eyeballs *with;
    asyncio_task_group group;
    asyncio_event newest_failed;
    size_t begun;
    int winner; /* a descriptor, or -1 */
    int err;    /* of the attempt that failed last */
};

/* ---- The order --------------------------------------------------------------------- */

#define FAMILIES_MAX 4 /* name services know of two; addresses of a fifth would be left out */

/* The addresses of one family that are still to come. */
struct queue {
    int family;
    const struct addrinfo *next;
};

static const struct addrinfo *find_family(int family, const struct addrinfo *at)
{
    while (at && at->ai_family != family)
        at = at->ai_next;
    return at;
}

/* Makes a queue for each family, in the order in which they first appear. Returns how many. */
static size_t make_queues(const struct addrinfo *addresses, struct queue queues[FAMILIES_MAX])
{
    size_t count = 0;
    for (const struct addrinfo *at = addresses; at && count < FAMILIES_MAX; at = at->ai_next)
        if (find_family(at->ai_family, addresses) == at)
            queues[count++] = (struct queue){.family = at->ai_family, .next = at};
    return count;
}

size_t asy_interleave(const struct addrinfo *addresses, const struct addrinfo **order, size_t room)
{
    struct queue queues[FAMILIES_MAX];
    size_t families = make_queues(addresses, queues), empty = 0, count = 0;
    for (size_t i = 0; empty < families; i = (i + 1) % families) {
        struct queue *queue = &queues[i];
        if (!queue->next) {
            empty++;
            continue;
        }
        empty = 0; /* counts empty queues in a row */
        if (count < room)
            order[count] = queue->next;
        count++;
        queue->next = find_family(queue->family, queue->next->ai_next);
    }
    return count;
}

/* ---- The race ------------------------------------------------------------------------- */

static void declare_winner(struct race *race, int fd)
{
    ASY_ASSERT(race->winner < 0);
    race->winner = fd;
    asyncio_task_group_cancel(&race->group);
}

/* One address. `number` counts from 1; the race lives until the group has ended. */
ASYNC(attempt, struct race *, race, const struct addrinfo *, address, size_t, number)
{
    const struct happy_eyeballs *with = race->with;
    if (race->winner >= 0)
        return 0;
    int fd = with->connect(with->arg, address);
    if (fd >= 0 && race->winner < 0)
        declare_winner(race, fd);
    else if (fd >= 0)
        with->close(with->arg, fd);
    else if (race->winner < 0)
        race->err = fd;
    if (number == race->begun)
        asyncio_event_set(&race->newest_failed);
    return 0;
}

static int begin_attempt(struct race *race, const struct addrinfo *address)
{
    asyncio_event_clear(&race->newest_failed);
    asyncio_coro *coro = attempt(race, address, ++race->begun);
    if (!coro)
        return -ENOMEM;
    asyncio_task *task = asyncio_task_group_create_task(&race->group, coro);
    return asyncio_done(task) ? (int)asyncio_result(task) : 0; /* refused: why */
}

/* Waits until the newest attempt has failed, or the delay is over. */
static int wait_for_next_attempt(struct race *race)
{
    double delay_s = race->with->delay_s < 0 ? ASYNCIO_FOREVER : race->with->delay_s;
    asyncio_timeout delay;
    int err = asyncio_timeout_enter(&delay, delay_s);
    if (err)
        return err;
    err = asyncio_event_wait(&race->newest_failed);
    err = (int)asyncio_timeout_exit(&delay, err);
    return err == -ETIMEDOUT ? 0 : err;
}

static int begin_attempts(struct race *race, const struct addrinfo *const *order, size_t count)
{
    int err = 0;
    for (size_t i = 0; i < count && race->winner < 0 && !err; i++) {
        if (i > 0)
            err = wait_for_next_attempt(race);
        if (!err && race->winner < 0)
            err = begin_attempt(race, order[i]);
    }
    return err;
}

static int run_race(struct race *race, const struct addrinfo *const *order, size_t count)
{
    int err = asyncio_task_group_enter(&race->group);
    if (err)
        return err;
    err = begin_attempts(race, order, count);
    err = (int)asyncio_task_group_exit(&race->group, err);
    if (!err && race->winner >= 0)
        return race->winner;
    if (race->winner >= 0)
        race->with->close(race->with->arg, race->winner);
    return err ? err : race->err;
}

static int connect_to_any(const struct happy_eyeballs *with, const struct addrinfo *addresses, size_t *tried)
{
    if (!addresses)
        return ASYNCIO_EGAI_NONAME;
    if (!addresses->ai_next) {
        *tried = 1;
        return with->connect(with->arg, addresses);
    }
    size_t count = asy_interleave(addresses, NULL, 0);
    const struct addrinfo **order = asy_sys_calloc(count, sizeof *order);
    if (!order)
        return -ENOMEM;
    asy_interleave(addresses, order, count);
    struct race race = {.with = with, .newest_failed = ASYNCIO_EVENT_INIT, .winner = -1};
    int fd = run_race(&race, order, count);
    *tried = race.begun;
    asy_sys_free(order);
    return fd;
}

int asy_happy_eyeballs(const struct happy_eyeballs *with, size_t *tried)
{
    struct addrinfo *addresses = NULL;
    *tried = 0;
    int err = with->resolve(with->arg, &addresses);
    if (err)
        return err;
    int fd = connect_to_any(with, addresses, tried);
    with->release(with->arg, addresses);
    return fd;
}
