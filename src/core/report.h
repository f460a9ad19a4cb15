/*
 * Telling the program, or whoever reads stderr, what went wrong.
 */
#ifndef ASY_CORE_REPORT_H
#define ASY_CORE_REPORT_H

#include "asyncio/events.h"
#include "base/compiler.h"
#include <stdint.h>

/* Hands it to the loop's exception handler; without one, it goes to stderr. */
COLD void asy_report(asyncio_loop *loop, const asyncio_exception_context *context);
/* The same about a task, or about what was made at a site (NULL: nowhere known). */
COLD void asy_report_task(asyncio_loop *loop, asyncio_task *task, intptr_t err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
COLD void asy_report_site(asyncio_loop *loop, const asyncio_site *site, intptr_t err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Says what happened on stderr and aborts: for misuse that no error can answer. */
COLD _Noreturn void asy_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call was made in another thread than the loop's: says which, and aborts. */
COLD _Noreturn void asy_wrong_thread(const char *call);

#endif
