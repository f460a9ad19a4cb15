/*
 * What the tests of context variables share: two variables and short words for them, and tasks and callbacks
 * that expect a value and change it.
 */
#ifndef TESTS_CORE_CONTEXT_TEST_H
#define TESTS_CORE_CONTEXT_TEST_H

#include "base/random.h"
#include "core/contextvars.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Values are numbers here. */
#define VALUE(n) ((void *)(intptr_t)(n))

static asyncio_contextvar x = ASYNCIO_CONTEXTVAR_INIT("x", NULL);
static asyncio_contextvar y = ASYNCIO_CONTEXTVAR_INIT("y", VALUE(-7));

#define MANY 200
static asyncio_contextvar many[MANY];

static const asyncio_run_options virtual_time = {.clock = ASYNCIO_CLOCK_VIRTUAL};

static inline intptr_t get_x(void)
{
    return (intptr_t)asyncio_contextvar_get(&x);
}

static inline intptr_t get_y(void)
{
    return (intptr_t)asyncio_contextvar_get(&y);
}

static inline void set_x(intptr_t value)
{
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(value), NULL), 0);
}

static inline void set_y(intptr_t value)
{
    CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(value), NULL), 0);
}

static inline void set_and_reset(void)
{
    asyncio_contextvar_token first, second;
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(get_y(), -7);
    CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(1), &first), 0);
    CHECK_EQUAL(get_y(), 1);
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(asyncio_contextvar_set(&y, NULL, &second), 0);
    CHECK_EQUAL(get_y(), 0); /* set to NULL, that is; not the default */
    CHECK_EQUAL(asyncio_contextvar_reset(&y, second), 0);
    CHECK_EQUAL(get_y(), 1);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, first), 0);
    CHECK_EQUAL(get_y(), -7);
}

ASYNC(set_and_reset_main)
{
    set_and_reset();
    return 0;
}

/* Sees x as `value`, and changes it, both at once and later. */
ASYNC(changes_x, intptr_t, value)
{
    CHECK_EQUAL(get_x(), value);
    set_x(value + 1000);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(get_x(), value + 1000);
    set_x(value + 2000);
    return 0;
}

ASYNC(expects_and_sets, intptr_t, expected, intptr_t, value)
{
    CHECK_EQUAL(get_x(), expected);
    set_x(value);
    return 0;
}

static int called; /* how often callbacks were */

/* Expects x to be what arg is, and changes it. */
static inline void callback(void *arg)
{
    called++;
    CHECK_EQUAL(get_x(), (intptr_t)arg);
    set_x((intptr_t)arg + 1000);
    CHECK_EQUAL(get_x(), (intptr_t)arg + 1000);
}

static inline void done_callback(asyncio_future *future, void *arg)
{
    (void)future;
    callback(arg);
}

/* The main thread keeps the context that it has from its first use of one. */
static inline int use_once(void **state)
{
    (void)state;
    set_and_reset();
    return 0;
}

#endif
