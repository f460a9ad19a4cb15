/*
 * A trace in Perfetto's format: protobuf, of which a few lines do. Numbers of fields are those of
 * https://github.com/google/perfetto/tree/main/protos, which never change their meaning.
 *
 * The process has a track for the thread of the loop (a slice a step, callback or poll), three counters, and
 * a track a task, below the one that made it. Arrows lead from who woke a task to the step.
 */
#include "trace_log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum field {
    TRACE_PACKET = 1,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE_ID = 10,
    PACKET_EVENT = 11,
    PACKET_INTERNED = 12,
    PACKET_SEQUENCE_FLAGS = 13,
    PACKET_DESCRIPTOR = 60,
    INTERNED_EVENT_NAMES = 2,
    EVENT_NAME_IID = 1,
    EVENT_NAME_NAME = 2,
    EVENT_TYPE = 9,
    EVENT_NAME_REF = 10,
    EVENT_TRACK = 11,
    EVENT_COUNTER = 30,
    EVENT_FLOWS = 47,
    EVENT_FLOWS_END = 48,
    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8,
    PROCESS_PID = 1,
    PROCESS_NAME = 6,
    THREAD_PID = 1,
    THREAD_TID = 2,
    THREAD_NAME = 5,
    COUNTER_UNIT = 3,
};

enum { SLICE_BEGIN = 1, SLICE_END, INSTANT, COUNTER };
enum { UNIT_NS = 1, UNIT_COUNT = 2 };
enum {
    TRACK_OF_PROCESS = 1,
    TRACK_OF_THREAD,
    TRACK_OF_READY,
    TRACK_OF_TASKS,
    TRACK_OF_LAG,
    TRACKS_OF_TASKS = 16
};
/* Names that are not the trace's; of those the number is the place, + 1. */
enum {
    WORD_POLL = TRACE_NAMES_BYTES + 1,
    WORD_CALLBACK,
    WORD_RUNNING,
    WORD_READY,
    WORD_WAKES,
    WORD_CANCELS,
    WORD_COUNTER,
    WORD_SLOW,
    WORDS_END
};
static const char *const words[] = {"poll",  "callback", "running", "ready",
                                    "wakes", "cancels",  "value",   "slow"};

struct perfetto {
    struct trace_log *log;
    FILE *file;
    struct table is_working; /* by thread: 1 while it has a slice, else 0 */
};

/* ---- Protobuf ------------------------------------------------------------------------- */

struct message {
    size_t length;
    unsigned char bytes[512];
};

static void put_number(struct message *message, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        message->bytes[message->length++] = (unsigned char)(number | 0x80);
    message->bytes[message->length++] = (unsigned char)number;
}

static void add_number(struct message *message, enum field field, uint64_t number)
{
    put_number(message, (uint64_t)field << 3);
    put_number(message, number);
}

static void add_fixed(struct message *message, enum field field, uint64_t number)
{
    put_number(message, (uint64_t)field << 3 | 1);
    memcpy(message->bytes + message->length, &number, sizeof number);
    message->length += sizeof number;
}

static void add_block(struct message *message, enum field field, const void *bytes, size_t length)
{
    put_number(message, (uint64_t)field << 3 | 2);
    put_number(message, length);
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void add_message(struct message *message, enum field field, const struct message *inner)
{
    add_block(message, field, inner->bytes, inner->length);
}

/* A long name is cut: what it says begins it. Protobuf's text is UTF-8, so other bytes become '?'. */
static void add_words(struct message *message, enum field field, const char *text)
{
    char clean[128];
    size_t length = 0;
    for (; text[length] && length < sizeof clean; length++)
        clean[length] = text[length] >= ' ' && text[length] < 0x7f ? text[length] : '?';
    add_block(message, field, clean, length);
}

static void write_packet(const struct perfetto *perfetto, struct message *packet)
{
    struct message head = {0};
    add_number(packet, PACKET_SEQUENCE_ID, 1);
    put_number(&head, TRACE_PACKET << 3 | 2);
    put_number(&head, packet->length);
    fwrite(head.bytes, 1, head.length, perfetto->file);
    fwrite(packet->bytes, 1, packet->length, perfetto->file);
}

/* ---- Descriptors ----------------------------------------------------------------------- */

static void write_track(const struct perfetto *perfetto, const struct message *track)
{
    struct message packet;
    packet.length = 0;
    add_message(&packet, PACKET_DESCRIPTOR, track);
    write_packet(perfetto, &packet);
}

static void write_counter_track(const struct perfetto *perfetto, uint64_t uuid, const char *name, int unit)
{
    struct message track = {0}, counter = {0};
    add_number(&counter, COUNTER_UNIT, (uint64_t)unit);
    add_number(&track, TRACK_UUID, uuid);
    add_number(&track, TRACK_PARENT, TRACK_OF_PROCESS);
    add_words(&track, TRACK_NAME, name);
    add_message(&track, TRACK_COUNTER, &counter);
    write_track(perfetto, &track);
}

static void write_fixed_tracks(const struct perfetto *perfetto)
{
    const struct trace_head *head = &perfetto->log->head;
    struct message process = {0}, thread = {0}, process_track = {0}, thread_track = {0};
    uint64_t pid = head->pid > 0 ? (uint64_t)head->pid : 1, tid = head->tid > 0 ? (uint64_t)head->tid : 1;
    add_number(&process, PROCESS_PID, pid);
    add_words(&process, PROCESS_NAME, "libasyncio");
    add_number(&process_track, TRACK_UUID, TRACK_OF_PROCESS);
    add_message(&process_track, TRACK_PROCESS, &process);
    write_track(perfetto, &process_track);
    add_number(&thread, THREAD_PID, pid);
    add_number(&thread, THREAD_TID, tid);
    add_words(&thread, THREAD_NAME, "loop");
    add_number(&thread_track, TRACK_UUID, TRACK_OF_THREAD);
    add_number(&thread_track, TRACK_PARENT, TRACK_OF_PROCESS);
    add_message(&thread_track, TRACK_THREAD, &thread);
    write_track(perfetto, &thread_track);
    write_counter_track(perfetto, TRACK_OF_READY, "ready", UNIT_COUNT);
    write_counter_track(perfetto, TRACK_OF_TASKS, "tasks", UNIT_COUNT);
    write_counter_track(perfetto, TRACK_OF_LAG, "lag", UNIT_NS);
}

/* The first of each packet says that names begin anew; the others add to them. */
static void write_name(const struct perfetto *perfetto, uint64_t iid, const char *text, bool is_first)
{
    struct message packet = {0}, names = {0}, name = {0};
    add_number(&name, EVENT_NAME_IID, iid);
    add_words(&name, EVENT_NAME_NAME, text);
    add_message(&names, INTERNED_EVENT_NAMES, &name);
    add_message(&packet, PACKET_INTERNED, &names);
    add_number(&packet, PACKET_SEQUENCE_FLAGS, is_first ? 1 : 2);
    write_packet(perfetto, &packet);
}

static void write_names(const struct perfetto *perfetto)
{
    const struct trace_log *log = perfetto->log;
    write_name(perfetto, 1, "?", true);
    for (uint32_t at = 1; at < log->head.names; at += (uint32_t)strlen(log->names + at) + 1)
        write_name(perfetto, at + 1, log->names + at, false);
    for (uint64_t word = WORD_POLL; word < WORDS_END; word++)
        write_name(perfetto, word, words[word - WORD_POLL], false);
}

static uint64_t track_of(const struct traced_task *task)
{
    return TRACKS_OF_TASKS + task->id;
}

static void describe_track(const struct perfetto *perfetto, struct traced_task *task)
{
    struct message track = {0};
    struct text text = {0};
    task->is_described = true;
    uint32_t parent =
        task->parent == task->id ? UINT32_MAX : table_find(&perfetto->log->task_of, task->parent);
    trace_log_say_task(perfetto->log, task, &text);
    add_number(&track, TRACK_UUID, track_of(task));
    add_words(&track, TRACK_NAME, text_of(&text));
    add_number(&track, TRACK_PARENT,
               task->parent && task->parent < task->id && parent != UINT32_MAX
                   ? track_of(&perfetto->log->tasks[parent])
                   : TRACK_OF_PROCESS);
    write_track(perfetto, &track);
    text_free(&text);
}

/* ---- Events ----------------------------------------------------------------------------- */

struct happening {
    int type;
    uint64_t track, name; /* 0: none */
    int64_t ns, value;
    uint64_t flow, flow_end;
};

static void write_event(const struct perfetto *perfetto, const struct happening *happening)
{
    struct message packet, event;
    packet.length = event.length = 0;
    add_number(&packet, PACKET_TIMESTAMP, (uint64_t)happening->ns);
    add_number(&event, EVENT_TYPE, (uint64_t)happening->type);
    add_number(&event, EVENT_TRACK, happening->track);
    if (happening->name)
        add_number(&event, EVENT_NAME_REF, happening->name);
    if (happening->type == COUNTER)
        add_number(&event, EVENT_COUNTER, (uint64_t)happening->value);
    if (happening->flow)
        add_fixed(&event, EVENT_FLOWS, happening->flow);
    if (happening->flow_end)
        add_fixed(&event, EVENT_FLOWS_END, happening->flow_end);
    add_message(&packet, PACKET_EVENT, &event);
    add_number(&packet, PACKET_SEQUENCE_FLAGS, 2);
    write_packet(perfetto, &packet);
}

static void write_count(const struct perfetto *perfetto, uint64_t track, int64_t ns, int64_t value)
{
    write_event(perfetto, &(struct happening){.type = COUNTER, .track = track, .ns = ns, .value = value});
}

/* A name whose place is the trace's, if it is one that was told. */
static uint64_t name_at(const struct perfetto *perfetto, uint32_t place)
{
    const struct trace_log *log = perfetto->log;
    bool is_start = place > 0 && place < log->head.names && !log->names[place - 1];
    return is_start ? place + UINT64_C(1) : 1;
}

static void begin_slice(void *context, enum activity activity, struct traced_task *task, int64_t ns)
{
    const struct perfetto *perfetto = context;
    struct happening slice = {.type = SLICE_BEGIN, .track = TRACK_OF_THREAD, .ns = ns};
    slice.name = activity == POLLS ? WORD_POLL : WORD_CALLBACK;
    if (activity == RUNS_TASK) {
        slice.name = name_at(perfetto, task->own_name ? task->own_name : task->coroutine);
        slice.flow_end = task->flow;
        if (task->state == STATE_READY)
            write_count(perfetto, TRACK_OF_LAG, ns, ns - task->since_ns);
    }
    write_event(perfetto, &slice);
}

static void end_slice(void *context, enum activity activity, struct traced_task *task, int64_t ns)
{
    (void)activity;
    (void)task;
    write_event(context, &(struct happening){.type = SLICE_END, .track = TRACK_OF_THREAD, .ns = ns});
}

static void change_slice(void *context, struct traced_task *task, const struct traced_task *before,
                         int64_t ns)
{
    const struct perfetto *perfetto = context;
    if (!task->is_described)
        describe_track(perfetto, task);
    struct happening slice = {.track = track_of(task), .ns = ns, .type = SLICE_END};
    if (before->state != STATE_UNKNOWN && before->state != STATE_DONE)
        write_event(perfetto, &slice);
    if (task->state == STATE_DONE)
        return;
    slice.type = SLICE_BEGIN;
    slice.name = task->state == STATE_RUNNING ? WORD_RUNNING
                 : task->state == STATE_READY ? WORD_READY
                                              : name_at(perfetto, task->wait);
    write_event(perfetto, &slice);
    if (task->state == STATE_READY && task->flow)
        write_event(
            perfetto,
            &(struct happening){
                .type = INSTANT, .track = TRACK_OF_THREAD, .name = WORD_WAKES, .ns = ns, .flow = task->flow});
}

/* ---- Work on other threads ---------------------------------------------------------------- */

#define TRACKS_OF_THREADS (UINT64_C(1) << 48) /* numbers of tasks are smaller */

static void describe_thread(const struct perfetto *perfetto, uint32_t tid)
{
    struct message track = {0};
    char name[32];
    snprintf(name, sizeof name, "thread %u", tid);
    add_number(&track, TRACK_UUID, TRACKS_OF_THREADS + tid);
    add_words(&track, TRACK_NAME, name);
    add_number(&track, TRACK_PARENT, TRACK_OF_PROCESS);
    write_track(perfetto, &track);
}

static void write_work(struct perfetto *perfetto, const struct trace_record *record)
{
    uint32_t tid = (uint32_t)record->other, is_working = table_find(&perfetto->is_working, tid);
    struct happening slice = {
        .type = SLICE_END, .track = TRACKS_OF_THREADS + tid, .ns = (int64_t)record->time};
    if (is_working == UINT32_MAX)
        describe_thread(perfetto, tid);
    if (is_working == 1)
        write_event(perfetto, &slice);
    bool begins = kind_of(record) == TRACE_OFFLOAD;
    slice.type = SLICE_BEGIN;
    slice.name = name_at(perfetto, name_place(record->subject));
    if (begins)
        write_event(perfetto, &slice);
    table_put(&perfetto->is_working, tid, begins);
}

static void write_other(void *context, const struct trace_record *record, struct traced_task *task)
{
    struct perfetto *perfetto = context;
    struct happening instant = {.type = INSTANT, .track = TRACK_OF_THREAD, .ns = (int64_t)record->time};
    if (kind_of(record) == TRACE_POLLED) {
        write_count(perfetto, TRACK_OF_READY, instant.ns, record->value);
        write_count(perfetto, TRACK_OF_TASKS, instant.ns, (int64_t)record->other);
    } else if (is_of_work(record)) {
        write_work(perfetto, record);
    } else if (kind_of(record) == TRACE_SLOW) {
        instant.name = WORD_SLOW;
        write_event(perfetto, &instant);
    } else if (kind_of(record) == TRACE_MARK) {
        instant.name = name_at(perfetto, name_place(record->subject));
        write_event(perfetto, &instant);
    } else if (kind_of(record) == TRACE_CANCEL) {
        instant.name = WORD_CANCELS;
        instant.track = task ? track_of(task) : TRACK_OF_THREAD;
        if (task && !task->is_described)
            describe_track(perfetto, task);
        write_event(perfetto, &instant);
    }
}

bool write_trace_perfetto(struct trace_log *log, const char *path)
{
    struct perfetto perfetto = {.log = log, .file = fopen(path, "wbe")};
    if (!perfetto.file)
        return false;
    setvbuf(perfetto.file, NULL, _IOFBF, 1 << 20);
    write_names(&perfetto);
    write_fixed_tracks(&perfetto);
    trace_log_walk(log, &(struct trace_walker){.context = &perfetto,
                                               .begin = begin_slice,
                                               .end = end_slice,
                                               .state = change_slice,
                                               .other = write_other});
    table_free(&perfetto.is_working);
    bool is_written = !ferror(perfetto.file);
    return fclose(perfetto.file) == 0 && is_written;
}
