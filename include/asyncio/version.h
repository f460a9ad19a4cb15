/*
 * The version of the headers and of the library.
 */
#ifndef ASYNCIO_VERSION_H
#define ASYNCIO_VERSION_H

#include <asyncio/types.h>

#define ASYNCIO_VERSION "0.1.0"

ASYNCIO_BEGIN_DECLS

/* Returns the version of the library that runs: ASYNCIO_VERSION of the headers that it was built with. */
ASYNCIO_API const char *asyncio_version(void);

ASYNCIO_END_DECLS

#endif
