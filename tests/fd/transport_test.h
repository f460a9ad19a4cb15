/*
 * What the tests of transports share: a protocol that writes down what it is told, one word each, and does
 * what its test wants it to do in the middle of it.
 */
#ifndef TESTS_FD_TRANSPORT_TEST_H
#define TESTS_FD_TRANSPORT_TEST_H

#include "asyncio.h"
#include "fd/transport.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct side {
    asyncio_transport *transport;
    char log[1024];  /* "made data:abc eof lost:0" */
    char words[256]; /* of the error, in connection_lost */
    size_t bytes;    /* received so far */
    bool is_quiet;   /* data is counted, and not written down */
    bool keeps_open; /* the answer to eof_received */
    bool is_inside;  /* a function of the protocol runs */
    bool is_lost;
    intptr_t error;
    void (*act)(struct side *side, const char *event); /* in the middle of each; or NULL */
    void *more;
    asyncio_event lost;
    char buffer[4096]; /* of get_buffer */
    size_t lends;
};

static inline void note(struct side *side, const char *format, ...)
{
    size_t length = strlen(side->log);
    va_list args;
    va_start(args, format);
    if (length && length < sizeof side->log - 1)
        side->log[length++] = ' ';
    vsnprintf(side->log + length, sizeof side->log - length, format, args);
    va_end(args);
}

/* pause_writing and resume_writing may come inside a call of the program's. */
static inline void enter_side(struct side *side, bool may_nest)
{
    CHECK(may_nest || !side->is_inside);
    CHECK(!side->is_lost);
    CHECK(may_nest || !asyncio_current_task());
}

static inline void act_of(struct side *side, const char *event)
{
    bool was_inside = side->is_inside;
    side->is_inside = true;
    if (side->act)
        side->act(side, event);
    side->is_inside = was_inside;
}

static inline void side_made(void *self, asyncio_transport *transport)
{
    struct side *side = self;
    enter_side(side, false);
    CHECK(!*side->log || strncmp(side->log, "made", 4) != 0);
    side->transport = transport;
    note(side, "made");
    act_of(side, "made");
}

static inline void side_data(void *self, const void *data, size_t n)
{
    struct side *side = self;
    enter_side(side, false);
    CHECK(n > 0);
    side->bytes += n;
    if (!side->is_quiet)
        note(side, "data:%.*s", (int)n, (const char *)data);
    act_of(side, "data");
}

static inline size_t side_get_buffer(void *self, size_t hint, void **buf)
{
    struct side *side = self;
    enter_side(side, false);
    CHECK(hint > 0);
    act_of(side, "get_buffer");
    *buf = side->buffer;
    return side->lends;
}

static inline void side_updated(void *self, size_t n)
{
    struct side *side = self;
    enter_side(side, false);
    side->bytes += n;
    note(side, "updated:%.*s", (int)n, side->buffer);
    act_of(side, "data");
}

static inline bool side_eof(void *self)
{
    struct side *side = self;
    enter_side(side, false);
    note(side, "eof");
    act_of(side, "eof");
    return side->keeps_open;
}

static inline void side_pause(void *self)
{
    struct side *side = self;
    enter_side(side, true);
    note(side, "pause");
    act_of(side, "pause");
}

static inline void side_resume(void *self)
{
    struct side *side = self;
    enter_side(side, true);
    note(side, "resume");
    act_of(side, "resume");
}

static inline void side_lost(void *self, intptr_t err)
{
    struct side *side = self;
    enter_side(side, false);
    snprintf(side->words, sizeof side->words, "%s", asyncio_error_message());
    note(side, err ? "lost:%s" : "lost", asyncio_errname(err));
    act_of(side, "lost");
    side->is_lost = true;
    side->error = err;
    asyncio_event_set(&side->lost);
}

static const asyncio_protocol side_protocol = {
    .connection_made = side_made,
    .data_received = side_data,
    .eof_received = side_eof,
    .pause_writing = side_pause,
    .resume_writing = side_resume,
    .connection_lost = side_lost,
};

static const asyncio_protocol buffered_protocol __attribute__((unused)) = {
    .connection_made = side_made,
    .get_buffer = side_get_buffer,
    .buffer_updated = side_updated,
    .eof_received = side_eof,
    .connection_lost = side_lost,
};

/* A transport over `fd`; its protocol writes into `side`. */
static inline asyncio_transport *begin_side(struct side *side, int fd, const asyncio_protocol *protocol)
{
    asyncio_transport *transport = NULL;
    side->lost = (asyncio_event)ASYNCIO_EVENT_INIT;
    CHECK_EQUAL(asyncio_transport_from_fd(fd, protocol, side, NULL, &transport), 0);
    side->transport = transport;
    return transport;
}

/* The same over one end of a pair; the other, blocking, is returned. */
static inline int begin_pair(struct side *side)
{
    int fds[2];
    net_tcp_pair(fds);
    begin_side(side, fds[0], &side_protocol);
    return fds[1];
}

static inline void wait_lost(struct side *side)
{
    CHECK_EQUAL(asyncio_event_wait(&side->lost), 0);
    side->transport = NULL;
}

/* Until the log has it. */
static inline void wait_for_log(struct side *side, const char *part)
{
    for (int i = 0; !strstr(side->log, part) && i < 20000; i++)
        asyncio_sleep(i < 100 ? 0 : 0.0005);
    CHECK_HAS(side->log, part);
}

static inline void peer_says(int peer, const char *text)
{
    CHECK_EQUAL(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#endif
