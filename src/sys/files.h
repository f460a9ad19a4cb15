/*
 * Files, entered through the seam (sys.h): the kernel's own parameters, a value >= 0 or a negative errno,
 * errno untouched. The calls that end in _cached never wait for a disk or a server: -EAGAIN where they
 * would have to; -EOPNOTSUPP, -ENOSYS or -EINVAL where a kernel, a file or a checker does not know how.
 */
#ifndef ASY_SYS_FILES_H
#define ASY_SYS_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifndef STATX_BASIC_STATS /* musl before 1.2.5 */
#include <linux/stat.h>
#endif

/* Close-on-exec. */
int asy_sys_open(const char *path, int flags, mode_t mode);
int asy_sys_open_cached(const char *path, int flags);
/* What those end with: a descriptor that the kernel gave otherwise has a number above 2 from here on. */
int asy_sys_opened(int fd);

/* `offset` below 0: at the descriptor's own position, which moves. */
ssize_t asy_sys_read_at(int fd, void *buf, size_t n, off_t offset);
ssize_t asy_sys_read_cached(int fd, void *buf, size_t n, off_t offset);
ssize_t asy_sys_write_at(int fd, const void *buf, size_t n, off_t offset);
off_t asy_sys_lseek(int fd, off_t offset, int whence);
ssize_t asy_sys_copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t n);

int asy_sys_fsync(int fd, bool is_data_only);
int asy_sys_ftruncate(int fd, off_t length);
int asy_sys_fstat(int fd, struct stat *status);
int asy_sys_fstat_cached(int fd, struct stat *status);
void asy_sys_from_statx(const struct statx *from, struct stat *to);
/* stat(2), or lstat(2). */
int asy_sys_stat_path(const char *path, bool follows_links, struct stat *status);
/* Whether no program can be run from the file system that it is on. */
bool asy_sys_is_noexec(const char *path);
/* Takes O_NONBLOCK away. */
int asy_sys_set_blocking(int fd);

int asy_sys_rename(const char *from, const char *to);
int asy_sys_mkdir(const char *path, mode_t mode);
int asy_sys_rmdir(const char *path);

/* What getdents64 writes. */
struct asy_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes; /* of this entry: to the next one */
    uint8_t type;   /* DT_... */
    char name[];
};
ssize_t asy_sys_getdents(int fd, void *buf, size_t n);

#endif
