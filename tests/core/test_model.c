/*
 * A random tree of tasks that spawn, await, gather, cancel and sleep, under
 * many ready orders, against what must hold on any day:
 *
 *   every task that was made begins once and ends once, cancelled or not;
 *   who awaits it gets what it returned;
 *   nobody is cancelled without a request, and no request is lost from the count;
 *   afterwards everything is back where it was.
 */
#include "base/random.h"
#include "support/harness.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 400
#define DEPTH_MAX 6
#define CHILDREN_MAX 4
#define STEPS 12

struct node {
    asyncio_task *task; /* with a reference of ours; NULL: awaited in place */
    int depth;
    int begun, ended;
    intptr_t returned;
    int requests;   /* asyncio_cancel said true */
    int taken_back; /* by uncancel */
    int delivered;  /* waits that gave -ECANCELED */
};

static struct {
    struct random random;
    struct node nodes[NODES_MAX];
    size_t count;
    asyncio_future *gate; /* done at the end, or cancelled by one of its waiters */
    size_t in_place;
} model;

static unsigned dice(unsigned sides)
{
    return (unsigned)asy_random_below(&model.random, sides);
}

ASYNC_DECLARE(node, struct node *, self);

/* ---- Making them ------------------------------------------------------------------- */

static struct node *node_new(int depth)
{
    if (model.count == NODES_MAX || depth > DEPTH_MAX)
        return NULL;
    struct node *self = &model.nodes[model.count++];
    *self = (struct node){.depth = depth, .returned = 1234};
    return self;
}

static struct node *spawn(int depth)
{
    struct node *child = node_new(depth);
    if (!child)
        return NULL;
    child->task = asyncio_create_task(node(child));
    if (dice(4) == 0)
        asyncio_task_set_name(child->task, "renamed");
    return child;
}

/* ---- What one does ------------------------------------------------------------------- */

/* After each wait: was there a reason? */
static void waited(struct node *self, intptr_t err)
{
    if (err != -ECANCELED)
        return;
    self->delivered++;
    if (self->task)
        CHECK(asyncio_task_cancelling(self->task) + self->taken_back > 0);
}

static void check_child(struct node *child, intptr_t result)
{
    CHECK_EQUAL(child->begun, 1);
    CHECK_EQUAL(child->ended, 1);
    CHECK_EQUAL(result, child->returned);
    if (child->task) {
        CHECK(asyncio_done(child->task));
        CHECK_EQUAL(asyncio_result(child->task), result);
    }
}

static void await_one(struct node *child)
{
    if (dice(2)) {
        check_child(child, asyncio_await(asyncio_ref(child->task)));
        return;
    }
    intptr_t result = 4321;
    int status = asyncio_join(asyncio_ref(child->task), &result);
    CHECK(status == 0 || status == -ECANCELED);
    if (status)
        CHECK_EQUAL(result, -ECANCELED);
    check_child(child, result);
}

static void gather_some(struct node *self, struct node **children, int count)
{
    asyncio_awaitable *awaitables[CHILDREN_MAX + 2];
    struct node *gathered[CHILDREN_MAX + 2];
    intptr_t results[CHILDREN_MAX + 2];
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        for (unsigned times = dice(3); times && n < CHILDREN_MAX; times--) {
            gathered[n] = children[i];
            awaitables[n++] = ASYNCIO_AS_AWAITABLE(asyncio_ref(children[i]->task));
        }
    }
    struct node *fresh = node_new(self->depth + 1);
    if (fresh) { /* a coroutine, whose task only gather knows */
        gathered[n] = fresh;
        awaitables[n++] = ASYNCIO_AS_AWAITABLE(node(fresh));
    }
    bool settled = dice(2);
    int err = asyncio_gather_at(results, awaitables, n, settled, ASYNCIO_HERE);
    CHECK(err == 0 || err == -ECANCELED || !settled);
    bool failed = false;
    for (size_t i = 0; i < n; i++) {
        check_child(gathered[i], results[i]);
        failed = failed || results[i] < 0;
    }
    if (err == 0 && !settled)
        CHECK(!failed);
    if (err < 0 && err != -ECANCELED)
        CHECK(failed);
}

static void cancel_somebody(void)
{
    struct node *victim = &model.nodes[dice((unsigned)model.count)];
    if (!victim->task)
        return;
    bool was_done = asyncio_done(victim->task);
    int before = asyncio_task_cancelling(victim->task);
    CHECK_EQUAL(asyncio_cancel_with(victim->task, "the dice"), !was_done);
    CHECK(asyncio_task_cancelling(victim->task) == before + !was_done);
    victim->requests += !was_done;
}

static void take_one_back(struct node *self)
{
    if (!self->task)
        return;
    int before = asyncio_task_cancelling(self->task);
    CHECK_EQUAL(asyncio_task_uncancel(self->task), before ? before - 1 : 0);
    self->taken_back += before != 0;
}

static void await_in_place(struct node *self)
{
    struct node *child = node_new(self->depth + 1);
    if (!child)
        return;
    model.in_place++;
    check_child(child, asyncio_await(node(child)));
}

static void step(struct node *self, struct node **children, int *count)
{
    switch (dice(12)) {
    case 0:
    case 1:
        waited(self, asyncio_sleep(0));
        break;
    case 2:
        waited(self, asyncio_sleep(dice(5)));
        break;
    case 3:
    case 4:
    case 5:
        if (*count < CHILDREN_MAX && (children[*count] = spawn(self->depth + 1)))
            ++*count;
        break;
    case 6:
        if (*count)
            await_one(children[dice((unsigned)*count)]);
        break;
    case 7:
    case 8:
        gather_some(self, children, *count);
        break;
    case 9:
        cancel_somebody();
        break;
    case 10:
        take_one_back(self);
        break;
    default:
        if (dice(3) == 0)
            (void)asyncio_await(asyncio_ref(model.gate));
        else
            await_in_place(self);
    }
}

ASYNC_DEFINE(node, struct node *, self)
{
    struct node *children[CHILDREN_MAX];
    int count = 0;
    self->begun++;
    if (self->task)
        CHECK(asyncio_current_task() == self->task);
    for (unsigned steps = dice(STEPS); steps; steps--)
        step(self, children, &count);
    static const intptr_t results[] = {0, 1, 42, -EIO, -ECANCELED};
    self->returned = results[dice(5)];
    self->ended++;
    return self->returned;
}

/* ---- The whole ------------------------------------------------------------------------- */

static size_t still_running(void)
{
    size_t count = 0;
    for (size_t i = 0; i < model.count; i++)
        count += !model.nodes[i].ended;
    return count;
}

static void check_end(struct node *self)
{
    CHECK_EQUAL(self->begun, 1);
    CHECK_EQUAL(self->ended, 1);
    if (!self->task)
        return;
    CHECK(asyncio_done(self->task));
    CHECK_EQUAL(asyncio_result(self->task), self->returned);
    CHECK_EQUAL(asyncio_cancelled(self->task), self->returned == -ECANCELED);
    CHECK(asyncio_task_cancelling(self->task) + self->taken_back >= self->requests);
    asyncio_release(self->task);
}

ASYNC(model_main)
{
    model.gate = asyncio_future_new();
    for (int i = 0; i < 3; i++)
        spawn(0);
    asyncio_sleep(100);
    if (!asyncio_done(model.gate))
        asyncio_future_set_result(model.gate, 7);
    for (int rounds = 0; still_running() && rounds < 1000; rounds++)
        asyncio_sleep(10);
    CHECK_EQUAL(still_running(), 0);
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), 1);
    for (size_t i = 0; i < model.count; i++)
        check_end(&model.nodes[i]);
    asyncio_release(model.gate);
    return 0;
}

static size_t nodes_in_all;

static void run_model(uint64_t seed)
{
    memset(&model, 0, sizeof model);
    asy_random_seed(&model.random, seed);
    CHECK_EQUAL(run_seeded(model_main, seed), 0);
    nodes_in_all += model.count;
}

TEST(model)
{
    nodes_in_all = 0;
    for_each_seed(run_model);
    /* The dice make trees, not stumps. */
    assert_true(nodes_in_all > 20);
}

/* The same trees in FIFO order. */
static void run_model_fifo(uint64_t seed)
{
    memset(&model, 0, sizeof model);
    asy_random_seed(&model.random, seed);
    CHECK_EQUAL(run_seeded(model_main, 0), 0);
}

TEST(model_fifo)
{
    for_each_seed(run_model_fifo);
}

TEST_MAIN()
