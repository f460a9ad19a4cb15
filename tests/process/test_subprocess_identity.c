/*
 * Child processes that run as another user, with another umask; and that such a child, which the library
 * makes by itself, is in all else what posix_spawn makes.
 */
#include "subprocess_test.h"
#include <grp.h>
#include <stdlib.h>

#define OTHER_UID 65534
#define OTHER_GID 65533
#define SHELL(command) ARGV("sh", "-c", command)
#define SHOWN .stdout_fd = ASYNCIO_PIPE

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("skipped: only root may become another user\n");
        skip();
    }
}

/* ---- What it becomes ---------------------------------------------------------------------- */

ASYNC(becomes_others)
{
    CHECK_TEXT(output_of(SHELL("id -u; id -g; id -G; grep -c '65534.65534.65534.65534' /proc/self/status"),
                         OPTIONS(SHOWN, .uid = OTHER_UID, .gid = OTHER_GID)),
               "65534\n65533\n65533\n1\n");
    CHECK_TEXT(output_of(SHELL("id -u; id -G"), OPTIONS(SHOWN, .uid = OTHER_UID)), "65534\n0\n");
    CHECK_TEXT(output_of(SHELL("id -u; id -G"), OPTIONS(SHOWN, .gid = OTHER_GID)), "0\n65533\n");
    CHECK_TEXT(output_of(SHELL("id -u; id -G"), OPTIONS(SHOWN, .uid = -1, .gid = -1)), "0\n0\n");
    CHECK_TEXT(output_of(SHELL("id -G"), OPTIONS(SHOWN)), "0 7 8\n");
    return 0;
}

/* Who changes users in shared memory takes this process's dumps and its debugger away. */
TEST(another_user_without_supplementary_groups)
{
    static const gid_t some[] = {7, 8};
    need_root();
    if (setgroups(2, some) != 0)
        skip();
    int dumpable = prctl(PR_GET_DUMPABLE);
    run_all(becomes_others);
    assert_int_equal(prctl(PR_GET_DUMPABLE), dumpable);
    assert_int_equal(setgroups(0, NULL), 0);
}

ASYNC_TEST(umasks)
{
    mode_t here = umask(026);
    CHECK_TEXT(output_of(SHELL("umask"), OPTIONS(SHOWN)), "0026\n");
    CHECK_TEXT(output_of(SHELL("umask"), OPTIONS(SHOWN, .umask = -1)), "0000\n");
    CHECK_TEXT(output_of(SHELL("umask"), OPTIONS(SHOWN, .umask = 0777)), "0777\n");
    CHECK_EQUAL(umask(here), 026);
    return 0;
}

/* ---- Refused --------------------------------------------------------------------------------- */

static void check_refused(const asyncio_subprocess_options *options, int err, const char *words)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(ARGV("true"), options, &process), err);
    CHECK(!process);
    CHECK_HAS(asyncio_error_message(), words);
}

ASYNC_TEST(numbers_out_of_range)
{
    check_refused(OPTIONS(.uid = -2), -EINVAL, "no such uid");
    check_refused(OPTIONS(.uid = UINT32_MAX), -EINVAL, "no such uid");
    check_refused(OPTIONS(.uid = INT64_MIN), -EINVAL, "no such uid");
    check_refused(OPTIONS(.gid = -2), -EINVAL, "no such gid");
    check_refused(OPTIONS(.gid = (int64_t)1 << 32), -EINVAL, "no such gid");
    check_refused(OPTIONS(.umask = -2), -EINVAL, "umask");
    check_refused(OPTIONS(.umask = 01000), -EINVAL, "umask");
    check_no_children();
    return 0;
}

static int own(intptr_t id)
{
    asyncio_process *process = NULL;
    int err = asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(.uid = id, .umask = 022), &process);
    if (!err)
        err = asyncio_process_wait(process, NULL);
    asyncio_process_release(process);
    return err;
}

ASYNC(tries_without_rights)
{
    asyncio_process *process = NULL;
    CHILD_CHECK(own(OTHER_UID) == 0);
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(.uid = 1), &process) == -EPERM);
    CHILD_CHECK(strstr(asyncio_error_message(), "run true: uid 1: "));
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(.uid = -1), &process) == -EPERM);
    CHILD_CHECK(strstr(asyncio_error_message(), "uid 0: "));
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(.gid = 5), &process) == -EPERM);
    CHILD_CHECK(strstr(asyncio_error_message(), "gid 5: "));
    CHILD_CHECK(!process);
    return 0;
}

ASYNC(tries_with_groups)
{
    asyncio_process *process = NULL;
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(.uid = OTHER_UID), &process) == -EPERM);
    CHILD_CHECK(strstr(asyncio_error_message(), "supplementary groups"));
    return 0;
}

static void run_without_rights(void *arg)
{
    static const gid_t some[] = {7};
    bool has_groups = arg != NULL;
    CHILD_CHECK(setgroups(has_groups, some) == 0);
    CHILD_CHECK(setresgid(OTHER_GID, OTHER_GID, OTHER_GID) == 0);
    CHILD_CHECK(setresuid(OTHER_UID, OTHER_UID, OTHER_UID) == 0);
    CHILD_CHECK(asyncio_run(has_groups ? tries_with_groups() : tries_without_rights()) == 0);
}

TEST(others_than_root_may_not)
{
    struct child child;
    int groups = 1;
    need_root();
    skip_under_valgrind();
    child_run(&child, run_without_rights, NULL);
    assert_child_exit(&child, 0);
    child_run(&child, run_without_rights, &groups);
    assert_child_exit(&child, 0);
}

ASYNC(runs_what_is_roots)
{
    char path[] = "/tmp/asyncio-roots-XXXXXX";
    asyncio_process *process = NULL;
    int fd = mkstemp(path);
    CHECK(write(fd, "#!/bin/sh\n", 10) == 10);
    CHECK_EQUAL(fchmod(fd, 0700), 0);
    close(fd);
    CHECK_EQUAL(asyncio_create_subprocess_exec(ARGV(path), OPTIONS(.uid = OTHER_UID), &process), -EACCES);
    CHECK_HAS(asyncio_error_message(), path);
    CHECK_EQUAL(asyncio_run_process(ARGV(path), OPTIONS(.umask = 1), NULL, 0, NULL, NULL, NULL), 0);
    unlink(path);
    return 0;
}

TEST(a_program_that_the_user_may_not_run)
{
    need_root();
    skip_under_valgrind();
    run_all(runs_what_is_roots);
}

/* ---- As posix_spawn makes it --------------------------------------------------------------- */

/* Shows all that a child has from its parent but its umask. */
static const char *const probe[] = {
    "sh",
    "-c",
    "pwd; env | grep -v '^_='; for i in /proc/self/fd/*; do [ -e $i ] && echo $i; done;"
    "readlink /proc/$$/fd/0 | sed 's/:.*//';" /* a pipe has a number of its own */
    "grep -E '^(Sig(Blk|Ign|Cgt|Pnd)|ShdPnd|Groups|Uid|Gid)' /proc/self/status;"
    "set -- $(cat /proc/$$/stat); [ $5 = $1 ]; echo $?; [ $6 = $1 ]; echo $?; echo oops >&2",
    NULL,
};

static void check_alike(asyncio_subprocess_options options)
{
    char by_libc[8192];
    options.stdout_fd = ASYNCIO_PIPE;
    options.stderr_fd = ASYNCIO_STDOUT;
    snprintf(by_libc, sizeof by_libc, "%s", output_of(probe, &options));
    CHECK_HAS(by_libc, "oops");
    options.umask = 022;
    CHECK_TEXT(output_of(probe, &options), by_libc);
}

ASYNC_TEST(all_else_is_as_posix_spawn_makes_it)
{
    int low = open("/dev/zero", O_RDONLY | O_CLOEXEC), high = fcntl(low, F_DUPFD_CLOEXEC, 200);
    int loose = dup(low); /* not close-on-exec: closed all the same */
    const int some[] = {low, high};
    const char *const env[] = {"PATH=/bin:/usr/bin", "A=b", NULL};
    mode_t here = umask(022);
    void (*hangup)(int) = signal(SIGHUP, SIG_IGN), (*user)(int) = signal(SIGUSR1, SIG_IGN);
    check_alike((asyncio_subprocess_options){.stdin_fd = ASYNCIO_DEVNULL});
    check_alike((asyncio_subprocess_options){.stdin_fd = low, .inherit = some, .inherit_count = 2});
    check_alike((asyncio_subprocess_options){.stdin_fd = high, .inherit = &high, .inherit_count = 1});
    check_alike((asyncio_subprocess_options){.cwd = "/usr", .env = env, .process_group = 1});
    check_alike((asyncio_subprocess_options){.detach = 1, .stdin_fd = ASYNCIO_PIPE});
    signal(SIGHUP, hangup);
    signal(SIGUSR1, user);
    umask(here);
    close(low);
    close(high);
    close(loose);
    return 0;
}

static void check_refused_alike(const char *program, asyncio_subprocess_options options)
{
    asyncio_process *process = NULL;
    char words[512];
    int err = asyncio_create_subprocess_exec(ARGV(program), &options, &process);
    CHECK(err < 0);
    snprintf(words, sizeof words, "%s", asyncio_error_message());
    options.umask = 022;
    CHECK_EQUAL(asyncio_create_subprocess_exec(ARGV(program), &options, &process), err);
    CHECK_TEXT(asyncio_error_message(), words);
}

ASYNC(refusals_alike)
{
    int closed = 4000;
    check_refused_alike("/no/such/program", (asyncio_subprocess_options){.umask = 0});
    check_refused_alike("no-such-program", (asyncio_subprocess_options){.umask = 0});
    check_refused_alike("/etc/passwd", (asyncio_subprocess_options){.umask = 0});
    check_refused_alike("/tmp", (asyncio_subprocess_options){.umask = 0});
    check_refused_alike("true", (asyncio_subprocess_options){.cwd = "/no/such/folder"});
    check_refused_alike("true", (asyncio_subprocess_options){.process_group = 1 << 30});
    check_refused_alike("true", (asyncio_subprocess_options){.inherit = &closed, .inherit_count = 1});
    check_refused_alike("true", (asyncio_subprocess_options){.stdin_fd = closed});
    return 0;
}

TEST(programs_that_cannot_be_run_are_refused_alike)
{
    skip_under_valgrind();
    run_all(refusals_alike);
}

/* ---- Old kernels, failures and cancels --------------------------------------------------------- */

static bool forbid_close_range(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 && syscall(436, 4000, 4000, 0) < 0;
}

ASYNC(lists_descriptors)
{
    const char *open_ones =
        output_of(SHELL("for i in 0 1 2 3 4 5 6 7 8 9 90 190 240; do [ -e /proc/$$/fd/$i ] && echo $i; done"),
                  OPTIONS(SHOWN, .umask = 022));
    CHILD_CHECK(strcmp(open_ones, "0\n1\n2\n") == 0);
    return 0;
}

static void run_without_close_range(void *arg)
{
    (void)arg;
    for (int i = 0; i < 250; i++)
        dup(0); /* more than one lot of what the kernel lists */
    if (forbid_close_range())
        CHILD_CHECK(asyncio_run(lists_descriptors()) == 0);
}

TEST(a_kernel_that_closes_no_ranges)
{
    struct child child;
    skip_under_valgrind();
    child_run(&child, run_without_close_range, NULL);
    assert_child_exit(&child, 0);
}

ASYNC(runs_with_a_umask)
{
    asyncio_buffer out = {0};
    int err = asyncio_run_process(ARGV("cat"), OPTIONS(.umask = 027), "text", 4, &out, NULL, NULL);
    asyncio_buffer_destroy(&out);
    check_no_children();
    return err;
}

TEST(each_failure_in_turn)
{
    sweep_failures(runs_with_a_umask);
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(runs_with_a_umask, NULL);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
