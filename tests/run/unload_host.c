/*
 * A plugin that contains the library is unloaded, while its threads have nothing to do and while they
 * have; a program ends. The first argument is the plugin.
 */
#include "base/sanitizer.h"
#include "child.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

static const char *plugin_path;

struct plugin {
    void *library;
    int (*run)(void), (*watch)(void);
    int (*leave)(int fd, _Atomic int *returned);
    int (*shutdown)(double timeout);
};

/* A function of a name; POSIX has it that the pointer is one. */
static void find(void *place, void *library, const char *name)
{
    void *found = dlsym(library, name);
    memcpy(place, &found, sizeof found);
}

static struct plugin load(void)
{
    struct plugin plugin = {.library = dlopen(plugin_path, RTLD_NOW)};
    if (!plugin.library)
        print_error("%s\n", dlerror());
    find(&plugin.run, plugin.library, "plugin_run");
    find(&plugin.watch, plugin.library, "plugin_watch");
    find(&plugin.leave, plugin.library, "plugin_leave");
    find(&plugin.shutdown, plugin.library, "plugin_shutdown");
    return plugin;
}

static bool is_loaded(void)
{
    void *library = dlopen(plugin_path, RTLD_NOW | RTLD_NOLOAD);
    return library && dlclose(library) == 0;
}

/* The library's, by their names. */
static int threads_of_plugin(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[300], name[16] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%15s", name) == 1)
            count += strncmp(name, "asyncio-", 8) == 0;
        if (file)
            fclose(file);
    }
    if (folder)
        closedir(folder);
    return count;
}

/* One that was joined may be seen for a moment. */
static void assert_no_threads(void)
{
    while (threads_of_plugin())
        usleep(1000);
    assert_int_equal(threads_of_plugin(), 0);
}

/* ---- Threads that have nothing to do ----------------------------------------------------------- */

static struct {
    struct plugin plugin;
    pthread_barrier_t used, unloaded;
    int result;
} host;

/* Runs a loop, and ends when the plugin is gone: nothing of it is called any more. */
static void *use_plugin(void *arg)
{
    (void)arg;
    host.result = host.plugin.run();
    pthread_barrier_wait(&host.used);
    pthread_barrier_wait(&host.unloaded);
    return NULL;
}

static void idle_threads_end(void **state)
{
    (void)state;
    pthread_barrier_init(&host.used, NULL, 2);
    pthread_barrier_init(&host.unloaded, NULL, 2);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        host.plugin = load();
        assert_non_null(host.plugin.library);
        assert_int_equal(pthread_create(&thread, NULL, use_plugin, NULL), 0);
        pthread_barrier_wait(&host.used);
        assert_int_equal(host.result, 7);
        assert_true(threads_of_plugin() > 0);
        assert_int_equal(dlclose(host.plugin.library), 0);
        assert_no_threads();
        assert_false(is_loaded());
        pthread_barrier_wait(&host.unloaded);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

/* LeakSanitizer's, where it is there. */
void __lsan_disable(void) __attribute__((weak));

/* The loop is never closed, so what it and the plugin's threads have is lost: LeakSanitizer would say so. */
static void watchdog_ends(void **state)
{
    (void)state;
    if (__lsan_disable)
        skip();
    for (int i = 0; i < 3; i++) {
        struct plugin plugin = load();
        assert_non_null(plugin.library);
        assert_int_equal(plugin.watch(), 7);
        assert_true(threads_of_plugin() > 0);
        assert_int_equal(dlclose(plugin.library), 0);
        assert_no_threads();
        assert_false(is_loaded());
    }
}

/* ---- One that has -------------------------------------------------------------------------------- */

/* A pipe that takes stderr's place. */
static int divert_errors(int *before)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    *before = dup(2);
    dup2(ends[1], 2);
    close(ends[1]);
    return ends[0];
}

static _Atomic int returned;

static void *unload_plugin(void *arg)
{
    int status = dlclose(host.plugin.library);
    *(int *)arg = status == 0 && atomic_load(&returned) ? 1 : -1;
    return NULL;
}

static void unloading_waits_for_work(void **state)
{
    pthread_t thread;
    int ends[2], before, outcome = 0;
    char words[200] = "";
    (void)state;
    host.plugin = load();
    assert_non_null(host.plugin.library);
    assert_int_equal(pipe(ends), 0);
    atomic_store(&returned, 0);
    assert_int_equal(host.plugin.leave(ends[0], &returned), 0);
    int errors = divert_errors(&before);
    assert_int_equal(pthread_create(&thread, NULL, unload_plugin, &outcome), 0);
    ssize_t n = read(errors, words, sizeof words - 1); /* what it says when it has waited for a while */
    dup2(before, 2);
    assert_true(n > 0);
    assert_string_equal(words, "asyncio: a library is unloaded; 1 of its threads are at work: waiting\n");
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(outcome, 1);
    assert_false(is_loaded());
    assert_no_threads();
    close(ends[0]), close(ends[1]), close(errors), close(before);
}

static void shut_down_by_hand(void **state)
{
    int ends[2];
    (void)state;
    struct plugin plugin = load();
    assert_non_null(plugin.library);
    assert_int_equal(plugin.shutdown(0), 0);
    assert_int_equal(plugin.run(), 7);
    assert_int_equal(pipe(ends), 0);
    atomic_store(&returned, 0);
    assert_int_equal(plugin.leave(ends[0], &returned), 0);
    assert_int_equal(plugin.shutdown(0.01), -ETIMEDOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(plugin.shutdown(INFINITY), 0);
    assert_int_equal(atomic_load(&returned), 1);
    assert_no_threads();
    assert_int_equal(plugin.run(), 7); /* by new ones */
    assert_int_equal(dlclose(plugin.library), 0);
    assert_no_threads();
    close(ends[0]), close(ends[1]);
}

/* ---- The program ends ------------------------------------------------------------------------------ */

static struct plugin at_end;

static void use_at_end(void)
{
    dprintf(1, "at the end: %d\n", at_end.run());
}

/* While a function does not return, and after a handler that uses it all once more. */
static void exit_at_work(void *arg)
{
    int ends[2];
    (void)arg;
    at_end = load();
    CHILD_CHECK(at_end.library && pipe(ends) == 0);
    CHILD_CHECK(atexit(use_at_end) == 0);
    CHILD_CHECK(at_end.leave(ends[0], &returned) == 0);
    exit(0);
}

static void the_end_of_a_program_waits_for_nobody(void **state)
{
    struct child child;
    (void)state;
    if (ASY_TSAN || ASY_ASAN || RUNNING_ON_VALGRIND) /* no threads in such a child, or nothing left by it */
        skip();
    child_run(&child, exit_at_work, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "at the end: 7\n");
}

int main(int count, char **arguments)
{
    plugin_path = count > 1 ? arguments[1] : "";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_program_waits_for_nobody),
        cmocka_unit_test(idle_threads_end),
        cmocka_unit_test(watchdog_ends),
        cmocka_unit_test(unloading_waits_for_work),
        cmocka_unit_test(shut_down_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
