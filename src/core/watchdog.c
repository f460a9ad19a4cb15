/*
 * The watchdog. It looks at each loop four times within that one's limit. A loop is held if it does not
 * sleep, and the count of its steps, callbacks and polls stands where it stood: so loops do nothing for it.
 *
 *     seen, since    the first look at which the loop stands where it stands now
 *     the next look  how often has its thread slept so far? (stall.c)
 *     the limit      who holds it is looked at, without the lock; if it still stands there after that, told
 *     it goes on     told, if the former was
 *
 * A look that comes late, because the process was stopped, or has no processor, moves `since`: nothing could
 * have gone on in that time. Where all loops have long been idle, it looks less and less often, down to once
 * a second, and the first loop that wakes calls it.
 */
#include "core/watchdog.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/overflow.h"
#include "core/report.h"
#include "core/stall.h"
#include "core/timer.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "sys/thread_look.h"
#include <pthread.h>

#define LOOKS 4 /* within a limit */
#define PAUSE_NS_MIN INT64_C(1000000)
#define PAUSE_NS_MAX INT64_C(1000000000)
#define ENDS_MAX 16

static struct {
    pthread_mutex_t lock;      /* guards all below, and the fields of struct watched that say so */
    struct list loops;         /* struct watched */
    struct asy_thread *thread; /* once it runs */
    _Atomic bool is_started;   /* from its start until it leaves. Loops look without the lock: one that reads
                                  an old value is watched from its next run on */
    _Atomic bool is_dozing;    /* it sleeps long, since all loops have slept for long */
    _Atomic uint32_t news;     /* a futex: the thread has left, or there is a loop again */
    int64_t idle_ns;           /* how long all loops have been asleep */
    struct {
        uint64_t loop;
        int64_t held_ns;
    } ends[ENDS_MAX]; /* of stalls that were told, and are over. The end of more at a time is not told */
    size_t end_count;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .loops = {&dog.loops, &dog.loops}};

/* ---- What it sees, under the lock ---------------------------------------------------------------- */

static asyncio_loop *loop_of(struct list *node)
{
    return LIST_ENTRY(node, asyncio_loop, watched.node);
}

static bool is_awake(asyncio_loop *loop)
{
    return atomic_load_explicit(&loop->watched.is_running, memory_order_relaxed) &&
           !atomic_load_explicit(&loop->posts.is_sleeping, memory_order_relaxed);
}

static void note_end(const asyncio_loop *loop, int64_t now_ns)
{
    if (dog.end_count == ENDS_MAX)
        return;
    dog.ends[dog.end_count].loop = loop->id;
    dog.ends[dog.end_count++].held_ns = now_ns - loop->watched.since_ns;
}

static void begin_anew(asyncio_loop *loop, uint64_t progress, int64_t now_ns)
{
    struct watched *watched = &loop->watched;
    if (watched->is_told)
        note_end(loop, now_ns);
    watched->is_told = watched->is_due = false;
    watched->seen = progress;
    watched->since_ns = now_ns;
    watched->cpu_ns = -1;
    watched->sleeps = UINT64_MAX;
}

/* Returns whether the loop is awake. */
static bool look_at_loop(asyncio_loop *loop, int64_t now_ns, int64_t late_ns)
{
    struct watched *watched = &loop->watched;
    uint64_t progress = asy_loop_progress(loop);
    int tid = atomic_load_explicit(&watched->tid, memory_order_relaxed);
    if (!is_awake(loop) || progress != watched->seen) {
        bool goes_on = progress != watched->seen;
        begin_anew(loop, progress, now_ns);
        if (is_awake(loop))
            watched->cpu_ns = asy_sys_thread_cpu_ns(tid);
        return goes_on || is_awake(loop);
    }
    if (watched->cpu_ns < 0) /* it slept when it was seen here first, and has just begun to wake */
        watched->cpu_ns = asy_sys_thread_cpu_ns(tid);
    watched->since_ns += late_ns;
    int64_t held_ns = now_ns - watched->since_ns;
    watched->is_due = !watched->is_told && held_ns >= watched->limit_ns;
    if (!watched->is_told && watched->sleeps == UINT64_MAX) {
        struct asy_thread_look look;
        asy_sys_thread_look(tid, &look);
        watched->sleeps = look.state ? look.sleeps : UINT64_MAX;
    }
    return true;
}

static void look_at_loops(int64_t now_ns, int64_t late_ns, int64_t passed_ns)
{
    bool is_any_awake = false;
    LIST_EACH(node, &dog.loops)
        is_any_awake |= look_at_loop(loop_of(node), now_ns, late_ns);
    dog.idle_ns = is_any_awake ? 0 : dog.idle_ns + passed_ns;
}

static bool is_any_awake(void)
{
    LIST_EACH(node, &dog.loops) {
        asyncio_loop *loop = loop_of(node);
        if (atomic_load(&loop->watched.is_running) && !atomic_load(&loop->posts.is_sleeping))
            return true;
    }
    return false;
}

/* How long until the next look: longer and longer where nothing goes on. */
static int64_t plan_pause(void)
{
    int64_t pause_ns = PAUSE_NS_MAX;
    LIST_EACH(node, &dog.loops) {
        int64_t part_ns = loop_of(node)->watched.limit_ns / LOOKS;
        pause_ns = part_ns < pause_ns ? part_ns : pause_ns;
    }
    pause_ns = pause_ns > PAUSE_NS_MIN ? pause_ns : PAUSE_NS_MIN;
    if (dog.idle_ns <= pause_ns * LOOKS)
        return pause_ns;
    /* Before the look at the loops, and both sequentially consistent, as in asy_watchdog_woken: so a loop
     * that wakes now is seen here, or sees that it must call. */
    atomic_store(&dog.is_dozing, true);
    if (!is_any_awake())
        return dog.idle_ns < PAUSE_NS_MAX ? dog.idle_ns : PAUSE_NS_MAX;
    atomic_store(&dog.is_dozing, false);
    return pause_ns;
}

/* ---- What it tells, without the lock -------------------------------------------------------------- */

/* A loop that is due, if there is one. */
static bool take_suspect(int64_t now_ns, struct suspect *suspect)
{
    LIST_EACH(node, &dog.loops) {
        asyncio_loop *loop = loop_of(node);
        struct watched *watched = &loop->watched;
        if (!watched->is_due)
            continue;
        watched->is_due = false;
        *suspect =
            (struct suspect){.loop = loop,
                             .id = loop->id,
                             .progress = watched->seen,
                             .held_ns = now_ns - watched->since_ns,
                             .limit_ns = watched->limit_ns,
                             .cpu_ns = watched->cpu_ns,
                             .sleeps = watched->sleeps,
                             .tid = atomic_load_explicit(&watched->tid, memory_order_relaxed),
                             .poll_fd = atomic_load_explicit(&watched->poll_fd, memory_order_relaxed),
                             .may_signal = atomic_load_explicit(&watched->may_signal, memory_order_relaxed)};
        return true;
    }
    return false;
}

/* Does the loop stand where it stood before it was looked at? Then it counts as told. */
static bool confirm_suspect(const struct suspect *suspect)
{
    LIST_EACH(node, &dog.loops) {
        asyncio_loop *loop = loop_of(node);
        if (loop->id != suspect->id || !is_awake(loop) || asy_loop_progress(loop) != suspect->progress)
            continue;
        loop->watched.is_told = true;
        return true;
    }
    return false;
}

static void tell_suspects(int64_t now_ns)
{
    static struct stall stall; /* the thread's, of which there is one */
    struct suspect suspect;
    while (take_suspect(now_ns, &suspect)) {
        pthread_mutex_unlock(&dog.lock);
        bool is_held = asy_stall_look(&suspect, &stall);
        pthread_mutex_lock(&dog.lock);
        if (!is_held || !confirm_suspect(&suspect))
            continue;
        pthread_mutex_unlock(&dog.lock);
        asy_stall_tell(&stall.told);
        pthread_mutex_lock(&dog.lock);
    }
}

static void tell_ends(void)
{
    while (dog.end_count) {
        asyncio_stall stall = {.loop = dog.ends[0].loop,
                               .seconds = (double)dog.ends[0].held_ns / 1e9,
                               .syscall = -1,
                               .words = "it goes on",
                               .over = true};
        dog.end_count--;
        for (size_t i = 0; i < dog.end_count; i++)
            dog.ends[i] = dog.ends[i + 1];
        pthread_mutex_unlock(&dog.lock);
        asy_stall_tell(&stall);
        pthread_mutex_lock(&dog.lock);
    }
}

/* ---- The thread ------------------------------------------------------------------------------------ */

/* Sequentially consistent, as everything at the thread's ends, which are rare. */
static void announce_news(void)
{
    atomic_fetch_add(&dog.news, 1);
    asy_sys_futex_wake(&dog.news, INT32_MAX);
}

/* Sleeps without the lock, and returns by how much too long: less than a pause is nothing. */
static int64_t pause_looking(struct asy_thread *self, int64_t pause_ns)
{
    int64_t due_ns = asy_sys_now_ns() + pause_ns;
    pthread_mutex_unlock(&dog.lock);
    asy_sys_thread_sleep(self, pause_ns);
    pthread_mutex_lock(&dog.lock);
    atomic_store(&dog.is_dozing, false);
    int64_t late_ns = asy_sys_now_ns() - due_ns;
    return late_ns > pause_ns ? late_ns : 0;
}

static void watch_loops(void *unused)
{
    (void)unused;
    struct asy_thread *self = asy_sys_thread_self();
    pthread_mutex_lock(&dog.lock);
    dog.thread = self;
    for (;;) {
        asy_sys_thread_rests(self); /* whoever changes something from here on calls */
        if (list_is_empty(&dog.loops))
            break;
        int64_t pause_ns = plan_pause();
        int64_t late_ns = pause_looking(self, pause_ns);
        if (asy_sys_thread_is_to_end(self))
            break;
        look_at_loops(asy_sys_now_ns(), late_ns, pause_ns);
        tell_suspects(asy_sys_now_ns());
        tell_ends();
    }
    tell_ends();
    dog.thread = NULL;
    atomic_store(&dog.is_started, false);
    announce_news();
    pthread_mutex_unlock(&dog.lock);
}

/* Locked. There is something to see, or nothing any more. */
static void call_watchdog(void)
{
    if (dog.thread)
        asy_sys_futex_wake(asy_sys_thread_call(dog.thread), 1);
}

/* ---- Loops ------------------------------------------------------------------------------------------ */

static int list_loop(asyncio_loop *loop)
{
    int err = 0;
    pthread_mutex_lock(&dog.lock);
    if (!loop->watched.is_listed) {
        begin_anew(loop, asy_loop_progress(loop), asy_sys_now_ns());
        list_append(&dog.loops, &loop->watched.node);
    }
    loop->watched.is_listed = true;
    dog.idle_ns = 0;
    if (!atomic_load(&dog.is_started)) {
        atomic_store(&dog.is_started, true);
        err = asy_sys_thread_start(watch_loops, NULL, "asyncio-watch");
        if (err)
            atomic_store(&dog.is_started, false);
    }
    announce_news();
    call_watchdog();
    pthread_mutex_unlock(&dog.lock);
    return err;
}

void asy_watchdog_enter(asyncio_loop *loop)
{
    struct watched *watched = &loop->watched;
    atomic_store_explicit(&watched->tid, loop->tid, memory_order_relaxed);
    atomic_store_explicit(&watched->may_signal, asy_overflow_has_stack(), memory_order_relaxed);
    atomic_store_explicit(&watched->poll_fd, loop->backend->epfd, memory_order_relaxed);
    atomic_store(&watched->is_running, true);
    if (watched->is_listed && LIKELY(atomic_load_explicit(&dog.is_started, memory_order_relaxed))) {
        asy_watchdog_woken(loop);
        return;
    }
    int err = list_loop(loop);
    if (err)
        asy_report_site(loop, NULL, err, "the loop is not watched: there is no thread for it");
}

void asy_watchdog_woken(asyncio_loop *loop)
{
    atomic_store(&loop->posts.is_sleeping, false);
    if (LIKELY(!atomic_load(&dog.is_dozing)))
        return;
    pthread_mutex_lock(&dog.lock);
    dog.idle_ns = 0;
    atomic_store(&dog.is_dozing, false);
    call_watchdog();
    pthread_mutex_unlock(&dog.lock);
}

void asy_watchdog_leave(asyncio_loop *loop)
{
    atomic_store_explicit(&loop->watched.is_running, false, memory_order_relaxed);
}

/* Returns when the thread has left, or there is a loop again, and so it stays. */
static void await_news(uint32_t news)
{
    while (atomic_load(&dog.news) == news)
        asy_sys_futex_wait(&dog.news, news, -1);
}

void asy_watchdog_forget(asyncio_loop *loop)
{
    if (!loop->watched.is_listed)
        return;
    pthread_mutex_lock(&dog.lock);
    if (loop->watched.is_told)
        note_end(loop, asy_sys_now_ns());
    list_remove(&loop->watched.node);
    loop->watched.is_listed = false;
    uint32_t news = atomic_load(&dog.news);
    bool must_wait = list_is_empty(&dog.loops) && atomic_load(&dog.is_started) &&
                     (!dog.thread || dog.thread != asy_sys_thread_self());
    call_watchdog();
    pthread_mutex_unlock(&dog.lock);
    if (must_wait)
        await_news(news);
}

static int64_t choose_limit(const asyncio_loop *loop)
{
    double seconds = loop->options.watchdog;
    if (seconds == 0)
        seconds = loop->debug ? loop->words.watchdog : 0;
    int64_t limit_ns = seconds > 0 ? asy_ns_from_seconds(seconds) : 0;
    return limit_ns < INT64_MAX / 4 ? limit_ns : 0;
}

void asy_watchdog_update(asyncio_loop *loop)
{
    int64_t limit_ns = choose_limit(loop);
    if (limit_ns == loop->watched.limit_ns)
        return;
    if (loop->watched.is_listed)
        asy_watchdog_forget(loop);
    loop->watched.limit_ns = limit_ns;
    if (limit_ns && loop->is_running)
        asy_watchdog_enter(loop);
}

void asy_watchdog_forked(void)
{
    dog.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    list_init(&dog.loops);
    dog.thread = NULL;
    atomic_store(&dog.is_started, false);
    dog.end_count = 0;
    atomic_store(&dog.is_dozing, false);
    asy_stall_forked();
}
