/*
 * Fuzzed: the DNS example's parser of answers, and its writer of questions.
 */
#include "fuzz/fuzz.h"

int example_main(int argc, char *argv[]);
#define main example_main
#include "../../examples/14_dns_query.c"
#undef main

static void check_query(struct input *input)
{
    unsigned char query[ANSWER_MAX];
    char *name = take_text(input, take_byte(input));
    ssize_t n = make_query(query, 1, name);
    MUST(n == -EINVAL || (n >= 12 + 2 + 1 + 4 && n <= 12 + 255 + 4));
    /* What was written is one name: its labels, then the type and the class. */
    if (n > 0)
        MUST(skip_name(query, (size_t)n, 12) + 4 == (size_t)n);
    free(name);
}

ASYNC(fuzz_main, struct input *, input)
{
    if (take_byte(input) & 1) {
        check_query(input);
        return 0;
    }
    const uint8_t *bytes;
    size_t n = take_bytes(input, &bytes, ANSWER_MAX);
    unsigned char *answer = malloc(n ? n : 1); /* ends where it ends */
    MUST(answer);
    memcpy(answer, bytes, n);
    int printed = n < 12 ? 0 : print_addresses(answer, n, "name");
    MUST(printed == -ENOENT || printed == -ENODATA || printed <= (int)n / 14);
    free(answer);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    fuzz_run(fuzz_main(&input));
    (void)example_main;
    return 0;
}
