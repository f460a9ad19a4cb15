/*
 * `asyncio trace`: turns a trace file into a picture for Perfetto, text, JSON or figures.
 */
#include "command.h"
#include "target.h"
#include "trace_log.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum form { FORM_NONE, FORM_PERFETTO, FORM_TEXT, FORM_JSON, FORM_STATS };

struct trace_options {
    const char *file, *output;
    enum form form;
    double last; /* seconds; 0: all */
};

static bool set_form(struct trace_options *options, enum form form)
{
    bool is_first = options->form == FORM_NONE;
    options->form = form;
    return is_first;
}

static bool read_seconds(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    return end != text && !*end && *seconds > 0;
}

static bool read_trace_options(int argc, char **argv, struct trace_options *options)
{
    static const struct option words[] = {
        {"text", no_argument, NULL, 't'},         {"json", no_argument, NULL, 'j'},
        {"stats", no_argument, NULL, 's'},        {"last", required_argument, NULL, 'l'},
        {"output", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
    bool is_right = true;
    int letter;
    optind = 0;
    while (is_right && (letter = getopt_long(argc, argv, "o:", words, NULL)) != -1) {
        switch (letter) {
        case 'o':
            options->output = optarg;
            is_right = set_form(options, FORM_PERFETTO);
            break;
        case 't':
            is_right = set_form(options, FORM_TEXT);
            break;
        case 'j':
            is_right = set_form(options, FORM_JSON);
            break;
        case 's':
            is_right = set_form(options, FORM_STATS);
            break;
        case 'l':
            is_right = read_seconds(optarg, &options->last);
            break;
        default:
            is_right = false;
        }
    }
    if (!is_right || optind != argc - 1 || options->form == FORM_NONE)
        return false;
    options->file = argv[optind];
    return true;
}

static bool is_same_file(const char *input, const char *output)
{
    struct stat from, to;
    return output && stat(input, &from) == 0 && stat(output, &to) == 0 && from.st_dev == to.st_dev &&
           from.st_ino == to.st_ino;
}

static int write_trace(struct trace_log *log, const struct trace_options *options)
{
    bool is_written = true;
    if (options->form == FORM_PERFETTO)
        is_written = write_trace_perfetto(log, options->output);
    else if (options->form == FORM_TEXT)
        write_trace_text(log);
    else if (options->form == FORM_JSON)
        write_trace_json(log);
    else
        write_trace_stats(log);
    if (!is_written) {
        fprintf(stderr, "asyncio: %s: %s\n", options->output, strerror(errno));
        return MISUSED;
    }
    if (log->spoilt)
        fprintf(stderr, "asyncio: %s: %zu records make no sense\n", options->file, log->spoilt);
    return log->spoilt ? READ_IN_PART : READ_WHOLE;
}

int run_trace(int argc, char **argv)
{
    struct trace_options options = {0};
    struct trace_log log = {0};
    if (is_help(argc, argv) || !read_trace_options(argc, argv, &options))
        return show_usage(argc, argv, "trace FILE -o OUTPUT | --text | --json | --stats [--last SECONDS]");
    if (is_same_file(options.file, options.output)) {
        fprintf(stderr, "asyncio: %s would be written over the trace\n", options.output);
        return MISUSED;
    }
    int status = trace_log_open(&log, options.file);
    if (status == READ_WHOLE) {
        if (options.last > 0)
            trace_log_keep_last(&log, options.last);
        status = write_trace(&log, &options);
    }
    trace_log_free(&log);
    return status;
}
