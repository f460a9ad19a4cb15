// Calls, timers and watches as members and bases of classes.
#include <asyncio/embed.h>

struct Job : asyncio_call {
    int number;

    explicit Job(int n) : asyncio_call(), number(n) {
        asyncio_call_init(this, [](asyncio_call *call) { delete static_cast<Job *>(call); });
    }
};

struct Alarm : asyncio_timer {
    Alarm() : asyncio_timer() {
        asyncio_timer_init(this, [](asyncio_timer *timer) { static_cast<Alarm *>(timer)->rings++; });
    }
    ~Alarm() { asyncio_timer_stop(this); }
    int rings = 0;
};

struct Eye : asyncio_watch {
    Eye() : asyncio_watch() {
        asyncio_watch_init(this, [](asyncio_watch *watch, uint32_t events) {
            static_cast<Eye *>(watch)->seen = events;
        });
    }
    ~Eye() { asyncio_watch_stop(this); }
    uint32_t seen = 0;
};

int main() {
    asyncio_loop *loop = nullptr;
    Alarm alarm;
    Eye eye;
    auto *job = new Job(1);
    if (!asyncio_loop_call(loop, job))
        delete job;
    auto drain = [](asyncio_call *call, asyncio_timer *, asyncio_watch *, void *) {
        delete static_cast<Job *>(call);
    };
    asyncio_loop_set_drain(loop, drain, nullptr);
    asyncio_loop_set_wait_hooks(loop, [](void *) {}, [](void *) { return 0; }, nullptr);
    asyncio_timer_start(loop, &alarm, asyncio_loop_time_ns(loop));
    asyncio_watch_start(loop, &eye, 0, 1, ASYNCIO_WATCH_EDGE);
    return asyncio_watch_modify(&eye, 4) > 0;
}
