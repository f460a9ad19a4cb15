/*
 * Files: the waiting twins of the system calls on them. Those may wait for a disk or for a server; the
 * twins do not hold up the loop meanwhile.
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
 * A call that the kernel can answer from memory is made at once, on the loop's thread. A few threads of the
 * library make the others. Parameters are those of the system calls, in their order, and so are the errors.
 * An error has a message that names the call and the path: "open words.txt: no such file or directory".
 *
 * All of these belong to a task of the loop's thread (elsewhere: ASYNCIO_ENOTASK) and may suspend. Paths
 * and buffers are borrowed until the call returns. A request to cancel takes back a call that has not begun
 * on a thread: -ECANCELED, and nothing was done. A call that has begun is completed and returns its
 * outcome, so that no byte and no descriptor is lost; the request stays pending. -EAGAIN: no thread could
 * be made; -ENOMEM, -EINVAL. Under a virtual clock the calls are made at once, and take no time.
 */
#ifndef ASYNCIO_FILES_H
#define ASYNCIO_FILES_H

#include <asyncio/streams.h>
#include <asyncio/types.h>
#include <fcntl.h>
#include <sys/stat.h>

ASYNCIO_BEGIN_DECLS

/*
 * An open file. It has one owner, who closes it; several tasks may use it at a time. When it is closed
 * while other tasks are in calls of it, these calls complete as if nothing had happened, and the descriptor
 * lives until then. A call that waits for a FIFO or the like returns -EBADF instead.
 */
typedef struct asyncio_file asyncio_file;

/*
 * Opens a file, as open(2), always close-on-exec. `mode` matters where flags have O_CREAT. 0, or open's
 * error, which leaves *file untouched. (open)
 *
 * A FIFO opens at once to read, and the first read waits for a writer. To write, the call waits for a
 * reader, and a cancel ends this wait; with O_NONBLOCK it returns -ENXIO instead. O_NONBLOCK changes
 * nothing else. The call looks for a reader every 10 ms: it does not notice one that opens without waiting
 * for a writer and leaves before the next look.
 */
ASYNCIO_API int asyncio_file_open(const char *path, int flags, mode_t mode, asyncio_file **file);
/* Makes a file of an open descriptor, which belongs to the file from then on, unless the call fails. The
 * position stays the descriptor's, and so is shared with its copies. Does not wait. (fdopen) */
ASYNCIO_API int asyncio_file_from_fd(int fd, asyncio_file **file);

/*
 * Read and write a file, as read(2) and write(2), at the file's position, which moves. A read of a regular
 * file returns less than n bytes only at its end, and 0 there. A write returns less only if there was no
 * room for the rest. -EINVAL: a length above SSIZE_MAX. (read, write)
 *
 * One task at a time may use the position: a call of another returns ASYNCIO_ESTATE. Where the kernel keeps
 * the position (O_APPEND, asyncio_file_from_fd, asyncio_file_fd), it also keeps the tasks apart; a read
 * that is cancelled after its first part returns that part. On FIFOs, terminals and the like the calls wait
 * in the loop, and a cancel ends them at once.
 */
ASYNCIO_API ssize_t asyncio_file_read(asyncio_file *file, void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_file_write(asyncio_file *file, const void *buf, size_t n);
/* Read and write a file at an offset; the position does not move, and any number of tasks may do so at a
 * time. -ESPIPE for a file without positions. With O_APPEND a write goes to the end, whatever the offset,
 * as it does on Linux. (os.pread, os.pwrite) */
ASYNCIO_API ssize_t asyncio_file_pread(asyncio_file *file, void *buf, size_t n, off_t offset);
ASYNCIO_API ssize_t asyncio_file_pwrite(asyncio_file *file, const void *buf, size_t n, off_t offset);
/* Moves a file's position, as lseek(2), and returns the new one. SEEK_SET and SEEK_CUR do not wait.
 * -ESPIPE, ASYNCIO_ESTATE. (seek, tell) */
ASYNCIO_API off_t asyncio_file_lseek(asyncio_file *file, off_t offset, int whence);

/* Write a file out, cut it, tell about it, as fsync(2), fdatasync(2), ftruncate(2) and fstat(2). 0 or the
 * error. On a network file system _stat returns what this machine knows, without asking the server again.
 * (os.fsync, os.ftruncate, os.fstat) */
ASYNCIO_API int asyncio_file_fsync(asyncio_file *file);
ASYNCIO_API int asyncio_file_fdatasync(asyncio_file *file);
ASYNCIO_API int asyncio_file_ftruncate(asyncio_file *file, off_t length);
ASYNCIO_API int asyncio_file_stat(asyncio_file *file, struct stat *status);

/* Returns the descriptor, which stays the file's; from here on the file uses the descriptor's position.
 * Does not wait; anywhere in the loop's thread. ASYNCIO_ESTATE while a task reads or writes at the
 * position. (fileno) */
ASYNCIO_API int asyncio_file_fd(asyncio_file *file);

/*
 * Closes a file and frees it, whatever the call returns. A file that was opened to write is closed on a
 * thread: the call suspends; a cancel makes it return -ECANCELED, and the file is closed nevertheless.
 * Outside a task, or when the loop has closed, the file is closed at once. 0, or close(2)'s error: -EIO,
 * -ENOSPC, -EDQUOT. Does not make data durable (asyncio_file_fsync does). Accepts NULL. (close)
 */
ASYNCIO_API int asyncio_file_close(asyncio_file *file);

/*
 * Makes a stream over a file, from its position on, for readline, readuntil, copy and all the rest. The
 * file belongs to the stream from then on, unless the call fails. The stream does not hold up the loop.
 * Written bytes go out in the background, and _close tells whether they did. A cancelled read that has
 * begun is completed first. asyncio_stream_from_fd and asyncio_open_pipe do the same with a regular file's
 * descriptor. Does not wait. ASYNCIO_ESTATE while another call uses the file.
 */
ASYNCIO_API int asyncio_stream_from_file(asyncio_file *file, const asyncio_connect_options *options,
                                         asyncio_stream **stream);

/* ---- By path --------------------------------------------------------------------------- */

/* Remove and rename files, make and remove folders, as unlink(2), rename(2), mkdir(2) and rmdir(2). 0 or
 * the error. (os.unlink, os.rename, os.mkdir, os.rmdir) */
ASYNCIO_API int asyncio_unlink(const char *path);
ASYNCIO_API int asyncio_rename(const char *from, const char *to);
ASYNCIO_API int asyncio_mkdir(const char *path, mode_t mode);
ASYNCIO_API int asyncio_rmdir(const char *path);
/* Tell about a path, as stat(2) and lstat(2), which looks at a symbolic link itself. As asyncio_file_stat.
 * (os.stat, os.lstat) */
ASYNCIO_API int asyncio_stat(const char *path, struct stat *status);
ASYNCIO_API int asyncio_lstat(const char *path, struct stat *status);

/* The entries of a directory: entries[0] to entries[count - 1], without "." and "..", in the order of the
 * names' bytes. */
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
 * Copies a regular file up to its end, within the kernel where possible, and returns the number of bytes.
 * Holes stay holes; on a device zeros are written for them. A new file `to` gets the permissions of `from`,
 * less the umask. An existing one keeps its own and is cut first; -EINVAL if both are the same file. A
 * cancel ends the copy after a piece of 64 MiB. On a cancel or an error the call removes a file that it has
 * made, and leaves an existing one as far as it came. (shutil.copyfile)
 */
ASYNCIO_API ssize_t asyncio_copyfile(const char *from, const char *to);

ASYNCIO_END_DECLS

#endif
