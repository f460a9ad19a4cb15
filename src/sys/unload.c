/*
 * The end of the library. A plugin that contains it may be unloaded. Nothing may be left then that the
 * system would call later: no thread, and no key of threads. When the program ends nothing is unloaded, and
 * we wait for nobody.
 */
#include "sys/unload.h"
#include "base/assert.h"
#include "sys/slab.h"
#include "sys/thread.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS_MAX 4
#define QUIET_NS INT64_C(1000000000)

int __cxa_atexit(void (*fn)(void *), void *arg, void *library);

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
/* Above 0: the program ends. The block outlives us, and so does libc, whose function posts it. */
static sem_t *program_ends;
static pthread_key_t keys[KEYS_MAX];
static _Atomic unsigned key_count;

/* To a destructor both ends look alike. A function that is registered for a library that does not exist
 * runs only at the program's end, and before all destructors. */
static void watch_program(void)
{
    program_ends = malloc(sizeof *program_ends); /* past the seam: it is not asked for again */
    if (!program_ends)
        return;
    sem_init(program_ends, 0, 0);
    __cxa_atexit((void (*)(void *))(void (*)(void))sem_post, program_ends, program_ends);
}

void asy_sys_unload_begin(void)
{
    pthread_once(&watch_once, watch_program);
}

bool asy_sys_thread_key(pthread_key_t *key, void (*end)(void *))
{
    asy_sys_unload_begin();
    if (pthread_key_create(key, end))
        return false;
    unsigned place = atomic_fetch_add(&key_count, 1);
    ASY_ASSERT(place < KEYS_MAX);
    keys[place] = *key;
    return true;
}

static bool does_program_end(void)
{
    int times = 0;
    return !program_ends || (sem_getvalue(program_ends, &times) == 0 && times > 0);
}

/* Runs after all other destructors. A function that is still running has its code here, or in the plugin:
 * all we can do is wait, and say for what. */
__attribute__((destructor(101))) static void unload_library(void)
{
    if (does_program_end()) {
        asy_sys_threads_leave();
        return;
    }
    unsigned left = asy_sys_threads_end(QUIET_NS);
    if (left) {
        fprintf(stderr, "asyncio: a library is unloaded; %u of its threads are at work: waiting\n", left);
        asy_sys_threads_end(-1);
    }
    for (unsigned i = 0; i < key_count; i++)
        pthread_key_delete(keys[i]);
    asy_slab_unload();
}
