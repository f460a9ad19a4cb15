/*
 * Open files: every call, its errors, files that tasks share, and a plain model of a file.
 */
#include "base/sanitizer.h"
#include "fd/file.h"
#include "fd/file_test.h"
#include <sys/resource.h>
#include <sys/socket.h>

/* ---- Read and written ----------------------------------------------------- */

FILE_TEST(reads)
{
    char block[64];
    put_file("text", "hello, world\n", 13);
    asyncio_file *file = open_file("text", O_RDONLY);
    CHECK(fcntl(asyncio_file_fd(file), F_GETFD) & FD_CLOEXEC);
    CHECK_EQUAL(fcntl(asyncio_file_fd(file), F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQUAL(asyncio_file_read(file, block, 5), 5);
    CHECK(memcmp(block, "hello", 5) == 0);
    CHECK_EQUAL(asyncio_file_read(file, block, 0), 0);
    CHECK_EQUAL(asyncio_file_read(file, block, sizeof block), 8);
    CHECK(memcmp(block, ", world\n", 8) == 0);
    CHECK_EQUAL(asyncio_file_read(file, block, sizeof block), 0);
    CHECK_EQUAL(asyncio_file_pread(file, block, 3, 7), 3);
    CHECK(memcmp(block, "wor", 3) == 0);
    CHECK_EQUAL(asyncio_file_pread(file, block, 3, 1000), 0);
    CHECK_EQUAL(asyncio_file_write(file, "x", 1), -EBADF);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return 0;
}

FILE_TEST(writes)
{
    struct stat status;
    unlink("new");
    asyncio_file *file = open_file("new", O_RDWR | O_CREAT | O_EXCL);
    CHECK_EQUAL(asyncio_file_write(file, "one two", 7), 7);
    CHECK_EQUAL(asyncio_file_pwrite(file, "ONE", 3, 0), 3);
    CHECK_EQUAL(asyncio_file_write(file, " three", 6), 6);
    CHECK_EQUAL(asyncio_file_write(file, "", 0), 0);
    CHECK_EQUAL(asyncio_file_fsync(file), 0);
    CHECK_EQUAL(asyncio_file_fdatasync(file), 0);
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(status.st_size, 13);
    CHECK(S_ISREG(status.st_mode));
    CHECK_EQUAL(asyncio_file_ftruncate(file, 10), 0);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), 13);
    CHECK_EQUAL(asyncio_file_lseek(file, -3, SEEK_END), 7);
    CHECK_EQUAL(asyncio_file_lseek(file, 1, SEEK_CUR), 8);
    CHECK_EQUAL(asyncio_file_lseek(file, -9, SEEK_CUR), -EINVAL);
    CHECK_EQUAL(asyncio_file_lseek(file, 2, SEEK_SET), 2);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, 77), -EINVAL);
    CHECK_EQUAL(asyncio_file_lseek(file, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    CHECK_EQUAL(asyncio_file_write(file, "-", 1), 1);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_file("new", "ON- two th", 10);
    return 0;
}

FILE_TEST(appends)
{
    char block[16];
    put_file("log", "a\n", 2);
    asyncio_file *file = open_file("log", O_RDWR | O_APPEND);
    CHECK_EQUAL(asyncio_file_read(file, block, 1), 1);
    CHECK_EQUAL(asyncio_file_write(file, "b\n", 2), 2);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), 4);
    CHECK_EQUAL(asyncio_file_lseek(file, 2, SEEK_SET), 2);
    CHECK_EQUAL(asyncio_file_read(file, block, sizeof block), 2);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_file("log", "a\nb\n", 4);
    return 0;
}

/* Whoever gets the descriptor finds the position there. */
FILE_TEST(descriptor)
{
    char block[8];
    unlink("shared");
    asyncio_file *file = open_file("shared", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_write(file, "head ", 5), 5);
    int fd = asyncio_file_fd(file);
    CHECK_EQUAL(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQUAL(write(fd, "body ", 5), 5);
    CHECK_EQUAL(asyncio_file_write(file, "foot", 4), 4);
    CHECK_EQUAL(asyncio_file_fd(file), fd);
    CHECK_EQUAL(lseek(fd, 10, SEEK_SET), 10);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 4);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_file("shared", "head body foot", 14);
    fd = open("shared", O_RDONLY | O_CLOEXEC);
    CHECK_EQUAL(read(fd, block, 5), 5);
    CHECK_EQUAL(asyncio_file_from_fd(fd, &file), 0);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 8);
    CHECK(memcmp(block, "body foo", 8) == 0);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 1);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 0);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
    return 0;
}

/* A read is short at the end of the file only, whatever is in memory. */
FILE_TEST(is_whole)
{
    enum { PAGES = 5, BYTES = PAGES * 4096 };
    static char data[BYTES], found[BYTES + 100];
    for (int i = 0; i < BYTES; i++)
        data[i] = (char)(i * 7 + i / 4096);
    put_file("pages", data, BYTES);
    asyncio_file *file = open_file("pages", O_RDONLY);
    for (size_t at = 0; at < BYTES; at += 1000) {
        memset(found, 0, sizeof found);
        CHECK_EQUAL(asyncio_file_pread(file, found, sizeof found, (off_t)at), BYTES - at);
        CHECK(memcmp(found, data + at, BYTES - at) == 0);
        size_t left = BYTES - at < 10000 ? BYTES - at : 10000;
        CHECK_EQUAL(asyncio_file_pread(file, found, 10000, (off_t)at), left);
        CHECK(memcmp(found, data + at, left) == 0);
    }
    int fd = asyncio_file_fd(file);
    CHECK_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_EQUAL(asyncio_file_read(file, found, sizeof found), BYTES); /* at the descriptor's own position */
    CHECK(memcmp(found, data, BYTES) == 0);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return 0;
}

/* More than is read at once; a file beyond 4 GiB, which is a hole but for its end. */
FILE_TEST(large)
{
    static char block[1024 * 1024], back[sizeof block];
    off_t far = ((off_t)5 << 30) + 3;
    struct stat status;
    unlink("large");
    memset(block, 'x', sizeof block);
    asyncio_file *file = open_file("large", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_pwrite(file, block, sizeof block, far), sizeof block);
    CHECK_EQUAL(asyncio_file_pread(file, back, sizeof back, far), sizeof back);
    CHECK(memcmp(block, back, sizeof block) == 0);
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(status.st_size, far + (off_t)sizeof block);
    CHECK_EQUAL(asyncio_file_lseek(file, far, SEEK_SET), far);
    CHECK_EQUAL(asyncio_file_read(file, back, 100), 100);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), far + 100);
    CHECK(asyncio_file_lseek(file, 0, SEEK_DATA) > 4096);
    CHECK_EQUAL(asyncio_file_ftruncate(file, (off_t)6 << 30), 0);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_END), (off_t)6 << 30);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return unlink("large");
}

/* ---- Errors ----------------------------------------------------- */

FILE_TEST(errors)
{
    asyncio_file *file = NULL;
    char block[8];
    struct stat status;
    put_file("there", "x", 1);
    unlink("missing");
    errno = ENOTTY;
    CHECK_EQUAL(asyncio_file_open("missing", O_RDONLY, 0, &file), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "open missing: no such file or directory");
    CHECK_EQUAL(asyncio_file_open("there/x", O_RDONLY, 0, &file), -ENOTDIR);
    CHECK_EQUAL(asyncio_file_open("there", O_RDWR | O_CREAT | O_EXCL, 0600, &file), -EEXIST);
    CHECK_EQUAL(asyncio_file_open(".", O_RDWR, 0, &file), -EISDIR);
    CHECK_EQUAL(asyncio_file_open("", O_RDONLY, 0, &file), -ENOENT);
    CHECK_EQUAL(asyncio_file_open(NULL, O_RDONLY, 0, &file), -EINVAL);
    CHECK_EQUAL(asyncio_file_open("there", O_RDONLY, 0, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_file_from_fd(-1, &file), -EBADF);
    CHECK_EQUAL(asyncio_file_from_fd(900, &file), -EBADF);
    CHECK(!file);
    file = open_file(".", O_RDONLY | O_DIRECTORY);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), -EISDIR);
    CHECK_TEXT(asyncio_error_message(), "read .: is a directory");
    CHECK_EQUAL(asyncio_file_fsync(file), 0);
    CHECK_EQUAL(asyncio_file_ftruncate(file, 0), -EINVAL);
    CHECK_EQUAL(asyncio_file_pread(file, block, 8, -1), -EINVAL);
    CHECK_EQUAL(asyncio_file_read(file, NULL, 8), -EINVAL);
    CHECK_EQUAL(asyncio_file_stat(file, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    file = open_file("/dev/full", O_WRONLY);
    CHECK_EQUAL(asyncio_file_write(file, "x", 1), -ENOSPC);
    CHECK_TEXT(asyncio_error_message(), "write /dev/full: no space left on device");
    CHECK_EQUAL(asyncio_file_close(file), 0);
    CHECK_EQUAL(asyncio_file_close(NULL), 0);
    CHECK_EQUAL(asyncio_file_read(NULL, block, 1), -EINVAL);
    CHECK_EQUAL(asyncio_file_fd(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stat("missing", &status), -ENOENT);
    CHECK_EQUAL(errno, ENOTTY);
    return 0;
}

/* A file may not grow beyond a limit: what fits is written, then it is said. */
ASYNC(write_beyond)
{
    static char block[10000];
    unlink("limited");
    asyncio_file *file = open_file("limited", O_WRONLY | O_CREAT);
    CHECK_EQUAL(asyncio_file_write(file, block, sizeof block), 4096);
    CHECK_EQUAL(asyncio_file_write(file, block, sizeof block), -EFBIG);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return 0;
}

TEST(disk_full)
{
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){4096, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_EQUAL(run(write_beyond), 0);
    setrlimit(RLIMIT_FSIZE, &before);
    harness_settle();
}

/* The position that the descriptor is to have cannot be set: somebody has closed it. */
FILE_TEST(descriptor_says_why_not)
{
    asyncio_file *file;
    CHECK_EQUAL(asyncio_file_open("/dev/null", O_RDONLY, 0, &file), 0);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), 0);
    close(file->fd);
    CHECK_EQUAL(asyncio_file_fd(file), -EBADF);
    CHECK_EQUAL(asyncio_file_close(file), -EBADF);
    return 0;
}

/* ---- What is no regular file ----------------------------------------------------- */

ASYNC(read_whole, const char *, path)
{
    static char block[100000];
    asyncio_file *file;
    int err = asyncio_file_open(path, O_RDONLY, 0, &file);
    if (err)
        return err;
    ssize_t n, sum = 0;
    while ((n = asyncio_file_read(file, block, 1000)) > 0)
        sum += n;
    asyncio_file_close(file);
    return n < 0 ? n : sum;
}

FILE_TEST(special)
{
    char block[100];
    CHECK(asyncio_await(read_whole("/proc/self/status")) > 100);
    CHECK(asyncio_await(read_whole("/proc/cpuinfo")) > 100);
    CHECK_EQUAL(asyncio_await(read_whole("/dev/null")), 0);
    asyncio_file *file = open_file("/dev/zero", O_RDWR);
    memset(block, 1, sizeof block);
    CHECK_EQUAL(asyncio_file_read(file, block, 100), 100);
    CHECK_EQUAL(block[99], 0);
    CHECK_EQUAL(asyncio_file_write(file, block, 100), 100);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    file = open_file("/dev/urandom", O_RDONLY);
    CHECK_EQUAL(asyncio_file_read(file, block, 100), 100);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    file = open_file("/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK_EQUAL(asyncio_file_pread(file, block, 100, 0), -ESPIPE);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), -ESPIPE);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return 0;
}

ASYNC(write_to, asyncio_file *, file, const char *, text)
{
    return asyncio_file_write(file, text, strlen(text));
}

/* To read opens at once, and the first read waits for a writer; none of that takes a thread. */
FILE_TEST(fifo)
{
    char block[16];
    unlink("fifo");
    CHECK_EQUAL(mkfifo("fifo", 0600), 0);
    asyncio_file *file = NULL;
    CHECK_EQUAL(asyncio_file_open("fifo", O_WRONLY | O_NONBLOCK, 0, &file), -ENXIO);
    file = open_file("fifo", O_RDONLY);
    asyncio_task *reader = asyncio_create_task(read_into(file, block, sizeof block));
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(reader));
    asyncio_file *writer = open_file("fifo", O_WRONLY);
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(reader));
    CHECK_EQUAL(asyncio_file_write(writer, "hello", 5), 5);
    CHECK_EQUAL(asyncio_await(reader), 5);
    reader = asyncio_create_task(read_into(file, block, sizeof block));
    asyncio_sleep(0.001);
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    CHECK_EQUAL(asyncio_file_pwrite(writer, "x", 1, 0), -ESPIPE);
    CHECK_EQUAL(asyncio_file_close(writer), 0);
    CHECK_EQUAL(asyncio_file_read(file, block, sizeof block), 0);
    reader = asyncio_create_task(read_into(file, block, sizeof block));
    writer = open_file("fifo", O_WRONLY);
    asyncio_sleep(0.001);
    if (!asyncio_done(reader)) { /* else it has seen the end once more */
        CHECK_EQUAL(asyncio_file_close(file), 0);
        CHECK_EQUAL(asyncio_await(reader), -EBADF);
    } else {
        CHECK_EQUAL(asyncio_await(reader), 0);
        CHECK_EQUAL(asyncio_file_close(file), 0);
    }
    CHECK_EQUAL(asyncio_file_write(writer, "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_file_close(writer), 0);
    return 0;
}

ASYNC(open_to_write, const char *, path, asyncio_file **, file)
{
    return asyncio_file_open(path, O_WRONLY, 0, file);
}

/* To write waits for a reader, who is nobody's business: no thread is kept, and a cancel is heard. */
FILE_TEST(fifo_writer)
{
    enum { OPENERS = THREADS_MAX + 4 };
    char byte;
    struct stat status;
    asyncio_file *files[OPENERS] = {0};
    asyncio_task *openers[OPENERS];
    unlink("fifo");
    CHECK_EQUAL(mkfifo("fifo", 0600), 0);
    for (int i = 0; i < OPENERS; i++)
        openers[i] = asyncio_create_task(open_to_write("fifo", &files[i]));
    asyncio_sleep(0.03);
    CHECK_EQUAL(asyncio_mkdir("meanwhile", 0700), 0);
    CHECK_EQUAL(asyncio_rmdir("meanwhile"), 0);
    for (int i = 1; i < OPENERS; i++) {
        CHECK(!asyncio_done(openers[i]));
        asyncio_cancel(openers[i]);
        CHECK_EQUAL(asyncio_await(openers[i]), -ECANCELED);
        CHECK(!files[i]);
    }
    int fd = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_EQUAL(asyncio_await(openers[0]), 0);
    CHECK_EQUAL(asyncio_file_write(files[0], "x", 1), 1);
    CHECK_EQUAL(read(fd, &byte, 1), 1);
    close(fd);
    CHECK_EQUAL(asyncio_file_stat(files[0], &status), 0);
    CHECK(S_ISFIFO(status.st_mode));
    return asyncio_file_close(files[0]);
}

FILE_TEST(sockets)
{
    int fds[2];
    char block[8];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    asyncio_file *one, *other;
    CHECK_EQUAL(asyncio_file_from_fd(fds[0], &one), 0);
    CHECK_EQUAL(asyncio_file_from_fd(fds[1], &other), 0);
    CHECK_EQUAL(asyncio_file_write(one, "hi", 2), 2);
    CHECK_EQUAL(asyncio_file_read(other, block, 8), 2);
    CHECK_EQUAL(asyncio_file_close(one), 0);
    CHECK_EQUAL(asyncio_file_read(other, block, 8), 0);
    CHECK_EQUAL(asyncio_file_close(other), 0);
    return 0;
}

/* ---- Several at a time ----------------------------------------------------- */

#define BLOCKS 64
#define BLOCK_BYTES 5000

ASYNC(move_block, asyncio_file *, from, asyncio_file *, to, int, i)
{
    char block[BLOCK_BYTES];
    off_t at = (off_t)i * BLOCK_BYTES;
    ssize_t n = asyncio_file_pread(from, block, sizeof block, at);
    return n < 0 ? n : asyncio_file_pwrite(to, block, (size_t)n, at);
}

FILE_TEST(many)
{
    static char data[BLOCKS * BLOCK_BYTES];
    asyncio_task *tasks[BLOCKS];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31 >> 3);
    put_file("from", data, sizeof data);
    asyncio_file *from = open_file("from", O_RDONLY), *to = open_file("to", O_WRONLY | O_CREAT | O_TRUNC);
    for (int i = 0; i < BLOCKS; i++)
        tasks[i] = asyncio_create_task(move_block(from, to, i));
    for (int i = 0; i < BLOCKS; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), BLOCK_BYTES);
    CHECK_EQUAL(asyncio_file_close(from), 0);
    CHECK_EQUAL(asyncio_file_close(to), 0);
    check_file("to", data, sizeof data);
    return 0;
}

/* At the position one at a time; where the kernel keeps it, all of them. */
FILE_TEST(at_position)
{
    put_file("log", "", 0);
    asyncio_file *file = open_file("log", O_WRONLY);
    asyncio_task *first = asyncio_create_task(write_to(file, "one\n"));
    asyncio_task *second = asyncio_create_task(write_to(file, "two\n"));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_await(second), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(first), 4);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_file("log", "one\n", 4);
    put_file("log", "", 0);
    file = open_file("log", O_WRONLY | O_APPEND);
    asyncio_task *tasks[20];
    for (int i = 0; i < 20; i++)
        tasks[i] = asyncio_create_task(write_to(file, "line\n"));
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 5);
    struct stat status;
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(status.st_size, 100);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return 0;
}

/* A file that is closed under somebody's call lives until that is done. */
ASYNC(main_closed_in_use)
{
    char block[16] = "", other[16] = "";
    memory = MEMORY_NOTHING;
    put_file("text", "hello", 5);
    asyncio_file *file = open_file("text", O_RDONLY);
    CHECK_EQUAL(asyncio_file_fd(file) >= 0, true);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), 0);
    asyncio_file_close(file);
    file = open_file("text", O_RDWR);
    set_gate(true);
    asyncio_task *reader = asyncio_create_task(read_into(file, block, sizeof block));
    wait_at_gate(1);
    CHECK_EQUAL(asyncio_file_read(file, other, sizeof other), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_file_fd(file), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    set_gate(false);
    CHECK_EQUAL(asyncio_await(reader), 5);
    CHECK_TEXT(block, "hello");
    return 0;
}

TEST(closed_in_use)
{
    CHECK_EQUAL(run_by_threads(main_closed_in_use), 0);
    memory = MEMORY_REAL;
    harness_settle();
}

/* ---- Now and then ----------------------------------------------------- */

ASYNC(note_that_it_ran, bool *, ran)
{
    *ran = true;
    return 0;
}

/* What is in memory lets nobody else run, but not for ever. */
ASYNC_TEST(at_once)
{
    char block[8];
    bool ran = false;
    struct stat status;
    put_file("text", "hello", 5);
    CHECK_EQUAL(asyncio_stat("text", &status), 0);
    CHECK_EQUAL(asyncio_await(read_whole("text")), 5);
    asyncio_task *other = asyncio_create_task(note_that_it_ran(&ran));
    asyncio_file *file = open_file("text", O_RDONLY);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 5);
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(asyncio_stat("text", &status), 0);
    CHECK(!ran || RUNNING_ON_VALGRIND); /* which knows no openat2 */
    for (int i = 0; i < 200; i++)
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    CHECK(ran);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    return asyncio_await(other);
}

/* A file system that never has the answer is asked less and less. */
ASYNC(main_luck)
{
    char block[8];
    put_file("text", "hello", 5);
    asyncio_file *file = open_file("text", O_RDONLY);
    memory = MEMORY_UNKNOWN;
    tries = 0;
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    CHECK_EQUAL(tries, 1);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    file = open_file("text", O_RDONLY);
    memory = MEMORY_NOTHING;
    tries = 0;
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    CHECK(tries > 5 && tries < 50);
    memory = MEMORY_REAL;
    tries = 0;
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    CHECK(tries > 900);
    tries = 0;
    for (int i = 0; i < 10; i++) { /* now and then is no reason */
        memory = i % 2 ? MEMORY_REAL : MEMORY_NOTHING;
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    }
    CHECK_EQUAL(tries, 10);
    return asyncio_file_close(file);
}

TEST(luck)
{
    CHECK_EQUAL(run(main_luck), 0);
    memory = MEMORY_REAL;
    harness_settle();
}

/* Under a virtual clock nothing takes time, and no thread is asked. */
ASYNC(main_virtual)
{
    double began = asyncio_time();
    unlink("new");
    asyncio_file *file = open_file("new", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_write(file, "hello", 5), 5);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    CHECK_EQUAL(asyncio_await(read_whole("new")), 5);
    CHECK(asyncio_time() == began);
    return 0;
}

TEST(virtual)
{
    const asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    CHECK_EQUAL(asyncio_run_with(main_virtual(), &options), 0);
    harness_settle();
}

TEST(outside_a_task)
{
    asyncio_file *file = NULL;
    CHECK_EQUAL(asyncio_file_open("text", O_RDONLY, 0, &file), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_file_from_fd(0, &file), ASYNCIO_ENOTASK);
    CHECK(!file);
    harness_settle();
}

/* ---- A model ----------------------------------------------------- */

#define MODEL_MAX 40000

static struct model {
    char data[MODEL_MAX * 2];
    size_t size, position;
    uint64_t random;
} model;

static size_t draw(size_t below)
{
    model.random = model.random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(model.random >> 33) % below;
}

static void check_model_read(asyncio_file *file, bool moves)
{
    static char found[MODEL_MAX];
    size_t at = moves ? model.position : draw(MODEL_MAX), n = draw(MODEL_MAX);
    size_t left = at < model.size ? model.size - at : 0, expected = n < left ? n : left;
    ssize_t got = moves ? asyncio_file_read(file, found, n) : asyncio_file_pread(file, found, n, (off_t)at);
    CHECK_EQUAL(got, expected);
    CHECK(memcmp(found, model.data + at, expected) == 0);
    if (moves)
        model.position += expected;
}

static void check_model_write(asyncio_file *file, bool moves)
{
    static char block[MODEL_MAX];
    size_t at = moves ? model.position : draw(MODEL_MAX), n = draw(MODEL_MAX / 4);
    memset(block, (int)draw(256), n);
    ssize_t put = moves ? asyncio_file_write(file, block, n) : asyncio_file_pwrite(file, block, n, (off_t)at);
    CHECK_EQUAL(put, n);
    if (n && at > model.size)
        memset(model.data + model.size, 0, at - model.size);
    memcpy(model.data + at, block, n);
    if (n && at + n > model.size)
        model.size = at + n;
    if (moves)
        model.position += n;
}

static void check_model_rest(asyncio_file *file)
{
    struct stat status;
    size_t length = draw(MODEL_MAX);
    switch (draw(4)) {
    case 0:
        CHECK_EQUAL(asyncio_file_ftruncate(file, (off_t)length), 0);
        if (length > model.size)
            memset(model.data + model.size, 0, length - model.size);
        model.size = length;
        break;
    case 1:
        CHECK_EQUAL(asyncio_file_lseek(file, (off_t)length, SEEK_SET), length);
        model.position = length;
        break;
    case 2:
        CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
        CHECK_EQUAL(status.st_size, model.size);
        break;
    default:
        posix_fadvise(asyncio_file_fd(file), 0, 0, POSIX_FADV_DONTNEED);
    }
}

FILE_TEST(model)
{
    memset(&model, 0, sizeof model);
    model.random = (uint64_t)memory + 1;
    unlink("model");
    asyncio_file *file = open_file("model", O_RDWR | O_CREAT);
    for (int i = 0; i < (is_slow_build() ? 300 : 1500); i++) {
        bool moves = draw(2) && model.position < MODEL_MAX;
        size_t what = draw(10);
        if (what < 5)
            check_model_read(file, moves);
        else if (what < 8)
            check_model_write(file, moves);
        else
            check_model_rest(file);
    }
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_file("model", model.data, model.size);
    return 0;
}

/* ---- Sweeps ----------------------------------------------------- */

ASYNC(main_sweep)
{
    asyncio_file *file;
    char block[600];
    struct stat status;
    unlink("swept");
    int err = asyncio_file_open("swept", O_RDWR | O_CREAT, 0600, &file);
    if (err)
        return err;
    memset(block, 'x', sizeof block);
    ssize_t put = asyncio_file_write(file, block, sizeof block);
    CHECK(put < 0 || put == sizeof block);
    asyncio_file_pwrite(file, block, 100, 1000);
    asyncio_file_fsync(file);
    asyncio_file_ftruncate(file, 500);
    asyncio_file_stat(file, &status);
    asyncio_file_lseek(file, 0, SEEK_END);
    asyncio_file_lseek(file, 0, SEEK_SET);
    ssize_t got = asyncio_file_read(file, block, 10);
    CHECK(got < 0 || got == 10 || got == 0);
    asyncio_file_pread(file, block, 10, 5);
    asyncio_file_fd(file);
    asyncio_file_read(file, block, 10);
    err = asyncio_file_close(file);
    return err ? err : got < 0 ? got : 0;
}

TEST(failures)
{
    for (memory = MEMORY_REAL; memory <= MEMORY_NOTHING; memory++)
        sweep_failures(main_sweep);
    memory = MEMORY_REAL;
}

TEST(cancelled_anywhere)
{
    for (memory = MEMORY_REAL; memory <= MEMORY_HALF; memory++)
        sweep_cancels(main_sweep, NULL);
    memory = MEMORY_REAL;
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    return tests_run(&fixtures);
}
