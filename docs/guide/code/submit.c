/* A thread submits coroutines to a loop in another thread, and waits for them. */
#include <asyncio.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

ASYNC(add_slowly, int, a, int, b)
{
    int err = asyncio_sleep(0.05);
    return err ? err : a + b;
}

ASYNC(fail)
{
    return asyncio_raise(-ENOENT, "there is no such thing");
}

ASYNC(sleep_long)
{
    return asyncio_sleep(1000);
}

/* ---- The thread that has the loop ---- */

struct service {
    pthread_t thread;
    asyncio_loop *loop;
    pthread_barrier_t ready;
};

static void *serve(void *arg)
{
    struct service *service = arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    service->loop = asyncio_loop_ref(loop); /* for the others */
    pthread_barrier_wait(&service->ready);
    asyncio_loop_run_forever(loop);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    return NULL;
}

static void stop(void *loop)
{
    asyncio_loop_stop(loop);
}

/* ---- Everybody else ---- */

static void ask(asyncio_loop *loop)
{
    asyncio_thread_future *sum = asyncio_run_coroutine_threadsafe(add_slowly(2, 3), loop);
    printf("2 + 3 = %ld\n", (long)asyncio_thread_future_result(sum, ASYNCIO_FOREVER));
    asyncio_thread_future_release(sum);

    asyncio_thread_future *failure = asyncio_run_coroutine_threadsafe(fail(), loop);
    intptr_t err = asyncio_thread_future_result(failure, 10);
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
    asyncio_thread_future_release(failure);

    asyncio_thread_future *sleeper = asyncio_run_coroutine_threadsafe(sleep_long(), loop);
    err = asyncio_thread_future_result(sleeper, 0.05);
    printf("so far: %s\n", asyncio_errname(err));
    asyncio_thread_future_cancel(sleeper);
    err = asyncio_thread_future_result(sleeper, ASYNCIO_FOREVER);
    printf("cancelled: %s\n", asyncio_errname(err));
    asyncio_thread_future_release(sleeper);
}

int main(void)
{
    struct service service;
    pthread_barrier_init(&service.ready, NULL, 2);
    if (pthread_create(&service.thread, NULL, serve, &service))
        return 1;
    pthread_barrier_wait(&service.ready);
    ask(service.loop);

    asyncio_loop_call_soon_threadsafe(service.loop, stop, service.loop);
    pthread_join(service.thread, NULL);
    asyncio_thread_future *late = asyncio_run_coroutine_threadsafe(fail(), service.loop);
    intptr_t err = asyncio_thread_future_result(late, ASYNCIO_FOREVER);
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
    asyncio_thread_future_release(late);
    asyncio_loop_release(service.loop);
    pthread_barrier_destroy(&service.ready);
    return 0;
}
