/*
 * A trace's life: its file is made, written full and mapped, so that a file system without room is an error
 * here and no fault later; and it is left as it is when the trace ends.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/trace.h"
#include "sys/files.h"
#include "sys/net.h"
#include "sys/sys.h"
#include "sys/ticks.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_DEFAULT 16384
#define FILES_MAX 1000 /* that a process makes without being given a name */

static size_t bytes_of_file(size_t records)
{
    return TRACE_RING_OFFSET + records * sizeof(struct trace_record);
}

/* ---- The file ---------------------------------------------------------------------- */

static int make_trace_file(const char *path)
{
    return asy_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

/* The file's name, if none was given: the first that is free. */
static int make_named_file(char *path, size_t bytes)
{
    const char *folder = secure_getenv("XDG_RUNTIME_DIR");
    if (!folder || folder[0] != '/')
        folder = "/dev/shm";
    int fd = -EEXIST;
    for (int n = 1; n <= FILES_MAX && fd == -EEXIST; n++) {
        char number[16] = "";
        if (n > 1)
            snprintf(number, sizeof number, ".%d", n);
        if (snprintf(path, bytes, "%s/asyncio-%d%s.trace", folder, (int)getpid(), number) >= (int)bytes)
            return -ENAMETOOLONG;
        fd = make_trace_file(path);
    }
    return fd;
}

static int fill_with_zeros(int fd, size_t bytes)
{
    static const char zeros[65536];
    for (size_t at = 0; at < bytes;) {
        size_t most = bytes - at < sizeof zeros ? bytes - at : sizeof zeros;
        ssize_t n = asy_sys_write_at(fd, zeros, most, (off_t)at);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n ? (int)n : -ENOSPC;
        at += (size_t)n;
    }
    return 0;
}

/* The first touch of each page costs far more than a record: it is now. */
static void touch_pages(char *map, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += TRACE_HEAD_BYTES)
        *(volatile char *)(map + at) = 0;
}

/* Maps a new file, and removes it if that fails. */
static int map_new_file(int fd, const char *path, size_t bytes, void **out)
{
    int err = fill_with_zeros(fd, bytes);
    if (!err)
        err = asy_sys_map_file(fd, bytes, 0, out);
    asy_sys_close(fd);
    if (err)
        asy_sys_unlink(path);
    else
        touch_pages(*out, bytes);
    return err;
}

/* ---- Begin and end --------------------------------------------------------------------- */

static enum trace_clock choose_clock(const asyncio_loop *loop)
{
    if (loop->backend->ops->is_virtual)
        return TRACE_VIRTUAL;
    return asy_sys_has_ticks() ? TRACE_TICKS : TRACE_MONOTONIC;
}

/* Under a virtual clock nothing that differs from run to run is in there. */
static void write_head(asyncio_loop *loop, size_t records)
{
    struct trace *trace = loop->trace;
    struct trace_head *head = trace->head;
    bool is_virtual = trace->clock == TRACE_VIRTUAL;
    head->version = TRACE_VERSION;
    head->record_bytes = sizeof(struct trace_record);
    head->count = records;
    head->clock = trace->clock;
    head->pid = is_virtual ? 0 : getpid();
    head->tid = is_virtual ? 0 : asy_sys_gettid();
    head->loop = is_virtual ? 0 : loop->id;
    head->names = trace->names_end;
    asy_trace_tell_time(loop);
    head->begin = head->later[head->latest];
    memcpy(head->magic, TRACE_MAGIC, sizeof head->magic);
}

static void init_trace(struct trace *trace, const asyncio_loop *loop, char *map, size_t records)
{
    trace->head = (struct trace_head *)(void *)map;
    trace->names = map + TRACE_HEAD_BYTES;
    trace->records = (struct trace_record *)(void *)(map + TRACE_RING_OFFSET);
    trace->mask = records - 1;
    trace->clock = choose_clock(loop);
    trace->names_end = 1; /* place 0 is no name */
    trace->name_ready = asy_trace_intern(trace, &trace->name_ready, "ready");
    ASY_ASSERT(trace->name_ready == TRACE_NAME_READY);
    trace->name_eager = asy_trace_intern(trace, &trace->name_eager, "eager start");
}

static int begin_trace(asyncio_loop *loop, const char *file, size_t records)
{
    char path[PATH_MAX];
    int fd = file ? make_trace_file(file) : make_named_file(path, sizeof path);
    if (fd < 0)
        return fd;
    struct trace *trace = asy_sys_calloc(1, sizeof *trace);
    if (!trace) {
        asy_sys_close(fd);
        asy_sys_unlink(file ? file : path);
        return -ENOMEM;
    }
    void *map;
    int err = map_new_file(fd, file ? file : path, bytes_of_file(records), &map);
    if (err) {
        asy_sys_free(trace);
        return err;
    }
    asy_trace_end(loop);
    init_trace(trace, loop, map, records);
    loop->trace = trace;
    write_head(loop, records);
    asy_loop_set_traced(loop);
    asy_trace_begun(loop);
    return 0;
}

int asyncio_loop_trace(asyncio_loop *loop, const char *file, size_t records)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the loop is closed, or the parent process's",
                                  __func__);
    records = records ? records : RECORDS_DEFAULT;
    if (records > TRACE_RECORDS_MAX || (records & (records - 1)))
        return (int)asyncio_raise(-EINVAL, "%zu records: it takes a power of two, at most %zu", records,
                                  (size_t)TRACE_RECORDS_MAX);
    int err = begin_trace(loop, file, records);
    if (err)
        return (int)asyncio_raise(err, "no trace in %s: %s", file ? file : "a file of its own",
                                  asyncio_strerror(err));
    return 0;
}

void asy_trace_end(asyncio_loop *loop)
{
    struct trace *trace = loop->trace;
    if (!trace)
        return;
    asy_trace_tell_time(loop);
    trace->head->stopped = 1;
    asy_loop_unset_traced(loop);
    loop->trace = NULL;
    asy_sys_unmap(trace->head, bytes_of_file((size_t)trace->mask + 1));
    asy_sys_free(trace);
}

void asyncio_loop_trace_stop(asyncio_loop *loop)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    if (!asy_loop_is_parents(loop))
        asy_trace_end(loop);
}

/* ---- From the environment ---------------------------------------------------------------- */

/* Cuts ":RECORDS" off, if it is there. */
static size_t cut_records(char *file)
{
    char *colon = strrchr(file, ':');
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
        return 0;
    *colon = '\0';
    return strtoull(colon + 1, NULL, 10);
}

void asy_trace_from_environment(asyncio_loop *loop)
{
    const char *value = secure_getenv("ASYNCIO_TRACE");
    char file[PATH_MAX];
    if (!value || !value[0])
        return;
    int length = snprintf(file, sizeof file, "%s", value);
    size_t records = length < (int)sizeof file ? cut_records(file) : 0;
    length = (int)strlen(file);
    if (loop->id > 1)
        snprintf(file + length, sizeof file - (size_t)length, ".%llu", (unsigned long long)loop->id);
    if (asyncio_loop_trace(loop, file, records))
        asy_report_site(loop, NULL, 0, "%s", asyncio_error_message());
}
