/*
 * `asyncio ps` and `asyncio pstree`: their options.
 */
#include "command.h"
#include "look.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char options_text[] =
    "  --stack[=N]      N frames of the program for each task (pstree: all; ps: none)\n"
    "  --stacks         how deep the stack of each task was used, and the deepest of each coroutine\n"
    "  --all-frames     the library's frames, too\n"
    "  --loop N         only this loop\n"
    "  --name GLOB      only tasks with such a name or coroutine\n"
    "  --wait WORD      only tasks in this state: sleep, read, lock, queue ...\n"
    "  --older SECONDS  only tasks that have waited as long\n"
    "  --group, --no-group   tasks in equal state with equal stacks are one entry, or not\n"
    "                   (default: from 51 tasks on)\n"
    "  --no-stop        never stop the process; tasks that changed meanwhile are marked ~\n"
    "  --json, --dot    for programs; for Graphviz\n";

enum { STACK = 256, STACKS, ALL_FRAMES, LOOP, NAME, WAIT, OLDER, GROUP, NO_GROUP, NO_STOP, JSON, DOT, HELP };
static const struct option long_options[] = {
    {"stack", optional_argument, NULL, STACK},
    {"stacks", no_argument, NULL, STACKS},
    {"all-frames", no_argument, NULL, ALL_FRAMES},
    {"loop", required_argument, NULL, LOOP},
    {"name", required_argument, NULL, NAME},
    {"wait", required_argument, NULL, WAIT},
    {"older", required_argument, NULL, OLDER},
    {"group", no_argument, NULL, GROUP},
    {"no-group", no_argument, NULL, NO_GROUP},
    {"no-stop", no_argument, NULL, NO_STOP},
    {"json", no_argument, NULL, JSON},
    {"dot", no_argument, NULL, DOT},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool is_number(const char *words, double *out)
{
    char *end;
    *out = strtod(words, &end);
    return end != words && !*end && *out >= 0;
}

static bool take_option(struct options *options, int option)
{
    double number = 0;
    switch (option) {
    case STACK:
        options->stack = INT_MAX;
        if (optarg && (!is_number(optarg, &number) || number > INT_MAX))
            return false;
        if (optarg)
            options->stack = (int)number;
        return true;
    case STACKS:
        options->stacks = true;
        return true;
    case ALL_FRAMES:
        options->all_frames = true;
        options->stack = options->stack ? options->stack : INT_MAX;
        return true;
    case LOOP:
        options->loop = optarg;
        return optarg[0] && !optarg[strspn(optarg, "0123456789")];
    case NAME:
        options->name = optarg;
        return true;
    case WAIT:
        options->wait = optarg;
        return true;
    case OLDER:
        return is_number(optarg, &options->older);
    case GROUP:
    case NO_GROUP:
        options->group = option == GROUP ? 1 : -1;
        return true;
    case NO_STOP:
        options->no_stop = true;
        return true;
    case JSON:
        options->json = true;
        return true;
    case DOT:
        options->dot = true;
        return true;
    default:
        return false;
    }
}

static void print_usage(FILE *file, const char *command)
{
    fprintf(file, "usage: asyncio %s [OPTIONS] PID | CORE [PROGRAM]\n%s", command, options_text);
}

/* False: the usage was printed, and *status says how to end. */
static bool take_options(struct options *options, int argc, char **argv, enum exit_status *status)
{
    int option, index;
    bool is_well = true;
    optind = 1;
    while (is_well && (option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == HELP) {
            print_usage(stdout, argv[0]);
            *status = READ_WHOLE;
            return false;
        }
        is_well = take_option(options, option);
        if (!is_well && option != '?')
            fprintf(stderr, "asyncio: --%s takes a number, not '%s'\n", long_options[index].name, optarg);
    }
    int left = argc - optind;
    if (!is_well || left < 1 || left > 2) {
        print_usage(stderr, argv[0]);
        *status = MISUSED;
        return false;
    }
    options->what = argv[optind];
    options->program = left == 2 ? argv[optind + 1] : NULL;
    return true;
}

static int run_look(int argc, char **argv, int stack, void (*show)(struct look *look))
{
    struct look look = {.options.stack = stack};
    enum exit_status status;
    if (!take_options(&look.options, argc, argv, &status))
        return (int)status;
    status = look_at(&look);
    if (status == READ_WHOLE || status == READ_IN_PART) {
        if (look.options.json)
            show_json(&look);
        else if (look.options.dot)
            show_dot(&look);
        else
            show(&look);
    }
    look_free(&look);
    return (int)status;
}

int run_ps(int argc, char **argv)
{
    return run_look(argc, argv, 0, show_list);
}

int run_pstree(int argc, char **argv)
{
    return run_look(argc, argv, INT_MAX, show_tree);
}
