/*
 * What the tests of the watchdog share: a handler that keeps what it is told, and tasks that hold their loop
 * until it was told. No test says how long that takes: a busy machine takes longer.
 */
#ifndef TESTS_CORE_WATCHDOG_TEST_H
#define TESTS_CORE_WATCHDOG_TEST_H

#include "asyncio.h"
#include "base/compiler.h"
#include "child.h"
#include "support/harness.h"
#include "sys/thread.h"
#include "sys/thread_look.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 0.02

struct note {
    asyncio_stall stall; /* without what it points to */
    char task[64], coroutine[64], file[128], words[256];
    const void *frames[64];
};

#define NOTES_MAX 64
static struct note notes[NOTES_MAX];
static _Atomic unsigned note_count;

static inline void copy_text(char *to, size_t bytes, const char *text)
{
    snprintf(to, bytes, "%s", text ? text : "");
}

/* The only writer, on the watchdog's thread; readers look at what lies below the count. */
static inline void note_stall(const asyncio_stall *stall, void *arg)
{
    (void)arg;
    unsigned at = atomic_load(&note_count);
    if (at == NOTES_MAX)
        return;
    struct note *note = &notes[at];
    note->stall = *stall;
    copy_text(note->task, sizeof note->task, stall->task);
    copy_text(note->coroutine, sizeof note->coroutine, stall->coroutine);
    copy_text(note->file, sizeof note->file, stall->file);
    copy_text(note->words, sizeof note->words, stall->words);
    size_t count = stall->frame_count < 64 ? stall->frame_count : 64;
    for (size_t i = 0; i < count; i++)
        note->frames[i] = stall->frames[i];
    atomic_store(&note_count, at + 1);
}

/* What was told so far is forgotten. No loop is held meanwhile. */
static inline void begin_notes(void)
{
    assert_int_equal(asyncio_set_stall_handler(note_stall, NULL), 0);
    atomic_store(&note_count, 0);
}

/* The first note of a loop (0: of any) that has come by now; NULL: there is none. */
static inline const struct note *find_note(uint64_t loop, bool over)
{
    unsigned count = atomic_load(&note_count);
    for (unsigned i = 0; i < count; i++)
        if (notes[i].stall.over == over && (!loop || notes[i].stall.loop == loop))
            return &notes[i];
    return NULL;
}

/* The code of these functions lies in a section of its own, so that a frame of theirs is known as such. */
#define BURNS __attribute__((noinline, section("watchdog_burns")))
extern const char __start_watchdog_burns[], __stop_watchdog_burns[];

static THREAD_LOCAL volatile unsigned burned;

/* Computes until the watchdog has told of this loop. */
static BURNS void burn_until_told(uint64_t loop)
{
    while (!find_note(loop, false))
        for (unsigned i = 0; i < 1000; i++)
            burned += i;
}

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Computes for so much of the processor's time. */
static inline void burn(double seconds)
{
    int64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + (int64_t)(seconds * 1e9);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
        burned++;
}

/* Under Valgrind threads sleep for each other, in calls of its own. */
static inline void check_words(const struct note *note, const char *words)
{
    if (!RUNNING_ON_VALGRIND)
        assert_string_equal(note->words, words);
}

/* The linker sends the watchdog's own calls through these, which a test may replace. */
void __real_asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns);
void __wrap_asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns);
int __real_asy_sys_thread_calls(int tid, void **pcs, int most, int64_t timeout_ns);
int __wrap_asy_sys_thread_calls(int tid, void **pcs, int most, int64_t timeout_ns);

static void (*_Atomic sleep_of_watchdog)(struct asy_thread *self, int64_t timeout_ns);

/* Other threads of the library sleep here, too. */
void __wrap_asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns)
{
    char name[16] = "";
    void (*sleep)(struct asy_thread *, int64_t) = atomic_load(&sleep_of_watchdog);
    if (sleep)
        pthread_getname_np(pthread_self(), name, sizeof name);
    if (strcmp(name, "asyncio-watch") == 0)
        sleep(self, timeout_ns);
    else
        __real_asy_sys_thread_sleep(self, timeout_ns);
}

#define GENEROUS_NS INT64_C(60000000000)

/* A thread that computes answers when it gets a processor. Only a test in which it never answers leaves the
 * watchdog its own limit. */
static bool may_not_answer;

int __wrap_asy_sys_thread_calls(int tid, void **pcs, int most, int64_t timeout_ns)
{
    return __real_asy_sys_thread_calls(tid, pcs, most, may_not_answer ? timeout_ns : GENEROUS_NS);
}

int64_t __real_asy_sys_thread_cpu_ns(int tid);
int64_t __wrap_asy_sys_thread_cpu_ns(int tid);

/* Whether the watchdog is to believe that loops have no processor. */
static _Atomic bool has_no_processor;

int64_t __wrap_asy_sys_thread_cpu_ns(int tid)
{
    return atomic_load(&has_no_processor) ? 1 : __real_asy_sys_thread_cpu_ns(tid);
}

static const asyncio_run_options watched = {.watchdog = LIMIT};

/* Threads of the watchdog that the kernel knows; one that has ended may stand there for a moment. */
static inline int count_watchdogs(void)
{
    int count = 0;
    char command[64], line[32] = "";
    snprintf(command, sizeof command, "cat /proc/%d/task/*/comm 2>/dev/null", (int)getpid());
    FILE *names = popen(command, "r");
    while (names && fgets(line, sizeof line, names))
        count += strcmp(line, "asyncio-watch\n") == 0;
    if (names)
        pclose(names);
    return count;
}

/* Waits, generously. */
static inline void wait_for_watchdogs(int count)
{
    for (int i = 0; i < 10000 && count_watchdogs() != count; i++)
        usleep(1000);
    CHECK_EQUAL(count_watchdogs(), count);
}

#endif
