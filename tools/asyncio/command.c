/*
 * What the commands of `asyncio` share. See command.h.
 */
#include "command.h"
#include "target.h"
#include <stdio.h>
#include <string.h>

bool is_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

int show_usage(int argc, char **argv, const char *usage)
{
    bool is_asked = is_help(argc, argv);
    fprintf(is_asked ? stdout : stderr, "usage: asyncio %s\n", usage);
    return is_asked ? READ_WHOLE : MISUSED;
}
