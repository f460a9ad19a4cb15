/*
 * Child processes: input and output, and what a child gets.
 */
#include "process/subprocess_test.h"
#include "support/test.h"

/* This program itself, told to look at what it was given: see look(). */
#define SELF "/proc/self/exe"

static struct child child;

/* ---- Input and output ------------------------------------------------------------------------ */

ASYNC(says_and_hears)
{
    asyncio_buffer out, err;
    asyncio_process *process = spawn_shell("cat; echo problem >&2; exit 4", OPTIONS(ALL_PIPES));
    CHECK_EQUAL(asyncio_process_communicate(process, "hello", 5, &out, &err), 0);
    CHECK_TEXT(out.data, "hello");
    CHECK_EQUAL(out.length, 5);
    CHECK_TEXT(err.data, "problem\n");
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    CHECK(out.data == NULL && out.length == 0);
    asyncio_buffer_destroy(NULL);
    CHECK_EQUAL(end_of(process), 4);
    CHECK(asyncio_process_stdin(process) == NULL);
    /* Once more: there is nothing left to say or hear. */
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, &err), 0);
    CHECK_TEXT(out.data, "");
    CHECK_TEXT(err.data, "");
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    asyncio_process_release(process);

    process = spawn(ARGV("true"), NULL);
    CHECK_EQUAL(asyncio_process_communicate(process, "x", 1, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK_TEXT(out.data, "");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

TEST(communicate)
{
    run_all(says_and_hears);
}

ASYNC(much)
{
    asyncio_buffer out, err;
    char *data = big_input();
    /* It writes before it reads, and more than a pipe holds, on both. */
    const char *command = "head -c 700000 /dev/zero; head -c 500000 /dev/zero >&2; tee /dev/stderr";
    asyncio_process *process = spawn_shell(command, OPTIONS(ALL_PIPES));
    CHECK_EQUAL(asyncio_process_communicate(process, data, BIG, &out, &err), 0);
    CHECK_EQUAL(out.length, 700000 + BIG);
    CHECK_EQUAL(err.length, 500000 + BIG);
    CHECK(memcmp(out.data + 700000, data, BIG) == 0);
    CHECK(memcmp(err.data + 500000, data, BIG) == 0);
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    asyncio_process_release(process);
    /* What nobody wants is read all the same, and not kept. */
    process = spawn(ARGV("head", "-c", "500000", "/dev/zero"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, NULL, NULL), 0);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK_EQUAL(out.length, 0);
    asyncio_buffer_destroy(&out);
    CHECK_EQUAL(end_of(process), 0);
    asyncio_process_release(process);
    free(data);
    return 0;
}

TEST(much_in_all_directions)
{
    run_all(much);
}

ASYNC(does_not_read)
{
    asyncio_buffer out;
    char *data = big_input();
    for (int i = 0; i < 3; i++) {
        static const char *const commands[] = {"exec <&-; echo hi", "head -c 5 >/dev/null; echo hi",
                                               "echo hi"};
        asyncio_process *process = spawn_shell(commands[i], OPTIONS(ALL_PIPES));
        CHECK_EQUAL(asyncio_process_communicate(process, data, BIG, &out, NULL), 0);
        CHECK_TEXT(out.data, "hi\n");
        asyncio_buffer_destroy(&out);
        CHECK_EQUAL(end_of(process), 0);
        asyncio_process_release(process);
    }
    free(data);
    return 0;
}

/* SIGPIPE has its default action here: it would end the test. */
TEST(input_that_is_not_read_is_no_error)
{
    run_all(does_not_read);
}

ASYNC(communicates_in_two_goes)
{
    asyncio_buffer out = {0};
    char *data = big_input(), command[80];
    int go[2];
    net_pipe(go);
    snprintf(command, sizeof command, "echo begun; head -c 100000; read go <&%d; cat; echo done", go[0]);
    const asyncio_subprocess_options options = {
        .stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE, .inherit = go, .inherit_count = 1};
    asyncio_process *process = spawn_shell(command, &options);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(asyncio_wait_for(communicates(process, data, BIG, &out), 0.03), -ETIMEDOUT);
        CHECK(out.data == NULL);
    }
    CHECK_EQUAL(write(go[1], "\n", 1), 1);
    close(go[0]), close(go[1]);
    asyncio_task *task = asyncio_create_task(communicates(process, data, BIG, &out));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, NULL, NULL), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(out.length, 6 + BIG + 5);
    CHECK(out.data && memcmp(out.data, "begun\n", 6) == 0 && memcmp(out.data + 6, data, BIG) == 0);
    CHECK_TEXT(out.data + 6 + BIG, "done\n");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    free(data);
    return 0;
}

TEST(a_cancelled_communicate_goes_on_later)
{
    run_all(communicates_in_two_goes);
}

ASYNC(reads_late)
{
    char text[16] = "";
    asyncio_process *process = spawn(ARGV("echo", "hello"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(asyncio_stream_read(asyncio_process_stdout(process), text, 15), 6);
    CHECK_TEXT(text, "hello\n");
    CHECK_EQUAL(asyncio_stream_read(asyncio_process_stdout(process), text, 15), 0);
    CHECK_EQUAL(asyncio_stream_close(asyncio_process_stdout(process)), 0);
    CHECK(asyncio_process_stdout(process) == NULL);
    asyncio_process_release(process);
    return 0;
}

TEST(output_is_there_after_the_end)
{
    run_all(reads_late);
}

ASYNC(ends_input)
{
    char *line;
    for (int i = 0; i < 2; i++) {
        asyncio_process *process = spawn(ARGV("cat"), OPTIONS(ALL_PIPES));
        asyncio_stream *in = asyncio_process_stdin(process), *out = asyncio_process_stdout(process);
        CHECK_EQUAL(asyncio_stream_printf(in, "line %d\n", i), 0);
        CHECK(asyncio_stream_readline(out, &line) > 0);
        CHECK_EQUAL(i ? asyncio_stream_write_eof(in) : asyncio_stream_close(in), 0);
        CHECK_EQUAL(asyncio_stream_readline(out, &line), 0);
        CHECK((asyncio_process_stdin(process) == NULL) == !i);
        if (i) {
            CHECK_EQUAL(asyncio_stream_write(in, "x", 1), ASYNCIO_ESTATE);
            CHECK_EQUAL(asyncio_stream_fd(in), -EBADF);
        }
        CHECK_EQUAL(end_of(process), 0);
        asyncio_process_release(process);
    }
    return 0;
}

TEST(closing_stdin_ends_the_input)
{
    run_all(ends_input);
}

/* ---- What they get --------------------------------------------------------------------------- */

/* In the child: descriptors that are open, "+" where they block; the state of signals; groups. */
static int look(void)
{
    for (int fd = 0; fd < 1000; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0)
            printf("%d%s ", fd, flags & O_NONBLOCK ? "" : "+");
    }
    puts("");
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0)
            fputs(line, stdout);
    printf("group %s, session %s\n", getpgid(0) == getpid() ? "own" : "other",
           getsid(0) == getpid() ? "own" : "other");
    return 0;
}

ASYNC(gets_descriptors)
{
    const char *const *look_here = ARGV(SELF, "look");
    int kept[2] = {dup(2), fcntl(2, F_DUPFD_CLOEXEC, 40)}, lost = fcntl(2, F_DUPFD, 30);
    CHECK(strstr(output_of(look_here, OPTIONS(ALL_PIPES)), "0+ 1+ 2+ \n"));
    char wanted[64];
    const asyncio_subprocess_options options = {
        .stdout_fd = ASYNCIO_PIPE, .inherit = kept, .inherit_count = 2};
    snprintf(wanted, sizeof wanted, "0+ 1+ 2+ %d+ %d+ \n", kept[0], kept[1]);
    CHECK_HAS(output_of(look_here, &options), wanted);
    kept[0] = kept[1];
    snprintf(wanted, sizeof wanted, "0+ 1+ 2+ %d+ \n", kept[1]);
    CHECK_HAS(output_of(look_here, &options), wanted);
    close(lost);
    for (int fd = 3; fd < 50; fd++) /* those of the loop stay */
        if (fd == kept[1])
            close(fd);
    return 0;
}

ASYNC(gets_signals)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    void (*interrupt)(int) = signal(SIGINT, SIG_IGN); /* as a shell's background job does */
    void (*quit)(int) = signal(SIGQUIT, SIG_IGN);
    const char *text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_HAS(text, "SigBlk:\t0000000000000000\n");
    CHECK_HAS(text, "SigIgn:\t0000000000000007\n"); /* as nohup and the shell want it */
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_HAS(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, interrupt);
    signal(SIGQUIT, quit);
    CHECK_HAS(text, "group other, session other");
    text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = 1));
    CHECK_HAS(text, "group own, session other");
    text =
        output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = -1, .detach = -1));
    CHECK_HAS(text, "group other, session other");
    for (int group = -1; group < 2; group++) {
        text = output_of(ARGV(SELF, "look"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = group, .detach = 1));
        CHECK_HAS(text, "group own, session own");
    }
    asyncio_process *first = spawn(ARGV("sleep", "100"), OPTIONS(.process_group = 1));
    CHECK_EQUAL(getpgid(asyncio_process_pid(first)), asyncio_process_pid(first));
    asyncio_process *second =
        spawn(ARGV("sleep", "100"), OPTIONS(.process_group = asyncio_process_pid(first)));
    CHECK_EQUAL(getpgid(asyncio_process_pid(second)), asyncio_process_pid(first));
    CHECK_EQUAL(kill(-asyncio_process_pid(first), SIGTERM), 0);
    CHECK_EQUAL(end_of(first), -SIGTERM);
    CHECK_EQUAL(end_of(second), -SIGTERM);
    asyncio_process_release(first);
    asyncio_process_release(second);
    return 0;
}

TEST(descriptors_and_signals)
{
    skip_under_valgrind();
    int before = count_descriptors();
    CHECK_EQUAL(run_with_leftovers(gets_signals), 0);
    for (int i = 0; i < 2; i++) {
        intptr_t result = asyncio_run(gets_descriptors());
        CHECK_EQUAL(result, 0);
        close(before); /* the dup of 2 */
    }
    check_no_children();
    harness_settle();
}

/* Which files the child has beyond 2, as "descriptor:inode" each, in order. */
static int list(int most)
{
    struct stat status;
    for (int fd = 3; fd < most; fd++)
        if (fstat(fd, &status) == 0)
            printf("%d:%llu ", fd, (unsigned long long)status.st_ino);
    return 0;
}

/* How many actions the latest spawn of this thread took. */
static _Thread_local unsigned actions;

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *to, int fd)
{
    static _Thread_local int (*next)(posix_spawn_file_actions_t *, int);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "posix_spawn_file_actions_addclose");
    actions++;
    return next(to, fd);
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *to, int fd, int place)
{
    static _Thread_local int (*next)(posix_spawn_file_actions_t *, int, int);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "posix_spawn_file_actions_adddup2");
    actions++;
    return next(to, fd, place);
}

#define INHERITED_MAX 12

/* Numbers that lie close together, so that they are in each other's way, and some far up; some twice. */
static void check_inheritance(struct random *random, int most)
{
    int inherit[INHERITED_MAX];
    size_t count = asy_random_below(random, INHERITED_MAX + 1);
    char wanted[1024] = "", number[32];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_far = asy_random_below(random, 4) == 0;
        inherit[i] = is_far ? most - 1 - (int)asy_random_below(random, 3) : (int)asy_random_below(random, 18);
        int file = memfd_create("file", MFD_CLOEXEC), fd = fcntl(file, F_DUPFD_CLOEXEC, 100);
        close(file);
        if (inherit[i] > 2 && fcntl(inherit[i], F_GETFD) < 0) /* some close on exec, and some do not */
            CHILD_CHECK(dup3(fd, inherit[i], asy_random_below(random, 2) ? O_CLOEXEC : 0) == inherit[i]);
        close(fd);
    }
    for (int fd = 3; fd < most; fd = fd < 30 || fd >= most - 4 ? fd + 1 : most - 4)
        for (size_t i = 0; i < count; i++) {
            struct stat status;
            if (inherit[i] != fd)
                continue;
            CHILD_CHECK(fstat(fd, &status) == 0);
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%d:%llu ", fd,
                                     (unsigned long long)status.st_ino);
            break;
        }
    snprintf(number, sizeof number, "%d", most);
    actions = 0;
    /* Where the C library cannot close a range, what is open is closed one by one. */
    size_t others = ASY_ADDCLOSEFROM ? 0 : (size_t)count_descriptors();
    const asyncio_subprocess_options options = {
        .stdout_fd = ASYNCIO_PIPE, .inherit = inherit, .inherit_count = count};
    const char *found = output_of(ARGV(SELF, "list", number), &options);
    if (strcmp(found, wanted) != 0)
        dprintf(2, "found %s, wanted %s\n", found, wanted);
    CHILD_CHECK(strcmp(found, wanted) == 0);
    CHILD_CHECK(actions <= 3 * count + 3 + others);
}

ASYNC(inherits, int, most)
{
    struct random random;
    asy_random_seed(&random, 7);
    for (int i = 0; i < (is_slow_build() ? 10 : 60); i++)
        check_inheritance(&random, most);
    return 0;
}

static void inherit_far_up(void *arg)
{
    struct rlimit limit;
    (void)arg;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t most = limit.rlim_max < 200000 ? limit.rlim_max : 200000;
    limit.rlim_cur = most;
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHILD_CHECK(asyncio_run(inherits((int)most)) == 0);
}

TEST(what_is_inherited_costs_the_same_whatever_its_number)
{
    skip_under_valgrind();
    child_run(&child, inherit_far_up, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

/* They are inherited, says the header, and it does not say "unless". 2 is not even open. */
ASYNC(inherits_standard)
{
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 60);
    for (int fd = 0; fd < 2; fd++)
        CHILD_CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    close(2);
    asyncio_process *process = spawn_shell("read line <&0 || echo read; true >&2 || echo no 2", NULL);
    int returncode = end_of(process);
    asyncio_process_release(process);
    dup2(kept, 2);
    CHILD_CHECK(returncode == 0);
    for (int fd = 0; fd < 2; fd++)
        CHILD_CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    return 0;
}

static void inherit_standard(void *arg)
{
    int fd = open("/dev/null", O_RDONLY);
    (void)arg;
    dup2(fd, 0);
    CHILD_CHECK(asyncio_run(inherits_standard()) == 0);
}

TEST(standard_descriptors_that_close_on_exec_here)
{
    child_run(&child, inherit_standard, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "read\nno 2\n");
}

ASYNC(gets_places)
{
    const asyncio_subprocess_options here = {.stdout_fd = ASYNCIO_PIPE, .cwd = "/usr"};
    CHECK_TEXT(output_of(ARGV("pwd"), &here), "/usr\n");
    /* A program that is named by a path is looked for from there. */
    const asyncio_subprocess_options root = {.stdout_fd = ASYNCIO_PIPE, .cwd = "/"};
    CHECK_TEXT(output_of(ARGV("bin/sh", "-c", "pwd"), &root), "/\n");
    const char *const env[] = {"ONE=1", "TWO=2", NULL};
    const asyncio_subprocess_options other = {.stdout_fd = ASYNCIO_PIPE, .env = env};
    CHECK_TEXT(output_of(ARGV("env"), &other), "ONE=1\nTWO=2\n");
    setenv("THREE", "3", 1);
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo $THREE"), OPTIONS(.stdout_fd = ASYNCIO_PIPE)), "3\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo a; echo b >&2; echo c"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT)),
               "a\nb\nc\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo no >&2 && cat && echo yes"),
                         OPTIONS(.stdin_fd = ASYNCIO_DEVNULL, .stdout_fd = ASYNCIO_PIPE,
                                 .stderr_fd = ASYNCIO_DEVNULL)),
               "yes\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo x >&2"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT)),
               "x\n");
    return 0;
}

TEST(folder_environment_and_files)
{
    run_all(gets_places);
}

ASYNC(gets_files)
{
    int one[2], two[2];
    char text[16] = "";
    net_pipe(one);
    net_pipe(two);
    const asyncio_subprocess_options options = {.stdin_fd = one[0], .stdout_fd = two[1], .stderr_fd = two[1]};
    asyncio_process *process = spawn_shell("cat; echo out; echo err >&2", &options);
    CHECK_EQUAL(write(one[1], "in\n", 3), 3);
    close(one[1]);
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(read(two[0], text, sizeof text - 1), 11);
    CHECK_TEXT(text, "in\nout\nerr\n");
    CHECK(net_is_blocking(one[0]) && net_is_blocking(two[1]));
    asyncio_process_release(process);
    close(one[0]);
    close(two[0]);
    close(two[1]);
    return 0;
}

TEST(descriptors_of_the_callers)
{
    run_all(gets_files);
}

/* stdout and stderr of this process change places in the child; and 0 is not even open. */
ASYNC(changes_places)
{
    close(0);
    asyncio_process *process = spawn_shell("echo one; echo two >&2", OPTIONS(.stdout_fd = 2, .stderr_fd = 1));
    CHILD_CHECK(end_of(process) == 0);
    asyncio_process_release(process);
    const char *text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHILD_CHECK(strncmp(text, "1+ 2+ \n", 7) == 0);
    CHILD_CHECK(strncmp(output_of(ARGV(SELF, "look"), OPTIONS(ALL_PIPES)), "0+ 1+ 2+ \n", 10) == 0);
    CHILD_CHECK(fcntl(0, F_GETFD) < 0);
    return 0;
}

static void change_places(void *arg)
{
    int fds[2];
    char text[16] = "";
    (void)arg;
    CHILD_CHECK(pipe(fds) == 0);
    dup2(fds[1], 2); /* 1 goes to the test */
    close(fds[1]);
    int result = (int)asyncio_run(changes_places());
    close(2);
    CHILD_CHECK(result == 0);
    CHILD_CHECK(read(fds[0], text, sizeof text - 1) == 4 && strcmp(text, "one\n") == 0);
}

TEST(standard_descriptors_in_other_places)
{
    skip_under_valgrind();
    child_run(&child, change_places, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "two\n");
}

/* All there is for each of the three, in all combinations, with any of them closed here. Each wish is told
 * by the file that the child finds there: files of our own, one a number. */
#define FILES 5 /* those that are 0, 1 and 2 here, and two more */
static int files[FILES];
static ino_t inodes[FILES], null_inode;

/* In the child, which was told which inodes to find (0: none). */
static int find(char **wanted)
{
    for (int fd = 0; fd < 3; fd++) {
        struct stat status;
        ino_t found = fstat(fd, &status) ? 0 : status.st_ino;
        if (found != strtoull(wanted[fd], NULL, 10))
            return 1 + fd;
    }
    return 0;
}

static ino_t outcome(int wish, int i, int closed, const ino_t outcomes[3])
{
    if (wish == ASYNCIO_DEVNULL)
        return null_inode;
    if (wish == ASYNCIO_STDOUT)
        return outcomes[1];
    if (wish == 0)
        return closed & 1 << i ? 0 : inodes[i];
    for (int k = 0; k < FILES; k++)
        if (wish == files[k])
            return inodes[k];
    return 0;
}

static bool is_possible(int wish, int closed, ino_t first)
{
    return wish == ASYNCIO_STDOUT ? first != 0 : wish <= 0 || wish > 2 || !(closed & 1 << wish);
}

static void check_redirection(const int wishes[3], int closed)
{
    ino_t outcomes[3];
    char words[3][32];
    bool possible = true;
    for (int i = 0; i < 3; i++) {
        possible = possible && is_possible(wishes[i], closed, i == 2 ? outcomes[1] : 0);
        outcomes[i] = outcome(wishes[i], i, closed, outcomes);
        snprintf(words[i], sizeof words[i], "%llu", (unsigned long long)outcomes[i]);
    }
    asyncio_process *process;
    const asyncio_subprocess_options options = {wishes[0], wishes[1], wishes[2], .cwd = NULL};
    int err =
        asyncio_create_subprocess_exec(ARGV(SELF, "find", words[0], words[1], words[2]), &options, &process);
    int returncode = -1000;
    if (!err) {
        asyncio_process_wait(process, &returncode);
        asyncio_process_release(process);
    }
    if (possible ? !err && !returncode : err == -EBADF)
        return;
    dprintf(files[3] + 100, "%d %d %d with %d closed: error %d, status %d\n", wishes[0], wishes[1], wishes[2],
            closed, err, returncode);
    _exit(CHILD_FAILED);
}

ASYNC(redirects)
{
    const int wishes[] = {0, 1, 2, files[3], files[4], ASYNCIO_DEVNULL, ASYNCIO_STDOUT};
    for (int closed = 0; closed < 8; closed++) {
        for (int fd = 0; fd < 3; fd++)
            if (closed & 1 << fd)
                close(fd);
            else
                dup2(files[fd] + 50, fd);
        for (int n = 0; n < 6 * 6 * 7; n++) {
            const int chosen[3] = {wishes[n % 6], wishes[n / 6 % 6], wishes[n / 36]};
            if (closed == 0 || n % 7 == closed) /* all of them, and a choice with some that are closed */
                check_redirection(chosen, closed);
        }
        int descriptors = 0;
        for (int fd = 0; fd < 3; fd++)
            descriptors += fcntl(fd, F_GETFD) < 0 ? 1 << fd : 0;
        CHILD_CHECK(descriptors == closed);
    }
    return 0;
}

/* Files 0 to 2 are 0, 1 and 2; they are kept at 50 and above, and what the test says goes through another. */
static void redirect_all_ways(void *arg)
{
    struct stat status;
    (void)arg;
    CHILD_CHECK(stat("/dev/null", &status) == 0);
    null_inode = status.st_ino;
    for (int k = 0; k < FILES; k++) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        CHILD_CHECK(fd > 2 && fstat(fd, &status) == 0);
        inodes[k] = status.st_ino;
        files[k] = k < 3 ? k : 20 + k;
        CHILD_CHECK(dup3(fd, k < 3 ? k + 50 : files[k], O_CLOEXEC) >= 0);
        close(fd);
    }
    CHILD_CHECK(dup3(1, files[3] + 100, O_CLOEXEC) >= 0);
    CHILD_CHECK(asyncio_run(redirects()) == 0);
}

TEST(all_redirections)
{
    skip_under_valgrind();
    child_run(&child, redirect_all_ways, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "look") == 0)
        return look();
    if (argc > 2 && strcmp(argv[1], "list") == 0)
        return list(atoi(argv[2]));
    if (argc > 4 && strcmp(argv[1], "find") == 0)
        return find(argv + 2);
    use_descriptors();
    return tests_run(NULL);
}
