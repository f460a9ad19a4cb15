/*
 * Gives a fuzz target nothing, and then each file of the folders that are named, and beginnings of it.
 */
#include "fuzz/fuzz.h"
#include <dirent.h>

#define INPUT_MAX 65536
#define BEGINNINGS 16 /* of each file, the whole among them */

static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* a sanitizer sees where it ends */
    MUST(copy);
    if (size)
        memcpy(copy, data, size);
    MUST(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

static void run_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t i = 1, last = 0; i <= BEGINNINGS; i++) {
        size_t length = size * i / BEGINNINGS;
        if (length != last) /* of a short file, several would be the same */
            run_one(data, length);
        last = length;
    }
}

static unsigned run_folder(const char *path)
{
    char name[1024];
    unsigned count = 0;
    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (*entry->d_name == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        fprintf(stderr, "%s\n", name); /* the last one that is named is to blame */
        run_file(name);
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argc, char *argv[])
{
    unsigned count = 0;
    run_one(NULL, 0);
    for (int i = 1; i < argc; i++)
        count += run_folder(argv[i]);
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
