/*
 * Simulation: a whole network program in one process, under virtual time, by seeds. It is a library of its
 * own for tests: link with libasyncio_sim (pkg-config asyncio-sim). <asyncio.h> does not include this header.
 *
 *     ASYNC(scenario)
 *     {
 *         asyncio_release(asyncio_sim_start("server", serve()));
 *         return asyncio_await(asyncio_sim_start("client", ask("server", 80)));
 *     }
 *     static asyncio_coro *make_scenario(void *arg)
 *     {
 *         return scenario();
 *     }
 *     int main(void)
 *     {
 *         return asyncio_sim_run(make_scenario, NULL, NULL, NULL) != 0;
 *     }
 *
 * Each run is a fresh world: a loop with a clock that starts at 0 and jumps to the next event, hosts, links
 * between them, names. The scenario is main of that loop, and runs the program's own code, unchanged. The
 * run's seed decides everything that chance decides: the order of ready tasks, delays, losses, pieces. The
 * same seed gives the same run, in any process and on any machine.
 *
 * A run fails when the scenario's result is an error (or `check` says so), when nothing is left that could
 * wake a task, when tasks run and run and time stands still, when the time limit is over, and when it leaves
 * something behind. The first failure is shrunk, told on stderr, and replayed by its seed (a run that dies of
 * a signal or a sanitizer, does what UBSan reports, or calls exit, tells its seed first):
 *
 *     asyncio: simulation failed: EDEADLK after 0.213 virtual seconds, seed 36 (run 36 of 100); needs the
 *     first 16 of 34 draws
 *     asyncio: draw 16: segment of 5 of 16 bytes, test:40001 -> server:80, at 0.0031 s
 *     asyncio: Task-3 of client waits in reading fd 9, tcp 10.0.0.1:40001 -> 10.0.0.2:80 (sent 16,
 *     received 0)
 *     asyncio: again: ASYNCIO_SIM_SEED=36 ./test_cluster
 *
 * A draw is one decision by chance. After the last draw that is needed all others were decided in the plain
 * way: nothing lost, nothing cut into pieces, the shortest delay, tasks in the order in which they became
 * ready.
 *
 * Work for threads (asyncio_to_thread, executors, files, names) runs on the loop's own thread, at a drawn
 * time within 10 virtual milliseconds. Hosts share the process: its global variables, its files, its heap.
 * The program's own threads are not simulated; a run that one of them has posted to is not repeated.
 * -ENOSYS, with words: descriptors of the real world that have to be waited for, subprocesses, raw and
 * multicast sockets, io_uring, fork, a second world in one thread.
 */
#ifndef ASYNCIO_SIM_H
#define ASYNCIO_SIM_H

#include <asyncio/types.h>

#define ASYNCIO_SIM_API __attribute__((visibility("default")))

ASYNCIO_BEGIN_DECLS

/* What becomes of what is sent over a link. DROP: silence. REFUSE: connections are reset, datagrams come back
 * as unreachable. HOLD: all is kept until the link is UP. */
typedef enum asyncio_sim_state {
    ASYNCIO_SIM_UP,
    ASYNCIO_SIM_DROP,
    ASYNCIO_SIM_REFUSE,
    ASYNCIO_SIM_HOLD
} asyncio_sim_state;

/* In which order ready tasks run. RANDOM: all that are ready, shuffled. FIFO: as they became ready. PCT: each
 * task has a random priority, which changes at `depth` - 1 random steps; the highest runs, and only that one.
 * It finds orders in which one task is late for long. */
typedef enum asyncio_sim_order {
    ASYNCIO_SIM_RANDOM,
    ASYNCIO_SIM_FIFO,
    ASYNCIO_SIM_PCT
} asyncio_sim_order;

/*
 * One way between two hosts. All zero: 1 ms, nothing lost, arrives in pieces.
 *
 * A lost datagram is gone. A lost segment of a TCP connection comes 0.2 s later, doubled each time it is lost
 * again; after 10 times the connection ends with -ETIMEDOUT.
 */
typedef struct asyncio_sim_link {
    double latency, jitter;    /* seconds: latency + uniform(0, jitter); 0: 0.001 and none; < 0: none */
    double loss;               /* 0..1 */
    double duplicate, reorder; /* 0..1, of datagrams */
    double bandwidth;          /* bytes a second; 0: no limit */
    size_t window;             /* TCP bytes on the way and unread; 0: 65536 */
    size_t segment;            /* bytes that arrive at once; 0: drawn from 1..1448; SIZE_MAX: as sent */
    asyncio_sim_state state;
    uintptr_t reserved[4];
} asyncio_sim_link;

/* Options of asyncio_sim_run and the sweeps: all zero means the defaults. Environment variables that hold no
 * number from 1 on count as not set, which stderr tells. */
typedef struct asyncio_sim_options {
    uint64_t seed;            /* the first; 0: that of ASYNCIO_SIM_SEED, and that one alone; else 1 */
    size_t runs;              /* a seed each; 0: ASYNCIO_SIM_RUNS, else 100 (of the sweeps: 10) */
    asyncio_sim_order order;  /* of ready tasks */
    unsigned depth;           /* of PCT; 0: 3 */
    int repeat;               /* every Nth run is run twice, and must be the same; 0: 10; < 0: never */
    double time_limit;        /* virtual seconds, then -ETIME; 0: 86400 */
    uint64_t step_limit;      /* steps without a change of time, then -ELOOP; 0: 1,000,000 */
    int shrink;               /* look for the fewest draws that fail: 0 or 1, or -1: not */
    const char *trace;        /* file for a trace of the failing run; NULL: ASYNCIO_SIM_TRACE, else none */
    asyncio_sim_link link;    /* between any two hosts */
    intptr_t (*check)(intptr_t result, void *arg); /* judges a run's result; < 0: failed. NULL: the result */
    uintptr_t reserved[8];
} asyncio_sim_options;

/* What asyncio_sim_run and the sweeps found. */
typedef struct asyncio_sim_result {
    uint64_t seed;   /* of the run that failed, else of the last one */
    uint64_t draws;  /* that the failure needs; else that the last run made */
    uint64_t hash;   /* over all that happened in that run, in order: equal runs have equal ones */
    size_t runs;     /* that were made, those of shrinking and repeats not counted */
    size_t at;       /* of a sweep: the suspension, or the call, where the run failed; 0: at none */
    intptr_t error;  /* 0: all passed */
    double seconds;  /* virtual, that the run took */
    char text[512];  /* as on stderr, cut where it is longer; "": all passed */
} asyncio_sim_result;

/*
 * Runs scenario(arg) as main of a fresh simulated world, once for each seed, until one fails. Outside a loop;
 * returns when all is over. The coroutine's leftover tasks are cancelled and waited for, as asyncio_run does.
 *
 * 0: all passed. Else the first failure's error, which *result (may be NULL) and stderr tell in words: the
 * scenario's result, or what `check` returned; -EDEADLK: nothing was left that could wake a task; -ELOOP: a
 * busy loop, step_limit steps while time stood still; -ETIME: time_limit; ASYNCIO_EINCOMPLETE: tasks, sockets
 * or memory of the library were left, or a socket was closed by close(2) in place of asyncio_close; -EILSEQ:
 * two runs with one seed were not the same, and the text says from which step on. -EINVAL: an option is out
 * of its range; ASYNCIO_ESTATE: a loop runs in this thread.
 */
ASYNCIO_SIM_API intptr_t asyncio_sim_run(asyncio_coro *(*scenario)(void *arg), void *arg,
                                         const asyncio_sim_options *options, asyncio_sim_result *result);

/*
 * Runs subject(arg) in a simulated world, and once more for each of its suspensions: cancelled at the 1st,
 * the 2nd, and so on until it ends before that. Then the same with a timeout that is over, in place of the
 * cancel. For each seed. As asyncio_sim_run in everything else.
 *
 * A run that was cancelled passes if the result is -ECANCELED (-ETIMEDOUT for the timeout), or the one that
 * the subject has without (a value, if that is one), or if `check` takes it. `at` in *result is the
 * suspension.
 */
ASYNCIO_SIM_API intptr_t asyncio_sim_sweep_cancel(asyncio_coro *(*subject)(void *arg), void *arg,
                                                  const asyncio_sim_options *options,
                                                  asyncio_sim_result *result);

/*
 * Runs subject(arg) in a simulated world, and once more for each call into the system or the allocator: with
 * the 1st failing, the 2nd, and so on until a run is untouched. A call that can fail in several ways fails
 * in each of them, a run each: a send with -ECONNRESET and -ENOBUFS, an accept with -EMFILE and
 * -ECONNABORTED. Then the same with all later calls failing, too. For each seed. As asyncio_sim_run in
 * everything else.
 *
 * A run with failures passes whatever its result is, if it ends and leaves nothing behind, or if `check`
 * takes it. `at` in *result is the call.
 */
ASYNCIO_SIM_API intptr_t asyncio_sim_sweep_faults(asyncio_coro *(*subject)(void *arg), void *arg,
                                                  const asyncio_sim_options *options,
                                                  asyncio_sim_result *result);

/*
 * Starts a coroutine as a task on a host, which is made when it is first named: a name other than "test",
 * where main runs. The tasks that this one makes run there, too. Takes over the coroutine, and returns a
 * reference, as asyncio_create_task does, and with the same errors. Hosts have the addresses 10.0.0.1,
 * 10.0.0.2, ... and fd00::1, fd00::2, ... in the order in which they are made; "test" has the first. Each
 * host's name is known to the resolver; an address is none, nor is "localhost": the task has then ended with
 * -EINVAL. Inside a scenario; elsewhere it has ended with ASYNCIO_ENOTASK.
 */
ASYNCIO_SIM_API asyncio_task *asyncio_sim_start(const char *host, asyncio_coro *coro);
ASYNCIO_SIM_API asyncio_task *asyncio_sim_start_at(const char *host, asyncio_coro *coro,
                                                   const asyncio_site *site);
#define asyncio_sim_start(host, coro) asyncio_sim_start_at((host), (coro), ASYNCIO_HERE)

/* Sets one way between two hosts, which are made if need be. NULL for a host: any, those included that are
 * made later; the latest call that fits counts. NULL for the link: the options' one. What is on the way
 * already arrives when it would have; but the state counts at that time: a way that drops loses it, one that
 * holds keeps it until it no longer does. REFUSE, or a loss, of either way of a connection that is being made
 * fails it. 0; -EINVAL: a value is out of its range, both hosts are one, or a name is no host's;
 * ASYNCIO_ENOTASK: outside a simulation. Does not wait. */
ASYNCIO_SIM_API int asyncio_sim_set_link(const char *from, const char *to, const asyncio_sim_link *link);

/* Resets all TCP connections between two hosts, at once: both ends get -ECONNRESET, after the bytes that have
 * arrived; what is on the way is lost. NULL for a host: any. Returns how many there were, those that are
 * being made among them; ASYNCIO_ENOTASK: outside a simulation. Does not wait. */
ASYNCIO_SIM_API int asyncio_sim_reset(const char *host, const char *other);

/* A host crashes: its tasks are cancelled, and its sockets vanish in silence. What it sent before still
 * arrives. Peers learn of it when they send, by a reset. The tasks run on while they clean up, and get
 * -ENETDOWN for all that they try on the network, the host's next life included; errors of theirs that nobody
 * can receive are not shown. asyncio_sim_start begins the next life. 0, also for one that has crashed
 * already; -ENOENT: there is no such host; -EINVAL: main runs there; ASYNCIO_ENOTASK: outside a simulation.
 * Does not wait. */
ASYNCIO_SIM_API int asyncio_sim_crash(const char *host);

/* Sets what the resolver answers for a name on any host, `delay` virtual seconds after it is asked: an
 * address, or, if that is NULL, an error (ASYNCIO_EGAI_NONAME ...). Neither: the name is forgotten. It comes
 * before a host of that name. A name that nobody has set takes up to 10 ms. 0; -EINVAL: no address, no error
 * of the resolver, or a delay that is no time; ASYNCIO_ENOTASK: outside a simulation. Does not wait. */
ASYNCIO_SIM_API int asyncio_sim_set_name(const char *name, const char *address, int error, double delay);

/* Returns a random number of the run's seed, for workloads: they are the same whatever else is drawn, and
 * shrinking leaves them. Outside a simulation: 0. Does not wait. */
ASYNCIO_SIM_API uint64_t asyncio_sim_random(void);

/* Tells, once in `one_in` calls by chance, that a fault of the program's own is to happen now; `name` says in
 * reports which it is. False outside a simulation, and for one_in 0. Does not wait. */
ASYNCIO_SIM_API bool asyncio_sim_chance(const char *name, unsigned one_in);

/* Notes words in the run's hash and trace: two runs that note different words are not the same. The report of
 * a failure shows the latest 16, up to 127 bytes of each. Nothing outside a simulation. Does not wait. */
ASYNCIO_SIM_API void asyncio_sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

ASYNCIO_END_DECLS

#endif
