/*
 * Files that are used after they were closed: the program ends, and is told which call it was.
 */
#include "fd/stream_test.h"
#include "support/late_use.h"
#include <fcntl.h>

static asyncio_file *open_null(void)
{
    asyncio_file *file = NULL;
    CHECK_EQUAL(asyncio_file_open("/dev/null", O_RDWR, 0, &file), 0);
    return file;
}

static asyncio_file *closed_file(int more)
{
    asyncio_file *file = open_null();
    asyncio_file_close(file);
    while (more--)
        open_null();
    return file;
}

static void read_late(int more)
{
    char byte;
    asyncio_file_read(closed_file(more), &byte, 1);
}

static void write_late(int more)
{
    asyncio_file_pwrite(closed_file(more), "x", 1, 0);
}

static void seek_late(int more)
{
    asyncio_file_lseek(closed_file(more), 0, SEEK_CUR);
}

static void sync_late(int more)
{
    asyncio_file_fsync(closed_file(more));
}

static void look_at_descriptor_late(int more)
{
    asyncio_file_fd(closed_file(more));
}

static void close_twice(int more)
{
    asyncio_file_close(closed_file(more));
}

static void make_stream_late(int more)
{
    asyncio_stream *stream;
    asyncio_stream_from_file(closed_file(more), NULL, &stream);
}

/* The stream has it: it is closed with that. */
static void close_given_away(int more)
{
    asyncio_file *file = open_null();
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_file(file, NULL, &stream), 0);
    while (more--)
        open_null();
    asyncio_file_close(file);
}

ASYNC(reads_fifo, asyncio_file *, file)
{
    char byte;
    return asyncio_file_read(file, &byte, 1);
}

/* A call of another task keeps what is inside, but the owner has left. */
static void read_beside_a_reader(int more)
{
    (void)more;
    int fds[2];
    char byte;
    asyncio_file *file = NULL;
    CHECK_EQUAL(pipe(fds), 0);
    CHECK_EQUAL(asyncio_file_from_fd(fds[0], &file), 0);
    asyncio_create_task(reads_fifo(file));
    asyncio_sleep(0);
    asyncio_file_close(file);
    asyncio_file_read(file, &byte, 1);
}

TEST(files)
{
    check_late(read_late, "asyncio_file_read: used after its release; it was a file");
    check_late(write_late, "asyncio_file_pwrite: used after its release; it was a file");
    check_late(seek_late, "asyncio_file_lseek: used after its release");
    check_late(sync_late, "asyncio_file_fsync: used after its release");
    check_late(look_at_descriptor_late, "asyncio_file_fd: used after its release");
    check_late(close_twice, "asyncio_file_close: used after its release");
    check_late(make_stream_late, "asyncio_stream_from_file: used after its release");
    check_late(close_given_away, "asyncio_file_close: used after its release");
    check_late(read_beside_a_reader, "asyncio_file_read: used after its release");
}

TEST_MAIN()
