/*
 * What the fuzz targets share. A target is one function of libFuzzer's, which is given any bytes
 * and aborts when something does not hold. `make fuzz` lets clang look for such bytes; `make check`
 * gives it those of corpus/<target>, by the plain main of replay.c.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "asyncio.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))

static inline _Noreturn void fuzz_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    abort();
}

/* ---- An input, taken piece by piece ----------------------------------------------------- */

struct input {
    const uint8_t *at;
    size_t left;
};

/* Up to n bytes; how many there were. */
static inline size_t take_bytes(struct input *input, const uint8_t **bytes, size_t n)
{
    *bytes = input->at;
    n = n < input->left ? n : input->left;
    input->at += n;
    input->left -= n;
    return n;
}

/* 0 when nothing is left. */
static inline unsigned take_byte(struct input *input)
{
    const uint8_t *byte;
    return take_bytes(input, &byte, 1) ? *byte : 0;
}

static inline unsigned take_number(struct input *input)
{
    unsigned high = take_byte(input);
    return high << 8 | take_byte(input);
}

/* A string of its own memory, so that a sanitizer sees its end. */
static inline char *take_text(struct input *input, size_t n)
{
    const uint8_t *bytes;
    n = take_bytes(input, &bytes, n);
    char *text = malloc(n + 1);
    MUST(text);
    if (n)
        memcpy(text, bytes, n);
    text[n] = '\0';
    return text;
}

/* ---- A run -------------------------------------------------------------------------------- */

static inline int next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

/* Runs it, which returns 0, and leaves no descriptor. A thread that begins has one for a moment. */
static inline void fuzz_run(asyncio_coro *main)
{
    int before = next_descriptor();
    MUST(asyncio_run(main) == 0);
    for (int i = 0; i < 1000 && next_descriptor() != before; i++)
        usleep(1000);
    MUST(next_descriptor() == before);
}

static inline void make_pair(int type, int fds[2])
{
    MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
}

#endif
