/*
 * Programs are started. posix_spawn of glibc shares the address space with the child until that runs another
 * program (CLONE_VM, CLONE_VFORK): its cost does not grow with this process, and it blocks all signals
 * meanwhile. A child of our own (spawn_child.c) does what posix_spawn cannot.
 *
 * Each step that concerns descriptors has a list of actions to join, or is taken at once: without a list the
 * code runs in such a child.
 */
#include "sys/spawn.h"
#include "sys/sys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int put_dup(posix_spawn_file_actions_t *actions, int from, int to)
{
    return actions ? posix_spawn_file_actions_adddup2(actions, from, to) : asy_child_dup(from, to);
}

static int put_null(posix_spawn_file_actions_t *actions, int fd)
{
    return actions ? posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0)
                   : asy_child_open_null(fd);
}

static int put_close(posix_spawn_file_actions_t *actions, int fd)
{
    return actions ? posix_spawn_file_actions_addclose(actions, fd) : asy_child_close(fd);
}

static int put_folder(posix_spawn_file_actions_t *actions, const char *folder)
{
    return actions ? posix_spawn_file_actions_addchdir_np(actions, folder) : asy_child_enter(folder);
}

/* Tells whether one of our own descriptors closes on exec. It may not be open: dup2 would fail then. */
static bool closes_on_exec(int fd)
{
    int saved = errno, flags = fcntl(fd, F_GETFD);
    errno = saved;
    return flags >= 0 && (flags & FD_CLOEXEC);
}

static int add_stdio(posix_spawn_file_actions_t *actions, const int stdio[3])
{
    int err = 0;
    for (int i = 0; i < 3 && !err; i++) {
        if (stdio[i] == ASY_SPAWN_NULL)
            err = put_null(actions, i);
        else if (stdio[i] == ASY_SPAWN_LIKE_1)
            err = put_dup(actions, STDOUT_FILENO, i);
        else if (stdio[i] >= 0) /* onto itself: it is no longer close-on-exec */
            err = put_dup(actions, stdio[i], i);
        else if (closes_on_exec(i))
            err = put_dup(actions, i, i);
    }
    return err;
}

static bool is_kept(const struct asy_spawn *spawn, int fd)
{
    for (size_t i = 0; i < spawn->keep_count; i++)
        if (spawn->keep[i] == fd)
            return true;
    return false;
}

/* The first number from `place` on that is not a kept descriptor's own. */
static int next_place(const struct asy_spawn *spawn, int place)
{
    while (is_kept(spawn, place))
        place++;
    return place;
}

enum direction { DOWN, BACK_UP };

/* Moves the kept descriptors that lie at `end` or beyond: down to places before it, or back up from there. */
static int add_moves(posix_spawn_file_actions_t *actions, const struct asy_spawn *spawn, int end,
                     enum direction direction)
{
    int err = 0, place = STDERR_FILENO;
    for (size_t i = 0; i < spawn->keep_count && !err; i++) {
        int fd = spawn->keep[i];
        if (fd < end)
            continue;
        place = next_place(spawn, place + 1);
        err = direction == DOWN ? put_dup(actions, fd, place) : put_dup(actions, place, fd);
    }
    return err;
}

#if ASY_ADDCLOSEFROM
static int list_close_from(posix_spawn_file_actions_t *actions, int first)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
#else
/* Closes the descriptors that are open now. One that another thread opens from here on must be
 * close-on-exec. */
static int list_close_from(posix_spawn_file_actions_t *actions, int first)
{
    DIR *open_files = opendir("/proc/self/fd");
    if (!open_files)
        return errno;
    int err = 0;
    for (struct dirent *entry; !err && (entry = readdir(open_files));) {
        int fd = atoi(entry->d_name); /* "." and ".." are 0 */
        if (fd >= first && fd != dirfd(open_files))
            err = posix_spawn_file_actions_addclose(actions, fd);
    }
    closedir(open_files);
    return err;
}
#endif

/*
 * Closes all descriptors beyond 2 that are not kept. One action closes all from a number on, and its cost
 * does not depend on the numbers; none closes a range. So kept descriptors with high numbers move down to
 * the first numbers after 2, all beyond those are closed, and then they move back up.
 */
static int add_closes(posix_spawn_file_actions_t *actions, const struct asy_spawn *spawn)
{
    const int first = STDERR_FILENO + 1, end = first + (int)spawn->keep_count;
    int err = add_moves(actions, spawn, end, DOWN);
    if (!err)
        err = actions ? list_close_from(actions, end) : asy_child_close_from(end);
    if (!err)
        err = add_moves(actions, spawn, end, BACK_UP);
    for (int fd = first; fd < end && !err; fd++)
        err = is_kept(spawn, fd) ? put_dup(actions, fd, fd) : put_close(actions, fd);
    return err;
}

int asy_spawn_arrange(const struct asy_spawn *spawn, posix_spawn_file_actions_t *actions)
{
    int err = add_stdio(actions, spawn->stdio);
    if (!err)
        err = add_closes(actions, spawn);
    if (!err && spawn->cwd)
        err = put_folder(actions, spawn->cwd);
    return err;
}

static void fill_attributes(posix_spawnattr_t *attributes, const struct asy_spawn *spawn)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, defaults;
    sigemptyset(&none);
    /* sigfillset leaves out the signals that the C library keeps for itself. posix_spawn ignores these in
     * the child unless they are in the set. */
    memset(&defaults, 0xff, sizeof defaults);
    sigdelset(&defaults, SIGHUP);
    sigdelset(&defaults, SIGINT);
    sigdelset(&defaults, SIGQUIT);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    if (spawn->needs_session) {
        flags |= POSIX_SPAWN_SETSID; /* and with it a group */
    } else if (spawn->needs_group || spawn->group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(attributes, spawn->needs_group ? 0 : spawn->group);
    }
    posix_spawnattr_setflags(attributes, flags);
}

static int start_by_libc(const struct asy_spawn *spawn, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int saved = errno;
    int err = posix_spawn_file_actions_init(&actions);
    if (err)
        return -err;
    err = posix_spawnattr_init(&attributes);
    if (!err) {
        fill_attributes(&attributes, spawn);
        err = asy_spawn_arrange(spawn, &actions);
        char *const *env = spawn->env ? (char *const *)spawn->env : environ;
        if (!err)
            err = posix_spawnp(pid, spawn->argv[0], &actions, &attributes, (char *const *)spawn->argv, env);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    errno = saved;
    return -err;
}

int asy_sys_spawn(const struct asy_spawn *spawn, pid_t *pid, enum asy_spawn_step *failed)
{
    *failed = ASY_SPAWN_PROGRAM;
    if (ASY_FAULT("spawn"))
        return -ENOMEM;
    bool needs_own_child = spawn->takes_terminal || spawn->uid >= 0 || spawn->gid >= 0 || spawn->umask >= 0;
    return needs_own_child ? asy_spawn_child(spawn, pid, failed) : start_by_libc(spawn, pid);
}
