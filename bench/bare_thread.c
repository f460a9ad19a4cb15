/*
 * The yardstick of `thread`: one thread, a futex towards it, and an eventfd back into epoll. No queue, no
 * memory, no cancel: nothing that could be left out.
 */
#include "thread.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

struct bare {
    _Atomic uint32_t wanted, done; /* how many calls */
    int (*fn)(void *arg);
    int result;
    int epfd, eventfd;
    pthread_t thread; /* begun by the first call */
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *work(void *arg)
{
    struct bare *bare = arg;
    const uint64_t one = 1;
    for (uint32_t did = 0;; did++) {
        while (atomic_load(&bare->wanted) == did)
            syscall(SYS_futex, &bare->wanted, FUTEX_WAIT_PRIVATE, did, NULL, NULL, 0);
        bare->result = bare->fn(arg);
        atomic_store(&bare->done, did + 1);
        BENCH_CHECK(write(bare->eventfd, &one, sizeof one) == sizeof one);
    }
}

static void call(struct bare *bare)
{
    uint32_t wanted = atomic_fetch_add(&bare->wanted, 1) + 1;
    syscall(SYS_futex, &bare->wanted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    while (atomic_load(&bare->done) != wanted) {
        struct epoll_event event;
        epoll_wait(bare->epfd, &event, 1, -1);
    }
    BENCH_CHECK(bare->result == 0);
}

static int64_t measure_call(void *arg, uint64_t times)
{
    struct bare *bare = arg;
    if (!bare->thread)
        BENCH_CHECK(pthread_create(&bare->thread, NULL, work, bare) == 0);
    int64_t began = thread_clock();
    for (uint64_t i = 0; i < times; i++)
        call(bare);
    return thread_clock() - began;
}

int main(int argc, char **argv)
{
    static struct bare bare = {.fn = nothing};
    const char *variant = argc > 2 ? argv[2] : "one";
    if (strcmp(variant, "post") == 0) {
        bench_print_none("thread", "post", "no callbacks");
        return 0;
    }
    bare.epfd = epoll_create1(EPOLL_CLOEXEC);
    bare.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    BENCH_CHECK(epoll_ctl(bare.epfd, EPOLL_CTL_ADD, bare.eventfd, &event) == 0);
    thread_measure(variant, measure_call, &bare);
    return 0;
}
