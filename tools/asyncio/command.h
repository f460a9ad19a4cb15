/*
 * The commands of `asyncio`. To add one: a file, a line here, and one in main.c.
 */
#ifndef TOOL_COMMAND_H
#define TOOL_COMMAND_H

#include <stdbool.h>

/* Each gets the words from its own name on, and returns an exit status (target.h). */
int run_ps(int argc, char **argv);
int run_pstree(int argc, char **argv);
int run_save(int argc, char **argv);
int run_trace(int argc, char **argv);
int run_symbolise(int argc, char **argv);

/* Is --help among the words? */
bool is_help(int argc, char **argv);
/* Prints how a command is used: on stdout if that was asked for, else on stderr. Returns the exit status. */
int show_usage(int argc, char **argv, const char *usage);

#endif
