/*
 * A service manager's sockets and news: a hand-made environment, and systemd-socket-activate where it is
 * installed.
 */
#include "net/server_test.h"
#include <sys/wait.h>

/* ---- Sockets that were handed over ------------------------------------------------------- */

static void set_environment(const char *pid, const char *fds, const char *names)
{
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (pid)
        setenv("LISTEN_PID", strcmp(pid, "own") == 0 ? own : pid, 1);
    if (fds)
        setenv("LISTEN_FDS", fds, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

/* In a child, whose descriptors from 3 on are this test's: fn, after which its checks are settled. */
static void with_descriptors(int count, void (*fn)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_in address;
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        for (int i = 0; i < count; i++) {
            int fd = net_listen(&address, 5);
            CHECK_EQUAL(fd, 3 + i);
            fcntl(fd, F_SETFD, 0); /* as it is after an exec */
        }
        fn();
        _exit(harness_failures() != 0);
    }
    int status = -1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    harness_settle();
}

static void three_with_names(void)
{
    int fds[4] = {-1, -1, -1, -1};
    set_environment("own", "3", "web:admin:web");
    CHECK_EQUAL(asyncio_listen_fds(NULL, 0, NULL), 3);
    for (int fd = 3; fd < 6; fd++)
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, NULL), 3);
    CHECK(fds[0] == 3 && fds[1] == 4 && fds[2] == 5 && fds[3] == -1);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "web"), 2);
    CHECK(fds[0] == 3 && fds[1] == 5);
    CHECK_EQUAL(asyncio_listen_fds(fds, 1, "web"), 2); /* no more than there is room for */
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "admin"), 1);
    CHECK_EQUAL(fds[0], 4);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "we"), 0);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "webx"), 0);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, ""), 0);
    set_environment("own", "2", ":b"); /* an empty name is one */
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, ""), 1);
    set_environment("own", "2", NULL);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "unknown"), 2);
    CHECK_EQUAL(asyncio_listen_fds(fds, 4, "web"), 0);
}

TEST(named)
{
    with_descriptors(3, three_with_names);
}

static void not_for_us(void)
{
    int fd = -1;
    set_environment(NULL, NULL, NULL);
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), 0);
    set_environment(NULL, "1", NULL);
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), 0);
    set_environment("1", "1", NULL); /* such as a parent's, which was inherited */
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), 0);
    CHECK(!(fcntl(3, F_GETFD) & FD_CLOEXEC));
    set_environment("own", "0", NULL);
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), 0);
    CHECK_EQUAL(fd, -1);
}

TEST(of_others)
{
    with_descriptors(1, not_for_us);
}

static void nonsense(void)
{
    static const char *const bad[] = {"", "x", "-1", "1x", " 1", "99999999999999999999", "2147483647"};
    int fd = -1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        set_environment("own", bad[i], NULL);
        CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), -EINVAL);
        set_environment(bad[i], "1", NULL);
        CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), -EINVAL);
    }
    set_environment("own", "1", NULL);
    CHECK_EQUAL(asyncio_listen_fds(NULL, 1, NULL), -EINVAL);
    set_environment("own", "2", NULL);
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), -EBADF);
    set_environment("own", "1", "a:b");
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, "a"), 1);
    CHECK_EQUAL(fd, 3);
}

TEST(bad_environment)
{
    with_descriptors(1, nonsense);
}

static void too_few_names(void)
{
    int fd;
    set_environment("own", "2", "a");
    CHECK_EQUAL(asyncio_listen_fds(&fd, 1, NULL), -EINVAL);
}

TEST(names_missing)
{
    with_descriptors(2, too_few_names);
}

/* ---- A server on such a socket --------------------------------------------------------------- */

/* The service: serves one client on the descriptor that it was given. */
ASYNC(service)
{
    int fd, count = asyncio_listen_fds(&fd, 1, NULL);
    asyncio_server *server;
    if (count != 1)
        return -ENOENT;
    int err = asyncio_start_server_on(fd, echo_handler, NULL, NULL, &server);
    if (err)
        return err;
    forget_counts();
    while (!ended)
        asyncio_sleep(0.001);
    finish(server);
    return 0;
}

/* This program, started by systemd-socket-activate, is the service. */
static int be_service(void)
{
    return asyncio_run(service()) == 0 ? 0 : 1;
}

static int socket_at(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < 20000; i++) {
        int fd = net_tcp();
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        usleep(1000);
    }
    return -1;
}

TEST(socket_activation)
{
    struct sockaddr_in address;
    char port[32], program[512], echo[8] = "";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (access("/usr/bin/systemd-socket-activate", X_OK) != 0) {
        print_message("skipped: systemd-socket-activate is not installed\n");
        skip();
    }
    program[length] = '\0';
    close(net_listen(&address, 1)); /* a port that is free now */
    snprintf(port, sizeof port, "127.0.0.1:%d", ntohs(address.sin_port));
    pid_t child = fork();
    if (child == 0) {
        execl("/usr/bin/systemd-socket-activate", "systemd-socket-activate", "-l", port, program, "service",
              (char *)NULL);
        _exit(127);
    }
    int client = socket_at(ntohs(address.sin_port)), status = -1;
    CHECK(client >= 0);
    CHECK_EQUAL(send(client, "hello\n", 6, 0), 6);
    CHECK_EQUAL(recv(client, echo, sizeof echo, 0), 6);
    close(client);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    harness_settle();
}

/* ---- News ------------------------------------------------------------------------------------ */

/* A manager's socket at a path, or an abstract one. */
static int manager_at(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(asy_unix_address(path, &address, &length), 0);
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static void check_news(const char *path)
{
    static const char *const states[] = {"READY=1", "WATCHDOG=1", "MAINPID=4711\nSTATUS=up and about",
                                         "STOPPING=1"};
    char buf[64] = "";
    int manager = manager_at(path);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        CHECK_EQUAL(asyncio_notify(states[i]), 1);
        ssize_t n = recv(manager, buf, sizeof buf - 1, MSG_DONTWAIT);
        buf[n > 0 ? n : 0] = '\0';
        CHECK_TEXT(buf, states[i]);
    }
    close(manager);
    if (*path != '@')
        unlink(path);
}

TEST(notify)
{
    char path[64];
    int before = count_descriptors();
    unsetenv("NOTIFY_SOCKET");
    CHECK_EQUAL(asyncio_notify("READY=1"), 0);
    snprintf(path, sizeof path, "/tmp/asyncio-test-notify-%d", (int)getpid());
    check_news(path);
    snprintf(path, sizeof path, "@asyncio-test-notify-%d", (int)getpid());
    check_news(path);
    CHECK_EQUAL(count_descriptors(), before);
    harness_settle();
}

/* A manager that does not read is not waited for. */
TEST(notify_full)
{
    int manager = manager_at("@asyncio-test-notify-full"), sent = 0, last = 1;
    while (last == 1 && sent < 100000)
        sent += (last = asyncio_notify("WATCHDOG=1")) == 1;
    CHECK(sent > 0);
    CHECK_EQUAL(last, -EAGAIN);
    close(manager);
    CHECK_EQUAL(asyncio_notify("WATCHDOG=1"), -ECONNREFUSED);
    harness_settle();
}

ASYNC_TEST(notify_refused)
{
    char path[200] = "/";
    CHECK_EQUAL(asyncio_notify(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_notify(""), -EINVAL);
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    CHECK_EQUAL(asyncio_notify("READY=1"), -ENOENT);
    CHECK_HAS(asyncio_error_message(), "notify /nowhere/at/all: no such file");
    setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    CHECK_EQUAL(asyncio_notify("READY=1"), -EAFNOSUPPORT);
    setenv("NOTIFY_SOCKET", "", 1);
    CHECK_EQUAL(asyncio_notify("READY=1"), -EAFNOSUPPORT);
    memset(path + 1, 'x', sizeof path - 2);
    setenv("NOTIFY_SOCKET", path, 1);
    CHECK_EQUAL(asyncio_notify("READY=1"), -ENAMETOOLONG);
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

/* Without a loop, and with each call failing. */
ASYNC(main_news)
{
    int manager = manager_at("@asyncio-test-notify-sweep");
    int sent = asyncio_notify("READY=1");
    close(manager);
    unsetenv("NOTIFY_SOCKET");
    return sent == 1 ? 0 : sent;
}

TEST(sweep)
{
    sweep_failures(main_news);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "service") == 0)
        return be_service();
    use_descriptors();
    return tests_run(NULL);
}
