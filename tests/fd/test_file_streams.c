/*
 * Streams over regular files: read by lines, written in the background, copied; and what ends
 * them in the middle.
 */
#include "fd/file_test.h"
#include <sys/resource.h>

static asyncio_stream *stream_of(const char *path, int flags)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_stream_from_file(open_file(path, flags), NULL, &stream), 0);
    return stream;
}

/* ---- Read ----------------------------------------------------- */

FILE_TEST(lines)
{
    enum { LINES = 5000 };
    char *line, expected[64];
    FILE *file = fopen("lines", "we");
    for (int i = 0; i < LINES; i++)
        fprintf(file, "line %d%s\n", i, i % 7 ? "" : " and some more");
    fprintf(file, "no end");
    fclose(file);
    asyncio_stream *stream = stream_of("lines", O_RDONLY);
    for (int i = 0; i < LINES; i++) {
        int length = snprintf(expected, sizeof expected, "line %d%s\n", i, i % 7 ? "" : " and some more");
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), length);
        CHECK_TEXT(line, expected);
    }
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 6);
    CHECK_TEXT(line, "no end");
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 0);
    CHECK(asyncio_stream_at_eof(stream));
    return asyncio_stream_close(stream);
}

FILE_TEST(all_kinds_of_reads)
{
    char block[16], *data;
    put_file("kinds", "head:body\nrest", 14);
    asyncio_file *file = open_file("kinds", O_RDONLY);
    CHECK_EQUAL(asyncio_file_read(file, block, 2), 2); /* the stream goes on from here */
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_file(file, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, ":", 1, &data), 3);
    CHECK_TEXT(data, "ad:");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, block, 5), 5);
    CHECK(memcmp(block, "body\n", 5) == 0);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, block, 5), ASYNCIO_EINCOMPLETE);
    CHECK_EQUAL(asyncio_stream_read(stream, block, sizeof block), 4);
    CHECK_EQUAL(asyncio_stream_read(stream, block, sizeof block), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), 0); /* it was not opened to write */
    CHECK_EQUAL(asyncio_stream_close(stream), -EBADF);
    return 0;
}

FILE_TEST(descriptor)
{
    char *line;
    struct stat status;
    put_file("from", "one\ntwo\n", 8);
    int fd = open("from", O_RDONLY | O_CLOEXEC);
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 4);
    CHECK_EQUAL(asyncio_stream_fd(stream), fd);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(fstat(fd, &status), -1);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_stream_from_file(NULL, NULL, &stream), -EINVAL);
    stream = stream_of(".", O_RDONLY);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), -EISDIR);
    return asyncio_stream_close(stream);
}

/* One that is in use is not taken over. */
ASYNC(reads_at, asyncio_file *, file, char *, byte)
{
    return asyncio_file_pread(file, byte, 1, 0);
}

THREADS_TEST(in_use)
{
    char byte;
    asyncio_stream *stream;
    enum memory before = memory;
    memory = MEMORY_NOTHING;
    put_file("from", "text", 4);
    asyncio_file *file = open_file("from", O_RDONLY);
    set_gate(true);
    asyncio_task *reader = asyncio_create_task(reads_at(file, &byte));
    wait_at_gate(1);
    CHECK_EQUAL(asyncio_stream_from_file(file, NULL, &stream), ASYNCIO_ESTATE);
    set_gate(false);
    CHECK_EQUAL(asyncio_await(reader), 1);
    memory = before;
    CHECK_EQUAL(asyncio_stream_from_file(file, NULL, &stream), 0);
    return asyncio_stream_close(stream);
}

/* This process's own stdin, redirected: it is not closed. */
FILE_TEST(stdin)
{
    char *line;
    put_file("from", "one\ntwo\n", 8);
    int fd = open("from", O_RDONLY | O_CLOEXEC), saved = fcntl(0, F_DUPFD_CLOEXEC, 50);
    CHECK_EQUAL(dup2(fd, 0), 0);
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_open_pipe(0, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 4);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQUAL(lseek(0, 0, SEEK_CUR), 8); /* where the others who share it go on */
    dup2(saved, 0);
    close(saved);
    close(fd);
    return 0;
}

/* A stream over a FIFO waits for the first writer as the file does, and meets the end after the last one. */
ASYNC(first_line, asyncio_stream *, stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    return n == 6 && memcmp(line, "hello\n", 6) == 0 ? 6 : n;
}

FILE_TEST(fifo)
{
    char *line;
    asyncio_stream *stream = NULL;
    unlink("fifo");
    CHECK_EQUAL(mkfifo("fifo", 0600), 0);
    CHECK_EQUAL(asyncio_stream_from_file(open_file("fifo", O_RDONLY), NULL, &stream), 0);
    asyncio_task *reader = asyncio_create_task(first_line(stream));
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(reader));
    asyncio_file *writer = open_file("fifo", O_WRONLY);
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(reader));
    CHECK_EQUAL(asyncio_file_write(writer, "hello\nworld", 11), 11);
    CHECK_EQUAL(asyncio_await(reader), 6);
    CHECK_EQUAL(asyncio_file_close(writer), 0);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 5);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 0);
    return asyncio_stream_close(stream);
}

/* ---- Written ----------------------------------------------------- */

FILE_TEST(writes)
{
    static char block[300000];
    struct stat status;
    memset(block, 'b', sizeof block);
    asyncio_stream *stream = stream_of("out", O_WRONLY | O_CREAT | O_TRUNC);
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_stream_printf(stream, "%d\n", i), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    CHECK_EQUAL(asyncio_stream_drain(stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, "end", 3), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(stat("out", &status), 0);
    CHECK_EQUAL(status.st_size, 3890 + sizeof block + 3);
    char *line;
    stream = stream_of("out", O_RDONLY);
    for (int i = 0; i < 1000; i++) {
        CHECK(asyncio_stream_readline(stream, &line) > 0);
        CHECK_EQUAL(atoi(line), i);
    }
    return asyncio_stream_close(stream);
}

ASYNC(write_lines, asyncio_stream *, stream, int, who)
{
    int err = 0;
    for (int i = 0; i < 300 && !err; i++)
        err = asyncio_stream_printf(stream, "%d %0*d\n", who, i % 3 ? 10 : 2000, i);
    return err;
}

/* Several writers: no line is torn. */
FILE_TEST(writers)
{
    int next[3] = {0}, who, i;
    char *line;
    asyncio_stream *stream = stream_of("out", O_WRONLY | O_CREAT | O_TRUNC);
    int err = asyncio_gather(NULL, write_lines(stream, 0), write_lines(stream, 1), write_lines(stream, 2));
    CHECK_EQUAL(err, 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    stream = stream_of("out", O_RDONLY);
    while (asyncio_stream_readline(stream, &line) > 0) {
        CHECK_EQUAL(sscanf(line, "%d %d\n", &who, &i), 2);
        CHECK(who >= 0 && who < 3 && i == next[who]);
        next[who]++;
    }
    CHECK(next[0] == 300 && next[1] == 300 && next[2] == 300);
    return asyncio_stream_close(stream);
}

FILE_TEST(no_room)
{
    asyncio_stream *stream = stream_of("/dev/full", O_WRONLY); /* read and written as devices are */
    int err = asyncio_stream_write(stream, "x", 1);
    int closing = asyncio_stream_close(stream);
    CHECK(err == -ENOSPC || closing == -ENOSPC);
    static char block[200000];
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){100000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    stream = stream_of("out", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    CHECK_EQUAL(asyncio_stream_drain(stream), -EFBIG);
    CHECK_EQUAL(asyncio_stream_write(stream, block, 1), -EFBIG);
    CHECK_EQUAL(asyncio_stream_close(stream), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    return 0;
}

FILE_TEST(copied)
{
    static char data[500000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 11 >> 3);
    put_file("from", data, sizeof data);
    asyncio_stream *from = stream_of("from", O_RDONLY);
    asyncio_stream *to = stream_of("to", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_EQUAL(asyncio_stream_copy(from, to), sizeof data);
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    check_file("to", data, sizeof data);
    return 0;
}

/* ---- In the middle ----------------------------------------------------- */

ASYNC(read_line, asyncio_stream *, stream, char **, line)
{
    return asyncio_stream_readline(stream, line);
}

/* Reads of streams are at the descriptor's position, by read(2). */
static volatile bool reads_wait;
ssize_t read(int fd, void *buf, size_t n)
{
    if (reads_wait)
        pass_gate();
    return syscall(SYS_read, fd, buf, n);
}

ASYNC(main_cancelled)
{
    char *line;
    memory = MEMORY_NOTHING;
    put_file("from", "one\ntwo\n", 8);
    asyncio_stream *stream = stream_of("from", O_RDONLY);
    set_gate(true);
    reads_wait = true;
    asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
    wait_at_gate(1);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), ASYNCIO_ESTATE);
    asyncio_cancel(reader);
    asyncio_sleep(0.002);
    CHECK(!asyncio_done(reader));
    reads_wait = false;
    set_gate(false);
    CHECK_EQUAL(asyncio_await(reader), 4);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 4);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    /* Aborted under a reader. */
    stream = stream_of("from", O_RDONLY);
    set_gate(true);
    reads_wait = true;
    reader = asyncio_create_task(read_line(stream, &line));
    wait_at_gate(1);
    asyncio_stream_abort(stream);
    reads_wait = false;
    set_gate(false);
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    return 0;
}

TEST(cancelled)
{
    CHECK_EQUAL(run_by_threads(main_cancelled), 0);
    memory = MEMORY_REAL;
    harness_settle();
}

/* What is queued is dropped; a block that is being written is its own. */
FILE_TEST(aborted)
{
    static char block[400000];
    asyncio_stream *stream = stream_of("out", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    asyncio_stream_abort(stream);
    asyncio_connect_options options = {.close_timeout = -1};
    CHECK_EQUAL(asyncio_stream_from_file(open_file("out", O_WRONLY), &options, &stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    int err = asyncio_stream_close(stream);
    CHECK(err == 0 || err == -ETIMEDOUT);
    return 0;
}

/* The loop closes over it. */
ASYNC(leave_a_stream, asyncio_stream **, stream)
{
    static char block[400000];
    *stream = stream_of("out", O_WRONLY | O_CREAT | O_TRUNC);
    return asyncio_stream_write(*stream, block, sizeof block);
}

TEST(loop_closes)
{
    asyncio_stream *stream = NULL;
    int descriptors = count_descriptors();
    CHECK_EQUAL(asyncio_run(leave_a_stream(&stream)), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), -ECONNABORTED);
    for (int i = 0; i < 30000 && count_descriptors() != descriptors; i++)
        usleep(1000);
    CHECK_EQUAL(count_descriptors(), descriptors);
    harness_settle();
}

/* ---- Sweeps ----------------------------------------------------- */

ASYNC(main_sweep)
{
    char *line;
    asyncio_file *file;
    asyncio_stream *stream;
    int err = asyncio_file_open("swept", O_RDWR | O_CREAT | O_TRUNC, 0600, &file);
    if (err)
        return err;
    err = asyncio_stream_from_file(file, NULL, &stream);
    if (err) {
        asyncio_file_close(file);
        return err;
    }
    err = asyncio_stream_write(stream, "one\ntwo\n", 8);
    int last = asyncio_stream_drain(stream);
    err = err ? err : last;
    last = asyncio_stream_close(stream);
    err = err ? err : last;
    if (err)
        return err;
    err = asyncio_file_open("swept", O_RDONLY, 0, &file);
    if (err)
        return err;
    err = asyncio_stream_from_file(file, NULL, &stream);
    if (err) {
        asyncio_file_close(file);
        return err;
    }
    ssize_t n = asyncio_stream_readline(stream, &line);
    CHECK(n < 0 || n == 4);
    if (n == -ECANCELED) /* and nothing is lost */
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), 4);
    last = asyncio_stream_close(stream);
    return n < 0 ? n : last;
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
