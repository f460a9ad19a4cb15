/*
 * Names: numbers at once, the rest in threads of their own, a bounded number of
 * them; what is cancelled, left over and refused. The resolver is the test's.
 */
#include "asyncio.h"
#include "base/sanitizer.h"
#include "net/resolver.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "support/resolver.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 8   /* as names.c has it, */
#define GIVEN_UP_MAX 64 /* and beside them */

static const struct resolver_name names[] = {
    {.name = "plain.test", .addresses = {"192.0.2.1", "2001:db8::1", "192.0.2.2"}},
    {.name = "slow.test", .addresses = {"192.0.2.3"}, .is_slow = true},
    {.name = "none.test", .code = EAI_NONAME},
    {.name = "again.test", .code = EAI_AGAIN},
    {.name = "fail.test", .code = EAI_FAIL},
    {.name = "nodata.test", .code = EAI_NODATA},
    {.name = "memory.test", .code = EAI_MEMORY},
    {.name = "system.test", .code = EAI_SYSTEM, .error = EMFILE},
    {.name = "quiet.test", .code = EAI_SYSTEM},
    {.name = "odd.test", .code = -12345},
};

static int look_up(const char *host, struct addrinfo **result)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    return asyncio_getaddrinfo(host, "80", &hints, result);
}

/* Looks up, and checks the first address. */
ASYNC(look_up_later, const char *, host, const char *, first)
{
    struct addrinfo *result = NULL;
    char text[64] = "";
    int err = look_up(host, &result);
    if (err) {
        CHECK(!result);
        return err;
    }
    CHECK_EQUAL(getnameinfo(result->ai_addr, result->ai_addrlen, text, sizeof text, NULL, 0,
                            NI_NUMERICHOST | NI_NUMERICSERV),
                0);
    CHECK_TEXT(text, first);
    freeaddrinfo(result);
    return 0;
}

/* Gives up after so many seconds. */
ASYNC(look_up_for, double, seconds)
{
    return asyncio_wait_for(look_up_later("slow.test", "192.0.2.3"), seconds);
}

static void wait_until_running(unsigned count)
{
    while (resolver_running() != count)
        asyncio_sleep(0.0005);
}

/* ---- Numbers ---------------------------------------------------------------------- */

ASYNC(note_that_it_ran, bool *, ran)
{
    *ran = true;
    return 0;
}

ASYNC_TEST(numbers)
{
    bool ran = false;
    unsigned calls = resolver_calls();
    asyncio_task *other = asyncio_create_task(note_that_it_ran(&ran));
    struct addrinfo *result;
    const struct addrinfo passive = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    CHECK_EQUAL(asyncio_await(look_up_later("127.0.0.1", "127.0.0.1")), 0);
    CHECK_EQUAL(asyncio_await(look_up_later("2001:db8::7", "2001:db8::7")), 0);
    CHECK_EQUAL(asyncio_getaddrinfo(NULL, "443", &passive, &result), 0);
    freeaddrinfo(result);
    CHECK_EQUAL(asyncio_getaddrinfo("::1", NULL, NULL, &result), 0);
    CHECK_EQUAL(result->ai_family, AF_INET6);
    freeaddrinfo(result);
    CHECK_EQUAL(resolver_calls(), calls);
    CHECK(!ran); /* none of it waited */
    return asyncio_await(other);
}

/* ---- Names -------------------------------------------------------------------------- */

ASYNC_TEST(found)
{
    struct addrinfo *result;
    CHECK_EQUAL(look_up("plain.test", &result), 0);
    CHECK(!pthread_equal(resolver.thread, pthread_self()));
    int count = 0;
    for (const struct addrinfo *at = result; at; at = at->ai_next, count++) {
        CHECK_EQUAL(at->ai_family, count == 1 ? AF_INET6 : AF_INET);
        CHECK_EQUAL(at->ai_socktype, SOCK_STREAM);
    }
    CHECK_EQUAL(count, 3);
    freeaddrinfo(result);
    return 0;
}

ASYNC_TEST(services)
{
    struct addrinfo *result;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getservbyname("http", "tcp")) {
        CHECK_EQUAL(asyncio_getaddrinfo("127.0.0.1", "http", &hints, &result), 0);
        CHECK_EQUAL(((struct sockaddr_in *)(void *)result->ai_addr)->sin_port, htons(80));
        freeaddrinfo(result);
        CHECK_EQUAL(asyncio_getaddrinfo(NULL, "http", &hints, &result), 0);
        freeaddrinfo(result);
    }
    CHECK_EQUAL(asyncio_getaddrinfo("127.0.0.1", "no-such-service", &hints, &result), ASYNCIO_EGAI_SERVICE);
    CHECK_HAS(asyncio_error_message(), "look up 127.0.0.1: ");
    return 0;
}

ASYNC_TEST(errors)
{
    struct addrinfo *result = NULL;
    const struct {
        const char *name;
        int err;
    } cases[] = {
        {"none.test", ASYNCIO_EGAI_NONAME},   {"again.test", ASYNCIO_EGAI_AGAIN},
        {"fail.test", ASYNCIO_EGAI_FAIL},     {"nodata.test", ASYNCIO_EGAI_NODATA},
        {"memory.test", ASYNCIO_EGAI_MEMORY}, {"system.test", -EMFILE},
        {"quiet.test", ASYNCIO_EGAI_SYSTEM},  {"odd.test", ASYNCIO_EGAI_SYSTEM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = ENOTTY;
        CHECK_EQUAL(look_up(cases[i].name, &result), cases[i].err);
        CHECK_EQUAL(errno, ENOTTY);
        CHECK_HAS(asyncio_error_message(), "look up ");
        CHECK_HAS(asyncio_error_message(), cases[i].name);
    }
    CHECK_EQUAL(look_up("none.test", &result), ASYNCIO_EGAI_NONAME);
    CHECK_TEXT(asyncio_error_message(), "look up none.test: name or service not known");
    const struct addrinfo strange = {.ai_family = 99}, flags = {.ai_flags = 1 << 30};
    CHECK_EQUAL(asyncio_getaddrinfo("plain.test", NULL, &strange, &result), ASYNCIO_EGAI_FAMILY);
    CHECK_EQUAL(asyncio_getaddrinfo(NULL, "80", &flags, &result), ASYNCIO_EGAI_BADFLAGS);
    CHECK_EQUAL(asyncio_getaddrinfo(NULL, NULL, NULL, &result), -EINVAL);
    CHECK_EQUAL(asyncio_getaddrinfo("plain.test", NULL, NULL, NULL), -EINVAL);
    static const char *const no_ports[] = {"65536", "99999", "-1", "4294967376", "99999999999999999999"};
    for (size_t i = 0; i < sizeof no_ports / sizeof *no_ports; i++) {
        char words[128];
        snprintf(words, sizeof words, "look up 127.0.0.1, port %s: a port is a number from 0 to 65535",
                 no_ports[i]);
        CHECK_EQUAL(asyncio_getaddrinfo("127.0.0.1", no_ports[i], NULL, &result), ASYNCIO_EGAI_SERVICE);
        CHECK_TEXT(asyncio_error_message(), words);
    }
    CHECK(!result);
    return 0;
}

/* ---- Threads ------------------------------------------------------------------------ */

ASYNC_TEST(many)
{
    enum { MANY = 100 };
    asyncio_task *tasks[MANY];
    resolver.most = 0;
    for (int i = 0; i < MANY; i++)
        tasks[i] = asyncio_create_task(i % 2 ? look_up_later("slow.test", "192.0.2.3")
                                             : look_up_later("plain.test", "192.0.2.1"));
    wait_until_running(THREADS_MAX);
    /* A number does not stand in line. */
    CHECK_EQUAL(asyncio_await(look_up_later("127.0.0.1", "127.0.0.1")), 0);
    resolver_set_gate(true);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
    CHECK_EQUAL(resolver.most, THREADS_MAX);
    resolver_set_gate(false);
    return 0;
}

static sem_t semaphore;

static intptr_t block(void *arg)
{
    (void)arg;
    while (sem_wait(&semaphore) && errno == EINTR)
        ;
    return 0;
}

ASYNC(block_a_thread)
{
    return asyncio_to_thread(block, NULL);
}

/* All threads for other work are taken: names have their own. */
ASYNC_TEST(beside_other_work)
{
    enum { BLOCKED = 80 };
    asyncio_task *tasks[BLOCKED];
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < BLOCKED; i++)
        tasks[i] = asyncio_create_task(block_a_thread());
    asyncio_sleep(0.01);
    CHECK_EQUAL(asyncio_wait_for(look_up_later("plain.test", "192.0.2.1"), 10), 0);
    for (int i = 0; i < BLOCKED; i++)
        sem_post(&semaphore);
    for (int i = 0; i < BLOCKED; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
    sem_destroy(&semaphore);
    return 0;
}

/* ---- Cancelled, left over -------------------------------------------------------------- */

/* Nothing of what runs elsewhere is left. */
static void wait_for_idle(const struct ledger *before)
{
    for (int i = 0; i < 30000 && (resolver_running() || ledger_now().allocations != before->allocations); i++)
        usleep(1000);
    CHECK_EQUAL(resolver_running(), 0);
    CHECK_EQUAL(ledger_now().allocations, before->allocations);
}

ASYNC_TEST(cancelled)
{
    asyncio_task *task = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(1);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED); /* though the thread is where it was */
    CHECK_EQUAL(resolver_running(), 1);
    CHECK_EQUAL(asyncio_wait_for(look_up_later("slow.test", "192.0.2.3"), 0.005), -ETIMEDOUT);
    resolver_set_gate(true);
    wait_until_running(0);
    resolver_set_gate(false);
    return 0; /* the answers are freed on the way: the run looks */
}

/* Begins as many look-ups as go at a time, and gives all of them up. */
static void give_up_a_batch(unsigned running)
{
    asyncio_task *tasks[THREADS_MAX];
    for (int i = 0; i < THREADS_MAX; i++)
        tasks[i] = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(running + THREADS_MAX);
    for (int i = 0; i < THREADS_MAX; i++)
        asyncio_cancel(tasks[i]);
    for (int i = 0; i < THREADS_MAX; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -ECANCELED);
}

/* They hold up no others. */
ASYNC_TEST(given_up)
{
    for (unsigned i = 0; i < 3; i++) {
        give_up_a_batch(i * THREADS_MAX);
        CHECK_EQUAL(asyncio_await(look_up_later("plain.test", "192.0.2.1")), 0);
    }
    CHECK_EQUAL(resolver_running(), 3 * THREADS_MAX);
    resolver_set_gate(true);
    wait_until_running(0);
    resolver_set_gate(false);
    return 0;
}

/* What was queued behind them begins when they are given up. */
ASYNC_TEST(queued_behind)
{
    asyncio_task *tasks[THREADS_MAX];
    for (int i = 0; i < THREADS_MAX; i++)
        tasks[i] = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(THREADS_MAX);
    asyncio_task *queued = asyncio_create_task(look_up_later("plain.test", "192.0.2.1"));
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(queued));
    asyncio_cancel(tasks[0]);
    CHECK_EQUAL(asyncio_await(queued), 0);
    CHECK_EQUAL(resolver_running(), THREADS_MAX);
    resolver_set_gate(true);
    CHECK_EQUAL(asyncio_await(tasks[0]), -ECANCELED);
    for (int i = 1; i < THREADS_MAX; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
    wait_until_running(0);
    resolver_set_gate(false);
    return 0;
}

static int count_threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* There is a limit for these, too. Beyond it look-ups wait, cost no thread, and are taken back. When the old
 * ones are over, so are the threads that they had. */
ASYNC_TEST(a_thousand_given_up)
{
    static asyncio_task *tasks[1000];
    int threads = count_threads();
    for (unsigned i = 0; i < GIVEN_UP_MAX / THREADS_MAX + 1; i++)
        give_up_a_batch(i * THREADS_MAX);
    asyncio_task *queued = asyncio_create_task(look_up_later("plain.test", "192.0.2.1"));
    for (int i = 0; i < 1000; i++)
        tasks[i] = asyncio_create_task(look_up_for(0.001));
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -ETIMEDOUT);
    CHECK_EQUAL(resolver_running(), GIVEN_UP_MAX + THREADS_MAX);
    CHECK(!asyncio_done(queued));
    resolver_set_gate(true);
    CHECK_EQUAL(asyncio_await(queued), 0);
    wait_until_running(0);
    resolver_set_gate(false);
    while (count_threads() > threads + THREADS_MAX)
        asyncio_sleep(0.001);
    return 0;
}

/* Those that are queued only are never looked up. */
ASYNC_TEST(cancelled_in_queue)
{
    enum { EXTRA = 5 };
    asyncio_task *running[THREADS_MAX], *queued[EXTRA];
    for (int i = 0; i < THREADS_MAX; i++)
        running[i] = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(THREADS_MAX);
    for (int i = 0; i < EXTRA; i++)
        queued[i] = asyncio_create_task(look_up_later("plain.test", "192.0.2.1"));
    asyncio_sleep(0.002);
    unsigned calls = resolver_calls();
    for (int i = 0; i < EXTRA; i++)
        asyncio_cancel(queued[i]);
    for (int i = 0; i < EXTRA; i++)
        CHECK_EQUAL(asyncio_await(queued[i]), -ECANCELED);
    resolver_set_gate(true);
    for (int i = 0; i < THREADS_MAX; i++)
        CHECK_EQUAL(asyncio_await(running[i]), 0);
    CHECK_EQUAL(resolver_calls(), calls);
    resolver_set_gate(false);
    return 0;
}

/* A request before the call: nothing is begun. */
ASYNC(look_up_twice)
{
    asyncio_cancel(asyncio_current_task());
    struct addrinfo *result = NULL;
    CHECK_EQUAL(look_up("plain.test", &result), -ECANCELED);
    return look_up("none.test", &result);
}

ASYNC_TEST(cancelled_before)
{
    return asyncio_await(asyncio_create_task(look_up_twice())) == ASYNCIO_EGAI_NONAME ? 0 : -EPROTO;
}

ASYNC(leave_a_lookup)
{
    asyncio_release(asyncio_create_task(look_up_later("slow.test", "192.0.2.3")));
    wait_until_running(1);
    return 0;
}

/* The run is over, and its loop closed, while the thread looks up. */
TEST(loop_closed)
{
    struct ledger before = ledger_now();
    CHECK_EQUAL(asyncio_run(leave_a_lookup()), 0);
    CHECK_EQUAL(resolver_running(), 1);
    resolver_set_gate(true);
    wait_for_idle(&before);
    resolver_set_gate(false);
    CHECK(ledger_is(&before));
    harness_settle();
}

/* The same, abandoned: the loop closes over a task that still waits. */
TEST(loop_abandoned)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_release(asyncio_loop_create_task(loop, look_up_later("slow.test", "192.0.2.3")));
    struct ledger before = ledger_now();
    for (int i = 0; i < 5; i++) {
        asyncio_loop_call_soon(loop, (void (*)(void *))asyncio_loop_stop, loop);
        asyncio_loop_run_forever(loop);
    }
    while (!resolver_running())
        usleep(500);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    resolver_set_gate(true);
    for (int i = 0; i < 30000 && (resolver_running() || ledger_now().allocations > before.allocations); i++)
        usleep(1000);
    resolver_set_gate(false);
    CHECK_EQUAL(report_count, 1); /* a task that was pending */
    CHECK(ledger_now().allocations <= before.allocations);
    harness_settle();
}

/* A child process has no threads but its own. */
ASYNC(main_child)
{
    return asyncio_await(look_up_later("plain.test", "192.0.2.1"));
}

TEST(forked)
{
    if (ASY_TSAN) {
        print_message("skipped: this checker allows no threads in such a child\n");
        skip();
    }
    CHECK_EQUAL(asyncio_run(main_child()), 0); /* a thread is there, and idle */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(asyncio_run(main_child()) == 0 ? 0 : 1);
    int status = -1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    harness_settle();
}

/* A child finds no lock of the C library's held by a look-up: the fork waits for it. */
static sem_t fork_begins;
static bool is_watched;

static void tell_of_fork(void)
{
    if (is_watched)
        sem_post(&fork_begins);
}

static void *open_gate(void *arg)
{
    (void)arg;
    while (sem_wait(&fork_begins) && errno == EINTR)
        ;
    usleep(20000); /* for the fork, which would be over by then */
    resolver_set_gate(true);
    return NULL;
}

/* How many look-ups a child is born with, that nobody makes there. */
static int count_in_child(void)
{
    int status = -1;
    is_watched = true;
    pid_t child = fork();
    if (child == 0)
        _exit((int)resolver.running);
    is_watched = false;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status == 0 ? 0 : WEXITSTATUS(status);
}

ASYNC(main_fork_waits)
{
    pthread_t thread;
    asyncio_task *task = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(1);
    CHECK_EQUAL(pthread_create(&thread, NULL, open_gate, NULL), 0);
    CHECK_EQUAL(count_in_child(), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(asyncio_await(task), 0);
    resolver_set_gate(false);
    return 0;
}

TEST(fork_waits)
{
    sem_init(&fork_begins, 0, 0);
    assert_int_equal(pthread_atfork(tell_of_fork, NULL, NULL), 0); /* after the library's: called before */
    int64_t before = atomic_exchange(&asy_resolver_fork_wait_ns, INT64_C(60000000000));
    CHECK_EQUAL(run(main_fork_waits), 0);
    asy_resolver_fork_wait_ns = before;
    sem_destroy(&fork_begins);
    harness_settle();
}

/* Not for ever: a name server may take its time. */
ASYNC_TEST(fork_goes_on)
{
    asyncio_task *task = asyncio_create_task(look_up_later("slow.test", "192.0.2.3"));
    wait_until_running(1);
    CHECK_EQUAL(count_in_child(), 1);
    resolver_set_gate(true);
    CHECK_EQUAL(asyncio_await(task), 0);
    resolver_set_gate(false);
    return 0;
}

/* ---- getnameinfo ------------------------------------------------------------------------ */

ASYNC_TEST(reverse)
{
    char host[64] = "", service[32] = "", little[4];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
    const struct sockaddr *generic = (const struct sockaddr *)&address;
    inet_pton(AF_INET, "192.0.2.77", &address.sin_addr);
    unsigned calls = resolver_calls();
    bool ran = false;
    asyncio_task *other = asyncio_create_task(note_that_it_ran(&ran));
    CHECK_EQUAL(asyncio_getnameinfo(generic, sizeof address, host, sizeof host, service, sizeof service,
                                    NI_NUMERICHOST | NI_NUMERICSERV),
                0);
    CHECK_TEXT(host, "192.0.2.77");
    CHECK_TEXT(service, "8080");
    CHECK_EQUAL(
        asyncio_getnameinfo(generic, sizeof address, NULL, 0, service, sizeof service, NI_NUMERICSERV), 0);
    CHECK_EQUAL(resolver_calls(), calls);
    CHECK(!ran); /* at once */
    CHECK_EQUAL(asyncio_await(other), 0);
    CHECK_EQUAL(asyncio_getnameinfo(generic, sizeof address, host, sizeof host, NULL, 0, 0), 0);
    CHECK_TEXT(host, "host-77.test");
    CHECK_EQUAL(resolver_calls(), calls + 1);
    CHECK(!pthread_equal(resolver.thread, pthread_self()));
    CHECK_EQUAL(asyncio_getnameinfo(generic, sizeof address, little, sizeof little, NULL, 0, 0),
                ASYNCIO_EGAI_OVERFLOW);
    CHECK_EQUAL(asyncio_getnameinfo(generic, sizeof address, host, sizeof host, NULL, 0, NI_NAMEREQD),
                ASYNCIO_EGAI_NONAME);
    CHECK_TEXT(asyncio_error_message(), "look up the name of an address: name or service not known");
    CHECK_EQUAL(asyncio_getnameinfo(NULL, 0, host, sizeof host, NULL, 0, 0), -EINVAL);
    CHECK_EQUAL(asyncio_getnameinfo(generic, 5000, host, sizeof host, NULL, 0, 0), -EINVAL);
    CHECK_EQUAL(asyncio_getnameinfo(generic, 1, host, sizeof host, NULL, 0, NI_NUMERICHOST),
                ASYNCIO_EGAI_FAMILY);
    return 0;
}

/* ---- Outside a task, and sweeps --------------------------------------------------------- */

TEST(outside_a_task)
{
    struct addrinfo *result;
    char host[8];
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_EQUAL(asyncio_getaddrinfo("127.0.0.1", NULL, NULL, &result), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, 8, NULL, 0, 0),
                ASYNCIO_ENOTASK);
    harness_settle();
}

ASYNC(main_failures)
{
    struct addrinfo *result = NULL;
    char host[64];
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, "192.0.2.77", &address.sin_addr);
    int err = look_up("plain.test", &result);
    if (!err)
        freeaddrinfo(result);
    int other =
        asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, NULL, 0, 0);
    return err ? err : other;
}

TEST(failures)
{
    sweep_failures(main_failures);
}

TEST(cancelled_anywhere)
{
    sweep_cancels(main_failures, NULL);
}

int main(void)
{
    resolver.names = names;
    resolver.count = sizeof names / sizeof *names;
    use_descriptors();
    return tests_run(NULL);
}
