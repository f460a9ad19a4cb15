/* The wrappers of sys.h: what they return, what the fault seam makes of them. */
#include "base/sanitizer.h"
#include "child.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

/* ---- The seam ------------------------------------------------------------- */

TEST(the_nth_call_fails_once)
{
    asy_fault_arm(3, false);
    void *kept[4];
    for (int i = 0; i < 4; i++)
        kept[i] = asy_sys_alloc(8);
    assert_int_equal(asy_fault_disarm(), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(kept[i] == NULL, i == 2);
        asy_sys_free(kept[i]);
    }
    assert_string_equal(asy_fault.failed, "alloc");
}

TEST(a_sticky_fault_stays)
{
    asy_fault_arm(2, true);
    void *p = asy_sys_alloc(8);
    assert_non_null(p);
    assert_null(asy_sys_alloc(8));
    assert_null(asy_sys_calloc(1, 8));
    assert_string_equal(asy_fault.failed, "calloc");
    assert_int_equal(asy_fault_disarm(), 3);
    asy_sys_free(p);
}

TEST(zero_only_counts)
{
    asy_fault_arm(0, true);
    asy_sys_free(asy_sys_alloc(8));
    asy_sys_free(asy_sys_alloc_aligned(64, 8));
    assert_null(asy_fault.failed);
    assert_int_equal(asy_fault_disarm(), 2);
    asy_sys_free(asy_sys_alloc(8));
    assert_int_equal(asy_fault.calls, 2);
}

static long call_epoll_create(void)
{
    return asy_sys_epoll_create();
}
static long call_epoll_ctl(void)
{
    return asy_sys_epoll_ctl(-1, EPOLL_CTL_DEL, -1, NULL);
}
static long call_epoll_wait(void)
{
    struct epoll_event event;
    return asy_sys_epoll_wait(-1, &event, 1, 0);
}
static long call_eventfd(void)
{
    return asy_sys_eventfd();
}
static long call_read(void)
{
    char c;
    return asy_sys_read(-1, &c, 1);
}
static long call_write(void)
{
    return asy_sys_write(-1, "", 1);
}
static long call_madvise(void)
{
    return asy_sys_madvise(NULL, 0, -1);
}
static long call_mprotect(void)
{
    return asy_sys_mprotect(NULL, 0, -1);
}
static long call_mincore(void)
{
    unsigned char vec;
    return asy_sys_mincore(NULL, asy_sys_page_size(), &vec);
}
static long call_sigaction(void)
{
    return asy_sys_sigaction(SIGUSR1, NULL, NULL);
}
static long call_sigaltstack(void)
{
    static char room[1]; /* too small: refused, if it were to get that far */
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    return asy_sys_sigaltstack(&stack, NULL);
}

static const struct {
    const char *name;
    long (*call)(void);
    long error;
} calls[] = {
    {"epoll_create", call_epoll_create, -EMFILE},
    {"epoll_ctl", call_epoll_ctl, -ENOMEM},
    {"epoll_wait", call_epoll_wait, -EINTR},
    {"eventfd", call_eventfd, -EMFILE},
    {"read", call_read, -EIO},
    {"write", call_write, -EIO},
    {"madvise", call_madvise, -ENOMEM},
    {"mprotect", call_mprotect, -ENOMEM},
    {"mincore", call_mincore, -EAGAIN},
    {"sigaction", call_sigaction, -EINVAL},
    {"sigaltstack", call_sigaltstack, -ENOMEM},
};

TEST(each_call_fails_by_its_name)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        errno = 1234;
        asy_fault_arm(1, false);
        assert_int_equal(calls[i].call(), calls[i].error);
        assert_int_equal(asy_fault_disarm(), 1);
        assert_string_equal(asy_fault.failed, calls[i].name);
        assert_int_equal(errno, 1234);
    }
}

TEST(each_allocation_fails_by_its_name)
{
    char *old = asy_sys_alloc(16);
    assert_non_null(old);
    memset(old, 'x', 16);
    asy_fault_arm(1, true);
    assert_null(asy_sys_calloc(2, 2));
    assert_string_equal(asy_fault.failed, "calloc");
    assert_null(asy_sys_alloc_aligned(64, 64));
    assert_string_equal(asy_fault.failed, "alloc_aligned");
    assert_null(asy_sys_realloc(old, 1 << 20));
    assert_string_equal(asy_fault.failed, "realloc");
    assert_null(asy_sys_map(4096));
    assert_string_equal(asy_fault.failed, "map");
    asy_sys_random(); /* falls back to the clock */
    assert_string_equal(asy_fault.failed, "random");
    asy_fault_disarm();
    for (int i = 0; i < 16; i++)
        assert_int_equal(old[i], 'x');
    asy_sys_free(old);
    asy_sys_free(NULL);
}

/* ---- Memory --------------------------------------------------------------- */

TEST(allocations_are_as_asked)
{
    for (size_t alignment = 64; alignment <= 65536; alignment *= 4) {
        void *p = asy_sys_alloc_aligned(alignment, 100);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignment, 0);
        asy_sys_free(p);
    }
    char *zeroed = asy_sys_calloc(10, 10);
    assert_non_null(zeroed);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    zeroed = asy_sys_realloc(zeroed, 1000);
    assert_non_null(zeroed);
    asy_sys_free(zeroed);

    void *none[] = {asy_sys_alloc(0), asy_sys_calloc(0, 5), asy_sys_alloc_aligned(64, 0),
                    asy_sys_realloc(NULL, 0)};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_non_null(none[i]); /* NULL says out of memory, and nothing else */
        asy_sys_free(none[i]);
    }
}

TEST(mincore_tells_what_was_touched)
{
    size_t page = asy_sys_page_size();
    char *map = asy_sys_map(8 * page);
    assert_non_null(map);
    map[2 * page] = 1;
    map[5 * page] = 1;
    unsigned char vec[8];
    assert_int_equal(asy_sys_mincore(map, 8 * page, vec), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(vec[i] & 1, i == 2 || i == 5);
    assert_int_equal(asy_sys_madvise(map, 8 * page, MADV_DONTNEED), 0);
    assert_int_equal(asy_sys_mincore(map, 8 * page, vec), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(vec[i] & 1, 0);
    assert_int_equal(map[2 * page], 0);
    asy_sys_unmap(map, 8 * page);
}

TEST(readable_is_told_without_reading)
{
    if (RUNNING_ON_VALGRIND)
        skip(); /* it complains of the address itself */
    size_t page = asy_sys_page_size();
    char *map = asy_sys_map(2 * page);
    assert_non_null(map);
    assert_true(asy_sys_is_readable(map));
    *(uint32_t *)(void *)map = 1; /* the one value that the kernel is asked to compare with */
    assert_true(asy_sys_is_readable(map));
    assert_int_equal(asy_sys_mprotect(map + page, page, PROT_NONE), 0);
    assert_false(asy_sys_is_readable(map + page));
    assert_true(asy_sys_is_readable(map));
    asy_sys_unmap(map, 2 * page);
    assert_false(asy_sys_is_readable(map));
}

/* ---- Time and identity ---------------------------------------------------- */

static void *ask_is_main(void *arg)
{
    *(bool *)arg = asy_sys_is_main_thread();
    return NULL;
}

TEST(identity_and_time)
{
    bool is_main = true;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_is_main, &is_main), 0);
    pthread_join(thread, NULL);
    assert_false(is_main);
    assert_true(asy_sys_is_main_thread());

    int64_t before = asy_sys_now_ns();
    assert_true(before > 0);
    assert_true(asy_sys_now_ns() >= before);
    assert_true(asy_sys_random() != asy_sys_random());
}

/* ---- Descriptors ---------------------------------------------------------- */

TEST(errors_are_negative_and_errno_stays)
{
    char c = 0;
    int bad_advice = is_emulated() ? 0 : -EINVAL;
    errno = 1234;
    assert_int_equal(asy_sys_read(-1, &c, 1), -EBADF);
    assert_int_equal(asy_sys_write(-1, &c, 1), -EBADF);
    assert_int_equal(asy_sys_close(-1), -EBADF);
    assert_int_equal(asy_sys_epoll_ctl(-1, EPOLL_CTL_DEL, 0, NULL), -EBADF);
    assert_int_equal(call_epoll_wait(), -EBADF);
    assert_int_equal(asy_sys_sigaction(-1, NULL, NULL), -EINVAL);
    assert_int_equal(asy_sys_madvise(NULL, 4096, -1), bad_advice);
    assert_int_equal(asy_sys_mprotect(NULL, 4096, PROT_READ), -ENOMEM);
    stack_t small = {.ss_sp = &c, .ss_size = 1};
    assert_int_equal(asy_sys_sigaltstack(&small, NULL), -ENOMEM);
    assert_int_equal(errno, 1234);
}

TEST(eventfd_and_epoll)
{
    int epfd = asy_sys_epoll_create(), fd = asy_sys_eventfd();
    assert_true(epfd >= 0 && fd >= 0);
    assert_int_equal(fcntl(epfd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    uint64_t count = 3;
    assert_int_equal(asy_sys_read(fd, &count, sizeof count), -EAGAIN);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    assert_int_equal(asy_sys_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(asy_sys_epoll_wait(epfd, &event, 1, 0), 0);
    assert_int_equal(asy_sys_write(fd, &count, sizeof count), sizeof count);
    assert_int_equal(asy_sys_epoll_wait(epfd, &event, 1, -1), 1);
    assert_int_equal(event.data.fd, fd);
    assert_int_equal(asy_sys_read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 3);
    assert_int_equal(asy_sys_close(fd), 0);
    assert_int_equal(asy_sys_close(epfd), 0);
}

/* Waits of these lengths take at least that long, and end. */
static void wait_some(void *arg)
{
    (void)arg;
    static const int64_t lengths_ns[] = {0, 1, 300000, 1000000, 1500001, 2000000};
    int epfd = asy_sys_epoll_create();
    CHECK(epfd >= 0);
    for (size_t i = 0; i < sizeof lengths_ns / sizeof lengths_ns[0]; i++) {
        struct epoll_event event;
        int64_t start = asy_sys_now_ns();
        CHECK(asy_sys_epoll_wait(epfd, &event, 1, lengths_ns[i]) == 0);
        int64_t took = asy_sys_now_ns() - start;
        CHECK(took >= lengths_ns[i]);
        CHECK(took < lengths_ns[i] + INT64_C(20000000000)); /* how much longer, the machine decides */
    }
    CHECK(asy_sys_close(epfd) == 0);
}

/* From here on, epoll_pwait2 fails with `error` in this process. */
static void forbid_pwait2(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 441, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77); /* an emulator */
    struct timespec timeout = {0};
    struct epoll_event event;
    CHECK(syscall(441, -1, &event, 1, &timeout, NULL, 8) == -1 && (errno == error || errno == ENOSYS));
}

static void wait_without_pwait2(void *arg)
{
    forbid_pwait2(*(int *)arg);
    wait_some(NULL);
    /* Longer than an int has milliseconds: cut, not wrapped to something short. */
    struct epoll_event event = {.events = EPOLLIN};
    int epfd = asy_sys_epoll_create(), fd = asy_sys_eventfd();
    uint64_t one = 1;
    CHECK(asy_sys_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(asy_sys_write(fd, &one, sizeof one) == sizeof one);
    CHECK(asy_sys_epoll_wait(epfd, &event, 1, INT64_MAX) == 1);
}

TEST(waits_are_never_early)
{
    wait_some(NULL);
}

TEST(waits_round_up_without_pwait2)
{
    if (RUNNING_ON_VALGRIND)
        skip(); /* no wait uses the call there */
    int errors[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        int status = run_in_child(wait_without_pwait2, &errors[i]);
        if (status == 77)
            skip();
        assert_int_equal(status, 0);
    }
}

/* ---- Signals -------------------------------------------------------------- */

static void on_alarm(int signo)
{
    (void)signo;
}

static void *write_late(void *arg)
{
    struct timespec moment = {.tv_nsec = 30000000};
    nanosleep(&moment, NULL);
    assert_int_equal(asy_sys_write(*(int *)arg, "x", 1), 1);
    return NULL;
}

TEST(a_signal_ends_a_wait_but_no_read)
{
    struct sigaction action = {.sa_handler = on_alarm}, old;
    assert_int_equal(asy_sys_sigaction(SIGALRM, &action, &old), 0);
    int fds[2];
    assert_int_equal(pipe(fds), 0);

    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_t thread;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_late, &fds[1]), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL), 0);

    struct itimerval every = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000}, off = {0};
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    char c;
    assert_int_equal(asy_sys_read(fds[0], &c, 1), 1);

    int epfd = asy_sys_epoll_create();
    struct epoll_event event;
    assert_int_equal(asy_sys_epoll_wait(epfd, &event, 1, -1), -EINTR);
    assert_int_equal(asy_sys_epoll_wait(epfd, &event, 1, 3600000000001), -EINTR);
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);

    pthread_join(thread, NULL);
    asy_sys_close(epfd);
    asy_sys_close(fds[0]);
    asy_sys_close(fds[1]);
    assert_int_equal(asy_sys_sigaction(SIGALRM, &old, NULL), 0);
}

/* A test arms the seam while another loop's thread enters the kernel: nothing races. */
static _Atomic bool is_over;

static void *allocate_meanwhile(void *arg)
{
    uint64_t *failures = arg;
    while (!is_over) {
        void *block = asy_sys_alloc(16);
        *failures += !block;
        asy_sys_free(block);
    }
    return NULL;
}

TEST(armed_beside_a_thread)
{
    pthread_t thread;
    uint64_t failures = 0, rounds = 0;
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, allocate_meanwhile, &failures), 0);
    while (rounds < 100) {
        asy_fault_arm(1, rounds % 2);
        while (!asy_fault.failed)
            sched_yield();
        rounds++;
        asy_fault_disarm();
    }
    is_over = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(failures >= rounds);
}

TEST_MAIN()
