/*
 * Child processes: why one could not be started. The kernel's error may be about the program, its
 * interpreter, its folder or a descriptor. This finds out which, after the failure, for the message alone.
 */
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "core/message.h"
#include "process/process.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/bin:/usr/bin" /* posix_spawnp's, if PATH is not set */
#define SCRIPTS_MAX 4                /* so many scripts may interpret one another */

/* ---- The program, as the child looked for it --------------------------------------------- */

static bool exists(const char *path, struct stat *status)
{
    return asy_sys_stat_path(path, true, status) == 0;
}

/* Joins a path to the folder that the child starts in; NULL: this process's folder. */
static bool join_path(char out[PATH_MAX], const char *folder, const char *path)
{
    bool is_relative = folder && path[0] != '/';
    int length = snprintf(out, PATH_MAX, "%s%s%s", is_relative ? folder : "", is_relative ? "/" : "", path);
    return length > 0 && length < PATH_MAX;
}

/* Looks in the folders of PATH. False: it is in none. */
static bool find_in_path(char out[PATH_MAX], const char *folder, const char *name)
{
    char candidate[PATH_MAX];
    const char *folders = secure_getenv("PATH");
    struct stat status;
    folders = folders ? folders : DEFAULT_PATH;
    while (asy_path_next(&folders, name, candidate))
        if (candidate[0] && join_path(out, folder, candidate) && exists(out, &status))
            return true;
    return false;
}

static bool find_program(char out[PATH_MAX], const char *folder, const char *name)
{
    struct stat status;
    if (!strchr(name, '/'))
        return find_in_path(out, folder, name);
    return join_path(out, folder, name) && exists(out, &status);
}

/* ---- Its interpreter ----------------------------------------------------------------------- */

/* The interpreter that the first line of a script names, as people are to read it. False: it is no script. */
static bool find_interpreter(const char *path, char name[PATH_MAX])
{
    char line[256]; /* as much as the kernel looks at */
    int fd = asy_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    ssize_t n = asy_sys_read_at(fd, line, sizeof line - 1, 0);
    asyncio_close(fd);
    line[n > 0 ? n : 0] = '\0';
    if (strncmp(line, "#!", 2) != 0)
        return false;
    const char *begin = line + 2 + strspn(line + 2, " \t");
    int length = (int)strcspn(begin, " \t\r\n");
    /* Windows ends lines so, and the kernel takes it as part of the name. */
    const char *end = begin[length] == '\r' ? "\\r" : "";
    snprintf(name, PATH_MAX, "%.*s%s", length, begin, end);
    return true;
}

static bool is_runnable(const struct stat *status)
{
    return S_ISREG(status->st_mode) && (status->st_mode & 0111);
}

/* The first interpreter of a chain that cannot be run. False: there is none. */
static bool find_culprit(const char *path, const char *folder, char name[PATH_MAX])
{
    char at[PATH_MAX];
    struct stat status;
    if (!join_path(at, NULL, path))
        return false;
    for (int i = 0; i < SCRIPTS_MAX && find_interpreter(at, name); i++)
        if (!join_path(at, folder, name) || !exists(at, &status) || !is_runnable(&status))
            return true;
    return false;
}

/* ---- In words -------------------------------------------------------------------------------- */

#define REASON_BYTES (PATH_MAX + 64)

/* Says what is wrong with a program that exists; NULL: nothing that can be seen. */
static const char *find_flaw(int err, const char *path)
{
    struct stat status;
    if (err == -ENOEXEC)
        return "it is no program for this machine, and no script that begins with #!";
    if (err != -EACCES || !exists(path, &status))
        return NULL;
    if (S_ISDIR(status.st_mode))
        return "it is a directory";
    if (!is_runnable(&status))
        return "it is no executable file";
    return asy_sys_is_noexec(path) ? "its file system is mounted noexec" : NULL;
}

/* Writes in brackets why the program could not be run, or "". */
static void explain_failure(int err, const char *path, const char *folder, char reason[REASON_BYTES])
{
    char name[PATH_MAX];
    const char *flaw = find_flaw(err, path);
    if (flaw)
        snprintf(reason, REASON_BYTES, " (%s)", flaw);
    else if (find_culprit(path, folder, name))
        snprintf(reason, REASON_BYTES, " (its interpreter: %s)", name);
    else if (err == -ENOENT)
        snprintf(reason, REASON_BYTES, " (it is there, but not the loader that it names)");
}

/* A descriptor in the options that is not open; or -1. */
static int find_closed_descriptor(const asyncio_subprocess_options *options)
{
    for (int i = 0; i < 3; i++) {
        int fd = asy_process_stdio(options, i);
        if (fd > 0 && asy_sys_access_mode(fd) == -EBADF)
            return fd;
    }
    for (size_t i = 0; i < options->inherit_count; i++)
        if (asy_sys_access_mode(options->inherit[i]) == -EBADF)
            return options->inherit[i];
    return -1;
}

static bool cannot_enter(const char *folder)
{
    char inside[PATH_MAX];
    struct stat status;
    return !join_path(inside, folder, ".") || !exists(inside, &status);
}

/* The child could not become what the options say. */
static int refuse_identity(int err, const char *name, const asyncio_subprocess_options *options,
                           enum asy_spawn_step step)
{
    char text[ASY_WORDS];
    const char *words = asy_words(err, text);
    if (step == ASY_SPAWN_UID)
        return (int)asyncio_raise(err, "run %s: uid %lld: %s", name,
                                  (long long)asy_process_number(options->uid), words);
    if (step == ASY_SPAWN_GID)
        return (int)asyncio_raise(err, "run %s: gid %lld: %s", name,
                                  (long long)asy_process_number(options->gid), words);
    if (step == ASY_SPAWN_GROUPS)
        return (int)asyncio_raise(err, "run %s: without supplementary groups: %s", name, words);
    return (int)asyncio_raise(err, "run %s: its terminal (/dev/ptmx): %s%s", name, words,
                              err == -ENOSPC ? " (the system has as many as kernel.pty.max allows)" : "");
}

int asy_process_refused(int err, const char *name, const asyncio_subprocess_options *options,
                        enum asy_spawn_step step)
{
    if (step != ASY_SPAWN_PROGRAM)
        return refuse_identity(err, name, options, step);
    char text[ASY_WORDS], path[PATH_MAX], reason[REASON_BYTES] = "";
    const char *folder = options->cwd, *words = asy_words(err, text);
    int fd = err == -EBADF ? find_closed_descriptor(options) : -1;
    if (fd >= 0)
        return (int)asyncio_raise(err, "run %s: descriptor %d: %s", name, fd, words);
    if (folder && cannot_enter(folder))
        return (int)asyncio_raise(err, "run %s: its folder %s: %s", name, folder, words);
    if (find_program(path, folder, name))
        explain_failure(err, path, folder, reason);
    if (folder)
        return (int)asyncio_raise(err, "run %s in %s: %s%s", name, folder, words, reason);
    return (int)asyncio_raise(err, "run %s: %s%s", name, words, reason);
}
