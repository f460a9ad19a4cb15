/*
 * libuv's side of `file`: each call goes to its threads, and comes back as a callback. So
 * many files are in work at a time that these have enough to do.
 */
#include "../../file.h"

#include <uv.h>

#define AT_ONCE 16

struct reader {
    uv_fs_t request;
    uv_buf_t buffer;
    uv_file fd;
    struct batch *batch;
};

struct batch {
    uv_loop_t *loop;
    file_set *set; /* NULL: `large` */
    int next, count;
    int64_t sum;
    struct reader readers[AT_ONCE];
};

static void open_next(struct reader *reader);

static void was_closed(uv_fs_t *request)
{
    struct reader *reader = request->data;
    uv_fs_req_cleanup(request);
    open_next(reader);
}

static void was_read(uv_fs_t *request);

static void read_next(struct reader *reader)
{
    uv_loop_t *loop = reader->batch->loop;
    BENCH_CHECK(!uv_fs_read(loop, &reader->request, reader->fd, &reader->buffer, 1, -1, was_read));
}

static void was_read(uv_fs_t *request)
{
    struct reader *reader = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    BENCH_CHECK(n >= 0);
    reader->batch->sum += n;
    if (n > 0)
        read_next(reader);
    else
        BENCH_CHECK(uv_fs_close(reader->batch->loop, request, reader->fd, was_closed) == 0);
}

static void was_opened(uv_fs_t *request)
{
    struct reader *reader = request->data;
    reader->fd = (uv_file)request->result;
    uv_fs_req_cleanup(request);
    BENCH_CHECK(reader->fd >= 0);
    read_next(reader);
}

static void open_next(struct reader *reader)
{
    struct batch *batch = reader->batch;
    if (batch->next == batch->count)
        return;
    const char *path = batch->set ? batch->set->paths[batch->next] : "large";
    batch->next++;
    reader->request.data = reader;
    BENCH_CHECK(uv_fs_open(batch->loop, &reader->request, path, O_RDONLY, 0, was_opened) == 0);
}

static int64_t read_batch(uv_loop_t *loop, file_set *set, int count, unsigned piece)
{
    static char buffers[AT_ONCE][FILE_PIECE];
    static struct batch batch;
    batch = (struct batch){.loop = loop, .set = set, .count = count};
    for (int i = 0; i < AT_ONCE; i++) {
        batch.readers[i].batch = &batch;
        batch.readers[i].buffer = uv_buf_init(buffers[i], piece);
        open_next(&batch.readers[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    return batch.sum;
}

static int64_t read_small(void *arg, file_set *set)
{
    return read_batch(arg, set, FILE_COUNT, FILE_BUFFER);
}

static int64_t read_large(void *arg, file_set *set)
{
    (void)set;
    return read_batch(arg, NULL, 1, FILE_PIECE);
}

int main(int argc, char **argv)
{
    file_bench(argv + 2, argc - 2, read_small, read_large, uv_default_loop());
    return 0;
}
