/*
 * A trace as text for people, a line a record, and as JSON for programs.
 */
#include "trace_log.h"
#include <stdio.h>

static const char *const kind_words[TRACE_KINDS_END] = {"",     "step",  "left",   "poll", "polled",
                                                        "wake", "spawn", "done",   "name", "cancel",
                                                        "mark", "work",  "worked", "slow"};
static const char *const cause_words[TRACE_CAUSES_END] = {"task", "timer", "event", "callback"};

static const char *cause_of(const struct trace_record *record)
{
    uint32_t cause = name_place(record->subject);
    return cause < TRACE_CAUSES_END ? cause_words[cause] : "?";
}

/* ---- Text --------------------------------------------------------------------------- */

static void say_task_at(struct trace_log *log, uint64_t word, struct text *text)
{
    const struct traced_task *task = trace_log_task(log, task_of(word));
    if (task)
        trace_log_say_task(log, task, text);
}

static void say_leaving(struct trace_log *log, const struct trace_record *record, struct text *text)
{
    if (!task_of(record->other))
        return;
    text_add(text, "; ");
    say_task_at(log, record->other, text);
    text_add(text, " left: ");
    text_add_clean(text, trace_log_name(log, name_place(record->other)));
    if (record->other & TRACE_AWAITS_TASK) {
        text_add(text, " ");
        say_task_at(log, (uint64_t)record->value, text);
    } else if (record->value) {
        text_add(text, " 0x%llx", (unsigned long long)record->value);
    }
}

static void say_record(struct trace_log *log, const struct trace_record *record, struct text *text)
{
    enum trace_kind kind = kind_of(record);
    say_task_at(log, record->subject, text);
    if (kind == TRACE_STEP && !task_of(record->subject))
        text_add(text, "callback");
    if (kind == TRACE_STEP || kind == TRACE_LEFT)
        say_leaving(log, record, text);
    if (kind == TRACE_WAKE)
        text_add(text, ", %lld, by %s ", (long long)record->value, cause_of(record));
    if (kind == TRACE_SPAWN || kind == TRACE_CANCEL)
        text_add(text, task_of(record->other) ? ", by " : "");
    if (kind == TRACE_WAKE || kind == TRACE_SPAWN || kind == TRACE_CANCEL)
        say_task_at(log, record->other, text);
    if (kind == TRACE_DONE)
        text_add(text, ", %lld", (long long)record->value);
    if (kind == TRACE_POLLED)
        text_add(text, "%llu tasks, %lld ready", (unsigned long long)record->other, (long long)record->value);
    if (is_of_work(record)) {
        text_add(text, " ");
        text_add_clean(text, trace_log_name(log, name_place(record->subject)));
        text_add(text, " on thread %d", (int)record->other);
    }
    if (kind == TRACE_SLOW)
        text_add(text, "%s, %.6f s", task_of(record->subject) ? "" : "callback", (double)record->value / 1e9);
    if (kind == TRACE_NAME || kind == TRACE_MARK) {
        text_add(text, " ");
        text_add_clean(text, trace_log_name(log, name_place(record->subject)));
    }
}

void write_trace_text(struct trace_log *log)
{
    struct text text = {0};
    int64_t begin_ns = log->count ? (int64_t)log->records[0].time : 0;
    if (log->lost)
        printf("%llu older records are gone\n", (unsigned long long)log->lost);
    for (size_t i = 0; i < log->count; i++) {
        const struct trace_record *record = &log->records[i];
        if (kind_of(record) == TRACE_NOTHING)
            continue;
        text_clear(&text);
        say_record(log, record, &text);
        printf("%14.9f  %-6s  %s\n", (double)((int64_t)record->time - begin_ns) / 1e9,
               kind_words[kind_of(record)], text_of(&text));
    }
    text_free(&text);
}

/* ---- JSON ----------------------------------------------------------------------------- */

static void print_string(const char *key, const char *words)
{
    printf(",\"%s\":\"", key);
    for (; *words; words++) {
        unsigned char byte = (unsigned char)*words;
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else
            putchar(byte < 0x20 || byte >= 0x7f ? '?' : byte);
    }
    putchar('"');
}

static void print_record(const struct trace_log *log, const struct trace_record *record)
{
    enum trace_kind kind = kind_of(record);
    uint64_t task = task_of(record->subject), other = task_of(record->other);
    bool has_leaving = kind == TRACE_STEP || kind == TRACE_LEFT;
    printf("{\"ns\":%llu,\"kind\":\"%s\"", (unsigned long long)record->time, kind_words[kind]);
    if (task)
        printf(",\"task\":%llu", (unsigned long long)task);
    if (kind == TRACE_WAKE)
        print_string("cause", cause_of(record));
    else if (name_place(record->subject))
        print_string(kind == TRACE_NAME || kind == TRACE_MARK || is_of_work(record) ? "name" : "coroutine",
                     trace_log_name(log, name_place(record->subject)));
    if (has_leaving && other) {
        printf(",\"left\":%llu", (unsigned long long)other);
        print_string("wait", trace_log_name(log, name_place(record->other)));
        if (record->other & TRACE_AWAITS_TASK)
            printf(",\"awaits\":%llu", (unsigned long long)task_of((uint64_t)record->value));
    } else if (kind == TRACE_POLLED) {
        printf(",\"tasks\":%llu,\"ready\":%lld", (unsigned long long)record->other, (long long)record->value);
    } else if (is_of_work(record)) {
        printf(",\"on\":%d", (int)record->other);
    } else if (other) {
        printf(",\"by\":%llu", (unsigned long long)other);
    }
    if (kind == TRACE_DONE || kind == TRACE_WAKE)
        printf(",\"result\":%lld", (long long)record->value);
    if (kind == TRACE_SLOW)
        printf(",\"took\":%lld", (long long)record->value);
    putchar('}');
}

void write_trace_json(struct trace_log *log)
{
    const char *comma = "\n";
    printf("{\"version\":1,\"pid\":%d,\"thread\":%d,\"loop\":%llu,\"lost\":%llu,\"records\":[", log->head.pid,
           log->head.tid, (unsigned long long)log->head.loop, (unsigned long long)log->lost);
    for (size_t i = 0; i < log->count; i++) {
        if (kind_of(&log->records[i]) == TRACE_NOTHING)
            continue;
        fputs(comma, stdout);
        print_record(log, &log->records[i]);
        comma = ",\n";
    }
    puts("\n]}");
}
