/*
 * The yardstick for `process`: posix_spawn and waitid by hand, with no loop to go on
 * meanwhile. It gives the child what the library gives it: default signals, and no descriptor beyond 2.
 */
#include "process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static int64_t measure_process(void *arg, uint64_t times)
{
    static char *const argv[] = {(char *)PROCESS_PROGRAM, NULL};
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t set;
        siginfo_t info;
        pid_t pid;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        sigemptyset(&set);
        posix_spawnattr_setsigmask(&attributes, &set);
        sigfillset(&set);
        posix_spawnattr_setsigdefault(&attributes, &set);
        BENCH_CHECK(posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ) == 0);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        BENCH_CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0 && info.si_status == 0);
    }
    return bench_now_ns() - began;
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        process_measure(argv[i], measure_process, NULL);
    return 0;
}
