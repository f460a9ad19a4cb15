/*
 * Random trees of timeouts, groups, shields, waits and sleeps, whose tasks are cancelled at
 * random, in random ready orders. Whatever happens: every scope ends, no child outlives its
 * group, counts balance, outcomes are ones that their parts allow, and nothing is left
 * (harness.h checks the latter).
 */
#include "base/random.h"
#include "core/task.h"
#include "support/harness.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 5
#define TASKS_MAX 200 /* made in one tree */

static struct random dice;

static unsigned below(unsigned n)
{
    return (unsigned)asy_random_below(&dice, n);
}

static double some_time(void)
{
    return below(8) * 0.25;
}

/* ---- Who is there -------------------------------------------------------- */

/* A task of the tree, in its own frame. */
struct member {
    asyncio_task *task;
    struct member *next, **link;
    unsigned cancelled; /* by the troublemaker */
};

static struct member *members;
static unsigned member_count, tasks_made;

static void enrol(struct member *member)
{
    *member = (struct member){.task = asyncio_current_task(), .next = members, .link = &members};
    if (members)
        members->link = &member->next;
    members = member;
    member_count++;
}

static void leave(struct member *member)
{
    *member->link = member->next;
    if (member->next)
        member->next->link = member->link;
    member_count--;
}

/* ---- The tree ------------------------------------------------------------ */

static intptr_t work(int depth);

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static intptr_t failure(void)
{
    static const intptr_t codes[] = {-EIO, -EPIPE, -ENOSPC};
    return codes[below(3)];
}

ASYNC(member_of_the_tree, int, depth, unsigned *, live)
{
    struct member self;
    enrol(&self);
    intptr_t result = work(depth);
    CHECK(asyncio_task_cancelling(self.task) >= 0);
    leave(&self);
    if (live)
        --*live;
    return result;
}

/* Who is shielded may end when nobody looks any more: it does not fail, and owns its arguments. */
ASYNC(shielded_member, int, depth)
{
    intptr_t result = asyncio_await(member_of_the_tree(depth, NULL));
    return result < 0 ? 0 : result;
}

ASYNC(in_place, int, depth)
{
    return work(depth);
}

static asyncio_task *member_task(int depth)
{
    tasks_made++;
    return asyncio_create_task(member_of_the_tree(depth, NULL));
}

static intptr_t with_timeout(int depth)
{
    asyncio_timeout t;
    int before = cancelling();
    CHECK_EQUAL(asyncio_timeout_enter(&t, some_time()), 0);
    if (below(4) == 0)
        CHECK_EQUAL(asyncio_timeout_reschedule(&t, asyncio_time() + some_time()), 0);
    intptr_t body = work(depth);
    int inside = cancelling();
    bool expired = asyncio_timeout_expired(&t);
    intptr_t err = asyncio_timeout_exit(&t, body);
    CHECK_EQUAL(cancelling(), inside - expired);
    CHECK(cancelling() >= before);
    CHECK(err == body || (expired && body == -ECANCELED && err == -ETIMEDOUT));
    if (expired && body == -ECANCELED && cancelling() == before)
        CHECK_EQUAL(err, -ETIMEDOUT);
    return err;
}

static void check_group(const asyncio_task_group *g, intptr_t body, intptr_t err, int more)
{
    size_t errors = asyncio_task_group_error_count(g);
    for (size_t i = 0; i < errors && i < ASYNCIO_TASK_GROUP_ERRORS; i++)
        CHECK(asyncio_task_group_error(g, i) < 0 && asyncio_task_group_error(g, i) != -ECANCELED);
    if (body < 0 && body != -ECANCELED)
        CHECK(errors > 0);
    if (errors)
        CHECK_EQUAL(err, errors == 1 ? asyncio_task_group_error(g, 0) : ASYNCIO_EGROUP);
    else
        CHECK(err == -ECANCELED ? body == -ECANCELED || more > 0 : err >= 0);
}

static intptr_t with_group(int depth)
{
    asyncio_task_group g;
    unsigned live = 0;
    bool pending = asyncio_current_task()->must_cancel; /* and to be delivered inside */
    int before = cancelling();
    CHECK_EQUAL(asyncio_task_group_enter(&g), 0);
    for (unsigned n = below(4); n > 0 && tasks_made < TASKS_MAX; n--) {
        live++;
        tasks_made++;
        asyncio_task *child = asyncio_task_group_create_task(&g, member_of_the_tree(depth, &live));
        if (asyncio_result(child) == ASYNCIO_ESTATE && asyncio_done(child))
            live--; /* refused: it never runs */
        if (below(3) == 0 && asyncio_sleep(some_time()) < 0)
            break;
    }
    if (below(6) == 0)
        asyncio_task_group_cancel(&g);
    intptr_t body = below(2) ? work(depth) : 0;
    intptr_t err = asyncio_task_group_exit(&g, body);
    check_group(&g, body, err, cancelling() - before + pending);
    CHECK(cancelling() >= before);
    CHECK_EQUAL(live, 0);
    return err;
}

static intptr_t with_shield(int depth)
{
    asyncio_shield_scope shield;
    CHECK_EQUAL(asyncio_shield_scope_enter(&shield), 0);
    CHECK_EQUAL(asyncio_sleep(some_time()), 0); /* whatever comes */
    intptr_t result = work(depth);
    CHECK_EQUAL(asyncio_sleep(some_time()), 0);
    CHECK_EQUAL(asyncio_shield_scope_exit(&shield), 0);
    return result;
}

static intptr_t with_wait_for(int depth)
{
    if (below(2))
        return asyncio_wait_for(in_place(depth), some_time());
    return asyncio_wait_for(member_task(depth), some_time());
}

static intptr_t with_wait(int depth)
{
    asyncio_task *set[3];
    intptr_t result = 0;
    for (int i = 0; i < 3; i++)
        set[i] = member_task(depth);
    ptrdiff_t done = asyncio_wait(set, 3, some_time(), (asyncio_return_when)below(3));
    CHECK(done == -ECANCELED || (done >= 0 && done <= 3));
    for (int i = 0; i < 3; i++) {
        CHECK(asyncio_done(set[i]) || i >= done);
        if (below(2))
            asyncio_cancel(set[i]);
        asyncio_join(set[i], &result);
    }
    return done < 0 ? done : result;
}

static intptr_t with_as_completed(int depth)
{
    asyncio_as_completed it;
    asyncio_task *set[3];
    size_t index;
    int more;
    for (int i = 0; i < 3; i++)
        set[i] = member_task(depth);
    CHECK_EQUAL(asyncio_as_completed_init(&it, set, 3, some_time()), 0);
    while ((more = asyncio_as_completed_next(&it, &index)) > 0)
        CHECK(asyncio_done(set[index]));
    CHECK(more == 0 || more == -ETIMEDOUT || more == -ECANCELED);
    for (int i = 0; i < 3; i++)
        asyncio_join(set[i], NULL);
    return more;
}

static intptr_t with_shielded(int depth)
{
    tasks_made++;
    return asyncio_shield(shielded_member(depth));
}

static intptr_t with_gather(int depth)
{
    intptr_t results[2] = {-1, -1};
    int err = asyncio_gather(results, member_task(depth), in_place(depth));
    return err ? err : results[0];
}

/* One step. */
static intptr_t act(int depth)
{
    static intptr_t (*const ways[])(int) = {with_timeout,      with_timeout,  with_group,    with_group,
                                            with_group,        with_shield,   with_wait_for, with_wait,
                                            with_as_completed, with_shielded, with_gather};
    unsigned way = below(20);
    if (depth > 0 && way < sizeof ways / sizeof *ways && tasks_made < TASKS_MAX)
        return ways[way](depth - 1);
    if (way == 19)
        return failure();
    return asyncio_sleep(some_time());
}

/* Some steps; what fails is mostly, but not always, minded. */
static intptr_t work(int depth)
{
    for (unsigned n = 1 + below(3); n > 0; n--) {
        intptr_t err = act(depth);
        if (err < 0 && below(5))
            return err;
    }
    return 0;
}

/* ---- Its run ------------------------------------------------------------- */

ASYNC(troublemaker)
{
    for (;;) {
        int err = asyncio_sleep(some_time());
        if (err)
            return err;
        struct member *victim = members;
        for (unsigned i = member_count ? below(member_count) : 0; i > 0; i--)
            victim = victim->next;
        if (!victim || below(2))
            continue;
        CHECK(asyncio_cancel(victim->task));
        victim->cancelled++;
    }
}

/* Only the troublemaker cancels the root from outside: what is left of its count is that. */
ASYNC(root)
{
    struct member self;
    enrol(&self);
    work(DEPTH_MAX);
    CHECK_EQUAL(cancelling(), self.cancelled);
    leave(&self);
    return 0;
}

ASYNC(main_of_the_tree)
{
    members = NULL;
    member_count = tasks_made = 0;
    asyncio_task *trouble = asyncio_create_task(troublemaker());
    CHECK_EQUAL(asyncio_await(asyncio_create_task(root())), 0);
    while (asyncio_all_tasks(NULL, 0) > 2) /* those that were shielded */
        CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(member_count, 0);
    asyncio_cancel(trouble);
    CHECK_EQUAL(asyncio_await(trouble), -ECANCELED);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

static void one_tree(uint64_t seed)
{
    for (uint64_t i = 0; i < 8; i++) {
        asy_random_seed(&dice, seed * 8 + i);
        CHECK_EQUAL(run_seeded(main_of_the_tree, seed), 0);
    }
}

TEST(trees)
{
    for_each_seed(one_tree);
}

/* The same without trouble from outside: the root's count comes back to 0. */
ASYNC(quiet_tree)
{
    members = NULL;
    member_count = tasks_made = 0;
    asyncio_await(asyncio_create_task(root()));
    while (asyncio_all_tasks(NULL, 0) > 1)
        CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(member_count, 0);
    return cancelling();
}

static void one_quiet_tree(uint64_t seed)
{
    asy_random_seed(&dice, seed);
    CHECK_EQUAL(run_seeded(quiet_tree, seed), 0);
}

TEST(quiet_trees)
{
    for_each_seed(one_quiet_tree);
}

TEST_MAIN()
