/* An event loop of another language on top of ours. The language has one lock, like Python's, and counts its
 * objects. */
#include <asyncio.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* whoever runs the language has it */
static pthread_cond_t rang = PTHREAD_COND_INITIALIZER;
static bool has_rung, is_interrupted;

/* ---- A function of the language that the loop is to call. ---- */

struct function {
    asyncio_call call;
    asyncio_timer timer;
    const char *words;
};

static void run(struct function *function)
{
    puts(function->words);
    free(function); /* the loop touches it no more */
}

static void called(asyncio_call *call)
{
    run((struct function *)call);
}

static void timed(asyncio_timer *timer)
{
    has_rung = true;
    pthread_cond_signal(&rang);
    run((struct function *)((char *)timer - offsetof(struct function, timer)));
}

static struct function *function_new(const char *words)
{
    struct function *function = malloc(sizeof *function);
    if (!function)
        abort();
    asyncio_call_init(&function->call, called);
    asyncio_timer_init(&function->timer, timed);
    function->words = words;
    return function;
}

/* ---- What the loop asks of the language. ---- */

/* The loop is about to wait: other threads may run. */
static void let_go(void *arg)
{
    (void)arg;
    pthread_mutex_unlock(&lock);
}

/* It has waited. Has somebody pressed Ctrl-C? */
static int take_back(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    return is_interrupted ? -EINTR : 0;
}

/* The loop closes: what it did not come to goes back. */
static void give_back(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    (void)watch, (void)arg;
    struct function *function = call ? (struct function *)call
                                     : (struct function *)((char *)timer - offsetof(struct function, timer));
    printf("given back: %s\n", function->words);
    free(function);
}

/* ---- Another thread that runs the language. ---- */

static void *another_thread(void *arg)
{
    asyncio_loop *loop = arg;
    pthread_mutex_lock(&lock); /* comes through when the loop waits */
    asyncio_loop_post(loop, &function_new("from another thread")->call);
    while (!has_rung)
        pthread_cond_wait(&rang, &lock);
    is_interrupted = true;
    asyncio_loop_post(loop, &function_new("wake up")->call);
    pthread_mutex_unlock(&lock);
    asyncio_loop_release(loop);
    return NULL;
}

int main(void)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    pthread_t thread;
    pthread_mutex_lock(&lock);
    asyncio_loop_set_wait_hooks(loop, let_go, take_back, NULL);
    asyncio_loop_set_drain(loop, give_back, NULL);

    int64_t now_ns = asyncio_loop_time_ns(loop);
    asyncio_timer_start(loop, &function_new("later")->timer, now_ns + 100000000);
    asyncio_timer_start(loop, &function_new("never")->timer, INT64_MAX);
    asyncio_loop_call(loop, &function_new("now")->call);
    if (pthread_create(&thread, NULL, another_thread, asyncio_loop_ref(loop)))
        abort();

    printf("stopped: %s\n", asyncio_strerror(asyncio_loop_run_forever(loop)));
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    return 0;
}
