/*
 * Happy eyeballs, alone: a made-up network under the virtual clock, in which each
 * address takes the time and has the outcome that the test says.
 */
#include "asyncio.h"
#include "base/random.h"
#include "net/happy_eyeballs.h"
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- The network ---------------------------------------------------------------------- */

#define HOSTS_MAX 8
#define FD 100 /* host i answers by descriptor FD + i */

enum manner { PLAIN, STUBBORN, SLOW_TO_END };

struct host {
    int family;
    double takes_s;     /* ASYNCIO_FOREVER: a black hole */
    int err;            /* 0: it answers */
    enum manner manner; /* what it does when cancelled: gives up; answers in spite; takes 0.1 s to give up */
};

static struct {
    struct host hosts[HOSTS_MAX];
    struct addrinfo addresses[HOSTS_MAX];
    size_t count;
    int resolve_err;
    double resolve_s;
    /* what came of it */
    double start, began_s[HOSTS_MAX];
    size_t order[HOSTS_MAX], begun;
    bool is_open[HOSTS_MAX];
    unsigned opened, closed, cancelled, tasks_max, lists;
} net;

static int fake_resolve(void *arg, struct addrinfo **addresses)
{
    (void)arg;
    int err = net.resolve_s > 0 ? asyncio_sleep(net.resolve_s) : 0;
    if (err || net.resolve_err)
        return err ? err : net.resolve_err;
    *addresses = net.count ? net.addresses : NULL;
    net.lists++;
    return 0;
}

static void fake_release(void *arg, struct addrinfo *addresses)
{
    (void)arg;
    CHECK(addresses == (net.count ? net.addresses : NULL));
    net.lists--;
}

static int answer(size_t i)
{
    net.is_open[i] = true;
    net.opened++;
    return FD + (int)i;
}

static int fake_connect(void *arg, const struct addrinfo *address)
{
    (void)arg;
    size_t i = (size_t)(address - net.addresses);
    const struct host *host = &net.hosts[i];
    unsigned tasks = (unsigned)asyncio_all_tasks(NULL, 0);
    if (tasks > net.tasks_max)
        net.tasks_max = tasks;
    net.began_s[i] = asyncio_time() - net.start;
    net.order[net.begun++] = i;
    int err = host->takes_s > 0 ? asyncio_sleep(host->takes_s) : 0;
    if (err == -ECANCELED) {
        net.cancelled++;
        if (host->manner == SLOW_TO_END)
            ASYNCIO_SHIELD_SCOPE
            {
                asyncio_sleep(0.1);
            }
        if (host->manner == STUBBORN)
            return answer(i);
    }
    if (err || host->err)
        return err ? err : host->err;
    return answer(i);
}

static void fake_close(void *arg, int fd)
{
    (void)arg;
    size_t i = (size_t)(fd - FD);
    CHECK(i < net.count && net.is_open[i]);
    net.is_open[i] = false;
    net.closed++;
}

static size_t count_open(void)
{
    size_t open = 0;
    for (size_t i = 0; i < net.count; i++)
        open += net.is_open[i];
    return open;
}

/* A network of these hosts; nothing has happened yet. */
static void set_up(const struct host *hosts, size_t count)
{
    memset(&net, 0, sizeof net);
    net.count = count;
    if (count)
        memcpy(net.hosts, hosts, count * sizeof *hosts);
    for (size_t i = 0; i < count; i++) {
        net.addresses[i].ai_family = hosts[i].family;
        net.addresses[i].ai_next = i + 1 < count ? &net.addresses[i + 1] : NULL;
    }
}

/* Makes the call. Whatever it returns, nothing else is open afterwards, and no list of addresses. */
static int race(double delay_s, size_t *tried)
{
    const struct happy_eyeballs with = {fake_resolve, fake_release, fake_connect, fake_close, NULL, delay_s};
    size_t number;
    net.start = asyncio_time();
    int fd = asy_happy_eyeballs(&with, &number);
    CHECK_EQUAL(count_open(), fd >= 0);
    CHECK_EQUAL(net.opened - net.closed, fd >= 0);
    CHECK(fd < 0 || net.is_open[fd - FD]);
    CHECK_EQUAL(net.lists, 0);
    if (tried)
        *tried = number;
    return fd;
}

static bool is_time(double a_s, double b_s)
{
    return fabs(a_s - b_s) < 1e-6;
}

static double elapsed(void)
{
    return asyncio_time() - net.start;
}

#define SET_UP(...)                                                                                          \
    do {                                                                                                     \
        const struct host hosts_[] = {__VA_ARGS__};                                                          \
        set_up(hosts_, sizeof hosts_ / sizeof *hosts_);                                                      \
    } while (0)

/* ---- The order --------------------------------------------------------------------------- */

static void check_order(const char *families, const char *order)
{
    struct addrinfo addresses[16] = {{0}};
    const struct addrinfo *found[16];
    size_t count = strlen(families);
    for (size_t i = 0; i < count; i++) {
        addresses[i].ai_family = families[i];
        addresses[i].ai_next = i + 1 < count ? &addresses[i + 1] : NULL;
    }
    CHECK_EQUAL(asy_interleave(count ? addresses : NULL, found, 16), count);
    for (size_t i = 0; i < count; i++)
        CHECK_EQUAL(found[i] - addresses, order[i] - 'a');
    /* Less room: the same, as far as it goes. */
    found[2] = NULL;
    CHECK_EQUAL(asy_interleave(count ? addresses : NULL, found, 2), count);
    CHECK(count <= 2 || !found[2]);
}

TEST(interleaved)
{
    check_order("", "");
    check_order("6", "a");
    check_order("444", "abc");
    check_order("66644", "adbec");
    check_order("46464", "abcde");
    check_order("4466", "acbd");
    check_order("644446", "abfcde");
    check_order("6649", "acdb");
    harness_settle();
}

/* ---- Who is tried when ------------------------------------------------------------------- */

ASYNC_TEST(one)
{
    size_t tried;
    SET_UP({6, 1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), FD);
    CHECK_EQUAL(tried, 1);
    CHECK_EQUAL(net.tasks_max, 1); /* the caller's own */
    SET_UP({6, 1, -ECONNREFUSED, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), -ECONNREFUSED);
    CHECK_EQUAL(tried, 1);
    return 0;
}

ASYNC_TEST(delays)
{
    size_t tried;
    SET_UP({6, ASYNCIO_FOREVER, 0, PLAIN}, {6, ASYNCIO_FOREVER, 0, PLAIN}, {4, ASYNCIO_FOREVER, 0, PLAIN},
           {4, 0.1, 0, PLAIN}, {4, 0.1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), FD + 3);
    CHECK_EQUAL(tried, 4);
    CHECK_EQUAL(net.begun, 4);
    const size_t order[] = {0, 2, 1, 3};
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQUAL(net.order[i], order[i]);
        CHECK(is_time(net.began_s[order[i]], 0.25 * (double)i));
    }
    CHECK(is_time(elapsed(), 0.85));
    CHECK_EQUAL(net.cancelled, 3);
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 0); /* the race's own is taken back */
    CHECK_EQUAL(asyncio_sleep(0), 0);
    return 0;
}

/* The first answers before the delay is over: nobody else is asked. */
ASYNC_TEST(first_in_time)
{
    size_t tried;
    SET_UP({6, 0.2, 0, PLAIN}, {4, 0, 0, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), FD);
    CHECK_EQUAL(tried, 1);
    CHECK_EQUAL(net.begun, 1);
    CHECK(is_time(elapsed(), 0.2));
    SET_UP({6, 0, 0, PLAIN}, {4, 0, 0, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), FD);
    CHECK_EQUAL(net.begun, 1);
    CHECK(is_time(elapsed(), 0));
    return 0;
}

ASYNC_TEST(failure_starts_next)
{
    SET_UP({6, 0.05, -ENETUNREACH, PLAIN}, {4, 1, 0, PLAIN}, {6, 0.1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD + 2);
    CHECK(is_time(net.began_s[1], 0.05));
    CHECK(is_time(net.began_s[2], 0.30));
    CHECK(is_time(elapsed(), 0.40));
    /* All in no time. */
    SET_UP({6, 0, -ENETUNREACH, PLAIN}, {6, 0, -ENETUNREACH, PLAIN}, {4, 0, -ECONNREFUSED, PLAIN},
           {4, 0, 0, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD + 3);
    CHECK(is_time(elapsed(), 0));
    /* The failure of one that is not the newest changes nothing. */
    SET_UP({4, 0.3, -ECONNREFUSED, PLAIN}, {4, 2, 0, PLAIN}, {4, 0.1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD + 2);
    CHECK(is_time(net.began_s[2], 0.5));
    /* One that fails while nobody is left to try: the others go on. */
    SET_UP({4, 3, 0, PLAIN}, {4, 0.1, -ECONNREFUSED, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD);
    CHECK(is_time(elapsed(), 3));
    return 0;
}

ASYNC_TEST(no_delay)
{
    /* Below 0: one after the other, however long each takes. */
    SET_UP({6, 100, -ETIMEDOUT, PLAIN}, {4, 100, 0, PLAIN}, {4, 0, 0, PLAIN});
    CHECK_EQUAL(race(-1, NULL), FD + 1);
    CHECK(is_time(net.began_s[1], 100));
    CHECK_EQUAL(net.begun, 2);
    /* None at all: in turn, without a pause. */
    SET_UP({6, 1, 0, PLAIN}, {4, 0.5, 0, PLAIN}, {4, 2, 0, PLAIN});
    CHECK_EQUAL(race(0, NULL), FD + 1);
    CHECK(is_time(net.began_s[2], 0));
    CHECK(is_time(elapsed(), 0.5));
    return 0;
}

ASYNC_TEST(all_fail)
{
    size_t tried;
    SET_UP({6, 0.7, -EHOSTUNREACH, PLAIN}, {4, 0.1, -ECONNREFUSED, PLAIN}, {4, 0.1, -ENETUNREACH, PLAIN});
    CHECK_EQUAL(race(0.25, &tried), -EHOSTUNREACH); /* it was the last to fail */
    CHECK_EQUAL(tried, 3);
    CHECK(is_time(elapsed(), 0.7));
    set_up(NULL, 0);
    CHECK_EQUAL(race(0.25, &tried), ASYNCIO_EGAI_NONAME);
    CHECK_EQUAL(tried, 0);
    SET_UP({6, 0, 0, PLAIN});
    net.resolve_err = ASYNCIO_EGAI_AGAIN;
    CHECK_EQUAL(race(0.25, &tried), ASYNCIO_EGAI_AGAIN);
    CHECK_EQUAL(net.begun, 0);
    CHECK_EQUAL(tried, 0);
    return 0;
}

/* ---- Winners and losers --------------------------------------------------------------------- */

ASYNC_TEST(two_winners)
{
    /* At the same moment; the second in spite of its cancel; while the third is only beginning. */
    SET_UP({6, 0.5, 0, PLAIN}, {4, 0.25, 0, PLAIN}, {4, 0, 0, PLAIN});
    CHECK(race(0.25, NULL) >= FD);
    CHECK(is_time(elapsed(), 0.5));
    SET_UP({6, 0.5, 0, STUBBORN}, {4, 0.25, 0, STUBBORN}, {4, 0, 0, STUBBORN});
    CHECK(race(0.25, NULL) >= FD);
    CHECK(net.opened > 1);
    SET_UP({6, ASYNCIO_FOREVER, 0, STUBBORN}, {4, ASYNCIO_FOREVER, 0, STUBBORN}, {4, 0.1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD + 2);
    CHECK_EQUAL(net.opened, 3);
    CHECK_EQUAL(net.closed, 2);
    return 0;
}

/* What a loser returns does not matter, and it is waited for. */
ASYNC_TEST(slow_losers)
{
    SET_UP({6, ASYNCIO_FOREVER, -EIO, SLOW_TO_END}, {4, 0.1, 0, PLAIN});
    CHECK_EQUAL(race(0.25, NULL), FD + 1);
    CHECK(is_time(elapsed(), 0.45));
    return 0;
}

/* ---- Cancelled ----------------------------------------------------------------------------- */

ASYNC(race_later, double, delay_s)
{
    return race(delay_s, NULL);
}

ASYNC_TEST(timeout)
{
    for (double limit_s = 0.05; limit_s < 1; limit_s += 0.05) {
        SET_UP({6, ASYNCIO_FOREVER, 0, STUBBORN}, {4, ASYNCIO_FOREVER, 0, PLAIN}, {6, 1, 0, SLOW_TO_END});
        net.resolve_s = 0.01;
        CHECK_EQUAL(asyncio_wait_for(race_later(0.25), limit_s), -ETIMEDOUT);
        CHECK_EQUAL(count_open(), 0);
    }
    return 0;
}

/* The winner is there, and a loser takes its time: the request from outside comes in between. */
ASYNC_TEST(cancelled_with_winner)
{
    SET_UP({6, ASYNCIO_FOREVER, 0, SLOW_TO_END}, {4, 0.1, 0, PLAIN});
    asyncio_task *task = asyncio_create_task(race_later(0.25));
    asyncio_sleep(0.4);
    CHECK_EQUAL(net.opened, 1);
    CHECK(!asyncio_done(task));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(net.closed, 1);
    CHECK(is_time(elapsed(), 0.45));
    return 0;
}

/* A stranger cancels one attempt: it has failed, and the others go on. */
ASYNC_TEST(attempt_cancelled)
{
    SET_UP({6, ASYNCIO_FOREVER, 0, PLAIN}, {4, 0.1, 0, PLAIN});
    asyncio_task *task = asyncio_create_task(race_later(0.25)), *all[8];
    asyncio_sleep(0.1);
    CHECK_EQUAL(asyncio_all_tasks(all, 8), 3);
    CHECK(all[2] != task);
    asyncio_cancel(all[2]);
    CHECK_EQUAL(asyncio_await(task), FD + 1);
    CHECK(is_time(net.began_s[1], 0.1));
    return 0;
}

static const struct host busy[] = {
    {6, 0.3, -ECONNREFUSED, PLAIN},
    {6, ASYNCIO_FOREVER, 0, STUBBORN},
    {6, 2, 0, PLAIN},
    {4, 0.1, -ENETUNREACH, PLAIN},
    {4, 0.5, 0, PLAIN},
    {4, ASYNCIO_FOREVER, 0, SLOW_TO_END},
};

ASYNC(busy_race)
{
    set_up(busy, sizeof busy / sizeof *busy);
    net.resolve_s = 0.1;
    return race(0.25, NULL);
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result >= FD : result >= FD);
    CHECK_EQUAL(count_open(), result >= FD);
}

TEST(cancelled_anywhere)
{
    sweep_cancels(busy_race, check_swept);
}

TEST(failures)
{
    sweep_failures(busy_race);
}

/* ---- Any network, in any order ----------------------------------------------------------- */

static struct random any;

static double any_time(void)
{
    return (double)asy_random_below(&any, 12) * 0.125; /* exact, so that many things happen at once */
}

static void set_up_any(void)
{
    struct host hosts[HOSTS_MAX];
    size_t count = 1 + asy_random_below(&any, HOSTS_MAX);
    for (size_t i = 0; i < count; i++)
        hosts[i] = (struct host){.family = 4 + 2 * (int)asy_random_below(&any, 2),
                                 .takes_s = any_time(),
                                 .err = asy_random_below(&any, 3) ? -ECONNREFUSED : 0,
                                 .manner = asy_random_below(&any, 2) ? STUBBORN : PLAIN};
    set_up(hosts, count);
}

/* What must come of it: when the race is over, and whether with a winner. */
static double model(const size_t *order, double delay_s, bool *wins)
{
    double begin_s = 0, won_s = ASYNCIO_FOREVER, failed_s = 0;
    for (size_t i = 0; i < net.count; i++) {
        const struct host *host = &net.hosts[order[i]];
        if (begin_s >= won_s)
            break;
        double end_s = begin_s + host->takes_s;
        if (!host->err && end_s < won_s)
            won_s = end_s;
        if (host->err && end_s > failed_s)
            failed_s = end_s;
        double next_s = begin_s + delay_s;
        begin_s = host->err && end_s < next_s ? end_s : next_s;
    }
    *wins = isfinite(won_s);
    return *wins ? won_s : failed_s;
}

ASYNC(main_any)
{
    const struct addrinfo *found[HOSTS_MAX];
    size_t order[HOSTS_MAX];
    set_up_any();
    asy_interleave(net.addresses, found, net.count);
    for (size_t i = 0; i < net.count; i++)
        order[i] = (size_t)(found[i] - net.addresses);
    bool wins;
    double over_s = model(order, 0.25, &wins);
    CHECK_EQUAL(race(0.25, NULL) >= 0, wins);
    CHECK(is_time(elapsed(), over_s));
    for (size_t i = 0; i < net.begun; i++)
        CHECK_EQUAL(net.order[i], order[i]);
    return 0;
}

/* The same, cancelled at any time. */
ASYNC(main_any_cancelled)
{
    set_up_any();
    asyncio_task *task = asyncio_create_task(race_later(0.25));
    asyncio_sleep(any_time() / 2);
    asyncio_cancel(task);
    asyncio_await(task);
    return 0;
}

static void run_any(uint64_t seed)
{
    asy_random_seed(&any, seed);
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(run_seeded(main_any, seed), 0);
        CHECK_EQUAL(run_seeded(main_any_cancelled, seed), 0);
    }
}

TEST(any)
{
    for_each_seed(run_any);
}

TEST_MAIN()
