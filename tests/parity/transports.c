/*
 * The C half of transports.py: plays scripts on two transports at the ends of a socket pair, and says what
 * their protocols were told.
 */
#include "asyncio.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

struct side {
    asyncio_transport *transport;
    const char *name;
    bool keeps, has_ended, wrote_eof, is_paused, is_lost;
    char at_data[32], at_eof[32], at_pause[32];
    size_t sent, received;
    char events[512];
    size_t bytes, event_count;
    unsigned char buffer[65536];
};

static void play_action(struct side *side, const char *action);

static void note(struct side *side, const char *event)
{
    REQUIRE(!side->is_lost);
    size_t length = strlen(side->events);
    snprintf(side->events + length, sizeof side->events - length, "%s%s", length ? " " : "", event);
    side->event_count++;
}

/* What is armed is done once. */
static void play_armed(struct side *side, char *armed)
{
    char action[32];
    if (!*armed)
        return;
    snprintf(action, sizeof action, "%s", armed);
    *armed = '\0';
    play_action(side, action);
}

/* ---- The protocols --------------------------------------------------------------------------- */

static void made(void *self, asyncio_transport *transport)
{
    struct side *side = self;
    side->transport = transport;
    note(side, "made");
}

static void take_bytes(struct side *side, const unsigned char *data, size_t n)
{
    REQUIRE(n && side->event_count + side->received && !side->is_lost && !side->has_ended);
    for (size_t i = 0; i < n; i++)
        REQUIRE(data[i] == (side->received + i) % 251);
    side->received += n;
    side->bytes += n;
    play_armed(side, side->at_data);
}

static void data_received(void *self, const void *data, size_t n)
{
    take_bytes(self, data, n);
}

static size_t get_buffer(void *self, size_t hint, void **buf)
{
    struct side *side = self;
    (void)hint;
    *buf = side->buffer;
    return sizeof side->buffer;
}

static void buffer_updated(void *self, size_t n)
{
    struct side *side = self;
    take_bytes(side, side->buffer, n);
}

static bool eof_received(void *self)
{
    struct side *side = self;
    note(side, "eof");
    side->has_ended = true;
    play_armed(side, side->at_eof);
    return side->keeps;
}

static void pause_writing(void *self)
{
    struct side *side = self;
    side->is_paused = true;
    note(side, "pause");
    play_armed(side, side->at_pause);
}

static void resume_writing(void *self)
{
    struct side *side = self;
    side->is_paused = false;
    note(side, "resume");
}

static void lost(void *self, intptr_t err)
{
    struct side *side = self;
    char event[64];
    err = err == -EPIPE ? -ECONNRESET : err;
    snprintf(event, sizeof event, "lost:%s", err ? asyncio_errname(err) : "0");
    note(side, event);
    side->is_lost = true;
    side->transport = NULL;
}

static const asyncio_protocol plain = {
    .connection_made = made,
    .data_received = data_received,
    .eof_received = eof_received,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .connection_lost = lost,
};

static const asyncio_protocol buffered = {
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .eof_received = eof_received,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .connection_lost = lost,
};

/* ---- Actions --------------------------------------------------------------------------------- */

static void write_pattern(struct side *side, size_t n, bool in_parts)
{
    unsigned char *data = malloc(n);
    size_t cut = n / 3;
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)((side->sent + i) % 251);
    side->sent += n;
    struct iovec parts[] = {{data, cut}, {data, 0}, {data + cut, n - cut}};
    int err = in_parts ? asyncio_transport_writev(side->transport, parts, 3)
                       : asyncio_transport_write(side->transport, data, n);
    REQUIRE(err == 0);
    free(data);
}

static void play_write(struct side *side, char verb, const char *rest)
{
    if (asyncio_transport_is_closing(side->transport) || side->wrote_eof)
        return;
    if (verb != 'e') {
        write_pattern(side, strtoul(rest, NULL, 10), verb == 'v');
        return;
    }
    side->wrote_eof = true;
    REQUIRE(asyncio_transport_write_eof(side->transport) == 0);
}

static void set_limits(struct side *side, const char *rest)
{
    size_t high, low;
    REQUIRE(sscanf(rest, "%zu %zu", &high, &low) == 2);
    if (!side->is_paused && !asyncio_transport_is_closing(side->transport))
        REQUIRE(asyncio_transport_set_write_buffer_limits(side->transport, high, low) == 0);
}

static void arm(char *place, const char *rest)
{
    REQUIRE(sscanf(rest, "%31s", place) == 1);
}

static void play_action(struct side *side, const char *action)
{
    const char *rest = action + 1;
    if (side->is_lost)
        return;
    switch (action[0]) {
    case 'w':
    case 'v':
    case 'e':
        play_write(side, action[0], rest);
        break;
    case 'c':
        asyncio_transport_close(side->transport);
        break;
    case 'a':
        asyncio_transport_abort(side->transport);
        break;
    case 'p':
        if (!side->has_ended)
            asyncio_transport_pause_reading(side->transport);
        break;
    case 'r':
        if (!side->has_ended)
            asyncio_transport_resume_reading(side->transport);
        break;
    case 'k':
        side->keeps = strchr(rest, '1') != NULL;
        break;
    case 'l':
        set_limits(side, rest);
        break;
    case 's':
        asyncio_transport_set_protocol(side->transport, &buffered, side);
        break;
    case 'd':
        arm(side->at_data, rest);
        break;
    case 'f':
        arm(side->at_eof, rest);
        break;
    case 'u':
        arm(side->at_pause, rest);
        break;
    }
}

/* ---- Scripts --------------------------------------------------------------------------------- */

/* Until nothing has happened for a while: the loop does not poll each time. */
static void settle(const struct side *sides)
{
    size_t before = 0;
    for (int quiet = 0; quiet < 300; quiet++) {
        size_t now = sides[0].received + sides[1].received + sides[0].event_count + sides[1].event_count;
        if (now != before)
            quiet = 0;
        before = now;
        asyncio_sleep(0);
    }
}

static void describe(struct side *side)
{
    printf("%s: data=%zu [%s] ", side->name, side->bytes, side->events);
    if (side->is_lost)
        printf("lost\n");
    else
        printf("size=%zu closing=%d reading=%d\n", asyncio_transport_get_write_buffer_size(side->transport),
               asyncio_transport_is_closing(side->transport), asyncio_transport_is_reading(side->transport));
    side->bytes = 0;
    side->events[0] = '\0';
}

static void settle_and_describe(struct side *sides, const char *line)
{
    settle(sides);
    printf("> %s\n", line);
    describe(&sides[0]);
    describe(&sides[1]);
}

ASYNC(play_script, int, lines)
{
    static struct side sides[2];
    int fds[2];
    char line[64];
    memset(sides, 0, sizeof sides);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    for (int i = 0; i < 2; i++) {
        sides[i].name = i ? "B" : "A";
        REQUIRE(asyncio_transport_from_fd(fds[i], &plain, &sides[i], NULL, &sides[i].transport) == 0);
    }
    printf("==\n");
    settle_and_describe(sides, "");
    for (int i = 0; i < lines; i++) {
        REQUIRE(fgets(line, sizeof line, stdin));
        line[strcspn(line, "\n")] = '\0';
        play_action(&sides[line[0] == 'B'], line + 2);
        settle_and_describe(sides, line);
    }
    return 0;
}

int main(void)
{
    char line[64];
    while (fgets(line, sizeof line, stdin))
        if (asyncio_run(play_script(atoi(line))) != 0)
            return 1;
    return 0;
}
