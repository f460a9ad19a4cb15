/*
 * Results and errors.
 *
 * A coroutine, and every call that can wait, returns a signed number. A number >= 0 is a value; -4095 to -1
 * is an error: a negative errno, or one of the codes below. -ECANCELED is Python's CancelledError,
 * -ETIMEDOUT its TimeoutError. The library never sets the caller's errno.
 */
#ifndef ASYNCIO_ERRORS_H
#define ASYNCIO_ERRORS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* The object is not in a state that allows the call (InvalidStateError). */
#define ASYNCIO_ESTATE (-1025)
/* A call that waits was made outside a task: in a callback or a plain thread. */
#define ASYNCIO_ENOTASK (-1026)
/* The stream ended before enough came (IncompleteReadError). */
#define ASYNCIO_EINCOMPLETE (-1027)
/* A limit was exceeded before the end was found (LimitOverrunError). */
#define ASYNCIO_ELIMIT (-1028)
/* Several children of a task group failed (ExceptionGroup). */
#define ASYNCIO_EGROUP (-1029)
/* get_nowait on an empty queue (QueueEmpty). */
#define ASYNCIO_EQUEUE_EMPTY (-1030)
/* put_nowait on a full queue (QueueFull). */
#define ASYNCIO_EQUEUE_FULL (-1031)
/* The queue was shut down (QueueShutDown). */
#define ASYNCIO_EQUEUE_SHUTDOWN (-1032)
/* The barrier is broken (BrokenBarrierError). */
#define ASYNCIO_EBROKEN (-1033)
/* TLS failed; the message says which check. */
#define ASYNCIO_ETLS (-1034)
/* A Python exception of no other code; the message has its words (asyncio/python.h). */
#define ASYNCIO_EPYTHON (-1035)

/* getaddrinfo's EAI_ codes (gai_strerror's words). */
#define ASYNCIO_EGAI_BADFLAGS (-1281)
#define ASYNCIO_EGAI_NONAME (-1282)
#define ASYNCIO_EGAI_AGAIN (-1283)
#define ASYNCIO_EGAI_FAIL (-1284)
#define ASYNCIO_EGAI_NODATA (-1285)
#define ASYNCIO_EGAI_FAMILY (-1286)
#define ASYNCIO_EGAI_SOCKTYPE (-1287)
#define ASYNCIO_EGAI_SERVICE (-1288)
#define ASYNCIO_EGAI_ADDRFAMILY (-1289)
#define ASYNCIO_EGAI_MEMORY (-1290)
#define ASYNCIO_EGAI_SYSTEM (-1291)
#define ASYNCIO_EGAI_OVERFLOW (-1292)

/*
 * Returns the words for an error, as strerror has them ("Connection refused", "no running task"). Takes the
 * negative value; a value >= 0 gives "success". Never NULL; the strings are constants. Any thread, never
 * waits.
 */
ASYNCIO_API const char *asyncio_strerror(intptr_t err);

/*
 * Returns the name of an error ("ECONNREFUSED", "ASYNCIO_ESTATE"), "OK" for a value >= 0, "unknown" for an
 * error without a name. The strings are constants. Any thread, never waits.
 */
ASYNCIO_API const char *asyncio_errname(intptr_t err);

ASYNCIO_END_DECLS

#endif
