/*
 * Fuzzed: the environment variables that a loop reads. None of them makes it fail.
 */
#include "fuzz/fuzz.h"

ASYNC(counts, int *, count)
{
    for (int i = 0; i < 3; i++)
        asyncio_sleep(0);
    return ++*count;
}

ASYNC(fuzz_main)
{
    int count = 0;
    intptr_t results[3];
    int err = asyncio_gather(results, counts(&count), counts(&count), counts(&count));
    MUST(count == 3 && results[0] + results[1] + results[2] == 1 + 2 + 3);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"ASYNCIO_DEBUG", "ASYNCIO_SEED", "ASYNCIO_BACKEND"};
    struct input input = {data, size};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = take_text(&input, take_byte(&input));
        MUST(setenv(names[i], text, 1) == 0);
        free(text);
    }
    fuzz_run(fuzz_main());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return 0;
}
