/*
 * A call on a file as data: the operation, its arguments and its result. All calls on files go through here,
 * in one of three ways:
 *
 *   asy_file_try      now, on the loop's thread, if the kernel need not wait for that
 *   asy_file_offload  by the backend's ring, or on a thread of the files' own, which is waited for
 *   asy_file_run      here and now, and it may block: what those threads do
 */
#ifndef ASY_FD_FILE_OP_H
#define ASY_FD_FILE_OP_H

#include "asyncio/files.h"
#include "threads/offload.h"

enum file_code {
    FILE_OPEN,      /* path, flags, mode: a descriptor */
    FILE_CLOSE,     /* fd */
    FILE_READ,      /* fd, buf, n, offset */
    FILE_WRITE,     /* the same; as much as there is room for */
    FILE_SEEK,      /* fd, offset, flags: whence */
    FILE_SYNC,      /* fd, flags: FILE_SYNC_DATA or 0 */
    FILE_TRUNCATE,  /* fd, offset: length */
    FILE_STAT,      /* fd, status */
    FILE_COPY,      /* fd, to_fd, flags, offset, n: how far it came; 0: at the end */
    FILE_PATH_STAT, /* path, flags: O_NOFOLLOW, status */
    FILE_UNLINK,    /* path */
    FILE_RENAME,    /* path, to */
    FILE_MKDIR,     /* path, mode */
    FILE_RMDIR,     /* path */
    FILE_SCAN,      /* path: dirents */
};

#define FILE_SYNC_DATA 1 /* not what fsync(2) writes beside the data */

/* Does it pay to try a call at once? A file system that never has the answer at hand is asked less and
 * less often. */
struct try_history {
    bool never;     /* it does not know how */
    uint8_t misses; /* in a row */
    uint8_t skip;   /* calls that are not tried now */
};

struct file_op {
    enum file_code code;
    int fd, to_fd;
    int flags;
    mode_t mode;
    bool partial; /* a read need not fill the buffer */
    off_t offset; /* below 0: at the descriptor's own position */
    void *buf;
    size_t n, done; /* done: bytes that were moved before, by a way that did not do it all */
    const char *path, *to;
    struct stat *status;
    struct try_history *luck; /* of reads */
    asyncio_dirents dirents;
    intptr_t result;
};

/* True: done, and op->result is the result. */
bool asy_file_try(struct file_op *op);
void asy_file_run(struct file_op *op);
/* Has it done by the ring, or run on a thread, and waits; `file`, which may be NULL, lives until it has. Its
 * result, or -ECANCELED, -EAGAIN, -ENOMEM when it did not run. */
intptr_t asy_file_offload(asyncio_file *file, struct file_op *op);
/* Tries, then has it run. */
intptr_t asy_file_call(asyncio_file *file, struct file_op *op);

/* One that nobody waits for: the block, made by asy_sys_calloc, which is freed when it has run, unless
 * `done` is set: that is called on the loop's thread then, and frees it by work.free. */
struct file_work {
    struct work work;
    struct file_op op;
    asyncio_file *file;
};
/* The shape of a task's wait for one. */
#define FILE_WORK_SHAPE                                                                                      \
    {                                                                                                        \
        .kind = SHAPE_WORK, .at = {                                                                          \
            offsetof(struct work, tid),                                                                      \
            0,                                                                                               \
            offsetof(struct file_work, op.fd),                                                               \
            offsetof(struct file_work, op.path)                                                              \
        }                                                                                                    \
    }
/* 0, or -EAGAIN: no thread could be made, and the block is still the caller's. */
int asy_file_start(asyncio_loop *loop, struct file_work *work, asyncio_file *file);
void asy_file_work_free(struct work *work);
/* The same, and waits, with a kind of wait of the caller's. 0: it has run, and is to be freed. On an error
 * it is none of the caller's any more. */
int asy_file_wait(asyncio_loop *loop, struct file_work *work, asyncio_file *file,
                  const struct wait_kind *kind);

/* Gives an error a message: what was tried, on which path, and why it failed. Returns the result. */
intptr_t asy_file_report_error(intptr_t result, const char *verb, const char *path);

/* ---- file_ring.c ------------------------------------------------------------------------------ */

/* Does the ring have so many calls of the loop that another one is better queued than tried at once? */
bool asy_file_is_crowded(asyncio_loop *loop);
/* Has a call done by the ring, and waits. The result; or ASY_FILE_BY_THREAD: there is no ring for it, or it
 * came no further than op->done. */
intptr_t asy_file_ring_call(asyncio_loop *loop, asyncio_file *file, struct file_op *op);
#define ASY_FILE_BY_THREAD INTPTR_MIN
/* How long a closing loop waits for what the kernel cannot cancel: a read of a disk, or of a server. */
extern _Atomic int64_t asy_file_close_ns;

/* ---- directories.c, copyfile.c ---------------------------------------------------------------- */
int asy_scan_run(const char *path, asyncio_dirents *dirents);
intptr_t asy_copy_run(const struct file_op *op);

#endif
