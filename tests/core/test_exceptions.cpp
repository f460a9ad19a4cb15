/*
 * Exceptions of C++ in tasks that wait while they hold one: inside `catch`, and in destructors during
 * unwinding. Each task has its own. A program of its own: each check that fails says so and counts.
 */
#include "asyncio.h"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

static void failed(int line, const char *condition)
{
    failures++;
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, line, condition);
}

#define CHECK(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

namespace
{

struct error {
    int number;
};

/* Which exception the innermost `catch` of whoever runs holds; 0: none. */
int held()
{
    if (!std::current_exception())
        return 0;
    try {
        throw;
    } catch (const error &e) {
        return e.number;
    }
}

/* A destructor that waits, whether or not something is on its way. */
struct waits_at_its_end {
    int unwinding;
    double delay;
    int *seen;
    ~waits_at_its_end()
    {
        CHECK(std::uncaught_exceptions() == unwinding);
        asyncio_sleep(delay);
        CHECK(std::uncaught_exceptions() == unwinding);
        ++*seen;
    }
};

/* ---- Waits that hold one -------------------------------------------------------------- */

ASYNC(catches, int, number, double, delay)
{
    int before = held(); /* of a caller that awaits this in place */
    try {
        throw error{number};
    } catch (const error &e) {
        CHECK(held() == number);
        CHECK(asyncio_sleep(delay) == 0);
        CHECK(e.number == number);
        CHECK(held() == number);
    }
    CHECK(held() == before);
    return 0;
}

ASYNC(rethrows, int, number, double, delay)
{
    try {
        try {
            throw error{number};
        } catch (...) {
            CHECK(asyncio_sleep(delay) == 0);
            throw;
        }
    } catch (const error &e) {
        CHECK(asyncio_sleep(delay) == 0);
        CHECK(e.number == number);
    }
    return 0;
}

ASYNC(unwinds, int, number, double, delay)
{
    int seen = 0;
    try {
        waits_at_its_end outer{1, delay, &seen};
        waits_at_its_end inner{1, delay / 2, &seen};
        throw error{number};
    } catch (const error &e) {
        CHECK(e.number == number);
        waits_at_its_end calm{0, delay, &seen};
    }
    CHECK(seen == 3);
    return 0;
}

/* One inside the other, and one that comes and goes in a destructor while another is on its way. */
struct catches_at_its_end {
    int number;
    double delay;
    ~catches_at_its_end()
    {
        CHECK(asyncio_await(rethrows(number, delay)) == 0);
        CHECK(std::uncaught_exceptions() == 1);
    }
};

ASYNC(nests, int, number, double, delay)
{
    try {
        throw error{number};
    } catch (...) {
        asyncio_sleep(delay);
        try {
            catches_at_its_end guard{number + 1, delay};
            throw error{number + 2};
        } catch (...) {
            asyncio_sleep(delay);
            CHECK(held() == number + 2);
            CHECK(asyncio_await(catches(number + 3, delay)) == 0);
            CHECK(held() == number + 2);
        }
        CHECK(held() == number);
    }
    CHECK(held() == 0);
    CHECK(std::uncaught_exceptions() == 0);
    return 0;
}

/* A task of which others' exceptions are no business, made from inside a `catch`. */
ASYNC(holds_none, double, delay)
{
    for (int i = 0; i < 10; i++) {
        CHECK(!std::current_exception());
        CHECK(std::uncaught_exceptions() == 0);
        asyncio_sleep(delay);
    }
    return 0;
}

void callback(void *arg)
{
    CHECK(!std::current_exception());
    CHECK(std::uncaught_exceptions() == 0);
    try {
        throw error{1};
    } catch (const error &) {
        ++*static_cast<int *>(arg);
    }
}

ASYNC(interleaved, double, unit)
{
    enum { COUNT = 60 };
    asyncio_task *tasks[COUNT];
    int called = 0;
    for (int i = 0; i < COUNT; i++) {
        double delay = unit * (i % 7);
        asyncio_coro *coro = i % 5 == 0   ? catches(i, delay)
                             : i % 5 == 1 ? rethrows(i, delay)
                             : i % 5 == 2 ? unwinds(i, delay)
                             : i % 5 == 3 ? nests(i, delay)
                                          : holds_none(delay);
        tasks[i] = asyncio_create_task(coro);
        if (i % 10 == 0)
            asyncio_loop_call_soon(asyncio_get_running_loop(), callback, &called);
    }
    CHECK(asyncio_gather_array(nullptr, tasks, COUNT) == 0);
    CHECK(called == COUNT / 10);
    return 0;
}

/* ---- Cancelled, given to another, left behind ------------------------------------------- */

ASYNC(is_cancelled, int *, at)
{
    int err = 0;
    try {
        throw error{5};
    } catch (const error &) {
        ++*at;
        err = asyncio_sleep(100);
        CHECK(held() == 5);
    }
    return err;
}

ASYNC(cancels)
{
    int at = 0;
    asyncio_task *task = asyncio_create_task(is_cancelled(&at));
    asyncio_sleep(1);
    CHECK(at == 1);
    asyncio_cancel(task);
    CHECK(asyncio_await(task) == -ECANCELED);
    return 0;
}

ASYNC(rethrows_anothers, std::exception_ptr *, shared, double, delay)
{
    try {
        std::rethrow_exception(*shared);
    } catch (const error &e) {
        asyncio_sleep(delay);
        CHECK(e.number == 8);
        CHECK(std::current_exception() == *shared);
    }
    return 0;
}

ASYNC(shares)
{
    std::exception_ptr shared;
    try {
        throw error{8};
    } catch (...) {
        shared = std::current_exception();
        CHECK(asyncio_gather(nullptr, rethrows_anothers(&shared, 2), rethrows_anothers(&shared, 1)) == 0);
        CHECK(held() == 8);
    }
    return 0;
}

ASYNC(waits_for_ever)
{
    try {
        throw error{9};
    } catch (const error &) {
        while (asyncio_sleep(ASYNCIO_FOREVER))
            ;
    }
    return 0;
}

ASYNC(leaves_some_behind)
{
    for (int i = 0; i < 3; i++)
        asyncio_release(asyncio_create_task(waits_for_ever()));
    asyncio_sleep(0);
    CHECK(!std::current_exception());
    return 0;
}

void ignore(asyncio_loop *, const asyncio_exception_context *, void *)
{
}

/* Tasks that hold one are abandoned with their loop. */
void left_behind()
{
    asyncio_run_options options{};
    options.clock = ASYNCIO_CLOCK_VIRTUAL;
    options.shutdown_grace = -1;
    asyncio_runner runner;
    CHECK(asyncio_runner_init(&runner, &options) == 0);
    asyncio_loop_set_exception_handler(asyncio_runner_get_loop(&runner), ignore, nullptr);
    CHECK(asyncio_runner_run(&runner, leaves_some_behind()) == 0);
    CHECK(asyncio_runner_close(&runner) == 0);
    CHECK(!std::current_exception());
    CHECK(std::uncaught_exceptions() == 0);
}

/* ---- Around a run ------------------------------------------------------------------------ */

/* A run that somebody begins inside a `catch` neither sees that exception nor touches it. */
void inside_a_catch(const asyncio_run_options *options)
{
    try {
        try {
            throw error{7};
        } catch (...) {
            CHECK(asyncio_run_with(holds_none(0.001), options) == 0);
            CHECK(asyncio_run_with(interleaved(0.001), options) == 0);
            CHECK(held() == 7);
            throw;
        }
    } catch (const error &e) {
        CHECK(e.number == 7);
    }
}

/* Its turns are given by one thread, and then by another. */
void *give_turns(void *loop)
{
    for (int i = 0; i < 20; i++)
        CHECK(asyncio_loop_run_once(static_cast<asyncio_loop *>(loop), 0) == 0);
    CHECK(!std::current_exception());
    CHECK(std::uncaught_exceptions() == 0);
    return nullptr;
}

void in_two_threads()
{
    pthread_t thread;
    asyncio_loop *loop = asyncio_loop_new(nullptr);
    asyncio_task *task = asyncio_loop_create_task(loop, nests(20, 0.01));
    asyncio_task *other = asyncio_loop_create_task(loop, unwinds(30, 0.01));
    for (int i = 0; !asyncio_done(task) || !asyncio_done(other); i++) {
        if (i % 2) {
            CHECK(asyncio_loop_run_once(loop, 0) == 0);
            continue;
        }
        CHECK(pthread_create(&thread, nullptr, give_turns, loop) == 0);
        CHECK(pthread_join(thread, nullptr) == 0);
        asyncio_loop_run_once(loop, 0.001);
    }
    CHECK(asyncio_result(task) == 0 && asyncio_result(other) == 0);
    asyncio_release(task);
    asyncio_release(other);
    CHECK(asyncio_loop_close(loop) == 0);
    asyncio_loop_release(loop);
}

/* ---- One that leaves a coroutine ends the program ------------------------------------------ */

struct named : std::exception {
    const char *what() const noexcept override
    {
        return "words of the exception";
    }
};

ASYNC(throws)
{
    asyncio_sleep(0);
    throw named();
}

ASYNC(throws_in_place)
{
    try {
        return asyncio_await(throws());
    } catch (...) {
        return 0;
    }
}

void check_ends(asyncio_coro *(*main)())
{
    int ends[2], status = 0;
    char text[4096];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        std::signal(SIGABRT, SIG_DFL);
        dup2(ends[1], 2);
        asyncio_run(main());
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += static_cast<size_t>(n);
    text[used] = '\0';
    close(ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(std::strstr(text, "words of the exception"));
}

/* ---- Eager tasks ---------------------------------------------------------------------- */

/* Begins with no exception, whatever its creator holds. */
ASYNC(starts_clean, int, number)
{
    CHECK(!std::current_exception() && std::uncaught_exceptions() == 0);
    return asyncio_await(catches(number, 1));
}

asyncio_task *make_eagerly(int number)
{
    asyncio_task_options options{};
    options.eager_start = 1;
    return asyncio_create_task_with(starts_clean(number), &options);
}

struct makes_one_at_its_end {
    asyncio_task **made;
    ~makes_one_at_its_end()
    {
        *made = make_eagerly(8);
        CHECK(std::uncaught_exceptions() == 1);
    }
};

ASYNC(creates_eagerly)
{
    asyncio_task *inside = nullptr, *unwinding = nullptr;
    try {
        makes_one_at_its_end guard{&unwinding};
        throw error{5};
    } catch (const error &) {
        inside = make_eagerly(7);
        CHECK(held() == 5);
        asyncio_sleep(0.5);
        CHECK(held() == 5);
    }
    CHECK(asyncio_await(inside) == 0);
    CHECK(asyncio_await(unwinding) == 0);
    return 0;
}

} // namespace

int main()
{
    asyncio_run_options options{};
    options.clock = ASYNCIO_CLOCK_VIRTUAL;
    const char *seeds = std::getenv("ASYNCIO_TEST_SEEDS");
    for (int seed = seeds ? std::atoi(seeds) : 50; seed >= 0; seed--) {
        options.seed = static_cast<uint64_t>(seed);
        CHECK(asyncio_run_with(interleaved(0.001), &options) == 0);
    }
    CHECK(asyncio_run_with(interleaved(0), &options) == 0);
    CHECK(asyncio_run_with(cancels(), &options) == 0);
    CHECK(asyncio_run_with(shares(), &options) == 0);
    CHECK(asyncio_run_with(creates_eagerly(), &options) == 0);
    inside_a_catch(&options);
    in_two_threads();
    left_behind();
    check_ends(throws);
    check_ends(throws_in_place);
    CHECK(!std::current_exception());
    return failures != 0;
}
