/*
 * Asks a name server for the IPv4 addresses of a name: a question of UDP, built by
 * hand, and asked again when no answer comes in time.
 *
 *     14_dns_query NAME SERVER [PORT]
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX 512 /* of DNS over UDP */
#define TRIES 3
#define TIMEOUT_S 0.5

/* ---- The message (RFC 1035) ---------------------------------------------------------- */

static unsigned number_at(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Writes the question for a name's A records; its length, or -EINVAL for what is no name. */
static ssize_t make_query(unsigned char query[ANSWER_MAX], unsigned id, const char *name)
{
    const unsigned char header[12] = {(unsigned char)(id >> 8), (unsigned char)id, 1 /* recursion, please */,
                                      [5] = 1 /* question */};
    const unsigned char a_in[4] = {0, 1, 0, 1};
    size_t used = sizeof header;
    if (!*name || strlen(name) > 253)
        return -EINVAL;
    memcpy(query, header, sizeof header);
    while (*name) { /* each label behind its length */
        size_t length = strcspn(name, ".");
        if (length == 0 || length > 63)
            return -EINVAL;
        query[used++] = (unsigned char)length;
        memcpy(query + used, name, length);
        used += length;
        name += length + (name[length] == '.');
    }
    query[used++] = 0;
    memcpy(query + used, a_in, sizeof a_in);
    return (ssize_t)(used + sizeof a_in);
}

/* Behind a name, which ends with an empty label or a reference; 0 if it does not end. */
static size_t skip_name(const unsigned char *answer, size_t n, size_t at)
{
    while (at < n) {
        if (answer[at] >= 0xc0)
            return at + 2;
        if (answer[at] >= 0x40) /* neither of the two, nor a label */
            return 0;
        if (answer[at] == 0)
            return at + 1;
        at += 1u + answer[at];
    }
    return 0;
}

/* Prints the addresses in an answer; how many, or an error. */
static int print_addresses(const unsigned char *answer, size_t n, const char *name)
{
    unsigned questions = number_at(answer + 4), records = number_at(answer + 6);
    int code = answer[3] & 15, printed = 0;
    size_t at = 12;
    if (code)
        return (int)asyncio_raise(-ENOENT, "%s: the server says %s", name,
                                  code == 3 ? "that there is no such name" : "that it cannot tell");
    for (; questions && at; questions--) {
        at = skip_name(answer, n, at);
        at += at ? 4 : 0; /* type and class */
    }
    for (; records && at; records--) {
        at = skip_name(answer, n, at);
        if (!at || at + 10 > n)
            break;
        unsigned type = number_at(answer + at), length = number_at(answer + at + 8);
        at += 10;
        if (at + length > n)
            break;
        if (type == 1 && length == 4) {
            printf("%s has address %d.%d.%d.%d\n", name, answer[at], answer[at + 1], answer[at + 2],
                   answer[at + 3]);
            printed++;
        }
        at += length;
    }
    return printed ? printed : (int)asyncio_raise(-ENODATA, "%s has no address", name);
}

/* ---- The conversation ---------------------------------------------------------------------- */

/* An answer has the question's number, and repeats the question. */
static bool is_answer(const unsigned char *answer, size_t n, const unsigned char *query, size_t length)
{
    return n >= length && memcmp(answer, query, 2) == 0 && answer[2] & 0x80 && number_at(answer + 4) == 1 &&
           memcmp(answer + 12, query + 12, length - 12) == 0;
}

/* Waits for the answer to this question; others, late or forged, are passed over. */
static ssize_t receive_answer(asyncio_datagram *server, const unsigned char *query, size_t length,
                              unsigned char *answer)
{
    ssize_t n;
    do
        n = asyncio_datagram_recv(server, answer, ANSWER_MAX);
    while (n >= 0 && !is_answer(answer, (size_t)n, query, length));
    return n;
}

static ssize_t ask(asyncio_datagram *server, const unsigned char *query, size_t length, unsigned char *answer)
{
    ssize_t n = -ETIMEDOUT;
    for (int i = 0; i < TRIES && n == -ETIMEDOUT; i++) {
        ASYNCIO_TIMEOUT(n, TIMEOUT_S) {
            n = asyncio_datagram_send(server, query, length);
            if (n < 0)
                break;
            n = receive_answer(server, query, length, answer);
        }
        if (n == -ETIMEDOUT)
            printf("no answer within %.1f s\n", TIMEOUT_S);
    }
    return n;
}

ASYNC(async_main, const char *, name, asyncio_address, address)
{
    unsigned char query[ANSWER_MAX], answer[ANSWER_MAX];
    asyncio_datagram *server;
    ssize_t length = make_query(query, (unsigned)(asyncio_time() * 1e6) & 0xffff, name);
    if (length < 0)
        return asyncio_raise(length, "%s is no name", name);
    int err = asyncio_open_datagram(NULL, &address, NULL, &server);
    if (err)
        return err;
    ssize_t n = ask(server, query, (size_t)length, answer);
    asyncio_datagram_close(server);
    return n < 0 ? n : print_addresses(answer, (size_t)n, name);
}

int main(int argc, char *argv[])
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s NAME SERVER [PORT]\n", argv[0]);
        return 2;
    }
    asyncio_address address = {argv[2], argc == 4 ? atoi(argv[3]) : 53};
    return asyncio_main(async_main(argv[1], address));
}
