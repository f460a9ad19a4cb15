/*
 * Fuzzed: trace files, as `asyncio trace` reads them. The input is the form that is asked for, changes to the
 * head of a small file, and its records. Whatever the file says, the command ends, and breaks nothing.
 */
#include "command.h"
#include "core/trace_file.h"
#include "fuzz/fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define RECORDS 64

static struct {
    union {
        struct trace_head head;
        unsigned char bytes[TRACE_HEAD_BYTES];
    };
    char names[TRACE_NAMES_BYTES];
    struct trace_record records[RECORDS];
} file;

static void make_file(struct input *input)
{
    memset(&file, 0, sizeof file);
    file.head = (struct trace_head){.version = TRACE_VERSION,
                                    .record_bytes = sizeof(struct trace_record),
                                    .count = RECORDS,
                                    .clock = TRACE_MONOTONIC,
                                    .names = 32,
                                    .index = RECORDS};
    memcpy(file.head.magic, TRACE_MAGIC, sizeof file.head.magic);
    memcpy(file.names, "\0ready\0queue get\0work\0a name", 28);
    for (unsigned changes = take_byte(input) % 8; changes; changes--) {
        unsigned place = take_byte(input) % sizeof file.head;
        file.bytes[place] = (unsigned char)take_byte(input);
    }
    const uint8_t *bytes;
    size_t count = take_bytes(input, &bytes, sizeof file.records);
    memcpy(file.records, bytes, count);
    /* Kinds that there are, mostly: else most records would be dropped at once. */
    for (size_t i = 0; i < RECORDS; i++)
        if (file.records[i].subject >> TRACE_KIND_SHIFT >= 0x20)
            file.records[i].subject = (file.records[i].subject & ~(UINT64_C(0xff) << TRACE_KIND_SHIFT)) |
                                      (i % TRACE_KINDS_END) << TRACE_KIND_SHIFT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    if (fd < 0) {
        MUST(freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr));
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    struct input input = {data, size};
    unsigned form = take_byte(&input) % 4;
    make_file(&input);
    MUST(pwrite(fd, &file, sizeof file, 0) == (ssize_t)sizeof file);
    char command[] = "trace", last[] = "--last", seconds[] = "0.000000001", output[] = "-o",
         null[] = "/dev/null";
    char forms[][8] = {"--text", "--json", "--stats"};
    char *words[7] = {command, path}, **next = words + 2;
    if (form < 3) {
        *next++ = forms[form];
    } else {
        *next++ = output;
        *next++ = null;
    }
    if (take_byte(&input) & 1) {
        *next++ = last;
        *next++ = seconds;
    }
    run_trace((int)(next - words), words);
    return 0;
}
