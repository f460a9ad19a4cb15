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
    char text[NAME_BYTES];
    ssize_t n = make_query(query, name);
    MUST(n == -EINVAL || (n >= 12 + 2 + 1 + 4 && n <= 12 + 255 + 4));
    /* What was written is one name, that one: its labels, then the type and the class. */
    if (n > 0)
        MUST(read_name(query, (size_t)n, 12, text) + 4 == (size_t)n && !strncmp(text, name, strlen(name)));
    free(name);
}

ASYNC(fuzz_main, struct input *, input)
{
    if (take_byte(input) & 1) {
        check_query(input);
        return 0;
    }
    /* A header, the question that was asked, and anything. */
    unsigned char query[ANSWER_MAX];
    const uint8_t *bytes;
    size_t length = (size_t)make_query(query, "name.test");
    size_t n = take_bytes(input, &bytes, ANSWER_MAX - (length - HEADER_BYTES));
    size_t header = n < HEADER_BYTES ? n : HEADER_BYTES;
    unsigned char *answer = malloc(length + n - header); /* ends where it ends */
    MUST(answer);
    memcpy(answer, query, length);
    memcpy(answer, bytes, header);
    memcpy(answer + length, bytes + header, n - header);
    int err = print_addresses(answer, length + n - header, length, "name.test");
    MUST(!err || err == -ENOENT || err == -ENODATA || err == -EBADMSG || err == -EMSGSIZE);
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
