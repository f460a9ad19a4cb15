/*
 * The library's memory in a simulation: blocks that a run leaves are told, and no others.
 */
#include "sim/scenario.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* A queue that nobody destroys. */
static asyncio_queue forgotten_queue;

ASYNC(leave_memory)
{
    asyncio_queue_init(&forgotten_queue, sizeof(int), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_queue_put_nowait(&forgotten_queue, &i), 0);
    return asyncio_sleep(1);
}

TEST(memory_that_is_left)
{
    const asyncio_sim_options options = {.runs = 3, .shrink = -1};
    assert_int_equal(simulate(leave_memory, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "asyncio: left behind: 1 block of the library's memory, "));
    assert_int_equal(result.runs, 1);
    asyncio_queue_destroy(&forgotten_queue);
    harness_settle();
}

static void *post_nothing(void *arg)
{
    asyncio_loop *loop = arg;
    asyncio_loop_call_soon_threadsafe(loop, (asyncio_callback)(uintptr_t)asyncio_loop_release, loop);
    return NULL;
}

/* A thread of the program's, which may free what is left later. */
ASYNC(leave_memory_to_thread)
{
    pthread_t thread;
    asyncio_loop *loop = asyncio_loop_ref(asyncio_get_running_loop());
    if (pthread_create(&thread, NULL, post_nothing, loop))
        return -EAGAIN;
    pthread_join(thread, NULL);
    return asyncio_await(leave_memory());
}

TEST(memory_that_a_thread_may_free)
{
    const asyncio_sim_options options = {.runs = 1};
    assert_int_equal(simulate(leave_memory_to_thread, &options), 0);
    asyncio_queue_destroy(&forgotten_queue);
    harness_settle();
}

/* Blocks of all ways in which the library makes some, thousands of them, freed in another order. */
#define BLOCKS 5000
static void *made[BLOCKS];

static void make_block(int i)
{
    size_t bytes = 1 + (size_t)i % 1000;
    made[i] = i % 4 == 0   ? asy_sys_alloc(bytes)
              : i % 4 == 1 ? asy_sys_calloc(1, bytes)
              : i % 4 == 2 ? asy_sys_alloc_aligned(64, bytes)
                           : asy_slab_alloc(bytes);
    if (i % 4 == 0)
        made[i] = asy_sys_realloc(made[i], bytes + 5000);
}

static void free_block(int i)
{
    if (i % 4 == 3)
        asy_slab_free(made[i], 1 + (size_t)i % 1000);
    else
        asy_sys_free(made[i]);
}

ASYNC(make_blocks_but, int, count)
{
    for (int i = 0; i < BLOCKS; i++)
        make_block(i);
    for (int i = 0; i < BLOCKS - count; i++)
        free_block((int)((unsigned)i * 2477u % BLOCKS)); /* coprime: each once */
    return 0;
}

ASYNC(free_all_blocks)
{
    return asyncio_await(make_blocks_but(0));
}

ASYNC(leave_three_blocks)
{
    return asyncio_await(make_blocks_but(3));
}

TEST(each_block_is_counted)
{
    const asyncio_sim_options options = {.runs = 1, .shrink = -1};
    assert_int_equal(simulate(free_all_blocks, &options), 0);
    assert_int_equal(simulate(leave_three_blocks, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "left behind: 3 blocks of the library's memory, "));
    for (unsigned i = BLOCKS - 3; i < BLOCKS; i++)
        free_block((int)(i * 2477u % BLOCKS));
}

TEST_MAIN()
