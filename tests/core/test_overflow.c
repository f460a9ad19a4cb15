/*
 * Stack overflow, told in words; and every other fault, left alone.
 */
#include "asyncio.h"
#include "child.h"
#include "core/loop.h"
#include "core/task.h"
#include "support/ledger.h"
#include "support/test.h"
#include "sys/sys.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static struct child child;

/* Deeper and deeper, in steps below a page, until the guard is hit. */
static __attribute__((noinline)) int dig(volatile char *above, int depth)
{
    volatile char here[512];
    memset((void *)(uintptr_t)here, depth, sizeof here);
    if (depth == 1 << 30)
        return above[0];
    return dig(here, depth + 1) + here[5];
}

ASYNC(overflows)
{
    volatile char here[1] = {0};
    return dig(here, 0);
}

ASYNC(overflows_later)
{
    asyncio_sleep(0.001);
    volatile char here[1] = {0};
    return dig(here, 0);
}

static int line_of_creation;
ASYNC(starts_one, size_t, stack_size, const char *, name)
{
    asyncio_task *calm = asyncio_create_task(overflows_later());
    asyncio_cancel(calm);
    asyncio_task_options options = {.stack_size = stack_size, .name = name};
    line_of_creation = __LINE__ + 1;
    asyncio_task *task = asyncio_create_task_with(overflows(), &options);
    dprintf(2, "line %d\n", line_of_creation);
    return asyncio_await(task);
}

static void run_named(void *arg)
{
    (void)arg;
    asyncio_run(starts_one(0, "digger"));
}

static void run_small(void *arg)
{
    (void)arg;
    asyncio_run(starts_one(64 << 10, NULL));
}

TEST(the_task_its_stack_and_its_place_are_named)
{
    char words[256];
    int line = 0;
    child_run(&child, run_named, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_int_equal(sscanf(child.text, "line %d\n", &line), 1);
    assert_child_says(&child, "asyncio: stack overflow in task 'digger' of overflows, made at ");
    snprintf(words, sizeof words,
             "test_overflow.c:%d: its stack of 256 KiB is used up; give it more by stack_size\n", line);
    assert_child_says(&child, words);
    assert_int_equal(child_count(&child, "\n"), 2);
}

TEST(a_task_without_a_name_and_with_a_stack_of_its_own)
{
    child_run(&child, run_small, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_says(&child, "asyncio: stack overflow in task 'Task-");
    assert_child_says(&child, "its stack of 64 KiB is used up");
}

/* In a test in which all calls fail from here on. */
ASYNC(overflows_with_failing_calls)
{
    volatile char here[1] = {0};
    asy_fault_arm(1, true);
    return dig(here, 0);
}

static void run_with_failing_calls(void *arg)
{
    (void)arg;
    asyncio_run(overflows_with_failing_calls());
}

TEST(where_all_calls_fail)
{
    child_run(&child, run_with_failing_calls, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_says(&child, "asyncio: stack overflow in task 'Task-1' of overflows_with_failing_calls");
}

ASYNC(main_overflows)
{
    return asyncio_await(overflows());
}

static void run_main(void *arg)
{
    (void)arg;
    asyncio_run(main_overflows());
}

TEST(main_itself)
{
    child_run(&child, run_main, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_says(&child, "stack overflow in task 'Task-1' of main_overflows");
}

/* ---- Frames that are larger than a page ------------------------------------------------------ */

/* Goes down to the end of the stack, and writes so much below that, as does a frame of which only the lowest
 * byte is used. */
static __attribute__((noinline)) int jump(volatile char *above, size_t bytes)
{
    volatile char here[512];
    const struct asy_stack *stack = asy_running_loop->current->stack;
    here[0] = above[0];
    if ((size_t)((volatile char *)here - stack->low) < 4096)
        *(volatile char *)((uintptr_t)here - bytes) = 1;
    else
        here[1] = (char)jump(here, bytes);
    return here[1];
}

ASYNC(jumps, size_t, bytes)
{
    volatile char here[1] = {0};
    return jump(here, bytes);
}

static __attribute__((noinline)) int take_a_mebibyte(void)
{
    volatile char frame[1 << 20];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is needed */
    frame[0] = 1;
    return frame[0];
}

ASYNC(takes_a_mebibyte)
{
    return take_a_mebibyte();
}

static void run_jump(void *arg)
{
    asyncio_run(jumps(*(size_t *)arg));
}

static void run_mebibyte(void *arg)
{
    (void)arg;
    asyncio_run(takes_a_mebibyte());
}

TEST(a_large_frame_does_not_jump_over_the_guard)
{
    size_t sizes[] = {8 << 10, 16 << 10, 48 << 10, 60 << 10};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        child_run(&child, run_jump, &sizes[i]);
        assert_child_signal(&child, SIGSEGV);
        assert_child_says(&child, "stack overflow in task 'Task-1' of jumps");
    }
    if (ASY_STACK_CLASH_PROTECTION) {
        child_run(&child, run_mebibyte, NULL);
        assert_child_signal(&child, SIGSEGV);
        assert_child_says(&child, "stack overflow in task 'Task-1' of takes_a_mebibyte");
    }
}

/* ---- Other faults ------------------------------------------------------------------------ */

/* Not quite null, which a sanitizer would see first. */
static volatile int *volatile nowhere = (volatile int *)64;

ASYNC(writes_to_null)
{
    *nowhere = 1;
    return 0;
}

static void run_null(void *arg)
{
    (void)arg;
    asyncio_run(writes_to_null());
}

static void run_null_outside(void *arg)
{
    (void)arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_stop(loop);
    asyncio_loop_run_forever(loop);
    *nowhere = 1;
}

ASYNC(is_sent_one)
{
    raise(SIGSEGV);
    dprintf(2, "still here\n");
    return 0;
}

static void run_sent(void *arg)
{
    (void)arg;
    asyncio_run(is_sent_one());
}

TEST(other_faults_die_in_silence)
{
    child_run(&child, run_null, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_silent(&child);
    child_run(&child, run_null_outside, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_silent(&child);
    child_run(&child, run_sent, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_silent(&child);
}

static void own_handler(int signo)
{
    static const char words[] = "the program's own\n";
    if (write(2, words, sizeof words - 1) > 0)
        _exit(signo);
}

static void run_with_own(void *arg)
{
    (void)arg;
    /* An alternate stack of the program's own is kept, too. */
    static char room[65536];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room}, now;
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = own_handler, .sa_flags = SA_ONSTACK}, then;
    sigaction(SIGSEGV, &action, NULL);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_stop(loop);
    CHILD_CHECK(asyncio_loop_run_forever(loop) == 0);
    CHILD_CHECK(sigaction(SIGSEGV, NULL, &then) == 0 && then.sa_handler == own_handler);
    CHILD_CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == room);
    asyncio_run(main_overflows());
}

TEST(a_programs_own_handler_is_kept)
{
    child_run(&child, run_with_own, NULL);
    assert_child_exit(&child, SIGSEGV);
    assert_string_equal(child.text, "the program's own\n");
}

static void run_unwatched(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.overflow_report = -1};
    asyncio_run_with(main_overflows(), &options);
}

TEST(switched_off)
{
    child_run(&child, run_unwatched, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_silent(&child);
}

/* ---- The alternate stack ------------------------------------------------------------------------ */

/* Uses so much of the stack that it runs on. */
static __attribute__((noinline)) void use_stack(size_t bytes)
{
    volatile char *place = __builtin_alloca(bytes);
    for (size_t at = bytes; at > 0; at -= at < 1024 ? at : 1024)
        place[at - 1] = 1;
}

static void say_it_fits(void)
{
    static const char words[] = "it fits\n";
    if (write(2, words, sizeof words - 1) < 0)
        _exit(CHILD_FAILED);
}

static void greedy_handler(int signo)
{
    (void)signo;
    use_stack(56 << 10);
    say_it_fits();
}

static void greedier_handler(int signo)
{
    (void)signo;
    use_stack(1 << 20);
    say_it_fits();
}

ASYNC(raises, int, signo)
{
    raise(signo);
    return 0;
}

static void run_a_handler(void *handler)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer has one */
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    memcpy(&action.sa_handler, handler, sizeof action.sa_handler);
    sigaction(SIGUSR1, &action, NULL);
    asyncio_run(raises(SIGUSR1));
}

TEST(handlers_of_the_program_find_room_there_and_a_guard)
{
    void (*handler)(int) = greedy_handler;
    child_run(&child, run_a_handler, &handler);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "it fits\n");
    handler = greedier_handler;
    child_run(&child, run_a_handler, &handler);
    assert_child_signal(&child, SIGSEGV);
    assert_child_silent(&child);
}

static bool has_alternate_stack(void)
{
    stack_t stack;
    return sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_DISABLE);
}

static char programs_own[256 << 10];

ASYNC(finds_one, int *, found)
{
    *found += has_alternate_stack();
    return 0;
}

ASYNC(finds_its_own, bool, is_kept)
{
    stack_t now;
    CHILD_CHECK(sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE));
    CHILD_CHECK((now.ss_sp == programs_own) == is_kept);
    CHILD_CHECK(now.ss_size >= 64 << 10);
    return 0;
}

/* One that is as large as ours stays; a smaller one comes back. */
static void run_with_stacks(void *arg)
{
    (void)arg;
    static const size_t sizes[] = {16 << 10, 48 << 10, 64 << 10, 256 << 10};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        stack_t own = {.ss_sp = programs_own, .ss_size = sizes[i]}, now;
        const struct ledger before = ledger_now();
        CHILD_CHECK(sigaltstack(&own, NULL) == 0);
        CHILD_CHECK(asyncio_run(finds_its_own(sizes[i] >= 64 << 10)) == 0);
        CHILD_CHECK(sigaltstack(NULL, &now) == 0);
        CHILD_CHECK(now.ss_sp == programs_own && now.ss_size == sizes[i]);
        CHILD_CHECK(ledger_is(&before));
    }
}

TEST(the_programs_own_is_kept_or_comes_back)
{
    child_run(&child, run_with_stacks, NULL);
    assert_child_exit(&child, 0);
}

static void run_with_failures(void *arg)
{
    (void)arg;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer has one */
    int ignored = 0;
    CHILD_CHECK(asyncio_run(finds_one(&ignored)) == 0); /* what is done once is done: io_uring's self test */
    const struct ledger before = ledger_now();
    int found = 0, runs = 0, without = 0;
    for (bool failed = true; failed; runs++) {
        int then = found;
        asy_fault_arm((uint64_t)runs + 1, false);
        intptr_t result = asyncio_run(finds_one(&found));
        failed = asy_fault.failed != NULL;
        asy_fault_disarm();
        without += result == 0 && found == then;
        CHILD_CHECK(!has_alternate_stack());
        CHILD_CHECK(ledger_is(&before));
    }
    CHILD_CHECK(without == 3); /* the map, its guard, and the call itself */
}

TEST(without_memory_for_it_all_goes_on)
{
    child_run(&child, run_with_failures, NULL);
    assert_child_exit(&child, 0);
}

/* ---- Installed and taken back ---------------------------------------------------------------- */

static bool is_default(void)
{
    struct sigaction action;
    return sigaction(SIGSEGV, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
           action.sa_handler == SIG_DFL;
}

ASYNC(looks, bool, watched)
{
    CHILD_CHECK(is_default() == !watched);
    CHILD_CHECK(has_alternate_stack() == watched);
    return 0;
}

static void run_and_look(void *arg)
{
    (void)arg;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer has one */
    asyncio_run_options options = {.overflow_report = -1};
    for (int i = 0; i < 3; i++) {
        CHILD_CHECK(asyncio_run(looks(true)) == 0);
        CHILD_CHECK(is_default());
        CHILD_CHECK(!has_alternate_stack());
    }
    CHILD_CHECK(asyncio_run_with(looks(false), &options) == 0);
}

TEST(all_is_put_back)
{
    child_run(&child, run_and_look, NULL);
    assert_child_exit(&child, 0);
}

/* ---- Inside another loop --------------------------------------------------------------------- */

static void give_turns(asyncio_loop *loop)
{
    for (int i = 0; i < 3; i++) {
        CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
        CHILD_CHECK(!is_default());
        CHILD_CHECK(has_alternate_stack());
    }
}

static void *give_turns_here(void *loop)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer has one */
    give_turns(loop);
    return NULL;
}

/* In several threads, one after the other, and with runs of other loops in between. */
static void run_inside(void *arg)
{
    pthread_t thread;
    (void)arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHILD_CHECK(asyncio_loop_fd(loop) >= 0);
    CHILD_CHECK(is_default());
    give_turns_here(loop);
    CHILD_CHECK(asyncio_run(looks(true)) == 0);
    give_turns(loop);
    const struct ledger before = ledger_now();
    for (int i = 0; i < 2; i++) {
        CHILD_CHECK(pthread_create(&thread, NULL, give_turns_here, loop) == 0);
        pthread_join(thread, NULL);
        give_turns(loop);
    }
    CHILD_CHECK(ledger_is(&before)); /* the threads have given theirs back */
    /* None of the calls for it is made in vain: a turn polls, and that is all. */
    asy_fault_arm(0, false);
    for (int i = 0; i < 100; i++)
        CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    CHILD_CHECK(asy_fault_disarm() == 100);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    CHILD_CHECK(is_default());
    CHILD_CHECK(!has_alternate_stack());
    asyncio_loop_release(loop);
}

TEST(between_turns_all_stays)
{
    child_run(&child, run_inside, NULL);
    assert_child_exit(&child, 0);
}

/* What the library asks the kernel, of what has to do with all this. The thread sanitizer asks as well, and
 * before there is anything to ask: under it nothing is counted. */
static unsigned asked;

#if !ASY_TSAN
int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
    asked++;
    return (int)syscall(SYS_sigaltstack, stack, old);
}

int sigaction(int signo, const struct sigaction *restrict action, struct sigaction *restrict old)
{
    typedef int call(int, const struct sigaction *, struct sigaction *);
    asked++;
    return ((call *)dlsym(RTLD_NEXT, "sigaction"))(signo, action, old);
}

pid_t gettid(void)
{
    asked++;
    return (pid_t)syscall(SYS_gettid);
}
#endif

/* Nobody has asked for the descriptor: a loop that gets single turns is inside another one all the same. */
static void run_turn_by_turn(void *arg)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL); /* a sanitizer has one */
    if (arg)
        sigaltstack(arg, NULL);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    CHILD_CHECK(!is_default() && has_alternate_stack());
    asked = 0;
    for (int i = 0; i < 100; i++)
        CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    CHILD_CHECK(asked == 0);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    CHILD_CHECK(is_default() && has_alternate_stack() == (arg != NULL));
    asyncio_loop_release(loop);
}

TEST(an_empty_turn_asks_nothing)
{
    static char room[128 * 1024];
    stack_t own = {.ss_sp = room, .ss_size = sizeof room};
    child_run(&child, run_turn_by_turn, NULL);
    assert_child_exit(&child, 0);
    child_run(&child, run_turn_by_turn, &own);
    assert_child_exit(&child, 0);
}

static void overflow_inside(void *arg)
{
    (void)arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHILD_CHECK(asyncio_loop_fd(loop) >= 0);
    give_turns(loop);
    asyncio_loop_create_task(loop, main_overflows());
    asyncio_loop_run_once(loop, 0);
}

TEST(in_a_turn)
{
    child_run(&child, overflow_inside, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_says(&child, "of main_overflows");
}

/* ---- In several threads ------------------------------------------------------------------------ */

ASYNC(lasts, double, seconds)
{
    return asyncio_sleep(seconds);
}

static void *run_lasting(void *arg)
{
    (void)arg;
    asyncio_run(lasts(0.01));
    return NULL;
}

static void *run_overflowing(void *arg)
{
    (void)arg;
    asyncio_run(main_overflows());
    return NULL;
}

/* In a second thread's loop, when the first one's has gone already. */
static void overflow_in_a_thread(void *arg)
{
    pthread_t one, two;
    (void)arg;
    pthread_create(&one, NULL, run_lasting, NULL);
    asyncio_run(lasts(0.001));
    pthread_create(&two, NULL, run_overflowing, NULL);
    pthread_join(two, NULL);
    pthread_join(one, NULL);
}

TEST(in_another_threads_loop)
{
    child_run(&child, overflow_in_a_thread, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_child_says(&child, "asyncio: stack overflow in task 'Task-");
    assert_child_says(&child, "of main_overflows");
}

ASYNC(forks_and_overflows)
{
    pid_t pid = fork();
    if (pid == 0) {
        asyncio_run(main_overflows());
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    return asyncio_await(overflows());
}

static void run_forking(void *arg)
{
    (void)arg;
    asyncio_run(forks_and_overflows());
}

TEST(in_a_forked_childs_loop_and_then_the_parents)
{
    child_run(&child, run_forking, NULL);
    assert_child_signal(&child, SIGSEGV);
    assert_int_equal(child_count(&child, "asyncio: stack overflow in task"), 2);
    assert_child_says(&child, "of main_overflows");
    assert_child_says(&child, "of forks_and_overflows");
}

int main(void)
{
    if (RUNNING_ON_VALGRIND) /* which watches stacks itself */
        return 77;
    return tests_run(NULL);
}
