/*
 * file: see file.h.
 */
#include "file.h"

#include <asyncio.h>

static int64_t read_path(const char *path, size_t piece)
{
    static char buffer[FILE_PIECE];
    asyncio_file *file;
    BENCH_CHECK(asyncio_file_open(path, O_RDONLY, 0, &file) == 0);
    int64_t sum = 0;
    ssize_t n;
    while ((n = asyncio_file_read(file, buffer, piece)) > 0)
        sum += n;
    asyncio_file_close(file);
    return sum;
}

static int64_t read_small(void *arg, file_set *set)
{
    (void)arg;
    int64_t sum = 0;
    for (int i = 0; i < FILE_COUNT; i++)
        sum += read_path(set->paths[i], FILE_BUFFER);
    return sum;
}

static int64_t read_large(void *arg, file_set *set)
{
    (void)arg, (void)set;
    return read_path("large", FILE_PIECE);
}

ASYNC(async_main, int, count, char **, variants)
{
    file_bench(variants, count, read_small, read_large, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 2 ? argc - 2 : 0, argv + 2));
}
