/*
 * Traces: what the records say, and that the file survives whatever becomes of the process.
 */
#include "core/trace.h"
#include "support/harness.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Files ------------------------------------------------------------------------- */

struct file {
    unsigned char *bytes;
    size_t length;
    const struct trace_head *head;
    const struct trace_record *records;
};

static char folder[64];

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/asyncio-trace-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    unlink(path);
    return path;
}

/* The file's memory, as another process sees it. */
static struct file look_at_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    struct file file = {.length = (size_t)status.st_size};
    file.bytes = mmap(NULL, file.length, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(file.bytes != MAP_FAILED);
    close(fd);
    file.head = (const struct trace_head *)(const void *)file.bytes;
    file.records = (const struct trace_record *)(const void *)(file.bytes + TRACE_RING_OFFSET);
    return file;
}

static void forget_file(struct file *file)
{
    munmap(file->bytes, file->length);
}

static void remove_folder(void)
{
    if (folder[0])
        rmdir(folder);
    folder[0] = '\0';
}

static uint64_t first_of(const struct file *file)
{
    const struct trace_head *head = file->head;
    return head->index > head->count ? head->index - head->count : 0;
}

static const struct trace_record *record_at(const struct file *file, uint64_t index)
{
    return &file->records[index & (file->head->count - 1)];
}

static uint64_t kind_at(const struct file *file, uint64_t index)
{
    return record_at(file, index)->subject >> TRACE_KIND_SHIFT;
}

static uint64_t count_kind(const struct file *file, enum trace_kind kind)
{
    uint64_t count = 0;
    for (uint64_t i = first_of(file); i < file->head->index; i++)
        count += kind_at(file, i) == kind;
    return count;
}

/* Each record but the oldest of a full ring makes sense, and times never fall. */
static void check_whole(const struct file *file)
{
    assert_memory_equal(file->head->magic, TRACE_MAGIC, sizeof file->head->magic);
    uint64_t latest = 0, first = first_of(file);
    for (uint64_t i = first ? first + 1 : 0; i < file->head->index; i++) {
        assert_in_range(kind_at(file, i), TRACE_NOTHING + 1, TRACE_KINDS_END - 1);
        assert_true(record_at(file, i)->time >= latest);
        latest = record_at(file, i)->time;
    }
}

/* ---- A scenario: each kind of record ---------------------------------------------------- */

ASYNC(naps)
{
    return asyncio_sleep(0.25);
}

ASYNC(yields, int, times)
{
    for (int i = 0; i < times; i++)
        asyncio_sleep(0);
    return times;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

ASYNC(scenario, const char *, path)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    CHECK_EQUAL(asyncio_loop_trace(loop, path, 1024), 0);
    asyncio_task *named = asyncio_create_task(naps()), *cancelled = asyncio_create_task(naps());
    asyncio_task_set_name(named, "a name");
    asyncio_loop_call_soon(loop, do_nothing, NULL);
    asyncio_task *yielder = asyncio_create_task(yields(3));
    CHECK_EQUAL(asyncio_await(yielder), 3);
    asyncio_trace_mark("a mark");
    asyncio_cancel(cancelled);
    CHECK_EQUAL(asyncio_await(named), 0);
    CHECK_EQUAL(asyncio_await(cancelled), -ECANCELED);
    asyncio_task_options eager = {.eager_start = 1};
    return asyncio_await(asyncio_create_task_with(naps(), &eager));
}

static const char *scenario_path;

static asyncio_coro *run_scenario(void)
{
    return scenario(scenario_path);
}

TEST(tells_each_kind)
{
    scenario_path = path_of("kinds");
    CHECK_EQUAL(run(run_scenario), 0);
    harness_settle();
    struct file file = look_at_file(scenario_path);
    check_whole(&file);
    for (int kind = TRACE_NOTHING + 1; kind < TRACE_OFFLOAD; kind++)
        assert_true(count_kind(&file, (enum trace_kind)kind) > 0);
    assert_int_equal(count_kind(&file, TRACE_NAME), 1);
    assert_int_equal(count_kind(&file, TRACE_MARK), 1);
    assert_int_equal(count_kind(&file, TRACE_CANCEL), 1);
    assert_int_equal(count_kind(&file, TRACE_DONE), 5);
    assert_int_equal(count_kind(&file, TRACE_SPAWN), 5);
    /* 4 and their ends: of main after yielder, named and cancelled; and timers' of two sleepers */
    assert_true(count_kind(&file, TRACE_WAKE) >= 5);
    assert_true(file.head->stopped);
    forget_file(&file);
    unlink(scenario_path);
    remove_folder();
}

/* ---- Times by the system's clock: work on threads, slow steps -------------------------------- */

static intptr_t get_thread(void *arg)
{
    (void)arg;
    return asy_sys_gettid();
}

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

ASYNC(asks_and_is_slow, const char *, path)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    CHECK_EQUAL(asyncio_loop_trace(loop, path, 1024), 0);
    intptr_t tid = asyncio_to_thread(get_thread, NULL);
    asyncio_loop_set_exception_handler(loop, ignore_report, NULL);
    asyncio_loop_set_debug(loop, true);
    asyncio_loop_set_slow_callback_duration(loop, 0); /* each step is */
    asyncio_sleep(0.001);
    asyncio_sleep(0);
    asyncio_loop_set_debug(loop, false);
    return tid;
}

static intptr_t run_asking(const char *path, int clock)
{
    asyncio_run_options options = {.clock = clock};
    return asyncio_run_with(asks_and_is_slow(path), &options);
}

TEST(tells_work_and_slow_steps)
{
    const char *path = path_of("work");
    int64_t before_ns = asy_sys_now_ns();
    intptr_t tid = run_asking(path, ASYNCIO_CLOCK_REAL);
    assert_true(tid > 0 && tid != asy_sys_gettid());
    struct file file = look_at_file(path);
    check_whole(&file);
    assert_int_equal(count_kind(&file, TRACE_OFFLOAD), 1);
    assert_int_equal(count_kind(&file, TRACE_OFFLOADED), 1);
    assert_true(count_kind(&file, TRACE_SLOW) >= 1);
    for (uint64_t i = 0; i < file.head->index; i++) {
        const struct trace_record *record = record_at(&file, i);
        if (kind_at(&file, i) == TRACE_SLOW)
            assert_true(record->value >= 0);
        if (kind_at(&file, i) != TRACE_OFFLOAD)
            continue;
        const struct trace_record *end = record_at(&file, i + 1);
        assert_int_equal(kind_at(&file, i + 1), TRACE_OFFLOADED);
        assert_int_equal(record->other, tid);
        assert_int_equal(end->other, tid);
        assert_true(record->subject & TRACE_TASK_MASK);
        assert_in_range(record->value, before_ns, end->value);
        assert_in_range(end->value, record->value, asy_sys_now_ns());
    }
    forget_file(&file);
    unlink(path);
    remove_folder();
}

TEST(tells_no_real_times_under_a_virtual_clock)
{
    const char *path = path_of("virtual");
    assert_true(run_asking(path, ASYNCIO_CLOCK_VIRTUAL) > 0);
    struct file file = look_at_file(path);
    check_whole(&file);
    assert_int_equal(count_kind(&file, TRACE_OFFLOAD) + count_kind(&file, TRACE_OFFLOADED), 0);
    assert_int_equal(count_kind(&file, TRACE_SLOW), 0);
    forget_file(&file);
    unlink(path);
    remove_folder();
}

/* Nothing else runs a process's first tasks, so numbers are the same in both children. */
static void run_in_child(const char *path, const asyncio_run_options *options)
{
    pid_t child = fork();
    if (child == 0) {
        intptr_t err = asyncio_run_with(scenario(path), options);
        _exit(err || harness_failures() ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

TEST(same_seed_same_file)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed};
        const char *paths[2] = {path_of("one"), path_of("other")};
        run_in_child(paths[0], &options);
        run_in_child(paths[1], &options);
        struct file one = look_at_file(paths[0]), other = look_at_file(paths[1]);
        assert_int_equal(one.length, other.length);
        assert_memory_equal(one.bytes, other.bytes, one.length);
        check_whole(&one);
        forget_file(&one);
        forget_file(&other);
        unlink(paths[0]);
        unlink(paths[1]);
    }
    remove_folder();
}

/* ---- Order -------------------------------------------------------------------------------- */

static char order[512];

ASYNC(writes, char, letter)
{
    for (int i = 0; i < 20; i++) {
        strncat(order, &letter, 1);
        asyncio_sleep(i % 4 == 3 ? 0.01 : 0);
    }
    return 0;
}

ASYNC(writers, const char *, path)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    CHECK_EQUAL(path ? asyncio_loop_trace(loop, path, 64) : 0, 0);
    return asyncio_gather(NULL, writes('a'), writes('b'), writes('c'));
}

TEST(changes_no_order)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        asyncio_run_options options = {
            .clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed, .debug = seed % 2 ? 1 : -1};
        char plain[sizeof order];
        order[0] = '\0';
        assert_int_equal(asyncio_run_with(writers(NULL), &options), 0);
        memcpy(plain, order, sizeof plain);
        order[0] = '\0';
        const char *path = path_of("order");
        assert_int_equal(asyncio_run_with(writers(path), &options), 0);
        assert_string_equal(order, plain);
        unlink(path);
    }
    harness_settle();
    remove_folder();
}

/* ---- The ring ------------------------------------------------------------------------------ */

ASYNC(wraps, const char *, path)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    CHECK_EQUAL(asyncio_loop_trace(loop, path, 16), 0);
    asyncio_await(asyncio_create_task(yields(100)));
    asyncio_loop_trace_stop(loop);
    asyncio_trace_mark("after the end");
    return asyncio_await(asyncio_create_task(yields(100)));
}

TEST(wraps_around)
{
    const char *path = path_of("wraps");
    assert_int_equal(asyncio_run(wraps(path)), 100);
    harness_settle();
    struct file file = look_at_file(path);
    assert_int_equal(file.head->count, 16);
    assert_in_range(file.head->index, 100, 130);
    check_whole(&file);
    forget_file(&file);
    unlink(path);
    remove_folder();
}

ASYNC(runs_for_ever, const char *, path)
{
    asyncio_loop_trace(asyncio_get_running_loop(), path, 256);
    for (;;)
        asyncio_await(asyncio_create_task(yields(5)));
    return 0;
}

TEST(survives_a_kill)
{
    for (int round = 0; round < 10; round++) {
        const char *path = path_of("killed");
        pid_t child = fork();
        if (child == 0)
            _exit(asyncio_run(runs_for_ever(path)) ? 1 : 0);
        while (access(path, R_OK) != 0)
            sched_yield();
        struct stat status = {0};
        while (status.st_size < (off_t)(TRACE_RING_OFFSET + 256 * sizeof(struct trace_record)))
            assert_int_equal(stat(path, &status), 0);
        struct file file = look_at_file(path);
        while (__atomic_load_n(&file.head->index, __ATOMIC_ACQUIRE) < 1000)
            sched_yield();
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        check_whole(&file);
        assert_false(file.head->stopped);
        assert_true(file.head->later[file.head->latest].monotonic_ns > 0);
        forget_file(&file);
        unlink(path);
    }
    remove_folder();
}

/* ---- Loops and errors ------------------------------------------------------------------------ */

TEST(two_loops_two_files)
{
    const char *paths[2] = {path_of("first"), path_of("second")};
    asyncio_loop *loops[2];
    for (int i = 0; i < 2; i++) {
        loops[i] = asyncio_loop_new(NULL);
        assert_int_equal(asyncio_loop_trace(loops[i], paths[i], 0), 0);
    }
    for (int i = 0; i < 2; i++) {
        asyncio_task *task = asyncio_loop_create_task(loops[i], yields(5 + i));
        assert_int_equal(asyncio_loop_run_until_complete(loops[i], (asyncio_future *)task), 5 + i);
    }
    for (int i = 0; i < 2; i++) {
        asyncio_loop_release(loops[i]);
        struct file file = look_at_file(paths[i]);
        struct stat status;
        assert_int_equal(stat(paths[i], &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        assert_int_equal(file.head->count, 16384);
        assert_int_equal(count_kind(&file, TRACE_STEP), 7 + i); /* and the callback that stops the loop */
        assert_int_equal(count_kind(&file, TRACE_DONE), 1);
        check_whole(&file);
        forget_file(&file);
        unlink(paths[i]);
    }
    remove_folder();
}

static void check_refused(asyncio_loop *loop, const char *path, size_t records, int err)
{
    assert_int_equal(asyncio_loop_trace(loop, path, records), err);
    assert_non_null(strstr(asyncio_error_message(), err == -EINVAL ? "power of two" : "no trace in"));
}

TEST(refuses)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    const char *there = path_of("there"), *link = path_of("link");
    int fd = open(there, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    close(fd);
    assert_int_equal(symlink("nowhere", link), 0);
    check_refused(loop, there, 0, -EEXIST);
    check_refused(loop, link, 0, -EEXIST);
    check_refused(loop, "/nowhere/at/all", 0, -ENOENT);
    check_refused(loop, path_of("odd"), 1000, -EINVAL);
    check_refused(loop, path_of("large"), TRACE_RECORDS_MAX * 2, -EINVAL);
    check_refused(loop, path_of("huge"), SIZE_MAX / 2 + 1, -EINVAL);
    assert_int_equal(asyncio_loop_trace(NULL, there, 0), -EINVAL);
    asyncio_loop_trace_stop(NULL);
    asyncio_loop_trace_stop(loop);
    asyncio_trace_mark("no loop runs");
    asyncio_loop_ref(loop);
    asyncio_loop_close(loop);
    assert_int_equal(asyncio_loop_trace(loop, path_of("closed"), 0), ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
    asyncio_loop_release(loop);
    unlink(there);
    unlink(link);
    remove_folder();
}

/* Each call that fails leaves no file, and a trace that runs goes on. */
TEST(fails_cleanly)
{
    const char *running = path_of("running"), *path = path_of("fails");
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_trace(loop, running, 16), 0);
    int err = -1;
    for (uint64_t n = 1; err; n++) {
        asy_fault_arm(n, false);
        err = asyncio_loop_trace(loop, path, 16);
        asy_fault_disarm();
        assert_int_equal(access(path, F_OK), err ? -1 : 0);
        assert_int_equal(loop->is_traced, true);
        assert_true(n < 100);
    }
    struct file file = look_at_file(running);
    assert_true(file.head->stopped);
    forget_file(&file);
    asyncio_loop_release(loop);
    unlink(running);
    unlink(path);
    remove_folder();
}

/* ---- The environment --------------------------------------------------------------------------- */

static void make_loops(void)
{
    setenv("ASYNCIO_TRACE", scenario_path, 1);
    for (int i = 0; i < 2; i++)
        asyncio_run(yields(3));
}

TEST(begins_by_environment)
{
    const char *path = path_of("env");
    char second[160], with_records[160];
    snprintf(with_records, sizeof with_records, "%s:32", path);
    scenario_path = with_records;
    pid_t child = fork();
    if (child == 0) {
        make_loops();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    unsigned found = 0;
    for (unsigned n = 1; n < 100; n++) {
        snprintf(second, sizeof second, n > 1 ? "%s.%u" : "%s", path, n);
        if (access(second, R_OK) != 0)
            continue;
        struct file file = look_at_file(second);
        assert_int_equal(file.head->count, 32);
        assert_int_equal(file.head->loop, n);
        check_whole(&file);
        forget_file(&file);
        unlink(second);
        found++;
    }
    assert_int_equal(found, 2);
    scenario_path = "/nowhere/trace";
    check_prints(make_loops, "no trace in /nowhere/trace");
    remove_folder();
}

TEST_MAIN()
