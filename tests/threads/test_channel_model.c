/*
 * All interleavings of small programs on one channel: senders and receivers of two loops, cancels, timeouts,
 * a close, the last release, and a loop that closes over its tasks.
 *
 * The checker drives the real state machine (threads/channel.h). Everything that happens under the channel's
 * lock is one step, and any actor may make the next one; between two steps of a task lies whatever its post
 * takes to arrive. The world is one struct, which is copied before a step and put back after it; a state
 * that was seen before is not entered again.
 */
#include "support/harness.h"
#include "threads/channel.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS_MAX 8
#define SEEN_BITS 19
#define SEEN_MAX ((size_t)1 << SEEN_BITS)

enum sort { SENDER, RECEIVER, CANCEL, CLOSE, RELEASE, LOOP_CLOSE };

/* What a program consists of. `of`: the task that is cancelled, or the loop of a task, or that closes. */
struct part {
    enum sort sort;
    int of;
};

enum state { NOT_BEGUN, WAITS, WOKEN, ENDED, DEAD };

struct actor {
    struct channel_waiter waiter;
    enum state state;
    int result;
    int item;
    int arrival; /* its number among those that began to send, or to receive */
};

static const struct part *program;
static int program_length, program_capacity;

static struct world {
    struct actor actors[ACTORS_MAX];
    int arrivals;
    int last_granted;      /* the arrival of the receiver that was granted last */
    int taken[ACTORS_MAX]; /* items, in the order in which they were received */
    int taken_count;
    int admitted[ACTORS_MAX]; /* arrivals, in the order in which their items went in */
    int admitted_count;
    bool is_loop_closed[2], is_closed, is_released;
    int dropped; /* items in the channel when it was released */
    _Alignas(16) char block[sizeof(struct asyncio_channel) + 64];
} world;

static struct channel_wake no_wake;
static uint64_t *seen;
static size_t seen_count, leaves, transitions;

static struct asyncio_channel *channel_of_world(void)
{
    return (struct asyncio_channel *)(void *)world.block;
}

static void find_fault(const char *what)
{
    harness_failed(__FILE__, __LINE__, "%s", what);
}

/* ---- Waking -------------------------------------------------------------------------------------- */

/* An item may yet come to a receiver from one that was granted it, and whose loop closes. */
static void check_shut_out(const struct part *part, int result)
{
    if (part->sort == RECEIVER && result && !world.is_released && channel_of_world()->count)
        find_fault("a receiver was sent away from items");
}

static void wake_actor(struct channel_waiter *waiter, int result, struct channel_wake *wake)
{
    (void)wake;
    struct actor *actor = LIST_ENTRY(waiter, struct actor, waiter);
    const struct part *part = &program[actor - world.actors];
    if (actor->state != WAITS)
        find_fault("woken twice, or without a wait");
    actor->state = WOKEN;
    actor->result = result;
    check_shut_out(part, result);
    if (part->sort == SENDER && result == 0)
        world.admitted[world.admitted_count++] = actor->arrival;
    if (part->sort != RECEIVER || result)
        return;
    if (actor->arrival < world.last_granted)
        find_fault("a receiver was granted out of turn");
    world.last_granted = actor->arrival;
}

static const struct channel_waiter_kind model_kind = {NULL, wake_actor};

/* ---- Steps --------------------------------------------------------------------------------------- */

static void end_send(struct actor *actor, int result)
{
    actor->result = result;
    actor->state = ENDED;
}

static void end_receive(struct actor *actor, int result, int item)
{
    end_send(actor, result);
    if (!result)
        world.taken[world.taken_count++] = item;
}

static void begin_call(struct actor *actor, const struct part *part)
{
    struct asyncio_channel *channel = channel_of_world();
    int item = -1, err;
    actor->arrival = ++world.arrivals;
    actor->waiter.kind = &model_kind;
    list_init(&actor->waiter.node);
    actor->item = actor->arrival;
    if (part->sort == SENDER)
        err = asy_channel_try_send(channel, &actor->item, &no_wake);
    else
        err = asy_channel_try_receive(channel, &item, &no_wake);
    if (part->sort == SENDER && err != ASYNCIO_EQUEUE_FULL) {
        if (!err)
            world.admitted[world.admitted_count++] = actor->arrival;
        end_send(actor, err);
        return;
    }
    if (part->sort == RECEIVER && err != ASYNCIO_EQUEUE_EMPTY) {
        check_shut_out(part, err);
        end_receive(actor, err, item);
        return;
    }
    actor->state = WAITS;
    if (part->sort == SENDER)
        asy_channel_await_room(channel, &actor->waiter, &actor->item, &no_wake);
    else
        asy_channel_await_item(channel, &actor->waiter, &no_wake);
}

static void resume_call(struct actor *actor, const struct part *part)
{
    int item = -1;
    if (part->sort == SENDER) {
        actor->item = -1; /* the frame is gone */
        end_send(actor, actor->result);
        return;
    }
    if (!actor->result)
        asy_channel_take_granted(channel_of_world(), &actor->waiter, &item, &no_wake);
    end_receive(actor, actor->result, item);
}

static void close_model_loop(int loop)
{
    world.is_loop_closed[loop] = true;
    for (int i = 0; i < program_length; i++) {
        struct actor *actor = &world.actors[i];
        if (program[i].sort > RECEIVER || program[i].of != loop || actor->state == ENDED)
            continue;
        if (actor->state != NOT_BEGUN)
            asy_channel_revoke(channel_of_world(), &actor->waiter, &no_wake);
        if (actor->state == WOKEN && program[i].sort == SENDER)
            end_send(actor, actor->result);
        else
            actor->state = DEAD;
        actor->item = -1;
    }
}

static void release_model(void)
{
    struct asyncio_channel *channel = channel_of_world();
    world.dropped = (int)(channel->count - channel->granted);
    world.is_closed = world.is_released = true;
    asy_channel_end(channel, &no_wake);
}

static void cancel_actor(struct actor *actor)
{
    if (actor->state != WAITS && actor->state != WOKEN)
        return;
    bool has_left = asy_channel_withdraw(&actor->waiter);
    if (has_left != (actor->state == WAITS))
        find_fault("withdrawn after it was woken, or not before");
    if (has_left)
        end_send(actor, -ECANCELED);
}

/* May this actor make a step now? A call on a channel that is released is a mistake of the program. */
static bool is_enabled(int i)
{
    const struct actor *actor = &world.actors[i];
    const struct part *part = &program[i];
    if (part->sort <= RECEIVER) {
        if (world.is_loop_closed[part->of])
            return false;
        return actor->state == WOKEN || (actor->state == NOT_BEGUN && !world.is_released);
    }
    return actor->state == NOT_BEGUN && !(part->sort == CLOSE && world.is_released);
}

static void make_step(int i)
{
    struct actor *actor = &world.actors[i];
    const struct part *part = &program[i];
    if (part->sort <= RECEIVER) {
        if (actor->state == WOKEN)
            resume_call(actor, part);
        else
            begin_call(actor, part);
        return;
    }
    actor->state = ENDED;
    if (part->sort == CANCEL)
        cancel_actor(&world.actors[part->of]);
    else if (part->sort == LOOP_CLOSE)
        close_model_loop(part->of);
    else if (part->sort == RELEASE)
        release_model();
    else
        asy_channel_close(channel_of_world(), &no_wake), world.is_closed = true;
}

/* ---- What must hold ------------------------------------------------------------------------------ */

static size_t count_list(const struct list *list)
{
    size_t count = 0;
    LIST_EACH(node, list)
        count++;
    return count;
}

static void check_state(void)
{
    const struct asyncio_channel *channel = channel_of_world();
    size_t senders = count_list(&channel->senders), receivers = count_list(&channel->receivers);
    if (channel->granted > channel->count || channel->count > channel->capacity)
        find_fault("more granted than there are, or more than there is room for");
    if (senders && (channel->count < channel->capacity || channel->is_closed))
        find_fault("a sender waits for nothing");
    if (receivers && (channel->count > channel->granted || (channel->is_closed && channel->count == 0)))
        find_fault("a receiver waits for nothing");
    if (channel->is_released && (senders || receivers || channel->count != channel->granted))
        find_fault("a released channel has waiters or items");
    for (int i = 1; i < world.admitted_count; i++)
        if (world.admitted[i] < world.admitted[i - 1])
            find_fault("senders out of turn");
}

/* Nobody can make a step: each item that was sent was received, in order, or is there. */
static void check_end(void)
{
    const struct asyncio_channel *channel = channel_of_world();
    leaves++;
    for (int i = 0; i < world.taken_count; i++)
        if (world.taken[i] != world.admitted[i])
            find_fault("an item was lost, doubled, or overtook another");
    if (channel->granted)
        find_fault("a right was left to nobody");
    if (!world.is_released && (size_t)(world.admitted_count - world.taken_count) != channel->count)
        find_fault("items are missing");
    for (int i = 0; i < program_length; i++)
        if (program[i].sort <= RECEIVER && world.actors[i].state == WAITS && world.is_closed)
            find_fault("a call waits on a closed channel");
}

/* ---- The search ---------------------------------------------------------------------------------- */

static uint64_t hash_world(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    const unsigned char *bytes = (const unsigned char *)&world;
    for (size_t i = 0; i < sizeof world; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash ? hash : 1;
}

/* False: it was seen before. */
static bool note_world(void)
{
    uint64_t hash = hash_world();
    size_t at = (size_t)(hash * 0x9e3779b97f4a7c15u >> (64 - SEEN_BITS));
    for (; seen[at]; at = (at + 1) % SEEN_MAX)
        if (seen[at] == hash)
            return false;
    seen[at] = hash;
    if (++seen_count > SEEN_MAX / 2)
        find_fault("more states than the table holds");
    return true;
}

static void explore(void)
{
    bool is_end = true;
    if (seen_count > SEEN_MAX / 2 || !note_world())
        return;
    check_state();
    struct world before = world;
    for (int i = 0; i < program_length; i++) {
        if (!is_enabled(i))
            continue;
        is_end = false;
        transitions++;
        make_step(i);
        explore();
        world = before;
    }
    if (is_end)
        check_end();
}

static void explore_program(const struct part *parts, int length, int capacity)
{
    program = parts;
    program_length = length;
    program_capacity = capacity;
    memset(&world, 0, sizeof world);
    asy_channel_init(channel_of_world(), sizeof(int), (size_t)capacity);
    memset(seen, 0, SEEN_MAX * sizeof *seen);
    seen_count = leaves = transitions = 0;
    explore();
    harness_settle();
}

/* ---- Programs ------------------------------------------------------------------------------------ */

static const struct part others[] = {
    {CANCEL, 0}, {CANCEL, 1},  {CANCEL, 2},     {CANCEL, 3},
    {CLOSE, 0},  {RELEASE, 0}, {LOOP_CLOSE, 0}, {LOOP_CLOSE, 1},
};
#define OTHERS ((int)(sizeof others / sizeof *others))

/* The tasks of `calls`, and each two of the other actors. */
static void explore_with_others(const struct part *calls, int count)
{
    struct part parts[ACTORS_MAX];
    size_t all = 0;
    memcpy(parts, calls, (size_t)count * sizeof *calls);
    int step = is_slow_build() ? 3 : 1; /* every pair, or a third of them */
    for (int capacity = 1; capacity <= 2; capacity++) {
        for (int i = 0; i < OTHERS; i++) {
            for (int j = i + 1; j < OTHERS; j += step) {
                parts[count] = others[i];
                parts[count + 1] = others[j];
                explore_program(parts, count + 2, capacity);
                all += seen_count;
            }
        }
    }
    print_message("%zu states\n", all);
}

TEST(two_senders_and_two_receivers)
{
    static const struct part calls[] = {{SENDER, 0}, {RECEIVER, 1}, {SENDER, 1}, {RECEIVER, 0}};
    explore_with_others(calls, 4);
}

TEST(three_receivers_of_two_loops)
{
    static const struct part calls[] = {
        {RECEIVER, 0}, {RECEIVER, 1}, {RECEIVER, 0}, {SENDER, 1}, {SENDER, 0}};
    explore_with_others(calls, 5);
}

TEST(three_senders_of_two_loops)
{
    static const struct part calls[] = {{SENDER, 0}, {SENDER, 1}, {SENDER, 0}, {RECEIVER, 1}, {RECEIVER, 0}};
    explore_with_others(calls, 5);
}

/* Both loops close, in the midst of cancels: nothing is left that waits, and nothing is lost. */
TEST(all_at_once)
{
    static const struct part parts[] = {{SENDER, 0}, {RECEIVER, 1}, {RECEIVER, 0},   {SENDER, 1},
                                        {CANCEL, 2}, {CLOSE, 0},    {LOOP_CLOSE, 1}, {RELEASE, 0}};
    explore_program(parts, 8, 1);
    explore_program(parts, 8, 2);
}

static int make_table(void **state)
{
    (void)state;
    seen = calloc(SEEN_MAX, sizeof *seen);
    return seen ? 0 : -1;
}

static int free_table(void **state)
{
    (void)state;
    free(seen);
    return 0;
}

int main(void)
{
    const struct test_fixtures fixtures = {.group_setup = make_table, .group_teardown = free_table};
    return tests_run(&fixtures);
}
