/*
 * The yardstick for `file`: open, read, close, by hand, and nothing goes on meanwhile.
 */
#include "file.h"

static int64_t read_path(const char *path, size_t piece)
{
    static char buffer[FILE_PIECE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(fd >= 0);
    int64_t sum = 0;
    ssize_t n;
    while ((n = read(fd, buffer, piece)) > 0)
        sum += n;
    close(fd);
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

int main(int argc, char **argv)
{
    file_bench(argv + 2, argc - 2, read_small, read_large, NULL);
    return 0;
}
