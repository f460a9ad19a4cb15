/*
 * Messages: counted texts that go with an error code. Each task keeps its latest; each thread keeps the
 * latest that was raised outside tasks.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/future.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "sys/sys.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A thread's latest message from outside tasks. Fixed storage: nothing to free when the thread ends. */
static THREAD_LOCAL struct {
    intptr_t code;
    char text[256];
} thread_message;

static struct message *alloc_message(intptr_t code, size_t length)
{
    struct message *message = asy_sys_alloc(sizeof *message + length + 1);
    if (message) {
        message->refs = 1;
        message->code = code;
        message->object = NULL;
        message->drop = NULL;
    }
    return message;
}

struct message *asy_message_new(intptr_t code, const char *text)
{
    if (!text)
        return NULL;
    size_t length = strlen(text);
    struct message *message = alloc_message(code, length);
    if (message)
        memcpy(message->text, text, length + 1);
    return message;
}

struct message *asy_message_ref(struct message *message)
{
    if (message)
        message->refs++;
    return message;
}

void asy_message_unref(struct message *message)
{
    if (!message)
        return;
    ASY_ASSERT(message->refs > 0);
    if (--message->refs)
        return;
    void (*drop)(void *) = message->drop;
    void *object = message->object;
    asy_sys_free(message);
    if (drop)
        drop(object); /* which may do anything */
}

void asy_message_set(struct message **place, struct message *message)
{
    struct message *old = *place;
    *place = message;
    asy_message_unref(old);
}

static void set_thread_message(intptr_t code, const char *text)
{
    thread_message.code = code;
    snprintf(thread_message.text, sizeof thread_message.text, "%s", text);
}

void asy_thread_message_clear(void)
{
    set_thread_message(0, "");
}

struct message *asy_thread_message_take(intptr_t code)
{
    bool is_wanted = thread_message.code == code && thread_message.text[0];
    return is_wanted ? asy_message_new(code, thread_message.text) : NULL;
}

struct message *asy_message_take(intptr_t code)
{
    const asyncio_task *task = asy_current_task();
    if (!task)
        return asy_thread_message_take(code);
    struct message *message = task->future.message;
    return message && message->code == code ? asy_message_ref(message) : NULL;
}

void asy_message_show(intptr_t code, const char *text)
{
    asyncio_task *task = asy_current_task();
    if (task)
        asy_message_set(&task->future.message, asy_message_new(code, text));
    else
        set_thread_message(code, text ? text : "");
}

void asy_message_inherit(asyncio_future *from)
{
    struct message *message = from->message;
    if (message && message->code != from->result)
        message = NULL;
    asyncio_task *task = asy_current_task();
    if (task) {
        if (message || task->future.message)
            asy_message_set(&task->future.message, asy_message_ref(message));
    } else {
        set_thread_message(from->result, message ? message->text : "");
    }
}

const char *asy_future_words(const asyncio_future *future)
{
    if (future->message && future->message->code == future->result)
        return future->message->text;
    return asyncio_strerror(future->result);
}

const char *asy_words(intptr_t err, char words[ASY_WORDS])
{
    snprintf(words, ASY_WORDS, "%s", asyncio_strerror(err));
    if (islower((unsigned char)words[1])) /* no name, as in "RPC failed" */
        words[0] = (char)tolower((unsigned char)words[0]);
    return words;
}

static intptr_t raise_in_task(asyncio_task *task, intptr_t err, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    struct message *message = length < 0 ? NULL : alloc_message(err, (size_t)length);
    if (message)
        vsnprintf(message->text, (size_t)length + 1, format, again);
    va_end(again);
    asy_message_set(&task->future.message, message);
    return err;
}

intptr_t asyncio_raise(intptr_t err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    asyncio_task *task = asy_current_task();
    if (task) {
        raise_in_task(task, err, format, args);
    } else {
        char text[sizeof thread_message.text]; /* the old message may be an argument */
        vsnprintf(text, sizeof text, format, args);
        set_thread_message(err, text);
    }
    va_end(args);
    return err;
}

intptr_t asyncio_raise_object(intptr_t err, void *object, void (*drop)(void *object), const char *words)
{
    asyncio_task *task = asy_current_task();
    struct message *message = task ? asy_message_new(err, words ? words : "") : NULL;
    if (message) {
        message->object = object;
        message->drop = drop;
    } else if (drop) {
        drop(object);
    }
    if (task)
        asy_message_set(&task->future.message, message);
    else
        set_thread_message(err, words ? words : "");
    return err;
}

intptr_t asyncio_error_code(void)
{
    const asyncio_task *task = asy_current_task();
    const struct message *message = task ? task->future.message : NULL;
    return message ? message->code : task ? 0 : thread_message.code;
}

void *asyncio_error_object(intptr_t err)
{
    const asyncio_task *task = asy_current_task();
    const struct message *message = task ? task->future.message : NULL;
    return message && message->code == err ? message->object : NULL;
}

intptr_t asy_null_awaited(void)
{
    return asyncio_raise(-ENOMEM,
                         "a NULL coroutine, task or future: none was made, or there was no memory for it");
}

const char *asyncio_error_message(void)
{
    asyncio_task *task = asy_current_task();
    if (task)
        return task->future.message ? task->future.message->text : "";
    return thread_message.text;
}
