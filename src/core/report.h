/*
 * Reports: errors that no caller receives go to the program's exception handler, or to stderr.
 */
#ifndef ASY_CORE_REPORT_H
#define ASY_CORE_REPORT_H

#include "asyncio/events.h"
#include "base/compiler.h"
#include <stdint.h>

/* Calls the loop's exception handler; without one, prints a line on stderr. */
COLD void asy_report(asyncio_loop *loop, const asyncio_exception_context *context);
/* The same about a task, or about an object that was made at a site (NULL: unknown). */
COLD void asy_report_task(asyncio_loop *loop, asyncio_task *task, intptr_t err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
COLD void asy_report_site(asyncio_loop *loop, const asyncio_site *site, intptr_t err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Says what happened on stderr and aborts: for misuse that no error can answer. */
COLD _Noreturn void asy_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Aborts, and names the call, which was made in another thread than the loop's. */
COLD _Noreturn void asy_wrong_thread(const char *call);

#endif
