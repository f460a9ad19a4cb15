/*
 * Child processes with a terminal of their own.
 */
#include "process/process.h"
#include "subprocess_test.h"
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define PTY(...) OPTIONS(.pty = 1, ##__VA_ARGS__)
#define SHELL(command) ARGV("sh", "-c", command)

static asyncio_stream *terminal_of(asyncio_process *process)
{
    return asyncio_process_stdin(process);
}

/* What the terminal shows next is this. */
static void await_text(asyncio_process *process, const char *text)
{
    char *line;
    ssize_t n = asyncio_stream_readline(terminal_of(process), &line);
    CHECK(n > 0);
    CHECK_TEXT(n > 0 ? line : "", text);
}

static const char *shown_by(const char *const *argv, const asyncio_subprocess_options *options,
                            const char *input)
{
    static char text[8192];
    asyncio_buffer out = {0};
    int status = -1;
    CHECK_EQUAL(asyncio_run_process(argv, options, input, strlen(input), &out, NULL, &status), 0);
    CHECK_EQUAL(status, 0);
    snprintf(text, sizeof text, "%s", out.data ? out.data : "");
    asyncio_buffer_destroy(&out);
    return text;
}

/* ---- A terminal ------------------------------------------------------------------------ */

ASYNC_TEST(a_shell_sees_its_terminal)
{
    CHECK_TEXT(shown_by(SHELL("test -t 0 && test -t 1 && test -t 2 && stty size && echo yes"), PTY(), ""),
               "0 0\r\nyes\r\n");
    CHECK_HAS(shown_by(ARGV("tty"), PTY(), ""), "/dev/pts/");
    CHECK_TEXT(shown_by(SHELL("echo out; echo err >&2; echo tty >/dev/tty"), PTY(), ""),
               "out\r\nerr\r\ntty\r\n"); /* it is the controlling one */
    CHECK_TEXT(
        shown_by(SHELL("set -- $(cat /proc/$$/stat); [ $6 = $1 ] && [ $8 = $1 ] && echo leads"), PTY(), ""),
        "leads\r\n");
    check_no_children();
    return 0;
}

ASYNC_TEST(one_stream_for_both_directions)
{
    asyncio_process *process = spawn(ARGV("sleep", "1000"), PTY());
    CHECK(terminal_of(process) != NULL);
    CHECK(terminal_of(process) == asyncio_process_stdout(process));
    CHECK(!asyncio_process_stderr(process));
    CHECK(fcntl(asyncio_stream_fd(terminal_of(process)), F_GETFD) & FD_CLOEXEC);
    CHECK_EQUAL(asyncio_stream_close(terminal_of(process)), 0);
    CHECK(!terminal_of(process) && !asyncio_process_stdout(process));
    CHECK_EQUAL(end_of(process), -SIGHUP);
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(no_other_child_has_it)
{
    asyncio_process *process = spawn(ARGV("sleep", "1000"), PTY());
    CHECK(!strstr(output_of(SHELL("ls -l /proc/self/fd"), OPTIONS(.stdout_fd = ASYNCIO_PIPE)), "ptmx"));
    CHECK(!strstr(shown_by(SHELL("ls -l /proc/self/fd"), PTY(), ""), "ptmx"));
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(a_window_that_changes)
{
    asyncio_process *process =
        spawn(SHELL("trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.02; done"), PTY());
    struct winsize size = {.ws_row = 50, .ws_col = 132};
    await_text(process, "ready\r\n");
    CHECK_EQUAL(ioctl(asyncio_stream_fd(terminal_of(process)), TIOCSWINSZ, &size), 0);
    await_text(process, "50 132\r\n");
    CHECK_EQUAL(end_of(process), 3);
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(control_c)
{
    asyncio_process *process = spawn(ARGV("sleep", "1000"), PTY());
    CHECK_EQUAL(asyncio_stream_write(terminal_of(process), "\3", 1), 0);
    CHECK_EQUAL(end_of(process), -SIGINT);
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(its_end_is_the_end_of_its_output)
{
    char byte;
    asyncio_process *process = spawn(ARGV("echo", "last words"), PTY());
    await_text(process, "last words\r\n");
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_stream_read(terminal_of(process), &byte, 1), 0);
    CHECK_EQUAL(end_of(process), 0);
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(stopped_with_its_session)
{
    asyncio_process *process =
        spawn(SHELL("trap '' TERM HUP; sleep 1000 & echo ready; wait; sleep 1000"), PTY());
    int status = 0;
    await_text(process, "ready\r\n");
    CHECK_EQUAL(asyncio_process_send_signal_group(process, 0), 0);
    CHECK_EQUAL(asyncio_process_stop(process, 0.05, &status), 0);
    CHECK_EQUAL(status, -SIGKILL);
    char byte;
    CHECK_EQUAL(asyncio_stream_read(terminal_of(process), &byte, 1), 0);
    asyncio_process_release(process);
    check_no_children();
    return 0;
}

/* ---- Input and output ----------------------------------------------------------------------- */

ASYNC_TEST(input_and_its_end)
{
    CHECK_TEXT(shown_by(SHELL("cat"), PTY(), "line\n"), "line\r\nline\r\n"); /* the first is the echo */
    CHECK_TEXT(shown_by(SHELL("cat; echo end"), PTY(), "amid"), "amidamidend\r\n");
    CHECK_TEXT(shown_by(SHELL("cat; echo end"), PTY(), ""), "end\r\n");
    return 0;
}

ASYNC_TEST(ten_megabytes)
{
    enum { BYTES = 10000000 };
    asyncio_buffer out = {0};
    CHECK_EQUAL(asyncio_run_process(SHELL("head -c 10000000 /dev/zero | tr '\\0' x"), PTY(), NULL, 0, &out,
                                    NULL, NULL),
                0);
    CHECK_EQUAL(out.length, BYTES);
    CHECK(out.data && out.data[0] == 'x' && memcmp(out.data, out.data + 1, out.length - 1) == 0);
    asyncio_buffer_destroy(&out);
    return 0;
}

ASYNC_TEST(much_input)
{
    enum { LINES = 4000, WIDTH = 80 };
    char *input = malloc(LINES * WIDTH + 1);
    memset(input, 'x', LINES * WIDTH);
    for (int i = 1; i <= LINES; i++)
        input[i * WIDTH - 1] = '\n';
    input[LINES * WIDTH] = '\0';
    asyncio_buffer out = {0};
    CHECK_EQUAL(asyncio_run_process(ARGV("wc", "-c"), PTY(), input, LINES * WIDTH, &out, NULL, NULL), 0);
    CHECK(out.length > 8 && strcmp(out.data + out.length - 8, "320000\r\n") == 0);
    asyncio_buffer_destroy(&out);
    CHECK_EQUAL(asyncio_run_process(ARGV("true"), PTY(), input, LINES * WIDTH, NULL, NULL, NULL), 0);
    free(input);
    return 0;
}

ASYNC_TEST(results_that_a_terminal_does_not_give)
{
    asyncio_buffer out, err;
    CHECK_EQUAL(asyncio_run_process(SHELL("echo why >&2"), PTY(), NULL, 0, &out, &err, NULL), 0);
    CHECK_TEXT(out.data, "why\r\n");
    CHECK_EQUAL(err.length, 0);
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    return 0;
}

/* ---- With other options ---------------------------------------------------------------------- */

ASYNC(owns_its_terminal)
{
    CHECK_TEXT(shown_by(SHELL("id -u; umask; echo hello > $(tty)"), PTY(.uid = 65534, .umask = 077), ""),
               "65534\r\n0077\r\nhello\r\n");
    return 0;
}

TEST(another_users_terminal_is_its_own)
{
    if (geteuid() != 0) {
        print_message("skipped: only root may become another user\n");
        skip();
    }
    run_all(owns_its_terminal);
}

static void check_refused(const asyncio_subprocess_options *options, const char *words)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(ARGV("true"), options, &process), -EINVAL);
    CHECK_HAS(asyncio_error_message(), words);
}

ASYNC_TEST(options_that_contradict)
{
    check_refused(PTY(.stdin_fd = ASYNCIO_PIPE), "stdin");
    check_refused(PTY(.stdout_fd = ASYNCIO_DEVNULL), "stdout");
    check_refused(PTY(.stderr_fd = ASYNCIO_STDOUT), "stderr");
    check_refused(PTY(.process_group = 5), "process_group");
    check_refused(OPTIONS(.pty = 2), "pty");
    CHECK_EQUAL(asyncio_run_process(ARGV("cat"), PTY(), NULL, 1, NULL, NULL, NULL), -EINVAL);
    CHECK_HAS(shown_by(SHELL("echo $0"), PTY(.process_group = 1, .detach = 1), ""), "sh");
    return 0;
}

/* ---- No terminal to be had ------------------------------------------------------------------- */

ASYNC(takes_the_last_one)
{
    asyncio_process *first = NULL, *second = NULL;
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("sleep", "1000"), PTY(), &first) == 0);
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), PTY(), &second) == -ENOSPC);
    CHILD_CHECK(strstr(asyncio_error_message(), "terminal") &&
                strstr(asyncio_error_message(), "kernel.pty.max"));
    asyncio_process_release(first);
    return 0;
}

ASYNC(finds_none)
{
    asyncio_process *process = NULL;
    CHILD_CHECK(asyncio_create_subprocess_exec(ARGV("true"), PTY(), &process) == -ENOENT);
    CHILD_CHECK(strstr(asyncio_error_message(), "/dev/ptmx"));
    return 0;
}

/* A leader of a session without a terminal gets none from its children's. */
ASYNC(gets_none_itself)
{
    shown_by(ARGV("true"), PTY(), "");
    CHILD_CHECK(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO);
    return 0;
}

#define NOT_HERE 77

static void run_where_terminals_are_few(void *arg)
{
    (void)arg;
    setsid();
    CHILD_CHECK(asyncio_run(gets_none_itself()) == 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,max=1") != 0)
        _exit(NOT_HERE);
    CHILD_CHECK(asyncio_run(takes_the_last_one()) == 0);
    if (mount("none", "/dev", "tmpfs", 0, NULL) != 0)
        _exit(NOT_HERE);
    CHILD_CHECK(asyncio_run(finds_none()) == 0);
}

TEST(no_terminal_is_left)
{
    struct child child;
    child_run(&child, run_where_terminals_are_few, NULL);
    if (child_exit(&child) == NOT_HERE) {
        print_message("skipped: no mounts of its own may be made here\n");
        skip();
    }
    assert_child_exit(&child, 0);
}

/* ---- Failures and cancels ---------------------------------------------------------------------- */

ASYNC(runs_at_a_terminal)
{
    asyncio_buffer out = {0};
    int err = asyncio_run_process(ARGV("cat"), PTY(), "text", 4, &out, NULL, NULL);
    asyncio_buffer_destroy(&out);
    check_no_children();
    return err;
}

TEST(each_failure_in_turn)
{
    sweep_failures(runs_at_a_terminal);
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(runs_at_a_terminal, NULL);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
