/*
 * What the tests of streams on io_uring share. Included by one file of a program.
 */
#ifndef TESTS_FD_TRAFFIC_TEST_H
#define TESTS_FD_TRAFFIC_TEST_H

#include "fd/stream.h"
#include "fd/stream_test.h"
#include "fd/traffic.h"
#include "support/on_uring.h"

static inline struct fd_traffic *traffic_of(const asyncio_stream *stream)
{
    return stream->record->traffic;
}

static inline bool receives(const asyncio_stream *stream)
{
    return traffic_of(stream) && traffic_of(stream)->input == INPUT_ON;
}

/* A stream whose receive is under way: a reader has waited, and was cancelled. */
static inline asyncio_stream *receiving_stream(int *peer)
{
    static char byte;
    asyncio_stream *stream = stream_to(peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_exactly(stream, &byte, 1));
    settle();
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    CHECK(receives(stream));
    return stream;
}

/* ---- Others that are ready ---------------------------------------------------------------------- */

static int turns_left;

ASYNC(busies_itself)
{
    while (turns_left > 0) {
        turns_left--;
        asyncio_sleep(0);
    }
    return 0;
}

/* With so many tasks ready, small writes are deferred. */
static inline void begin_crowd(asyncio_task *crowd[4])
{
    turns_left = 1000000;
    for (int i = 0; i < 4; i++)
        crowd[i] = asyncio_create_task(busies_itself());
    asyncio_sleep(0);
}

static inline void end_crowd(asyncio_task *crowd[4])
{
    turns_left = 0;
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(asyncio_await(crowd[i]), 0);
}

#endif
