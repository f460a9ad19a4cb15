/*
 * The commands of `asyncio`. To add one: a file, a line here, and one in main.c.
 */
#ifndef TOOL_COMMAND_H
#define TOOL_COMMAND_H

/* Each gets the words from its own name on, and returns an exit status (target.h). */
int run_ps(int argc, char **argv);
int run_pstree(int argc, char **argv);
int run_save(int argc, char **argv);
int run_trace(int argc, char **argv);
int run_symbolise(int argc, char **argv);

#endif
