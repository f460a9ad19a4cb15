/*
 * Calls and timers in the program's storage: order, what is taken back, what fn may do to its own and to
 * others, and what a closing loop gives back.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
static const asyncio_run_options seeded = {.seed = 7};
static asyncio_loop *loop;

static void open_loop(const asyncio_run_options *options)
{
    loop = asyncio_loop_new(options);
    assert_non_null(loop);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

static void turn(void)
{
    assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
}

/* ---- Calls ----------------------------------------------------------------------------- */

struct job {
    asyncio_call call;
    asyncio_timer timer;
    char name;
    struct job *other;
    void (*also)(struct job *self);
};

static char log_of_jobs[4096];

static void note(char name)
{
    size_t n = strlen(log_of_jobs);
    assert_true(n + 1 < sizeof log_of_jobs);
    log_of_jobs[n] = name;
    log_of_jobs[n + 1] = '\0';
}

static void check_log(const char *expected)
{
    assert_string_equal(log_of_jobs, expected);
    log_of_jobs[0] = '\0';
}

static void run_job(asyncio_call *call)
{
    struct job *job = (struct job *)call;
    note(job->name);
    if (job->also)
        job->also(job);
}

static void run_timed_job(asyncio_timer *timer)
{
    struct job *job = (struct job *)(void *)((char *)timer - offsetof(struct job, timer));
    note(job->name);
    if (job->also)
        job->also(job);
}

static void init_job(struct job *job, char name)
{
    *job = (struct job){.name = name};
    asyncio_call_init(&job->call, run_job);
    asyncio_timer_init(&job->timer, run_timed_job);
}

static struct job *new_job(char name)
{
    struct job *job = malloc(sizeof *job);
    assert_non_null(job);
    init_job(job, name);
    return job;
}

static void note_text(void *arg)
{
    note(*(const char *)arg);
}

TEST(sizes_are_as_promised)
{
    assert_true(sizeof(asyncio_call) <= 6 * sizeof(void *));
    assert_true(sizeof(asyncio_timer) <= 6 * sizeof(void *));
}

TEST(calls_run_in_order_with_all_other_callbacks)
{
    struct job jobs[3];
    open_loop(NULL);
    for (int i = 0; i < 3; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_true(asyncio_loop_call(loop, &jobs[0].call));
    asyncio_loop_call_soon(loop, note_text, (char *)"1");
    assert_true(asyncio_loop_call(loop, &jobs[1].call));
    assert_false(asyncio_loop_call(loop, &jobs[0].call));
    assert_int_equal(asyncio_loop_post(loop, &jobs[0].call), 1);
    assert_int_equal(asyncio_loop_post(loop, &jobs[2].call), 0);
    assert_false(asyncio_loop_call(loop, &jobs[2].call));
    asyncio_loop_call_soon(loop, note_text, (char *)"2");
    turn();
    check_log("a1b2c");
    turn();
    check_log("");
    close_loop();
}

static void call_again(struct job *self)
{
    self->also = NULL;
    assert_true(asyncio_loop_call(loop, &self->call));
    assert_false(asyncio_loop_call(loop, &self->call));
}

static void call_for_ever(struct job *self)
{
    assert_true(asyncio_loop_call(loop, &self->call));
}

TEST(a_call_that_queues_itself_runs_in_the_next_iteration)
{
    struct job job;
    for (int i = 0; i < 2; i++) {
        open_loop(i ? &seeded : &simulated);
        init_job(&job, 'a');
        job.also = call_for_ever;
        assert_true(asyncio_loop_call(loop, &job.call));
        turn();
        check_log("a");
        turn();
        check_log("a");
        assert_true(asyncio_call_cancel(&job.call));
        assert_false(asyncio_call_cancel(&job.call));
        turn();
        check_log("");
        job.also = call_again;
        assert_true(asyncio_loop_call(loop, &job.call));
        turn();
        turn();
        check_log("aa");
        close_loop();
    }
}

static void cancel_and_free_other(struct job *self)
{
    assert_true(asyncio_call_cancel(&self->other->call));
    free(self->other);
}

static void free_self(struct job *self)
{
    free(self);
}

/* The first, the last, one in the middle, neighbours, among callbacks and tasks of other kinds. */
TEST(cancelled_ones_leave_at_once_wherever_they_stand)
{
    enum { N = 6 };
    for (unsigned gone = 0; gone < 1 << N; gone++) {
        struct job *jobs[N];
        char expected[2 * N + 2] = "";
        size_t length = 0;
        open_loop(NULL);
        for (unsigned i = 0; i < N; i++) {
            jobs[i] = new_job((char)('a' + i));
            assert_true(asyncio_loop_call(loop, &jobs[i]->call));
            if (i % 3 == 1)
                asyncio_loop_call_soon(loop, note_text, (char *)"-");
        }
        for (unsigned i = 0; i < N; i++) { /* forwards and backwards in turn */
            unsigned k = gone & 1 ? i : N - 1 - i;
            if (gone & 1U << k) {
                assert_true(asyncio_call_cancel(&jobs[k]->call));
                free(jobs[k]);
            }
        }
        for (unsigned i = 0; i < N; i++) {
            if (!(gone & 1U << i))
                expected[length++] = "abcdef"[i];
            if (i % 3 == 1)
                expected[length++] = '-';
        }
        asyncio_loop_call_soon(loop, note_text, (char *)"."); /* the end of the queue is right, too */
        expected[length] = '.';
        turn();
        check_log(expected);
        for (unsigned i = 0; i < N; i++)
            if (!(gone & 1U << i))
                free(jobs[i]);
        close_loop();
    }
}

TEST(a_call_frees_itself_and_others)
{
    open_loop(NULL);
    struct job *a = new_job('a'), *b = new_job('b'), *c = new_job('c'), *d = new_job('d');
    a->also = cancel_and_free_other; /* the next one */
    a->other = b;
    c->also = free_self;
    d->also = free_self;
    assert_true(asyncio_loop_call(loop, &a->call));
    assert_true(asyncio_loop_call(loop, &b->call));
    assert_true(asyncio_loop_call(loop, &c->call));
    assert_int_equal(asyncio_loop_post(loop, &d->call), 0);
    turn();
    check_log("acd");
    a->other = new_job('e'); /* a posted one, not collected yet */
    assert_true(asyncio_loop_call(loop, &a->call));
    assert_int_equal(asyncio_loop_post(loop, &a->other->call), 0);
    turn();
    check_log("a");
    free(a);
    close_loop();
}

/* Is a turn exact where it must be, whatever is cancelled in it? */
static void cancel_next_and_call_two(struct job *self)
{
    asyncio_call_cancel(&self[1].call);
    assert_true(asyncio_loop_call(loop, &self[1].call));
    assert_true(asyncio_loop_call(loop, &self[2].call));
}

TEST(what_is_cancelled_makes_a_strict_iteration_no_longer)
{
    const asyncio_run_options *strict[] = {&simulated, &seeded};
    for (int debug = 0; debug < 2; debug++) {
        for (int i = 0; i < 2; i++) {
            struct job jobs[3];
            open_loop(strict[i]);
            asyncio_loop_set_debug(loop, debug);
            for (int k = 0; k < 3; k++)
                init_job(&jobs[k], (char)('a' + k));
            jobs[0].also = cancel_next_and_call_two;
            assert_true(asyncio_loop_call(loop, &jobs[0].call));
            assert_true(asyncio_loop_call(loop, &jobs[1].call));
            turn();
            check_log("a");
            turn();
            check_log("bc");
            close_loop();
        }
    }
}

TEST(wrong_arguments_and_a_closed_loop)
{
    struct job job;
    open_loop(NULL);
    init_job(&job, 'a');
    assert_false(asyncio_loop_call(NULL, &job.call));
    assert_false(asyncio_loop_call(loop, NULL));
    assert_int_equal(asyncio_loop_post(NULL, &job.call), -EINVAL);
    assert_int_equal(asyncio_loop_post(loop, NULL), -EINVAL);
    assert_false(asyncio_call_cancel(NULL));
    assert_false(asyncio_call_cancel(&job.call));
    asyncio_call_init(NULL, NULL);
    assert_int_equal(asyncio_timer_start(NULL, &job.timer, 0), -EINVAL);
    assert_int_equal(asyncio_timer_start(loop, NULL, 0), -EINVAL);
    assert_false(asyncio_timer_stop(NULL));
    assert_false(asyncio_timer_stop(&job.timer));
    asyncio_timer_init(NULL, NULL);
    assert_int_equal(asyncio_loop_set_drain(NULL, NULL, NULL), -EINVAL);
    assert_true(asyncio_loop_time_ns(NULL) > 0);
    asyncio_loop_ref(loop);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_false(asyncio_loop_call(loop, &job.call));
    assert_int_equal(asyncio_loop_post(loop, &job.call), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_timer_start(loop, &job.timer, 0), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_set_drain(loop, NULL, NULL), ASYNCIO_ESTATE);
    assert_false(asyncio_call_cancel(&job.call)); /* idle, not stuck half way */
    asyncio_loop_release(loop);
    asyncio_loop_release(loop);
}

/* ---- Context, waits, tasks --------------------------------------------------------------- */

static asyncio_contextvar variable = ASYNCIO_CONTEXTVAR_INIT("variable", NULL);
static void *seen_by_call, *seen_by_next, *seen_by_task;
static int waited;

ASYNC(looks_at_variable)
{
    seen_by_task = asyncio_contextvar_get(&variable);
    return 0;
}

static void set_variable(asyncio_call *call)
{
    (void)call;
    seen_by_call = asyncio_contextvar_get(&variable);
    waited = asyncio_sleep(0);
    assert_int_equal(asyncio_contextvar_set(&variable, (char *)"inside", NULL), 0);
    asyncio_release(asyncio_create_task(looks_at_variable()));
}

static void look_at_variable(asyncio_call *call)
{
    (void)call;
    seen_by_next = asyncio_contextvar_get(&variable);
}

ASYNC(calls_with_a_context)
{
    static asyncio_call first, second;
    asyncio_contextvar_set(&variable, (char *)"of main", NULL);
    asyncio_call_init(&first, set_variable);
    asyncio_call_init(&second, look_at_variable);
    asyncio_loop_call(asyncio_get_running_loop(), &first);
    asyncio_loop_post(asyncio_get_running_loop(), &second);
    return asyncio_sleep(0.001);
}

TEST(a_call_runs_in_an_empty_context_and_cannot_wait)
{
    seen_by_call = seen_by_next = &waited;
    assert_int_equal(asyncio_run(calls_with_a_context()), 0);
    assert_null(seen_by_call);
    assert_null(seen_by_next);
    assert_int_equal(waited, ASYNCIO_ENOTASK);
    assert_string_equal(seen_by_task, "inside");
}

/* ---- Timers ------------------------------------------------------------------------------- */

TEST(timers_fire_in_the_order_of_deadlines_then_of_starts)
{
    struct job jobs[5];
    open_loop(&simulated);
    int64_t now = asyncio_loop_time_ns(loop);
    for (int i = 0; i < 5; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_int_equal(asyncio_timer_start(loop, &jobs[0].timer, now + 30), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[1].timer, now + 10), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, now + 20), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[3].timer, now + 10), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[4].timer, now - 5), 0);  /* past */
    assert_int_equal(asyncio_timer_start(loop, &jobs[1].timer, now + 10), 0); /* moved: behind d */
    turn();
    check_log("e");
    for (int i = 0; i < 3; i++)
        assert_int_equal(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), 0);
    check_log("dbca");
    assert_int_equal(asyncio_loop_time_ns(loop), now + 30);
    close_loop();
}

TEST(deadlines_at_the_ends_of_the_range)
{
    struct job jobs[3];
    open_loop(&simulated);
    for (int i = 0; i < 3; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_int_equal(asyncio_timer_start(loop, &jobs[0].timer, INT64_MAX), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[1].timer, INT64_MIN), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, INT64_MAX - 1), 0);
    assert_true(asyncio_loop_timeout(loop) <= 0);
    turn();
    check_log("b");
    assert_true(asyncio_loop_timeout(loop) > 0);
    assert_int_equal(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), 0);
    check_log("c");
    assert_int_equal(asyncio_loop_run_once(loop, ASYNCIO_FOREVER),
                     -EDEADLK); /* the end of time never comes */
    assert_true(asyncio_timer_stop(&jobs[0].timer));
    assert_false(asyncio_timer_stop(&jobs[0].timer));
    check_log("");
    close_loop();
}

static void stop_and_free_other(struct job *self)
{
    assert_true(asyncio_timer_stop(&self->other->timer));
    assert_false(asyncio_timer_stop(&self->other->timer));
    free(self->other);
}

static void move_other(struct job *self)
{
    assert_int_equal(asyncio_timer_start(loop, &self->other->timer, asyncio_loop_time_ns(loop) + 1000), 0);
}

/* Both are due in the same turn. */
TEST(a_timer_stops_moves_and_frees_others_that_are_due)
{
    open_loop(&simulated);
    struct job *a = new_job('a'), *b = new_job('b'), *c = new_job('c'), *d = new_job('d');
    a->also = stop_and_free_other;
    a->other = b;
    c->also = move_other;
    c->other = d;
    for (struct job **job = (struct job *[]){a, b, c, d, NULL}; *job; job++)
        assert_int_equal(asyncio_timer_start(loop, &(*job)->timer, 0), 0);
    turn();
    check_log("ac");
    d->also = free_self;
    assert_int_equal(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), 0);
    check_log("d");
    free(a);
    free(c);
    close_loop();
}

static int restarts;

static void restart_self(struct job *self)
{
    restarts++;
    assert_int_equal(asyncio_timer_start(loop, &self->timer, 0), 0);
}

TEST(a_timer_that_starts_itself_in_the_past_fires_once_a_turn)
{
    struct job job;
    open_loop(NULL);
    init_job(&job, 'a');
    job.also = restart_self;
    restart_self(&job);
    restarts = 0;
    for (int i = 1; i <= 10; i++) {
        turn();
        assert_int_equal(restarts, i);
    }
    check_log("aaaaaaaaaa");
    close_loop();
}

TEST(a_timer_that_runs_is_refused_by_another_loop)
{
    struct job job;
    init_job(&job, 'a');
    open_loop(&simulated);
    asyncio_loop *other = asyncio_loop_new(&simulated);
    assert_int_equal(asyncio_timer_start(loop, &job.timer, 5), 0);
    assert_int_equal(asyncio_timer_start(other, &job.timer, 6), -EINVAL);
    assert_true(asyncio_timer_stop(&job.timer));
    assert_int_equal(asyncio_timer_start(other, &job.timer, 6), 0);
    asyncio_loop_release(other);
    assert_false(asyncio_timer_stop(&job.timer)); /* its loop is gone */
    close_loop();
}

/* ---- The end ------------------------------------------------------------------------------ */

static struct {
    int calls, timers, others;
    struct job *to_cancel;
    int refused;
} drained;

static void drain(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    assert_ptr_equal(arg, &drained);
    assert_int_equal(!!call + !!timer + !!watch, 1);
    struct job other;
    init_job(&other, 'x');
    drained.refused += !asyncio_loop_call(loop, &other.call) +
                       (asyncio_loop_post(loop, &other.call) == ASYNCIO_ESTATE) +
                       (asyncio_timer_start(loop, &other.timer, 0) == ASYNCIO_ESTATE);
    struct job *victim = drained.to_cancel;
    drained.to_cancel = NULL;
    if (victim) {
        assert_true(asyncio_call_cancel(&victim->call));
        assert_true(asyncio_timer_stop(&victim->timer));
        free(victim);
    }
    drained.calls += call != NULL;
    drained.timers += timer != NULL;
    if (call) {
        assert_false(asyncio_call_cancel(call));
        free(call);
    } else {
        struct job *job = (struct job *)(void *)((char *)timer - offsetof(struct job, timer));
        assert_false(asyncio_timer_stop(timer));
        free(job);
    }
}

/* Queued, posted, posted and collected, due and not, with handles and tasks beside them. */
TEST(a_closing_loop_gives_each_back_once)
{
    for (int by_release = 0; by_release < 2; by_release++) {
        open_loop(&simulated);
        memset(&drained, 0, sizeof drained);
        assert_int_equal(asyncio_loop_set_drain(loop, drain, &drained), 0);
        struct job *victim = new_job('v');
        assert_int_equal(asyncio_loop_post(loop, &new_job('a')->call), 0); /* the first to be told */
        assert_true(asyncio_loop_call(loop, &new_job('b')->call));
        asyncio_loop_call_soon(loop, note_text, (char *)"1");
        asyncio_loop_call_later(loop, 1, note_text, (char *)"2");
        assert_int_equal(asyncio_loop_post(loop, &victim->call), 0);
        assert_int_equal(asyncio_timer_start(loop, &victim->timer, 100), 0);
        assert_int_equal(asyncio_timer_start(loop, &new_job('c')->timer, 0), 0);
        assert_int_equal(asyncio_timer_start(loop, &new_job('d')->timer, INT64_MAX), 0);
        drained.to_cancel = victim;
        if (by_release)
            asyncio_loop_release(loop);
        else
            close_loop();
        assert_int_equal(drained.calls, 2);
        assert_int_equal(drained.timers, 2);
        assert_int_equal(drained.refused, 3 * 4);
        check_log("");
    }
}

TEST(without_a_drain_all_becomes_idle)
{
    struct job jobs[4];
    open_loop(NULL);
    for (int i = 0; i < 4; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_int_equal(asyncio_loop_set_drain(loop, drain, NULL), 0);
    assert_int_equal(asyncio_loop_set_drain(loop, NULL, NULL), 0);
    assert_true(asyncio_loop_call(loop, &jobs[0].call));
    assert_int_equal(asyncio_loop_post(loop, &jobs[1].call), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, 0), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[3].timer, INT64_MAX), 0);
    close_loop();
    for (int i = 0; i < 4; i++) {
        assert_false(asyncio_call_cancel(&jobs[i].call));
        assert_false(asyncio_timer_stop(&jobs[i].timer));
    }
    open_loop(NULL); /* and another one takes them */
    assert_true(asyncio_loop_call(loop, &jobs[0].call));
    assert_int_equal(asyncio_loop_post(loop, &jobs[1].call), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, 0), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[3].timer, 0), 0);
    turn();
    check_log("abcd");
    close_loop();
}

/* ---- A forked child ------------------------------------------------------------------------ */

TEST(a_forked_child_has_the_storage_to_itself)
{
    struct job jobs[3];
    static asyncio_loop *volatile parents; /* Valgrind asks in the child who knows of it */
    open_loop(NULL);
    parents = loop;
    for (int i = 0; i < 3; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_true(asyncio_loop_call(loop, &jobs[0].call));
    assert_int_equal(asyncio_loop_post(loop, &jobs[1].call), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct job fresh;
        init_job(&fresh, 'f');
        bool ok = !asyncio_call_cancel(&jobs[0].call) && !asyncio_call_cancel(&jobs[1].call) &&
                  !asyncio_timer_stop(&jobs[2].timer) && !asyncio_loop_call(loop, &fresh.call) &&
                  asyncio_loop_post(loop, &fresh.call) == ASYNCIO_ESTATE &&
                  asyncio_timer_start(loop, &fresh.timer, 0) == ASYNCIO_ESTATE;
        loop = asyncio_loop_new(NULL);
        ok &= loop != parents;
        for (int i = 0; i < 2; i++)
            ok &= asyncio_loop_call(loop, &jobs[i].call);
        ok &= asyncio_timer_start(loop, &jobs[2].timer, 0) == 0 && asyncio_loop_run_once(loop, 0) == 0;
        _exit(ok && !strcmp(log_of_jobs, "abc") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    turn();
    check_log("abc");
    close_loop();
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void fill_the_heap(struct job *self)
{
    int started = 0;
    asy_fault_arm(1, true); /* no memory from here on */
    for (int i = 0; i < 100; i++)
        started += asyncio_timer_start(loop, &self->other[i].timer, 1000 + i) == 0;
    assert_int_equal(started, 63); /* of 64 places; the one that is due keeps its own */
    assert_int_equal(asyncio_timer_start(loop, &self->other[99].timer, 5), -ENOMEM);
    assert_int_equal(asyncio_timer_start(loop, &self[1].timer, 2000), 0); /* moved, though it was due */
    for (int i = 0; i < 63; i++)
        assert_int_equal(asyncio_timer_start(loop, &self->other[i].timer, 3000 - i), 0);
    asy_fault_disarm();
}

TEST(moving_a_timer_needs_no_memory)
{
    static struct job jobs[2], others[100];
    open_loop(&simulated);
    init_job(&jobs[0], 'a');
    init_job(&jobs[1], 'b');
    for (int i = 0; i < 100; i++)
        init_job(&others[i], '.');
    jobs[0].also = fill_the_heap;
    jobs[0].other = others;
    assert_int_equal(asyncio_timer_start(loop, &jobs[0].timer, 0), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[1].timer, 0), 0);
    turn();
    check_log("a");
    assert_int_equal(asyncio_timer_start(loop, &others[99].timer, 1), 0); /* the heap grows again */
    assert_int_equal(asyncio_loop_run_once(loop, 1), 0);
    check_log(".");
    assert_int_equal(asyncio_loop_run_once(loop, 1), 0);
    check_log("b");
    close_loop();
}

/* Once its heap has room, a loop needs no memory for any of this. */
TEST(nothing_is_allocated)
{
    struct job jobs[3];
    open_loop(NULL);
    for (int i = 0; i < 3; i++)
        init_job(&jobs[i], (char)('a' + i));
    assert_int_equal(asyncio_timer_start(loop, &jobs[0].timer, 0), 0);
    turn();
    check_log("a");
    asy_fault_arm(1, true);
    assert_true(asyncio_loop_call(loop, &jobs[0].call));
    assert_int_equal(asyncio_loop_post(loop, &jobs[1].call), 0);
    assert_int_equal(asyncio_timer_start(loop, &jobs[2].timer, 0), 0);
    turn();
    asy_fault_disarm();
    check_log("abc");
    close_loop();
}

TEST_MAIN()
