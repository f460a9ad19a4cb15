/* Calls, timers and watches as parts of a program's own struct. */
#include <asyncio/embed.h>
#include <stddef.h>

struct thing {
    asyncio_call call;
    asyncio_timer timer;
    asyncio_watch watch;
};

#define THING_OF(part, name) ((struct thing *)(void *)((char *)(part)-offsetof(struct thing, name)))

static void called(asyncio_call *call)
{
    asyncio_timer_stop(&THING_OF(call, call)->timer);
}

static void timed(asyncio_timer *timer)
{
    asyncio_call_cancel(&THING_OF(timer, timer)->call);
}

static void told(asyncio_watch *watch, uint32_t events)
{
    asyncio_watch_modify(&THING_OF(watch, watch)->watch, events);
}

static void drain(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    (void)arg;
    (void)(call || timer || watch);
}

static void before(void *arg)
{
    (void)arg;
}

static int after(void *arg)
{
    return *(int *)arg;
}

int main(void)
{
    struct thing thing;
    asyncio_loop *loop = NULL;
    int verdict = 0;
    asyncio_call_init(&thing.call, called);
    asyncio_timer_init(&thing.timer, timed);
    asyncio_watch_init(&thing.watch, told);
    asyncio_loop_set_drain(loop, drain, NULL);
    asyncio_loop_set_wait_hooks(loop, before, after, &verdict);
    asyncio_loop_call(loop, &thing.call);
    asyncio_loop_post(loop, &thing.call);
    asyncio_timer_start(loop, &thing.timer, asyncio_loop_time_ns(loop) + INT64_C(1000));
    asyncio_watch_start(loop, &thing.watch, 0, 0, ASYNCIO_WATCH_LEVEL);
    return asyncio_watch_stop(&thing.watch);
}
