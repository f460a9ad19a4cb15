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

/* Returns the message of the task's last call that failed with one, or "". It is valid until the next call
 * that can wait. Does not wait. */
ASYNCIO_API const char *asyncio_error_message(void);

ASYNCIO_END_DECLS

#endif
