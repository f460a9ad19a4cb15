/*
 * Reading a trace file. See trace_log.h.
 */
#include "trace_log.h"
#include "target.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The file ----------------------------------------------------------------------- */

static bool read_fully(int fd, void *at, size_t bytes, size_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)at + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* NULL: the head makes sense. */
static const char *find_fault(const struct trace_head *head, size_t file_bytes)
{
    if (memcmp(head->magic, TRACE_MAGIC, sizeof head->magic) != 0)
        return "it is no trace";
    if (head->version != TRACE_VERSION || head->record_bytes != sizeof(struct trace_record))
        return "it is of a version that this command does not know";
    if (!head->count || head->count > TRACE_RECORDS_MAX || (head->count & (head->count - 1)))
        return "it is damaged: there is no such number of records";
    if (head->clock > TRACE_VIRTUAL || head->latest > 1 || head->names > TRACE_NAMES_BYTES)
        return "it is damaged: the head makes no sense";
    if (file_bytes < TRACE_RING_OFFSET + head->count * sizeof(struct trace_record))
        return "it was cut off";
    return NULL;
}

/* The process may still write. So the records that it has written over meanwhile are left out, and of a full
 * ring the oldest one, too, which it may be about to write over, or was when it was killed. */
static bool read_ring(struct trace_log *log, int fd)
{
    uint64_t count = log->head.count, end = log->head.index, after;
    struct trace_record *ring = must_alloc(count * sizeof *ring);
    log->names = must_alloc(TRACE_NAMES_BYTES + 1);
    bool is_read = read_fully(fd, ring, count * sizeof *ring, TRACE_RING_OFFSET) &&
                   read_fully(fd, log->names, TRACE_NAMES_BYTES, TRACE_HEAD_BYTES) &&
                   read_fully(fd, &after, sizeof after, offsetof(struct trace_head, index));
    if (is_read) {
        uint64_t first = after >= count ? after - count + 1 : 0;
        first = first < end ? first : end;
        log->lost = first;
        log->count = end - first <= count ? (size_t)(end - first) : 0;
        log->records = must_alloc(log->count * sizeof *ring);
        for (size_t i = 0; i < log->count; i++)
            log->records[i] = ring[(first + i) & (count - 1)];
    }
    free(ring);
    return is_read;
}

/* ---- Times ---------------------------------------------------------------------------- */

/* Turns the times of records into ns of CLOCK_MONOTONIC, or of the virtual clock, that never fall. */
static void convert_times(struct trace_log *log)
{
    const struct trace_moment *begin = &log->head.begin, *later = &log->head.later[log->head.latest];
    double scale = 1;
    if (log->head.clock == TRACE_TICKS && later->time > begin->time &&
        later->monotonic_ns > begin->monotonic_ns)
        scale =
            ((double)later->monotonic_ns - (double)begin->monotonic_ns) / (double)(later->time - begin->time);
    int64_t latest_ns = 0;
    for (size_t i = 0; i < log->count; i++) {
        struct trace_record *record = &log->records[i];
        double since = record->time >= begin->time ? (double)(record->time - begin->time) : 0;
        double ns = log->head.clock == TRACE_TICKS ? (double)begin->monotonic_ns + since * scale
                                                   : (double)record->time;
        int64_t whole_ns = ns > 0 && ns < 4e18 ? (int64_t)ns : latest_ns;
        if (log->head.clock != TRACE_TICKS && record->time < UINT64_C(4000000000000000000))
            whole_ns = (int64_t)record->time;
        latest_ns = whole_ns > latest_ns ? whole_ns : latest_ns;
        record->time = (uint64_t)latest_ns;
    }
}

static int compare_times(const void *a, const void *b)
{
    const struct trace_record *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value); /* where it stood: see sort_work */
}

/* Takes the records of work out, and merges them in by the times that they tell. These are neither before
 * the first record nor after their own one. */
static void sort_work(struct trace_log *log)
{
    struct trace_record *work = must_alloc((log->count + 1) * sizeof *work);
    size_t count = 0, rest = 0;
    uint64_t first = log->count ? log->records[0].time : 0;
    for (size_t i = 0; i < log->count; i++) {
        struct trace_record record = log->records[i];
        if (!is_of_work(&record)) {
            log->records[rest++] = record;
            continue;
        }
        uint64_t told = record.value > 0 ? (uint64_t)record.value : 0;
        record.time = told < first ? first : told < record.time ? told : record.time;
        record.value = (int64_t)count;
        work[count++] = record;
    }
    if (count)
        qsort(work, count, sizeof *work, compare_times);
    for (size_t at = rest + count; count; at--) {
        bool is_work = !rest || log->records[rest - 1].time <= work[count - 1].time;
        log->records[at - 1] = is_work ? work[--count] : log->records[--rest];
    }
    free(work);
}

/* ---- Tasks and names ------------------------------------------------------------------- */

const char *trace_log_name(const struct trace_log *log, uint32_t place)
{
    return place < TRACE_NAMES_BYTES && log->names[place] ? log->names + place : "?";
}

struct traced_task *trace_log_task(struct trace_log *log, uint64_t id)
{
    if (!id)
        return NULL;
    uint32_t known = table_find(&log->task_of, id);
    if (known != UINT32_MAX)
        return &log->tasks[known];
    GROW(log->tasks, log->task_capacity, log->task_count);
    log->tasks[log->task_count] = (struct traced_task){.id = id};
    table_put(&log->task_of, id, (uint32_t)log->task_count);
    return &log->tasks[log->task_count++];
}

void trace_log_say_task(const struct trace_log *log, const struct traced_task *task, struct text *text)
{
    if (task->own_name)
        text_add_clean(text, trace_log_name(log, task->own_name));
    else if (task->coroutine)
        text_add_clean(text, trace_log_name(log, task->coroutine));
    else
        text_add(text, "task");
    text_add(text, " (%llu)", (unsigned long long)task->id);
}

/* All tasks are made here, so that pointers to them stay; records that make no sense become nothing. */
static void learn_tasks(struct trace_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        struct trace_record *record = &log->records[i];
        enum trace_kind kind = kind_of(record);
        if (kind == TRACE_NOTHING || kind >= TRACE_KINDS_END) {
            log->spoilt++;
            record->subject = 0;
            continue;
        }
        if (kind != TRACE_POLLED && !is_of_work(record))
            trace_log_task(log, task_of(record->other));
        struct traced_task *task = trace_log_task(log, task_of(record->subject));
        if (!task)
            continue;
        if (kind == TRACE_STEP || kind == TRACE_SPAWN || kind == TRACE_DONE || (kind == TRACE_SLOW && task))
            task->coroutine = name_place(record->subject);
        if (kind == TRACE_SPAWN)
            task->parent = task_of(record->other);
        if (kind == TRACE_NAME)
            task->own_name = name_place(record->subject);
    }
}

int trace_log_open(struct trace_log *log, const char *path)
{
    struct stat status;
    const char *fault = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fprintf(stderr, "asyncio: %s: %s\n", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return MISUSED;
    }
    if (!S_ISREG(status.st_mode) || !read_fully(fd, &log->head, sizeof log->head, 0))
        fault = "it is no trace";
    if (!fault)
        fault = find_fault(&log->head, (size_t)status.st_size);
    if (!fault && !read_ring(log, fd))
        fault = "it cannot be read";
    close(fd);
    if (fault) {
        fprintf(stderr, "asyncio: %s: %s\n", path, fault);
        return NO_DESCRIPTOR;
    }
    convert_times(log);
    sort_work(log);
    learn_tasks(log);
    return READ_WHOLE;
}

void trace_log_keep_last(struct trace_log *log, double seconds)
{
    size_t first = 0;
    if (!log->count)
        return;
    double end_ns = (double)log->records[log->count - 1].time;
    while (first < log->count && (double)log->records[first].time < end_ns - seconds * 1e9)
        first++;
    log->count -= first;
    memmove(log->records, log->records + first, log->count * sizeof *log->records);
}

void trace_log_free(struct trace_log *log)
{
    free(log->names);
    free(log->records);
    free(log->tasks);
    table_free(&log->task_of);
}
