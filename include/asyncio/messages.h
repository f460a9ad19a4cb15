/*
 * Messages: the details that an error code cannot tell.
 */
#ifndef ASYNCIO_MESSAGES_H
#define ASYNCIO_MESSAGES_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/*
 * Returns `err`, and attaches a message, formatted as printf does, to the running task, or to the thread
 * where no task runs. A task that awaits this one gets the message with the result, and reports show it.
 * The message is kept until another error of this task replaces it, and shown only with a result that
 * equals `err`. Does not wait. Without memory there is no message. (raise)
 */
ASYNCIO_API intptr_t asyncio_raise(intptr_t err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Returns `err`, and attaches `words` to the running task as asyncio_raise does, with an object of the
 * program's: for a binding of another language, whose exception is to arrive whole where the error does. The
 * object goes wherever the message goes, to each task of this loop that awaits this one. drop(object) runs
 * when nobody has the message any more; without a running task or memory, at once. `drop` may be NULL, runs
 * in this thread, and cannot wait. `words` NULL is "". Does not wait.
 */
ASYNCIO_API intptr_t asyncio_raise_object(intptr_t err, void *object, void (*drop)(void *object),
                                          const char *words);

/* Returns the error that the message is about which asyncio_error_message returns now; 0: there is none. Does
 * not wait. */
ASYNCIO_API intptr_t asyncio_error_code(void);

/* Returns the object of the running task's latest message if that one is about `err`, else NULL. It is
 * borrowed, and valid until the next call that can wait or fail. Does not wait. */
ASYNCIO_API void *asyncio_error_object(intptr_t err);

/* Returns the message of the task's last call that failed with one, or "". It is valid until the next call
 * that can wait. Does not wait. */
ASYNCIO_API const char *asyncio_error_message(void);

ASYNCIO_END_DECLS

#endif
