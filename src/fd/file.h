/*
 * Open files from within.
 *
 * `refs` counts the program, and each call that is on a thread: the last one closes the descriptor. `calls`
 * counts the tasks that are in a call. The program's reference is dropped when the program has closed the
 * file and `calls` is 0. Tasks of a loop that has closed do not count, since they never leave.
 */
#ifndef ASY_FD_FILE_H
#define ASY_FD_FILE_H

#include "asyncio/files.h"
#include "core/quarantine.h"
#include "fd/file_op.h"
#include <stdatomic.h>
#include <string.h>

enum file_kind {
    FILE_FRESH,  /* nobody has looked; O_NONBLOCK may be set */
    FILE_PLAIN,  /* read and written by file_op.h */
    FILE_POLLED, /* a FIFO, a terminal, a socket: as a descriptor, by fdio.h */
};

struct asyncio_file {
    const char *what; /* asy_what_file; NULL: the owner has closed it */
    asyncio_loop *loop;
    off_t position; /* of _read and _write; below 0: the descriptor has it */
    _Atomic uint32_t refs;
    uint32_t calls; /* the loop's thread */
    int fd;
    uint8_t kind;        /* enum file_kind */
    bool is_moving;      /* a task reads or writes at `position` */
    bool can_write;      /* it was opened to write, too */
    bool is_nonblocking; /* O_NONBLOCK was asked for, and stays */
    bool keeps_fd;       /* the descriptor is not closed with it */
    struct try_history luck;
    char path[]; /* for messages */
};

extern HIDDEN const char asy_what_file[];
/* First in each public call. */
static inline void asy_file_check(const asyncio_file *file, const char *call)
{
    asy_object_check(file->what, asy_what_file, file->loop, call);
}

/* The bytes that a file with this path takes. */
static inline size_t asy_file_bytes(const char *path)
{
    return sizeof(asyncio_file) + strlen(path) + 1;
}

/* Both accept NULL, on any thread. */
asyncio_file *asy_file_ref(asyncio_file *file);
void asy_file_unref(asyncio_file *file);

/* Makes a file of a descriptor that is known to be no FIFO or the like. NULL: out of memory. */
asyncio_file *asy_file_adopt(asyncio_loop *loop, int fd);
/* Closes the file, as _close does; a thread does what may take a while, and nobody waits for it. */
void asy_file_drop(asyncio_file *file);
/* The file is closed, or was never opened, and no task is in a call of it: drops the program's reference. */
void asy_file_release(asyncio_file *file);
/* Reads some bytes at the file's position, for a stream. */
ssize_t asy_file_read_some(asyncio_file *file, void *buf, size_t n);

#endif
