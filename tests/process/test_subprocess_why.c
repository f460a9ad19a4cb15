/*
 * Programs that cannot be run: the error, as the kernel has it, and words that say what was wrong: the
 * program, its interpreter, the file system.
 */
#include "base/sanitizer.h"
#include "child.h"
#include "fd/file_test.h"
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* There a child that cannot begin has begun. */
static void skip_under_valgrind(void)
{
    if (RUNNING_ON_VALGRIND)
        skip();
}

static void put_program(const char *path, const char *text, mode_t mode)
{
    put_file(path, text, strlen(text));
    CHECK_EQUAL(chmod(path, mode), 0);
}

static void check_refused_in(const char *folder, const char *name, int err, const char *words)
{
    const asyncio_subprocess_options options = {.cwd = folder};
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec((const char *const[]){name, NULL}, &options, &process), err);
    CHECK_TEXT(asyncio_error_message(), words);
    asyncio_process_release(process);
}

static void check_refused(const char *name, int err, const char *words)
{
    check_refused_in(NULL, name, err, words);
}

ASYNC(names_interpreters)
{
    put_program("script", "#! /no/such/shell -e\ntrue\n", 0755);
    check_refused("./script", -ENOENT,
                  "run ./script: no such file or directory (its interpreter: /no/such/shell)");
    put_program("windows", "#!/bin/sh\r\ntrue\r\n", 0755);
    check_refused("./windows", -ENOENT,
                  "run ./windows: no such file or directory (its interpreter: /bin/sh\\r)");
    put_program("plain", "text\n", 0644);
    put_program("by-plain", "#!plain", 0755);
    check_refused("./by-plain", -EACCES, "run ./by-plain: permission denied (its interpreter: plain)");
    put_program("beyond", "#!plain/sh", 0755);
    check_refused("./beyond", -ENOTDIR, "run ./beyond: not a directory (its interpreter: plain/sh)");
    put_program("by-script", "#!./script", 0755); /* which is there, and its own is not */
    check_refused("./by-script", -ENOENT,
                  "run ./by-script: no such file or directory (its interpreter: /no/such/shell)");
    check_refused("./none", -ENOENT, "run ./none: no such file or directory");
    CHECK_EQUAL(mkdir("folder", 0700), 0);
    put_program("folder/inside", "#!../plain", 0755);
    check_refused_in("folder", "./inside", -EACCES,
                     "run ./inside in folder: permission denied (its interpreter: ../plain)");
    check_refused_in("folder", "./script", -ENOENT, "run ./script in folder: no such file or directory");
    return 0;
}

/* A program looked for in PATH: the first of its name that is there is the one in question. */
ASYNC(looks_in_path)
{
    char *before = strdup(getenv("PATH"));
    put_program("folder/tool", "#!/no/such/tool", 0755);
    CHECK_EQUAL(setenv("PATH", "none:folder:/usr/bin", 1), 0);
    check_refused("tool", -ENOENT, "run tool: no such file or directory (its interpreter: /no/such/tool)");
    check_refused("no-tool", -ENOENT, "run no-tool: no such file or directory");
    CHECK_EQUAL(setenv("PATH", "folder:", 1), 0); /* the last is the working directory */
    check_refused("script", -ENOENT,
                  "run script: no such file or directory (its interpreter: /no/such/shell)");
    CHECK_EQUAL(unsetenv("PATH"), 0);
    check_refused("by-plain", -ENOENT, "run by-plain: no such file or directory");
    CHECK_EQUAL(setenv("PATH", before, 1), 0);
    free(before);
    return 0;
}

/* The program headers of one for this machine, whose loader is called /no/such/loader. */
static void put_without_loader(const char *path)
{
    static char image[1 << 20];
    int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, image, sizeof image);
    close(fd);
    CHECK(n > 0);
    char *loader = memmem(image, (size_t)n, "/lib", 4);
    CHECK(loader != NULL);
    if (loader)
        loader[1] = 'L';
    put_file(path, image, (size_t)n);
    CHECK_EQUAL(chmod(path, 0755), 0);
}

ASYNC(names_flaws)
{
    check_refused("./folder", -EACCES, "run ./folder: permission denied (it is a directory)");
    check_refused("./plain", -EACCES, "run ./plain: permission denied (it is no executable file)");
    put_program("bare", "echo without an interpreter\n", 0755);
    check_refused("./bare", -ENOEXEC,
                  "run ./bare: exec format error (it is no program for this machine, "
                  "and no script that begins with #!)");
    put_program("empty", "", 0755);
    check_refused("./empty", -ENOEXEC,
                  "run ./empty: exec format error (it is no program for this machine, "
                  "and no script that begins with #!)");
    put_without_loader("program");
    check_refused("./program", -ENOENT,
                  "run ./program: no such file or directory (it is there, but not the "
                  "loader that it names)");
    check_refused("", -EACCES, "run '': permission denied (an empty name)");
    check_refused_in("folder", "", -EACCES, "run '': permission denied (an empty name)");
    CHECK_EQUAL(mkfifo("fifo", 0755), 0); /* which nobody opens to look */
    check_refused("./fifo", -EACCES, "run ./fifo: permission denied (it is no executable file)");
    return 0;
}

/* More than the kernel takes in one argument. */
ASYNC(has_long_arguments)
{
    asyncio_process *process = NULL;
    char *argument = malloc(1 << 20);
    memset(argument, 'x', (1 << 20) - 1);
    argument[(1 << 20) - 1] = '\0';
    CHECK_EQUAL(asyncio_create_subprocess_exec((const char *const[]){"true", argument, NULL}, NULL, &process),
                -E2BIG);
    CHECK_TEXT(asyncio_error_message(), "run true: argument list too long");
    argument[PATH_MAX] = '\0';
    CHECK_EQUAL(asyncio_create_subprocess_exec((const char *const[]){argument, NULL}, NULL, &process),
                -ENAMETOOLONG);
    free(argument);
    return 0;
}

ASYNC(all_refusals)
{
    asyncio_await(names_interpreters());
    asyncio_await(looks_in_path());
    asyncio_await(names_flaws());
    return asyncio_await(has_long_arguments());
}

TEST(refusals)
{
    skip_under_valgrind();
    CHECK_EQUAL(run(all_refusals), 0);
    harness_settle();
}

#define NO_MOUNTS 77

ASYNC(run_in_noexec)
{
    asyncio_process *process;
    const char *const argv[] = {"mount/program", NULL};
    CHILD_CHECK(asyncio_create_subprocess_exec(argv, NULL, &process) == -EACCES);
    puts(asyncio_error_message());
    return 0;
}

/* A mount of its own, where this machine lets us have one. */
static void run_from_noexec(void *arg)
{
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "mount", "tmpfs", MS_NOEXEC, NULL) != 0)
        _exit(NO_MOUNTS);
    int fd = open("mount/program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    CHILD_CHECK(write(fd, "#!/bin/sh\n", 10) == 10);
    close(fd);
    CHILD_CHECK(asyncio_run(run_in_noexec()) == 0);
}

TEST(noexec)
{
    struct child child;
    skip_under_valgrind();
    assert_int_equal(mkdir("mount", 0700), 0);
    child_run(&child, run_from_noexec, NULL);
    if (child_exit(&child) == NO_MOUNTS)
        skip();
    assert_child_exit(&child, 0);
    assert_string_equal(child.text,
                        "run mount/program: permission denied (its file system is mounted noexec)\n");
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    return tests_run(&fixtures);
}
