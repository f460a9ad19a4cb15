/*
 * Messages: the words that go with an error code. A task keeps its latest one, a thread keeps the latest that
 * was raised outside tasks, and a future has the one of its result.
 */
#ifndef ASY_CORE_MESSAGE_H
#define ASY_CORE_MESSAGE_H

#include "asyncio/messages.h"
#include "asyncio/types.h"
#include "base/compiler.h"
#include <stdint.h>

/* A text and the code that it belongs to. Counted, and shared by all that saw the error; one thread's. */
struct message {
    uint32_t refs;
    intptr_t code;
    void *object; /* the program's, which goes when the message does; or NULL */
    void (*drop)(void *object);
    char text[];
};

/* A copy of the text, with one reference. NULL for NULL, and when there is no memory. */
struct message *asy_message_new(intptr_t code, const char *text);
/* Both accept NULL. */
struct message *asy_message_ref(struct message *message);
void asy_message_unref(struct message *message);
/* Puts the message, and the caller's reference to it, in the place of the old one. */
void asy_message_set(struct message **place, struct message *message);

/* Makes `text` the message of the running task, or of the thread outside tasks. NULL: none. */
void asy_message_show(intptr_t code, const char *text);
/* The running task inherits the message of a future that failed. */
void asy_message_inherit(asyncio_future *from);
/* Forgets what this thread raised outside tasks. */
void asy_thread_message_clear(void);
/* Takes what this thread raised outside tasks, if it belongs to this code, as a message of its own. */
struct message *asy_thread_message_take(intptr_t code);

/* The same of the running task, or of the thread outside tasks. */
struct message *asy_message_take(intptr_t code);

/* The outcome of waiting for NULL: -ENOMEM, and a message. */
COLD intptr_t asy_null_awaited(void);

/* The words for a future's error: its message, or what the code says. */
const char *asy_future_words(const asyncio_future *future);
/* asyncio_strerror's words for the middle of a sentence: "connection refused". */
#define ASY_WORDS 96
const char *asy_words(intptr_t err, char words[ASY_WORDS]);

#endif
