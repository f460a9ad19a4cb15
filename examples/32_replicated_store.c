/*
 * A replicated store in a bad world: nodes crash, links fail, and the store has to keep its word.
 *
 *     32_replicated_store [forgetful]
 *
 * The word: what clients see could have come from one machine that does one thing after the other
 * (linearizability), and no term has two leaders. `forgetful` plants a bug: a node forgets over a crash whom
 * it has voted for. ASYNCIO_SIM_RUNS=10000 tries so many seeds in place of 100.
 *
 * The nodes and the clients (32_store_node.c, 32_store_client.c) are ordinary programs of the network. Only
 * this file knows that theirs is simulated.
 */
#include "32_store.h"
#include <asyncio/sim.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PORT 7000
#define CLIENTS 3
#define REQUESTS 20 /* of each client */
#define KEYS 2
#define OPERATIONS_MAX (CLIENTS * REQUESTS + KEYS)
#define TERMS_MAX 1000
#define TICK_S 0.05
#define TICKS 120
#define SYNC_S 0.002 /* that a disk takes */
#define RECOVERY_S 10.0

static const char *const keys[KEYS] = {"apples", "pears"};
static const char *const hosts[STORE_NODES] = {"n1", "n2", "n3"};

/* A client's call, and when it was: the clock counts beginnings and ends. */
struct operation {
    int client;
    const char *key;
    bool is_put;
    int value;
    unsigned begin, end; /* UINT_MAX: it has no end that anybody saw */
    bool is_placed;
};

struct machine {
    struct cluster *cluster;
    struct store_config config;
    struct store_state disk; /* outlives a crash */
    asyncio_task *node;
    bool is_shaky;           /* it crashes, and crashes again */
};

struct cluster {
    bool is_forgetful;
    struct machine machines[STORE_NODES];
    struct operation history[OPERATIONS_MAX];
    size_t count;
    unsigned clock;
    int last_value;
    int leaders[TERMS_MAX];
    int latest_leader;
    int two_leaders; /* the term that has them */
};

/* ---- Machines --------------------------------------------------------------------------------- */

static void load_disk(struct store_state *state, void *arg)
{
    const struct machine *machine = arg;
    *state = machine->disk;
    if (machine->cluster->is_forgetful)
        state->vote = 0; /* the planted bug */
}

/* A crash meanwhile leaves what was there. */
static int save_disk(const struct store_state *state, void *arg)
{
    struct machine *machine = arg;
    int err = asyncio_sleep(SYNC_S);
    if (!err)
        machine->disk = *state;
    return err;
}

static void note_leader(unsigned term, void *arg)
{
    struct machine *machine = arg;
    int *leader = &machine->cluster->leaders[term % TERMS_MAX];
    asyncio_sim_note("n%d leads in term %u", machine->config.id, term);
    if (*leader && *leader != machine->config.id)
        machine->cluster->two_leaders = (int)term;
    *leader = machine->config.id;
    machine->cluster->latest_leader = machine->config.id - 1;
}

static void set_up(struct cluster *cluster)
{
    *cluster = (struct cluster){.is_forgetful = cluster->is_forgetful};
    for (int i = 0; i < STORE_NODES; i++) {
        struct machine *machine = &cluster->machines[i];
        machine->cluster = cluster;
        machine->config = (struct store_config){
            .id = i + 1, .arg = machine, .load = load_disk, .save = save_disk, .lead = note_leader};
        for (int j = 0; j < STORE_NODES; j++)
            machine->config.nodes[j] = (asyncio_address){hosts[j], PORT};
    }
}

static void start_machine(struct machine *machine)
{
    for (int i = 0; i < 3; i++)
        machine->config.dice[i] = (unsigned short)asyncio_sim_random();
    asyncio_sim_note("n%d starts", machine->config.id);
    machine->node = asyncio_sim_start(hosts[machine->config.id - 1], store_node(&machine->config));
}

static void crash_machine(struct machine *machine)
{
    asyncio_sim_note("n%d crashes", machine->config.id);
    asyncio_sim_crash(hosts[machine->config.id - 1]);
    asyncio_await(machine->node);
}

/* ---- The judge ------------------------------------------------------------------------------------ */

/* Is there an order in which each get returns what the last put before it has put, and no operation
 * comes before one that had ended when it began? One without an end may come late, or never. */
static bool can_order(struct operation *operations, size_t count, int value)
{
    unsigned first_end = UINT_MAX;
    for (size_t i = 0; i < count; i++)
        if (!operations[i].is_placed && operations[i].end < first_end)
            first_end = operations[i].end;
    if (first_end == UINT_MAX)
        return true;
    for (size_t i = 0; i < count; i++) {
        struct operation *next = &operations[i];
        if (next->is_placed || next->begin > first_end || (!next->is_put && next->value != value))
            continue;
        next->is_placed = true;
        if (can_order(operations, count, next->is_put ? next->value : value))
            return true;
        next->is_placed = false;
        if (!next->is_put)
            return false; /* a get that fits is in nobody's way */
    }
    return false;
}

static bool was_read(const struct cluster *cluster, int value)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (!cluster->history[i].is_put && cluster->history[i].value == value)
            return true;
    return false;
}

/* An operation without an end counts only if it is a put that somebody has read. */
static int judge_key(const struct cluster *cluster, const struct operation *latest)
{
    struct operation operations[OPERATIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        const struct operation *one = &cluster->history[i];
        bool counts = one->end != UINT_MAX || (one->is_put && was_read(cluster, one->value));
        if (counts && one->key == latest->key)
            operations[count++] = *one;
    }
    if (can_order(operations, count, 0))
        return 0;
    return (int)asyncio_raise(-ESTALE, "client %d got %d for %s, which no order explains", latest->client,
                              latest->value, latest->key);
}

static int judge_leaders(const struct cluster *cluster)
{
    if (!cluster->two_leaders)
        return 0;
    return (int)asyncio_raise(-EEXIST, "term %d has two leaders", cluster->two_leaders);
}

/* ---- Trouble ------------------------------------------------------------------------------------ */

static int random_below(int bound)
{
    return (int)(asyncio_sim_random() % (uint64_t)bound);
}

static double random_seconds(double most)
{
    return most * random_below(1000) / 1000;
}

/* A crash seldom comes alone. */
ASYNC(keep_crashing, struct machine *, machine)
{
    int err = 0;
    machine->is_shaky = true;
    do {
        crash_machine(machine);
        err = asyncio_sleep(random_seconds(asyncio_sim_chance("a long one", 3) ? 1 : 0.05));
        start_machine(machine);
        err = err ? err : asyncio_sleep(random_seconds(0.2));
    } while (!err && asyncio_sim_chance("another crash", 2));
    machine->is_shaky = false;
    return err;
}

/* One way between two nodes is bad for a while. */
ASYNC(be_bad, int, from, int, to)
{
    static const struct {
        const char *words;
        asyncio_sim_link link;
    } ways[] = {
        {"is cut", {.state = ASYNCIO_SIM_DROP}},
        {"is held up", {.state = ASYNCIO_SIM_HOLD}},
        {"is slow", {.latency = 0.1, .jitter = 0.2}},
        {"loses", {.loss = 0.3}},
    };
    int kind = random_below(sizeof ways / sizeof *ways);
    asyncio_sim_note("n%d -> n%d %s", from + 1, to + 1, ways[kind].words);
    asyncio_sim_set_link(hosts[from], hosts[to], &ways[kind].link);
    int err = asyncio_sleep(random_seconds(1));
    asyncio_sim_set_link(hosts[from], hosts[to], NULL);
    return err;
}

static void set_links_of(int one, const asyncio_sim_link *link)
{
    for (int i = 1; i < STORE_NODES; i++) {
        asyncio_sim_set_link(hosts[one], hosts[(one + i) % STORE_NODES], link);
        asyncio_sim_set_link(hosts[(one + i) % STORE_NODES], hosts[one], link);
    }
}

/* A node reaches none of the others, nor they it. Clients reach all of them. */
ASYNC(be_alone, int, one)
{
    asyncio_sim_note("n%d is alone", one + 1);
    set_links_of(one, &(asyncio_sim_link){.state = ASYNCIO_SIM_DROP});
    int err = asyncio_sleep(random_seconds(1));
    set_links_of(one, NULL);
    return err;
}

/* Faults by chance, and not by asyncio_sim_random: shrinking finds the last one that matters. */
ASYNC(make_trouble, struct cluster *, cluster)
{
    asyncio_task_group group;
    int err = 0;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int tick = 0; tick < TICKS && !err; tick++) {
            int one = random_below(2) ? cluster->latest_leader : random_below(STORE_NODES);
            int other = (one + 1 + random_below(STORE_NODES - 1)) % STORE_NODES;
            if (asyncio_sim_chance("a crash", 10) && !cluster->machines[one].is_shaky)
                asyncio_task_group_create_task(&group, keep_crashing(&cluster->machines[one]));
            if (asyncio_sim_chance("a bad link", 10))
                asyncio_task_group_create_task(&group, be_bad(one, other));
            if (asyncio_sim_chance("a node alone", 20))
                asyncio_task_group_create_task(&group, be_alone(one));
            if (asyncio_sim_chance("a reset", 20))
                asyncio_sim_reset(hosts[one], hosts[other]);
            err = asyncio_sleep(TICK_S);
            err = err ? err : judge_leaders(cluster);
        }
    }
    return err;
}

/* ---- Clients -------------------------------------------------------------------------------------- */

static struct store_client make_client(void)
{
    struct store_client client = {0};
    for (int i = 0; i < STORE_NODES; i++)
        client.nodes[i] = (asyncio_address){hosts[i], PORT};
    return client;
}

/* Does one operation. Returns the judge's word on it. */
static int operate(struct cluster *cluster, struct store_client *client, int number, const char *key,
                   bool is_put)
{
    struct operation *operation = &cluster->history[cluster->count++];
    *operation = (struct operation){number, key, is_put, 0, cluster->clock++, UINT_MAX, false};
    operation->value = is_put ? ++cluster->last_value : -1;
    int result = is_put ? store_put(client, key, operation->value) : store_get(client, key);
    if (result >= 0) {
        operation->end = cluster->clock++;
        operation->value = is_put ? operation->value : result;
    }
    if (result >= 0)
        asyncio_sim_note("client %d: %s %s %d", number, is_put ? "put" : "got", key, operation->value);
    else if (result != -ECANCELED)
        asyncio_sim_note("client %d: %s of %s: %s", number, is_put ? "put" : "get", key,
                         asyncio_errname(result));
    int err = judge_leaders(cluster);
    return err || result < 0 ? err : judge_key(cluster, operation);
}

ASYNC(be_client, struct cluster *, cluster, int, number)
{
    struct store_client client = make_client();
    int err = 0;
    for (int i = 0; i < REQUESTS && !err; i++) {
        const char *key = keys[random_below(KEYS)];
        bool is_put = random_below(2);
        err = asyncio_sleep(random_seconds(2 * TICKS * TICK_S / REQUESTS));
        err = err ? err : operate(cluster, &client, number, key, is_put);
    }
    return err;
}

/* With all nodes up, and all links good, each key can be read soon. */
ASYNC(read_all, struct cluster *, cluster)
{
    struct store_client client = make_client();
    int err = 0;
    double end = asyncio_time() + RECOVERY_S;
    for (int i = 0; i < KEYS && !err;) {
        size_t place = cluster->count;
        err = operate(cluster, &client, 0, keys[i], false);
        if (cluster->history[place].end != UINT_MAX)
            i++;
        else if (!err && asyncio_time() > end)
            err = (int)asyncio_raise(-EHOSTDOWN, "the store does not recover");
        else
            cluster->count = place;
    }
    return err;
}

static const asyncio_sim_options the_options = {.link = {.latency = 0.001, .jitter = 0.01, .loss = 0.05}};

/* ---- The scenario ----------------------------------------------------------------------------------- */

ASYNC(scenario, struct cluster *, cluster)
{
    static const char *const names[CLIENTS] = {"client1", "client2", "client3"};
    asyncio_task *tasks[CLIENTS + 1];
    set_up(cluster);
    for (int i = 0; i < STORE_NODES; i++)
        start_machine(&cluster->machines[i]);
    for (int i = 0; i < CLIENTS; i++)
        tasks[i] = asyncio_sim_start(names[i], be_client(cluster, i + 1));
    tasks[CLIENTS] = asyncio_create_task(make_trouble(cluster));
    intptr_t err = asyncio_gather_array(NULL, tasks, CLIENTS + 1);
    if (!err)
        err = asyncio_await(read_all(cluster));
    for (int i = 0; i < STORE_NODES; i++)
        asyncio_release(cluster->machines[i].node); /* they end with the world */
    return err;
}

static asyncio_coro *make_scenario(void *arg)
{
    return scenario(arg);
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    asyncio_sim_result result;
    cluster.is_forgetful = argc > 1 && strcmp(argv[1], "forgetful") == 0;
    intptr_t err = asyncio_sim_run(make_scenario, &cluster, &the_options, &result);
    if (!err)
        printf("%zu runs, and the store has kept its word\n", result.runs);
    return err != 0;
}
