/*
 * Files: the waiting twins of the calls on them, which may wait for a disk or for a server and must not
 * hold up the loop.
 *
 *     asyncio_file *file;
 *     int err = asyncio_file_open("words.txt", O_RDONLY, 0, &file);
 *     if (err)
 *         return err;
 *     char block[4096];
 *     ssize_t n;
 *     while ((n = asyncio_file_read(file, block, sizeof block)) > 0)
 *         fwrite(block, 1, (size_t)n, stdout);
 *     asyncio_file_close(file);
 *     return n;
 *
 * What the kernel has in memory is answered at once, and nothing else runs meanwhile; the rest is done
 * by a few threads of the library's. Parameters are those of the system calls, in their order, and so
 * are the errors, with a message that names the call and the path: "open words.txt: no such file or
 * directory".
 *
 * For all of these: they belong to a task of the loop's thread (ASYNCIO_ENOTASK elsewhere) and may
 * suspend. What they are given (paths, buffers) is lent to them until they return. A request to cancel
 * takes a call back that has not begun on a thread: -ECANCELED, and nothing was done. One that has
 * begun is waited for: it returns what came of it, so that no byte and no descriptor is lost, and the
 * request stays pending. -EAGAIN: no thread could be made; -ENOMEM, -EINVAL. Under a virtual clock the
 * calls are made on the spot, and take no time.
 */
#ifndef ASYNCIO_FILES_H
#define ASYNCIO_FILES_H

#include <asyncio/streams.h>
#include <asyncio/types.h>
#include <fcntl.h>
#include <sys/stat.h>

ASYNCIO_BEGIN_DECLS

/*
 * An open file. It has one owner, who closes it; several tasks may use it at a time. Closed while other
 * tasks are in calls of it: these complete as if nothing had happened, and the descriptor lives until
 * then; but who waits for a FIFO or the like gets -EBADF.
 */
typedef struct asyncio_file asyncio_file;

/*
 * Opens a file, as open(2), always close-on-exec. `mode` counts where flags have O_CREAT. A FIFO: to read,
 * opens at once, and the first read waits for a writer; to write, waits for a reader, and a cancel ends
 * that; with O_NONBLOCK it gives -ENXIO instead. (It is tried every 10 ms: a reader that opens without
 * waiting for a writer, and leaves before the next try, is not noticed.) O_NONBLOCK changes nothing else. 0,
 * or open's error; *file is then untouched. (open)
 */
ASYNCIO_API int asyncio_file_open(const char *path, int flags, mode_t mode, asyncio_file **file);
/* Makes a file of an open descriptor, which belongs to the file from then on (on an error it does not). Its
 * position stays the descriptor's, for all who share it. Does not wait. (fdopen) */
ASYNCIO_API int asyncio_file_from_fd(int fd, asyncio_file **file);

/*
 * Read and write a file, as read(2) and write(2), at the file's position, which moves. A read of a regular
 * file gives less than n bytes only at its end; 0: it was there. A write gives less only if there was no
 * room for the rest. One task at a time: another gets ASYNCIO_ESTATE; but where the kernel keeps the
 * position (O_APPEND, asyncio_file_from_fd, asyncio_file_fd) it also keeps them apart, and a read that a
 * cancel keeps from the rest returns what it has. On FIFOs, terminals and the like these wait in the loop,
 * and a cancel ends them at once. -EINVAL: a length above SSIZE_MAX. (read, write)
 */
ASYNCIO_API ssize_t asyncio_file_read(asyncio_file *file, void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_file_write(asyncio_file *file, const void *buf, size_t n);
/* Read and write a file at an offset; the position does not move, and any number of tasks may. -ESPIPE where
 * there are no positions. With O_APPEND a write goes to the end, whatever the offset (as on Linux).
 * (os.pread, os.pwrite) */
ASYNCIO_API ssize_t asyncio_file_pread(asyncio_file *file, void *buf, size_t n, off_t offset);
ASYNCIO_API ssize_t asyncio_file_pwrite(asyncio_file *file, const void *buf, size_t n, off_t offset);
/* Moves a file's position, as lseek(2): the new position. SEEK_SET and SEEK_CUR do not wait. -ESPIPE,
 * ASYNCIO_ESTATE. (seek, tell) */
ASYNCIO_API off_t asyncio_file_lseek(asyncio_file *file, off_t offset, int whence);

/* Write a file out, cut it, tell about it: fsync(2), fdatasync(2), ftruncate(2), fstat(2): 0 or the error.
 * On a network file system _stat says what is known here, without asking again. (os.fsync, os.ftruncate,
 * os.fstat) */
ASYNCIO_API int asyncio_file_fsync(asyncio_file *file);
ASYNCIO_API int asyncio_file_fdatasync(asyncio_file *file);
ASYNCIO_API int asyncio_file_ftruncate(asyncio_file *file, off_t length);
ASYNCIO_API int asyncio_file_stat(asyncio_file *file, struct stat *status);

/* Tells the descriptor, which is still the file's; its position is the file's from here on. Does not wait;
 * any place in the loop's thread. ASYNCIO_ESTATE while a task reads or writes at the position. (fileno) */
ASYNCIO_API int asyncio_file_fd(asyncio_file *file);

/*
 * Closes and frees, whatever it returns. What was opened to write is closed on a thread, and suspends;
 * a cancel gives -ECANCELED, and it is closed all the same. Outside a task, or when the loop has
 * closed, it is closed on the spot. 0, or what close(2) says: -EIO, -ENOSPC, -EDQUOT. Does not make
 * data durable (asyncio_file_fsync does). Accepts NULL. (close)
 */
ASYNCIO_API int asyncio_file_close(asyncio_file *file);

/*
 * A stream over the file, which belongs to it from then on (on an error it does not): readline,
 * readuntil, copy and all the rest, from its position on. It never waits on the loop's thread; what is
 * written goes out in the background, and _close tells whether it did. A cancelled read that has begun
 * is waited for. A regular file's descriptor given to asyncio_stream_from_fd or asyncio_open_pipe does
 * the same. Does not wait. ASYNCIO_ESTATE while another call uses the file.
 */
ASYNCIO_API int asyncio_stream_from_file(asyncio_file *file, const asyncio_connect_options *options,
                                         asyncio_stream **stream);

/* ---- By path --------------------------------------------------------------------------- */

/* Remove and rename files, make and remove folders: unlink(2), rename(2), mkdir(2), rmdir(2): 0 or the
 * error. (os.unlink, os.rename, os.mkdir, os.rmdir) */
ASYNCIO_API int asyncio_unlink(const char *path);
ASYNCIO_API int asyncio_rename(const char *from, const char *to);
ASYNCIO_API int asyncio_mkdir(const char *path, mode_t mode);
ASYNCIO_API int asyncio_rmdir(const char *path);
/* Tell about a path, as stat(2) and lstat(2), which looks at a symbolic link itself. As asyncio_file_stat.
 * (os.stat, os.lstat) */
ASYNCIO_API int asyncio_stat(const char *path, struct stat *status);
ASYNCIO_API int asyncio_lstat(const char *path, struct stat *status);

/* What a directory has: entries[0] to entries[count - 1], without "." and "..", in the order of
 * the names' bytes. */
typedef struct asyncio_dirent {
    const char *name;
    unsigned char type; /* DT_REG, DT_DIR, DT_LNK ... of <dirent.h>; DT_UNKNOWN: ask asyncio_lstat */
} asyncio_dirent;
typedef struct asyncio_dirents {
    asyncio_dirent *entries;
    size_t count;
} asyncio_dirents;
/* Reads a directory as a list; *dirents is untouched on an error. -ENOTDIR, -ENOENT, -EACCES ...
 * (os.scandir) */
ASYNCIO_API int asyncio_scandir(const char *path, asyncio_dirents *dirents);
/* Frees the memory, and leaves none. Accepts NULL. Any thread; does not wait. */
ASYNCIO_API void asyncio_dirents_destroy(asyncio_dirents *dirents);

/*
 * Copies a regular file to its end, wherever that is by then, within the kernel where it can. Holes stay
 * holes; to a device they are written. `to` gets the permissions of `from` (less the umask); one that is
 * there already keeps its own, and is cut first: -EINVAL if both are the same. The number of bytes. May
 * be cancelled between one piece (64 MiB) and the next. On a cancel or an error a file that the
 * call has made is removed; one that was there before is left as far as it came. (shutil.copyfile)
 */
ASYNCIO_API ssize_t asyncio_copyfile(const char *from, const char *to);

ASYNCIO_END_DECLS

#endif
