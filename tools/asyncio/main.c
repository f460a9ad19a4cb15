/*
 * `asyncio`: looks into programs that use libasyncio, from outside.
 */
#include "command.h"
#include "target.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name, *arguments, *words;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"ps", "[OPTIONS] PID | CORE [PROGRAM]", "lists the tasks of a process, and what each waits for", run_ps},
    {"pstree", "[OPTIONS] PID | CORE [PROGRAM]", "shows who awaits whom, with stacks", run_pstree},
    {"save", "PID FILE", "keeps what ps reads of a process, for later", run_save},
    {"trace", "FILE [OPTIONS]", "turns a trace into a picture for Perfetto, text or figures", run_trace},
    {"symbolise", "[PROGRAM]", "turns object+0xoffset on stdin into function file:line", run_symbolise},
};

static void print_usage(FILE *file)
{
    fputs("usage: asyncio COMMAND ...\n", file);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(file, "  asyncio %-9s %-31s %s\n", commands[i].name, commands[i].arguments,
                commands[i].words);
    fputs("See asyncio(1).\n", file);
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    bool is_asked = strcmp(name, "--help") == 0 || strcmp(name, "help") == 0;
    if (strcmp(name, "--version") == 0) {
        puts("asyncio " TOOL_VERSION);
        return 0;
    }
    if (name[0] && !is_asked)
        fprintf(stderr, "asyncio: there is no command %s\n", name);
    print_usage(is_asked ? stdout : stderr);
    return is_asked ? READ_WHOLE : MISUSED;
}

int main(int argc, char **argv)
{
    int status = run_command(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "asyncio: the output could not be written%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return status ? status : MISUSED;
}
