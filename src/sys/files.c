/*
 * The wrappers of files.h. Calls that not every C library has go to the kernel by their numbers.
 */
#include "sys/files.h"
#include "base/sanitizer.h"
#include "sys/kernel_call.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h> /* rename */
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437 /* on every architecture that we run on */
#endif
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

int asy_sys_open(const char *path, int flags, mode_t mode)
{
    KERNEL_INT("open", -EMFILE, asy_sys_above_standard(open(path, flags | O_CLOEXEC, mode)));
}

int asy_sys_opened(int fd)
{
    int saved = errno;
    if (ASY_FAULT("opened")) {
        close(fd);
        return -EMFILE;
    }
    return (int)kernel_result(asy_sys_above_standard(fd), saved);
}

int asy_sys_open_cached(const char *path, int flags)
{
    if (RUNNING_ON_VALGRIND) /* which would complain of a call that it does not know */
        return -ENOSYS;
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_CACHED};
    KERNEL_INT("open_cached", -EAGAIN,
               asy_sys_above_standard((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how)));
}

ssize_t asy_sys_read_at(int fd, void *buf, size_t n, off_t offset)
{
    KERNEL_AGAIN("read_at", -EIO, offset < 0 ? read(fd, buf, n) : pread(fd, buf, n, offset));
}

ssize_t asy_sys_read_cached(int fd, void *buf, size_t n, off_t offset)
{
    struct iovec part = {buf, n};
    KERNEL_AGAIN("read_cached", -EAGAIN,
                 syscall(SYS_preadv2, fd, &part, 1, offset < 0 ? -1 : offset, 0L, RWF_NOWAIT));
}

ssize_t asy_sys_write_at(int fd, const void *buf, size_t n, off_t offset)
{
    KERNEL_AGAIN("write_at", -EIO, offset < 0 ? write(fd, buf, n) : pwrite(fd, buf, n, offset));
}

off_t asy_sys_lseek(int fd, off_t offset, int whence)
{
    KERNEL("lseek", -EIO, lseek(fd, offset, whence));
}

ssize_t asy_sys_copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t n)
{
    KERNEL_AGAIN("copy_file_range", -EIO, copy_file_range(from, from_offset, to, to_offset, n, 0));
}

int asy_sys_fsync(int fd, bool is_data_only)
{
    KERNEL_INT("fsync", -EIO, is_data_only ? fdatasync(fd) : fsync(fd));
}

int asy_sys_ftruncate(int fd, off_t length)
{
    KERNEL_INT("ftruncate", -EIO, ftruncate(fd, length));
}

int asy_sys_fstat(int fd, struct stat *status)
{
    KERNEL_INT("fstat", -EIO, fstat(fd, status));
}

void asy_sys_from_statx(const struct statx *from, struct stat *to)
{
    *to = (struct stat){
        .st_dev = makedev(from->stx_dev_major, from->stx_dev_minor),
        .st_ino = from->stx_ino,
        .st_mode = from->stx_mode,
        .st_nlink = from->stx_nlink,
        .st_uid = from->stx_uid,
        .st_gid = from->stx_gid,
        .st_rdev = makedev(from->stx_rdev_major, from->stx_rdev_minor),
        .st_size = (off_t)from->stx_size,
        .st_blksize = (blksize_t)from->stx_blksize,
        .st_blocks = (blkcnt_t)from->stx_blocks,
        .st_atim = {.tv_sec = from->stx_atime.tv_sec, .tv_nsec = from->stx_atime.tv_nsec},
        .st_mtim = {.tv_sec = from->stx_mtime.tv_sec, .tv_nsec = from->stx_mtime.tv_nsec},
        .st_ctim = {.tv_sec = from->stx_ctime.tv_sec, .tv_nsec = from->stx_ctime.tv_nsec},
    };
}

static int statx_cached(int fd, struct stat *status)
{
    struct statx all;
    int result = (int)syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &all);
    if (result == 0)
        asy_sys_from_statx(&all, status);
    return result;
}

int asy_sys_fstat_cached(int fd, struct stat *status)
{
    KERNEL_INT("fstat_cached", -EAGAIN, statx_cached(fd, status));
}

int asy_sys_stat_path(const char *path, bool follows_links, struct stat *status)
{
    KERNEL_INT("stat", -EACCES, follows_links ? stat(path, status) : lstat(path, status));
}

bool asy_sys_is_noexec(const char *path)
{
    struct statvfs status;
    int saved = errno;
    bool is_noexec = statvfs(path, &status) == 0 && (status.f_flag & ST_NOEXEC);
    errno = saved;
    return is_noexec;
}

/* One call, where fcntl takes two: it changes one flag, and need not know the others. */
int asy_sys_set_blocking(int fd)
{
    int on = 0;
    KERNEL_INT("set_blocking", -EBADF, ioctl(fd, FIONBIO, &on));
}

int asy_sys_rename(const char *from, const char *to)
{
    KERNEL_INT("rename", -EIO, rename(from, to));
}

int asy_sys_mkdir(const char *path, mode_t mode)
{
    KERNEL_INT("mkdir", -EIO, mkdir(path, mode));
}

int asy_sys_rmdir(const char *path)
{
    KERNEL_INT("rmdir", -EIO, rmdir(path));
}

ssize_t asy_sys_getdents(int fd, void *buf, size_t n)
{
    KERNEL("getdents", -EIO, syscall(SYS_getdents64, fd, buf, n));
}
