/*
 * Calls, posts, timers and watches, started, moved, taken back and freed at random in each other's functions,
 * against a model that says of each function whether it may come now:
 *
 *   calls and timers come in the model's order, and none that was taken back;
 *   a watch is told only what it asks for, and in a quiet turn only what holds;
 *   once all is quiet, no event is left that a watch was not told;
 *   a closing loop gives back exactly what the model has.
 */
#include "asyncio.h"
#include "base/random.h"
#include "core/loop.h"
#include "fd/watches.h"
#include "support/harness.h"
#include "support/net.h"
#include "support/repeats.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS 8
#define TIMERS 8
#define WATCHES 12
#define ACTORS (CALLS + TIMERS + WATCHES)
#define PAIRS 3
#define FAR_NS ((int64_t)1 << 60)
#define BUSY_TURNS 20
#define QUIET_TURNS 6
#define LOOKED_AT (POLLIN | POLLOUT)

enum kind { CALL, TIMER, WATCH };
enum state { IDLE, POSTED, WAITING, QUEUED, STARTED, CLOSED };

struct actor {
    union {
        asyncio_call call;
        asyncio_timer timer;
        asyncio_watch watch;
    };
    enum kind kind;
    enum state state;
    int64_t deadline_ns; /* of a timer that is waiting */
    uint64_t order;      /* of equal deadlines; of posts; in the queue */
    int pair, flags;     /* of a watch */
    uint32_t events;
    uint64_t begun, asked; /* when it was started; and when it was started or modified last */
    uint64_t told[2];      /* when it heard of input, and of room */
    int told_turn;
};

static struct {
    struct random random;
    asyncio_loop *loop;
    struct actor *actors[ACTORS];
    int ends[PAIRS][2];
    uint64_t input[PAIRS]; /* when it came last */
    uint64_t clock;        /* counts everything */
    int64_t base_ns;       /* deadlines before it have passed */
    uint64_t turn_began;
    uint64_t run_began; /* when the poll of this turn was over; 0: it is not */
    int turn, left;     /* how much may still be done in this turn */
    bool is_quiet, is_closing;
} model;

static unsigned dice(unsigned sides)
{
    return (unsigned)asy_random_below(&model.random, sides);
}

/* ---- The model -------------------------------------------------------------------------- */

static bool goes_before(const struct actor *a, const struct actor *b)
{
    if (a->state == WAITING && a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->order < b->order;
}

static bool is_due(const struct actor *actor)
{
    return actor->state == WAITING && actor->deadline_ns <= model.base_ns;
}

/* The first of those in a state; of timers, if it is due. */
static struct actor *first_of(enum state state)
{
    struct actor *first = NULL;
    for (int i = 0; i < ACTORS; i++) {
        struct actor *actor = model.actors[i];
        bool counts = actor->state == state && (state != WAITING || is_due(actor));
        if (counts && (!first || goes_before(actor, first)))
            first = actor;
    }
    return first;
}

static void enter_queue(enum state from)
{
    struct actor *actor;
    while ((actor = first_of(from))) {
        actor->state = QUEUED;
        actor->order = ++model.clock;
    }
}

/* Each function begins with this. What was posted and what is due joins the queue when the poll is over,
 * whose functions may still change it. */
static void note_phase(void)
{
    const struct fd_table *table = (const struct fd_table *)model.loop->io;
    if (model.run_began || (table && !list_is_empty(&table->mark->node)))
        return;
    enter_queue(POSTED);
    enter_queue(WAITING);
    model.run_began = ++model.clock;
}

/* The first in the queue, which was there when the poll was over. */
static void take_first(struct actor *actor)
{
    note_phase();
    CHECK(actor->state == QUEUED && first_of(QUEUED) == actor);
    CHECK(actor->order < model.run_began);
    actor->state = IDLE;
}

static uint32_t ready_now(const struct actor *actor)
{
    struct pollfd entry = {.fd = model.ends[actor->pair][0], .events = LOOKED_AT};
    CHECK(poll(&entry, 1, 0) >= 0);
    return (uint32_t)entry.revents;
}

/* ---- Functions -------------------------------------------------------------------------- */

static void do_some(void);

static void called(asyncio_call *call)
{
    take_first((struct actor *)(void *)call);
    do_some();
}

static void timed(asyncio_timer *timer)
{
    take_first((struct actor *)(void *)timer);
    do_some();
}

static void told(asyncio_watch *watch, uint32_t events)
{
    struct actor *actor = (struct actor *)(void *)watch;
    note_phase();
    if (events == POLLNVAL) {
        CHECK_EQUAL(actor->state, CLOSED);
        actor->state = IDLE;
        do_some();
        return;
    }
    CHECK(actor->state == STARTED && events);
    CHECK(model.run_began || actor->begun < model.turn_began); /* else it is an older event */
    CHECK(!(events & ~(actor->events | POLLERR | POLLHUP)));
    if (model.is_quiet)
        CHECK(!(events & ~ready_now(actor)));
    model.clock++;
    actor->told_turn = model.turn;
    if (events & POLLIN)
        actor->told[0] = model.clock;
    if (events & POLLOUT)
        actor->told[1] = model.clock;
    do_some();
}

/* ---- What is done in them ------------------------------------------------------------------ */

static struct actor *make_actor(enum kind kind)
{
    struct actor *actor = malloc(sizeof *actor);
    CHECK(actor);
    memset(actor, 0xa5, sizeof *actor);
    actor->kind = kind;
    actor->state = IDLE;
    if (kind == CALL)
        asyncio_call_init(&actor->call, called);
    else if (kind == TIMER)
        asyncio_timer_init(&actor->timer, timed);
    else
        asyncio_watch_init(&actor->watch, told);
    return actor;
}

static void begin_call(struct actor *actor)
{
    bool is_idle = actor->state == IDLE;
    bool is_posted = dice(2);
    if (is_posted)
        CHECK_EQUAL(asyncio_loop_post(model.loop, &actor->call), is_idle ? 0 : 1);
    else
        CHECK_EQUAL(asyncio_loop_call(model.loop, &actor->call), is_idle);
    if (!is_idle)
        return;
    actor->state = is_posted ? POSTED : QUEUED;
    actor->order = ++model.clock;
}

/* Starts it, or moves it. */
static void begin_timer(struct actor *actor)
{
    int64_t deadline_ns = dice(2) ? model.base_ns - (int64_t)dice(4) : dice(2) ? FAR_NS + dice(4) : INT64_MAX;
    CHECK_EQUAL(asyncio_timer_start(model.loop, &actor->timer, deadline_ns), 0);
    actor->state = WAITING;
    actor->deadline_ns = deadline_ns;
    actor->order = ++model.clock;
}

static void begin_watch(struct actor *actor)
{
    static const uint32_t choices[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, 0};
    uint32_t events = choices[dice(4)];
    int pair = (int)dice(PAIRS), flags = (int)dice(2);
    if (actor->state == STARTED) {
        CHECK_EQUAL(asyncio_watch_modify(&actor->watch, events), 0);
    } else if (actor->state == CLOSED) {
        CHECK_EQUAL(asyncio_watch_modify(&actor->watch, events), -EBADF);
        return;
    } else {
        CHECK_EQUAL(asyncio_watch_start(model.loop, &actor->watch, model.ends[pair][0], events, flags), 0);
        actor->state = STARTED;
        actor->pair = pair;
        actor->flags = flags;
        actor->told[0] = actor->told[1] = 0;
        actor->told_turn = -1;
        actor->begun = ++model.clock;
    }
    actor->events = events;
    actor->asked = ++model.clock;
}

static void begin(struct actor *actor)
{
    if (actor->kind == CALL)
        begin_call(actor);
    else if (actor->kind == TIMER)
        begin_timer(actor);
    else
        begin_watch(actor);
}

static void end(struct actor *actor)
{
    bool was_there = actor->state != IDLE;
    if (actor->state == POSTED)
        enter_queue(POSTED); /* to take one back, all are taken in */
    if (actor->kind == CALL)
        CHECK_EQUAL(asyncio_call_cancel(&actor->call), was_there);
    else if (actor->kind == TIMER)
        CHECK_EQUAL(asyncio_timer_stop(&actor->timer), was_there);
    else
        CHECK_EQUAL(asyncio_watch_stop(&actor->watch), was_there);
    actor->state = IDLE;
}

static void replace(struct actor **place)
{
    enum kind kind = (*place)->kind;
    end(*place);
    free(*place);
    *place = make_actor(kind);
}

static void send_or_take(int pair)
{
    char bytes[4] = "";
    if (dice(2) && write(model.ends[pair][1], bytes, 1) == 1)
        model.input[pair] = ++model.clock;
    else
        recv(model.ends[pair][0], bytes, 1 + dice(4), MSG_DONTWAIT);
}

static void open_pair(int pair)
{
    net_unix_pair(SOCK_STREAM, model.ends[pair]);
    model.input[pair] = 0;
}

/* The next pair has the same numbers, most often. */
static void close_pair(int pair)
{
    asyncio_close(model.ends[pair][0]);
    close(model.ends[pair][1]);
    for (int i = 0; i < ACTORS; i++) {
        struct actor *actor = model.actors[i];
        if (actor->state == STARTED && actor->pair == pair)
            actor->state = CLOSED;
    }
}

static void do_one(void)
{
    int pair = (int)dice(PAIRS);
    struct actor **place = &model.actors[dice(ACTORS)];
    unsigned what = dice(20);
    if (what < 8) {
        begin(*place);
    } else if (what < 11) {
        end(*place);
    } else if (what < 14) {
        replace(place);
    } else if (what < 19) {
        send_or_take(pair);
    } else {
        close_pair(pair);
        open_pair(pair);
    }
}

static void do_some(void)
{
    for (unsigned n = dice(4); n > 0 && model.left > 0; n--, model.left--)
        do_one();
}

/* ---- Turns ------------------------------------------------------------------------------- */

static void drive(void *arg)
{
    (void)arg;
    note_phase();
    do_some();
}

static void turn(void)
{
    model.turn++;
    model.run_began = 0;
    model.turn_began = ++model.clock;
    model.left = model.is_quiet ? 0 : 40;
    CHECK(asyncio_handle_valid(asyncio_loop_call_soon(model.loop, drive, NULL)));
    CHECK_EQUAL(asyncio_loop_run_once(model.loop, 0), 0);
}

static bool holds_unheard(const struct actor *actor, uint32_t ready, uint32_t event)
{
    if (!(ready & actor->events & event))
        return false;
    if (actor->flags == ASYNCIO_WATCH_LEVEL)
        return actor->told_turn < model.turn - 1;
    uint64_t since = event == POLLIN ? model.input[actor->pair] : 0;
    if (since < actor->asked)
        since = actor->asked;
    return actor->told[event == POLLOUT] < since;
}

static void check_quiet(void)
{
    for (int i = 0; i < ACTORS; i++) {
        const struct actor *actor = model.actors[i];
        CHECK(actor->state == IDLE || actor->state == STARTED || actor->state == WAITING);
        CHECK(!is_due(actor));
        if (actor->state != STARTED)
            continue;
        uint32_t ready = ready_now(actor);
        CHECK(!holds_unheard(actor, ready, POLLIN));
        CHECK(!holds_unheard(actor, ready, POLLOUT));
    }
}

static void drain(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    struct actor *actor = call    ? (struct actor *)(void *)call
                          : timer ? (struct actor *)(void *)timer
                                  : (struct actor *)(void *)watch;
    CHECK(arg == &model && model.is_closing && actor->state != IDLE);
    CHECK_EQUAL(actor->kind, call ? CALL : timer ? TIMER : WATCH);
    actor->state = IDLE;
    struct actor **place = &model.actors[dice(ACTORS)];
    if ((*place)->state != POSTED)
        replace(place); /* perhaps the one that is told */
}

static void run_model(uint64_t seed)
{
    const asyncio_run_options options = {.seed = seed + 1};
    memset(&model, 0, sizeof model);
    asy_random_seed(&model.random, seed);
    CHECK(model.loop = asyncio_loop_new(&options));
    CHECK_EQUAL(asyncio_loop_set_drain(model.loop, drain, &model), 0);
    model.base_ns = asyncio_loop_time_ns(model.loop);
    for (int i = 0; i < ACTORS; i++)
        model.actors[i] = make_actor(i < CALLS ? CALL : i < CALLS + TIMERS ? TIMER : WATCH);
    for (int i = 0; i < PAIRS; i++)
        open_pair(i);
    for (int round = 0; round < 4; round++) {
        model.is_quiet = false;
        for (int i = 0; i < BUSY_TURNS; i++)
            turn();
        model.is_quiet = true;
        for (int i = 0; i < QUIET_TURNS; i++)
            turn();
        check_quiet();
    }
    model.is_quiet = false;
    turn(); /* leaves some of each for the close */
    model.is_closing = true;
    CHECK_EQUAL(asyncio_loop_close(model.loop), 0);
    asyncio_loop_release(model.loop);
    for (int i = 0; i < ACTORS; i++) {
        CHECK_EQUAL(model.actors[i]->state, IDLE);
        free(model.actors[i]);
    }
    for (int i = 0; i < PAIRS; i++) {
        close(model.ends[i][0]);
        close(model.ends[i][1]);
    }
}

TEST(all_come_as_the_model_says)
{
    size_t seeds = repeats(10, 50, 1000);
    for (size_t seed = 0; seed < seeds; seed++)
        run_model(seed);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
