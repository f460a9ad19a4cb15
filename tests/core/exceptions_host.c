/*
 * A program in C, without a C++ runtime, that loads a plugin in C++ while its loop runs: in a task, or on
 * another thread, which then submits the plugin's coroutine to the loop.
 *
 *     exceptions_host PLUGIN task|thread
 */
#include "asyncio.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *plugin;

static asyncio_coro *load(void)
{
    void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    asyncio_coro *(*make)(void) = library ? (asyncio_coro * (*)(void)) dlsym(library, "plugin_main") : NULL;
    if (!make)
        fprintf(stderr, "%s\n", dlerror());
    return make ? make() : NULL;
}

static intptr_t load_and_submit(void *loop)
{
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(load(), loop);
    intptr_t result = asyncio_thread_future_result(future, 60);
    asyncio_thread_future_release(future);
    return result;
}

ASYNC(in_a_task)
{
    asyncio_sleep(0);
    return asyncio_await(load());
}

ASYNC(on_a_thread)
{
    return asyncio_to_thread(load_and_submit, asyncio_get_running_loop());
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    plugin = argv[1];
    return asyncio_main(strcmp(argv[2], "task") == 0 ? in_a_task() : on_a_thread());
}
