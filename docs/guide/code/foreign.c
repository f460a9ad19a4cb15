/* Another loop inside ours: it has a descriptor that is readable when it has something to do. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- As if it came with a library: a loop of callbacks, which here has a timer only. ---- */

struct other_loop {
    int epfd, timer, left;
};

static int other_open(struct other_loop *other)
{
    struct itimerspec every = {{0, 200000000}, {0, 200000000}};
    struct epoll_event event = {.events = EPOLLIN};
    *other = (struct other_loop){epoll_create1(EPOLL_CLOEXEC), timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), 3};
    timerfd_settime(other->timer, 0, &every, NULL);
    return epoll_ctl(other->epfd, EPOLL_CTL_ADD, other->timer, &event) ? -errno : 0;
}

/* Runs what is due, without waiting. Returns whether more is to come. */
static int other_run_once(struct other_loop *other)
{
    struct epoll_event event;
    uint64_t times;
    if (epoll_wait(other->epfd, &event, 1, 0) == 1 && read(other->timer, &times, sizeof times) > 0)
        printf("the other loop: %d\n", other->left--);
    return other->left;
}

/* ---- Ours ---- */

/* A task drives the other loop. */
ASYNC(drive, struct other_loop *, other)
{
    while (other_run_once(other)) {
        int err = asyncio_wait_readable(other->epfd, ASYNCIO_FOREVER);
        if (err)
            return err;
    }
    return 0;
}

ASYNC(counts)
{
    for (int i = 1; i <= 3; i++) {
        int err = asyncio_sleep(0.25);
        if (err)
            return err;
        printf("our task: %d\n", i);
    }
    return 0;
}

ASYNC(async_main)
{
    struct other_loop other;
    int err = other_open(&other);
    if (!err)
        err = asyncio_gather(NULL, drive(&other), counts());
    close(other.timer);
    close(other.epfd);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
