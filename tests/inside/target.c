/*
 * A program that waits in every way, for the tests of the command `asyncio`. It prints a line when all of its
 * tasks wait, and ends when its standard input does.
 *
 *     target              every kind of wait
 *     target deadlock     three tasks and two locks that never end
 */
#include "asyncio.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Calls in the last place would leave no frame. */
#define NOT_LAST __asm__ volatile("" ::: "memory")

static asyncio_lock db = ASYNCIO_LOCK_INIT;
static asyncio_lock log_file = ASYNCIO_LOCK_INIT;
static asyncio_event go = ASYNCIO_EVENT_INIT;
static asyncio_semaphore slots = ASYNCIO_SEMAPHORE_INIT(0);
static asyncio_condition changed = ASYNCIO_CONDITION_INIT(NULL);
static asyncio_barrier all_here = ASYNCIO_BARRIER_INIT(3);
static asyncio_queue jobs, results;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) int read_request(int fd, char *buffer, size_t bytes)
{
    int n = (int)asyncio_read(fd, buffer, bytes);
    __asm__ volatile("" ::"r"(fd) : "memory"); /* not in the last place, and with fd to be seen */
    return n;
}

ASYNC(client, int, fd)
{
    char buffer[16];
    int err = asyncio_lock_acquire(&db);
    if (!err)
        err = read_request(fd, buffer, sizeof buffer);
    asyncio_lock_release(&db);
    return err;
}

static __attribute__((noinline)) int store(void)
{
    int err = asyncio_lock_acquire(&db);
    if (!err)
        asyncio_lock_release(&db);
    NOT_LAST;
    return err;
}

ASYNC(worker)
{
    return store();
}

ASYNC(producer)
{
    int err = 0;
    for (int i = 0; !err; i++)
        err = asyncio_queue_put(&jobs, &i);
    return err;
}

ASYNC(consumer)
{
    int got;
    return asyncio_queue_get(&results, &got);
}

ASYNC(timed)
{
    int err = 0;
    ASYNCIO_TIMEOUT(err, 500) {
        err = asyncio_event_wait(&go);
    }
    return err;
}

static intptr_t compress_block(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return 0;
}

ASYNC(threaded)
{
    return asyncio_to_thread(compress_block, NULL);
}

ASYNC(napper, double, seconds)
{
    return asyncio_sleep(seconds);
}

ASYNC(grouped)
{
    intptr_t err = 0;
    asyncio_task_group group;
    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task_group_create_task(&group, napper(900));
        asyncio_task_group_create_task(&group, napper(901));
    }
    return err;
}

ASYNC(gatherer)
{
    return asyncio_gather(NULL, napper(800), napper(801), napper(0));
}

ASYNC(shielder)
{
    return asyncio_shield(napper(700));
}

ASYNC(awaiter, asyncio_task *, other)
{
    return asyncio_await(other);
}

ASYNC(passer)
{
    return asyncio_semaphore_acquire(&slots);
}

ASYNC(observer)
{
    int err = asyncio_condition_acquire(&changed);
    if (!err)
        err = asyncio_condition_wait(&changed);
    asyncio_condition_release(&changed);
    return err;
}

ASYNC(walker)
{
    return asyncio_barrier_wait(&all_here);
}

ASYNC(parent)
{
    asyncio_process *child;
    const char *const words[] = {"sleep", "1000", NULL};
    int err = asyncio_create_subprocess_exec(words, NULL, &child);
    if (err)
        return err;
    err = asyncio_process_wait(child, NULL);
    asyncio_process_kill(child);
    asyncio_process_release(child);
    return err;
}

ASYNC(handler)
{
    return asyncio_wait_signal(SIGUSR1);
}

ASYNC(waits_for_some)
{
    asyncio_future *set[] = {asyncio_future_new(), asyncio_future_new()};
    asyncio_wait(set, 2, 600, ASYNCIO_ALL_COMPLETED);
    asyncio_release(set[0]);
    asyncio_release(set[1]);
    return 0;
}

ASYNC(serve, asyncio_stream *, stream)
{
    char buffer[16];
    return asyncio_stream_read(stream, buffer, sizeof buffer);
}

static asyncio_coro *serve_client(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(server)
{
    asyncio_server *listening;
    asyncio_stream *own;
    int err = asyncio_start_server(serve_client, NULL, "127.0.0.1", 0, NULL, &listening);
    if (!err)
        err = asyncio_open_connection("127.0.0.1", asyncio_server_port(listening), NULL, &own);
    if (err)
        return err;
    err = asyncio_server_serve_forever(listening);
    asyncio_stream_close(own);
    asyncio_server_release(listening);
    return err;
}

ASYNC(chooser)
{
    int item;
    asyncio_case cases[] = {ASYNCIO_CASE_GET(&results, &item), ASYNCIO_CASE_EVENT(&go),
                            ASYNCIO_CASE_LOCK(&db), ASYNCIO_CASE_FD(0, POLLPRI)};
    return (intptr_t)asyncio_select(cases, 4, 400);
}

ASYNC(receiver)
{
    int item;
    asyncio_channel *channel = asyncio_channel_new(sizeof item, 4);
    int err = asyncio_channel_receive(channel, &item);
    asyncio_channel_release(channel);
    return err;
}

static void name_and_release(asyncio_task *task, const char *name)
{
    asyncio_task_set_name(task, name);
    asyncio_release(task);
}

/* Until nobody writes to our standard input any more. */
static intptr_t wait_for_end(void)
{
    char byte;
    puts("ready");
    fflush(stdout);
    while (asyncio_read(0, &byte, 1) > 0)
        ;
    return 0;
}

ASYNC(async_main)
{
    int ends[2];
    asyncio_queue_init(&jobs, sizeof(int), 4);
    asyncio_queue_init(&results, sizeof(int), 0);
    pthread_mutex_lock(&gate);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    name_and_release(asyncio_create_task(client(ends[0])), "client-7");
    asyncio_release(asyncio_create_task(worker()));
    asyncio_release(asyncio_create_task(producer()));
    asyncio_release(asyncio_create_task(consumer()));
    asyncio_release(asyncio_create_task(timed()));
    asyncio_release(asyncio_create_task(threaded()));
    asyncio_release(asyncio_create_task(grouped()));
    asyncio_release(asyncio_create_task(gatherer()));
    asyncio_release(asyncio_create_task(shielder()));
    asyncio_release(asyncio_create_task(awaiter(asyncio_create_task(napper(999)))));
    asyncio_release(asyncio_create_task(passer()));
    asyncio_release(asyncio_create_task(observer()));
    asyncio_release(asyncio_create_task(walker()));
    asyncio_release(asyncio_create_task(parent()));
    asyncio_release(asyncio_create_task(handler()));
    asyncio_release(asyncio_create_task(waits_for_some()));
    asyncio_release(asyncio_create_task(server()));
    asyncio_release(asyncio_create_task(chooser()));
    asyncio_release(asyncio_create_task(receiver()));
    asyncio_sleep(0.2);
    intptr_t err = wait_for_end();
    pthread_mutex_unlock(&gate);
    return err;
}

/* ---- The deadlock ------------------------------------------------------------ */

ASYNC(stores)
{
    int err = asyncio_lock_acquire(&db);
    asyncio_sleep(0.01);
    return err ? err : asyncio_lock_acquire(&log_file);
}

ASYNC(logs, asyncio_task *, other)
{
    int err = asyncio_lock_acquire(&log_file);
    asyncio_sleep(0.01);
    return err ? err : asyncio_await(other);
}

ASYNC(reports)
{
    int err = asyncio_lock_acquire(&db);
    asyncio_lock_release(&db);
    return err;
}

ASYNC(async_deadlock)
{
    name_and_release(asyncio_create_task(stores()), "stores");
    asyncio_task *third = asyncio_create_task(reports());
    asyncio_task_set_name(third, "reports");
    name_and_release(asyncio_create_task(logs(third)), "logs");
    asyncio_sleep(0.1);
    return wait_for_end();
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "deadlock") == 0)
        return (int)asyncio_run(async_deadlock());
    return (int)asyncio_run(async_main());
}
