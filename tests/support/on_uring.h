/*
 * Programs of tests that are of io_uring alone. Included by the file that has main.
 */
#ifndef TESTS_SUPPORT_ON_URING_H
#define TESTS_SUPPORT_ON_URING_H

#include "asyncio/inspect.h"
#include "backend/backend.h"
#include "support/harness.h"
#include <stdio.h>
#include <stdlib.h>

/* So dear that completions pay: for streams from the first byte, and for servers. */
#define DEAR_CALLS "2000"

/* For main's return: all tests, on io_uring where there is one. */
static inline int tests_run_on_uring(void)
{
    struct asy_backend *backend = NULL;
    setenv("ASYNCIO_BACKEND", "io_uring", 1);
    unsetenv("ASYNCIO_URING_WITHOUT");
    if (asy_backend_io_uring.open(&backend)) {
        printf("nothing is tested: %s\n", asyncio_backend_why());
        return 77;
    }
    backend->ops->close(backend);
    setenv("ASYNCIO_URING_CALL_NS", DEAR_CALLS, 1);
    use_descriptors();
    return tests_run(NULL);
}

#endif
