/*
 * A node of the replicated store. Nothing here knows of a simulation.
 *
 * Follower, candidate and leader, the states of Raft, are places in the code: store_node at the end goes from
 * one to the next, and each is a function that returns when its time is over. Leaders and candidates speak to
 * the others by tasks of a group, which ends with their time. Requests come to tasks of their own, at any
 * time: after each wait the term may be another one.
 */
#include "32_store.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define HEARTBEAT_S 0.05 /* a leader says something so often */
#define PATIENCE_S 0.15  /* to twice that: without a word of a leader for so long, a node wants to be one */
#define ANSWER_S 0.1
#define PAUSE_S 0.02     /* before another try */
#define BATCH_MAX 4

struct node {
    const struct store_config *config;
    struct store_state state;
    unsigned long changes, saved; /* of the state: how many there were, and how many the disk has */
    asyncio_lock disk;
    unsigned short dice[3];
    double election_at;          /* unless a leader is heard before */
    int leader;                  /* of the term; 0: not known */
    unsigned commit;             /* so many entries are there for ever */
    unsigned known[STORE_NODES]; /* while this node leads: so many of its entries each node has for sure, */
    unsigned next[STORE_NODES];  /* and so many perhaps */
    asyncio_event news;          /* of any of this */
};

/* ---- What a node knows ------------------------------------------------------------------------ */

/* All who wait look again. */
static void tell_news(struct node *node)
{
    asyncio_event_set(&node->news);
    asyncio_event_clear(&node->news);
}

static int wait_for_news(struct node *node, double seconds)
{
    int err;
    ASYNCIO_TIMEOUT(err, seconds) {
        err = asyncio_event_wait(&node->news);
    }
    return err == -ETIMEDOUT ? 0 : err;
}

static void change_state(struct node *node)
{
    node->changes++;
    tell_news(node);
}

/* Returns when the disk has all that was changed before the call. One write does for all who wait. */
static int save_state(struct node *node)
{
    unsigned long wanted = node->changes;
    int err = asyncio_lock_acquire(&node->disk);
    if (err)
        return err;
    if (node->saved < wanted) {
        unsigned long changes = node->changes;
        err = node->config->save(&node->state, node->config->arg);
        if (!err)
            node->saved = changes;
    }
    asyncio_lock_release(&node->disk);
    return err;
}

static void postpone_election(struct node *node)
{
    node->election_at = asyncio_time() + PATIENCE_S * (1 + erand48(node->dice));
}

/* In a later term than its own every node follows. */
static void see_term(struct node *node, unsigned term)
{
    if (term <= node->state.term)
        return;
    node->state.term = term;
    node->state.vote = 0;
    node->leader = 0;
    change_state(node);
}

/* The term of an entry; 0 before the first one. */
static unsigned term_at(const struct node *node, unsigned place)
{
    return place ? node->state.log[place - 1].term : 0;
}

static bool has_entry(const struct node *node, unsigned place, unsigned term)
{
    return place <= node->state.last && term_at(node, place) == term;
}

/* It is the last one then: what came after another entry in its place was of another leader. */
static void put_entry(struct node *node, unsigned place, const struct store_entry *entry)
{
    node->state.log[place - 1] = *entry;
    node->state.last = place;
    change_state(node);
}

/* An entry is there for ever when a majority has it and it is of this term: one of an earlier term can still
 * be replaced by another leader (5.4.2 in the paper). It takes with it all before it. */
static void commit_entries(struct node *node)
{
    for (unsigned place = node->state.last; place > node->commit; place--) {
        int copies = 0;
        for (int i = 0; i < STORE_NODES; i++)
            copies += node->known[i] >= place;
        if (copies < STORE_MAJORITY || term_at(node, place) != node->state.term)
            continue;
        node->commit = place;
        tell_news(node);
    }
}

/* The log is the store: a key has the value of the last put before. */
static int value_at(const struct node *node, unsigned place, const char *key)
{
    for (const struct store_entry *entry = node->state.log + place; entry-- > node->state.log;)
        if (entry->value && strcmp(entry->key, key) == 0)
            return entry->value;
    return 0;
}

/* ---- Requests --------------------------------------------------------------------------------- */

/* One vote in a term, for a candidate whose log is not behind. It is on the disk before it counts. */
static int answer_vote(struct node *node, asyncio_stream *stream, const char *line)
{
    struct store_state *state = &node->state;
    unsigned term, last_term, last;
    int candidate;
    if (sscanf(line, "vote %u %d %u %u", &term, &candidate, &last_term, &last) != 4)
        return -EBADMSG;
    see_term(node, term);
    unsigned own_last_term = term_at(node, state->last);
    bool is_behind = last_term < own_last_term || (last_term == own_last_term && last < state->last);
    bool is_granted = term == state->term && !is_behind && (!state->vote || state->vote == candidate);
    if (is_granted) {
        state->vote = candidate;
        change_state(node);
        postpone_election(node);
    }
    int err = save_state(node);
    return err ? err : asyncio_stream_printf(stream, "%u %d\n", state->term, is_granted);
}

static int read_entries(asyncio_stream *stream, struct store_entry *entries, unsigned n)
{
    char *line;
    for (unsigned i = 0; i < n; i++) {
        int err = store_read_line(stream, &line);
        if (err)
            return err;
        if (sscanf(line, "%u %15s %d", &entries[i].term, entries[i].key, &entries[i].value) != 3)
            return -EBADMSG;
    }
    return 0;
}

/* The message may be an old one that comes late: entries that are here stay, and so do those behind them. */
static void take_entries(struct node *node, unsigned prev, const struct store_entry *entries, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!has_entry(node, prev + i + 1, entries[i].term))
            put_entry(node, prev + i + 1, &entries[i]);
}

/* From a leader: entries, or none, which says that it is alive. The answer has the term after the wait for
 * the disk: if that is later, the entries may have been replaced meanwhile, and the leader is none. */
static int answer_append(struct node *node, asyncio_stream *stream, const char *line)
{
    struct store_entry entries[BATCH_MAX];
    unsigned term, prev_term, prev, commit, n;
    int leader;
    if (sscanf(line, "append %u %d %u %u %u %u", &term, &leader, &prev_term, &prev, &commit, &n) != 6 ||
        n > BATCH_MAX || prev > STORE_LOG_MAX - n)
        return -EBADMSG;
    int err = read_entries(stream, entries, n);
    if (err)
        return err;
    see_term(node, term);
    bool is_done = term == node->state.term && has_entry(node, prev, prev_term);
    if (term == node->state.term) {
        node->leader = leader;
        postpone_election(node);
    }
    if (is_done) {
        take_entries(node, prev, entries, n);
        node->commit = MAX(node->commit, MIN(commit, prev + n));
        tell_news(node);
    }
    err = save_state(node);
    return err ? err
               : asyncio_stream_printf(stream, "%u %d %u\n", node->state.term, is_done,
                                       is_done ? prev + n : node->state.last);
}

/* A put or a get becomes an entry, and is answered when that is there for ever. */
static int answer_client(struct node *node, asyncio_stream *stream, struct store_entry *entry)
{
    struct store_state *state = &node->state;
    unsigned *own = &node->known[node->config->id - 1], place = state->last + 1;
    if (node->leader != node->config->id || place > STORE_LOG_MAX)
        return asyncio_stream_printf(stream, "ask %d\n", node->leader);
    entry->term = state->term;
    put_entry(node, place, entry);
    int err = save_state(node);
    if (!err && state->term == entry->term) {
        *own = MAX(*own, place);
        commit_entries(node);
    }
    while (!err && node->commit < place && has_entry(node, place, entry->term))
        err = asyncio_event_wait(&node->news);
    if (err)
        return err;
    if (!has_entry(node, place, entry->term))
        return asyncio_stream_printf(stream, "lost\n");
    return asyncio_stream_printf(stream, "done %d\n", value_at(node, place, entry->key));
}

static int answer_request(struct node *node, asyncio_stream *stream, const char *line)
{
    struct store_entry entry = {0};
    if (strncmp(line, "vote ", 5) == 0)
        return answer_vote(node, stream, line);
    if (strncmp(line, "append ", 7) == 0)
        return answer_append(node, stream, line);
    if (sscanf(line, "put %15s %d", entry.key, &entry.value) == 2 && entry.value > 0)
        return answer_client(node, stream, &entry);
    if (sscanf(line, "get %15s", entry.key) == 1)
        return answer_client(node, stream, &entry);
    return -EBADMSG;
}

ASYNC(serve_requests, asyncio_stream *, stream, struct node *, node)
{
    char *line;
    int err = 0;
    while (!err) {
        err = store_read_line(stream, &line);
        err = err ? err : answer_request(node, stream, line);
    }
    return err == ASYNCIO_EINCOMPLETE ? 0 : err;
}

static asyncio_coro *handler(asyncio_stream *stream, void *node)
{
    return serve_requests(stream, node);
}

/* ---- Follower ----------------------------------------------------------------------------------- */

/* Returns when there was no word of a leader for too long. */
static int follow(struct node *node)
{
    int err = 0;
    postpone_election(node);
    while (!err && asyncio_time() < node->election_at)
        err = asyncio_sleep_until(node->election_at);
    return err;
}

/* ---- Candidate ---------------------------------------------------------------------------------- */

/* Asks until there is an answer; a node that has voted for this one says so again. */
ASYNC(ask_for_vote, struct node *, node, int, peer, const char *, request, int *, votes)
{
    unsigned term = 0;
    int is_granted = 0, err = -EAGAIN;
    char *answer;
    while (err && err != -ECANCELED) {
        asyncio_stream *stream = NULL;
        err = store_ask(&node->config->nodes[peer], &stream, request, &answer, ANSWER_S);
        if (!err && sscanf(answer, "%u %d", &term, &is_granted) != 2)
            err = -EBADMSG;
        asyncio_stream_abort(stream);
        if (err && err != -ECANCELED && asyncio_sleep(PAUSE_S))
            err = -ECANCELED;
    }
    see_term(node, term);
    *votes += is_granted;
    tell_news(node);
    return err;
}

/* Stands for election in the next term. 1: this node has won; 0: it has not; or an error. */
static int campaign(struct node *node)
{
    char request[STORE_LINE_BYTES];
    asyncio_task_group group;
    unsigned term = ++node->state.term;
    int votes = 1;
    snprintf(request, sizeof request, "vote %u %d %u %u\n", term, node->config->id,
             term_at(node, node->state.last), node->state.last);
    node->state.vote = node->config->id;
    node->leader = 0;
    change_state(node);
    int err = save_state(node);
    if (err || node->state.term != term)
        return err;
    postpone_election(node);
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < STORE_NODES; i++)
            if (i + 1 != node->config->id)
                asyncio_task_group_create_task(&group, ask_for_vote(node, i, request, &votes));
        double end = node->election_at;
        while (!err && node->state.term == term && votes < STORE_MAJORITY && asyncio_time() < end)
            err = wait_for_news(node, end - asyncio_time());
        asyncio_task_group_cancel(&group);
    }
    return err ? err : node->state.term == term && votes >= STORE_MAJORITY;
}

/* ---- Leader ------------------------------------------------------------------------------------- */

/* Writes the message with the entries after `prev`. */
static void write_append(const struct node *node, unsigned prev, char *text, size_t bytes)
{
    const struct store_state *state = &node->state;
    unsigned last = MIN(state->last, prev + BATCH_MAX);
    int used = snprintf(text, bytes, "append %u %d %u %u %u %u\n", state->term, node->config->id,
                        term_at(node, prev), prev, node->commit, last - prev);
    for (const struct store_entry *entry = state->log + prev; entry < state->log + last; entry++)
        used += snprintf(text + used, bytes - (size_t)used, "%u %s %d\n", entry->term, entry->key,
                         entry->value);
}

/* One message to a node, and what its answer tells. */
static int replicate_once(struct node *node, int peer, asyncio_stream **stream)
{
    char text[STORE_LINE_BYTES * (1 + BATCH_MAX)], *answer;
    unsigned term, last, *next = &node->next[peer];
    int is_done;
    write_append(node, *next, text, sizeof text);
    int err = store_ask(&node->config->nodes[peer], stream, text, &answer, ANSWER_S);
    if (err)
        return err;
    if (sscanf(answer, "%u %d %u", &term, &is_done, &last) != 3 || last > STORE_LOG_MAX)
        return -EBADMSG;
    see_term(node, term);
    if (node->state.term != term)
        return 0;
    if (is_done) {
        *next = last;
        node->known[peer] = MAX(node->known[peer], last);
        commit_entries(node);
    } else if (*next) {
        *next = MIN(*next - 1, last);
    }
    return 0;
}

/* Keeps one node's log like this one's, as long as this one leads. The term may be over before the task runs
 * for the first time: what it is to do for that term it must not do in another one. */
ASYNC(replicate, struct node *, node, int, peer, unsigned, term)
{
    asyncio_stream *stream = NULL;
    int err = 0;
    while (!err && node->state.term == term) {
        err = replicate_once(node, peer, &stream);
        if (!err && node->next[peer] == node->state.last)
            err = wait_for_news(node, HEARTBEAT_S);
        if (err && err != -ECANCELED) {
            asyncio_stream_abort(stream);
            stream = NULL;
            err = asyncio_sleep(PAUSE_S);
        }
    }
    asyncio_stream_abort(stream);
    return err;
}

/* Returns when it has heard of a later term. */
static int lead(struct node *node)
{
    asyncio_task_group group;
    unsigned term = node->state.term;
    int err = 0;
    node->leader = node->config->id;
    node->config->lead(term, node->config->arg);
    for (int i = 0; i < STORE_NODES; i++) {
        node->known[i] = i + 1 == node->config->id ? node->state.last : 0;
        node->next[i] = node->state.last;
    }
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < STORE_NODES; i++)
            if (i + 1 != node->config->id)
                asyncio_task_group_create_task(&group, replicate(node, i, term));
        while (!err && node->state.term == term)
            err = asyncio_event_wait(&node->news);
        asyncio_task_group_cancel(&group);
    }
    return err;
}

/* ---- The node ----------------------------------------------------------------------------------- */

static int take_part(struct node *node)
{
    int err = 0;
    while (!err) {
        err = follow(node);
        int has_won = err ? err : campaign(node);
        err = has_won > 0 ? lead(node) : has_won;
    }
    return err;
}

ASYNC_DEFINE(store_node, const struct store_config *, config)
{
    struct node node = {.config = config, .disk = ASYNCIO_LOCK_INIT, .news = ASYNCIO_EVENT_INIT};
    const asyncio_address *own = &config->nodes[config->id - 1];
    asyncio_server *server;
    memcpy(node.dice, config->dice, sizeof node.dice);
    config->load(&node.state, config->arg);
    int err = asyncio_start_server(handler, &node, own->host, own->port, NULL, &server);
    if (err)
        return err;
    err = take_part(&node);
    ASYNCIO_SHIELD_SCOPE {
        asyncio_server_close(server);
        asyncio_server_wait_closed(server, 0); /* its handlers use the node */
    }
    asyncio_server_release(server);
    return err;
}
