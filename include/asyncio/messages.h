/*
 * Messages: what an error code cannot say.
 */
#ifndef ASYNCIO_MESSAGES_H
#define ASYNCIO_MESSAGES_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/*
 * Returns `err`, and attaches a message (as printf makes it) to the running
 * task, or to the thread where no task runs. Whoever awaits the task gets the message with
 * the result, and reports show it. It is kept until another error of this
 * task replaces it, and shown only where a result equals `err`. Does not wait.
 * Out of memory: no message. (raise)
 */
ASYNCIO_API intptr_t asyncio_raise(intptr_t err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The message of the last call of this task that failed with one, valid until
 * the next call that can wait; "" if there is none. Does not wait. */
ASYNCIO_API const char *asyncio_error_message(void);

ASYNCIO_END_DECLS

#endif
