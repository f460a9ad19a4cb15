/*
 * For test_idle.py: a loop that has nothing to do for half a second, between two lines
 * on stdout. Its argument says what it waits for: "sleep", "post", or "connections", of which a hundred wait
 * for their peers meanwhile. A second argument is the time, in seconds.
 */
#include <asyncio.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void say(const char *line)
{
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(1);
}

static double seconds = 0.5;

ASYNC(sleeps)
{
    asyncio_sleep(0.05); /* whatever is done once is done */
    say("idle\n");
    int err = asyncio_sleep(seconds);
    say("done\n");
    return err;
}

#define CONNECTIONS 100

ASYNC(reads, asyncio_stream *, stream)
{
    char byte;
    ssize_t n = asyncio_stream_read(stream, &byte, 1);
    asyncio_stream_abort(stream);
    return n;
}

ASYNC(sleeps_among_connections)
{
    static asyncio_task *readers[CONNECTIONS];
    int fds[CONNECTIONS][2];
    for (int i = 0; i < CONNECTIONS; i++) {
        asyncio_stream *stream;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]) || asyncio_stream_from_fd(fds[i][0], NULL, &stream))
            return 1;
        readers[i] = asyncio_create_task(reads(stream));
    }
    intptr_t err = asyncio_await(sleeps());
    for (int i = 0; i < CONNECTIONS; i++) {
        close(fds[i][1]);
        err = err ? err : asyncio_await(readers[i]);
    }
    return err;
}

static void wake(void *future)
{
    asyncio_future_set_result(future, 0);
}

struct post {
    asyncio_loop *loop;
    asyncio_future *future;
    sem_t idle;
};

static void *post_later(void *arg)
{
    struct post *post = arg;
    struct timespec pause = {.tv_nsec = 500000000};
    while (sem_wait(&post->idle))
        ;
    nanosleep(&pause, NULL);
    asyncio_loop_call_soon_threadsafe(post->loop, wake, post->future);
    return NULL;
}

ASYNC(waits_for_a_post)
{
    pthread_t thread;
    struct post post = {.loop = asyncio_get_running_loop(), .future = asyncio_future_new()};
    sem_init(&post.idle, 0, 0);
    pthread_create(&thread, NULL, post_later, &post);
    asyncio_sleep(0.05);
    sem_post(&post.idle);
    say("idle\n");
    intptr_t err = asyncio_await(post.future);
    say("done\n");
    pthread_join(thread, NULL);
    sem_destroy(&post.idle);
    return err;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    seconds = argc > 2 ? atof(argv[2]) : seconds;
    return asyncio_main(strcmp(argv[1], "sleep") == 0         ? sleeps()
                        : strcmp(argv[1], "connections") == 0 ? sleeps_among_connections()
                                                              : waits_for_a_post());
}
