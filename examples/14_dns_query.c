/*
 * Asks a name server for the IPv4 addresses of a name: a UDP question built by hand, sent
 * again when no answer comes in time.
 *
 *     14_dns_query NAME SERVER [PORT]
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define TRIES 3
#define TIMEOUT_S 0.5

/* ---- The message (RFC 1035) ---------------------------------------------------------- */

#define ANSWER_MAX 512 /* of DNS over UDP */
#define HEADER_BYTES 12
#define NAME_BYTES 256
#define ADDRESSES_MAX 32 /* a message has no room for more */
#define CLASS_IN 1
#define TYPE_A 1
#define TYPE_CNAME 5
/* In the third byte. */
#define RESPONSE 0x80
#define OPCODE 0x78
#define TRUNCATED 0x02
#define RECURSION 0x01 /* please */

static unsigned number_at(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Writes the question for a name's A records, without a number. Returns its length, or -EINVAL if that is no
 * name. */
static ssize_t make_query(unsigned char query[ANSWER_MAX], const char *name)
{
    const unsigned char header[HEADER_BYTES] = {[2] = RECURSION, [5] = 1 /* question */};
    const unsigned char a_in[4] = {0, TYPE_A, 0, CLASS_IN};
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

/* Reads the name at `at` as text that ends with a dot. A reference must lead backwards, so the walk ends.
 * Returns where the message goes on, or 0 if that is no name. */
static size_t read_name(const unsigned char *message, size_t n, size_t at, char name[NAME_BYTES])
{
    size_t used = 0, before = at, behind = 0;
    while (at < n && message[at]) {
        size_t length = message[at++];
        if (length >= 0xc0 && at < n) {
            size_t to = (length & 0x3f) << 8 | message[at];
            behind = behind ? behind : at + 1;
            if (to < HEADER_BYTES || to >= before)
                return 0;
            at = before = to;
            continue;
        }
        if (length > 63 || length >= n - at || used + length + 2 > NAME_BYTES)
            return 0;
        if (memchr(message + at, '.', length) || memchr(message + at, 0, length))
            return 0; /* as text it would be another name */
        memcpy(name + used, message + at, length);
        used += length;
        name[used++] = '.';
        at += length;
    }
    name[used] = '\0';
    return at >= n ? 0 : behind ? behind : at + 1;
}

struct found {
    char name[NAME_BYTES]; /* the name whose addresses count; follows the aliases */
    unsigned char addresses[ADDRESSES_MAX][4];
    size_t count;
};

/* Takes one record of the answer, about `owner`. Records about another name do not count, however they came
 * into the message. */
static bool take_record(struct found *found, const char *owner, const unsigned char *message, size_t n,
                        size_t at)
{
    char alias[NAME_BYTES];
    unsigned type = number_at(message + at), class = number_at(message + at + 2);
    unsigned length = number_at(message + at + 8);
    at += 10;
    if (class != CLASS_IN || strcasecmp(owner, found->name) != 0)
        return true;
    if (type == TYPE_CNAME) {
        if (read_name(message, n, at, alias) != at + length)
            return false;
        memcpy(found->name, alias, sizeof alias);
    }
    if (type != TYPE_A)
        return true;
    if (length != 4 || found->count == ADDRESSES_MAX)
        return false;
    memcpy(found->addresses[found->count++], message + at, length);
    return true;
}

/* Takes the records, which follow the question at `at`. False: the message is broken, and nothing in it
 * counts. */
static bool find_addresses(struct found *found, const unsigned char *message, size_t n, size_t at)
{
    char owner[NAME_BYTES];
    if (!read_name(message, n, HEADER_BYTES, found->name))
        return false;
    for (unsigned records = number_at(message + 6); records; records--) {
        at = read_name(message, n, at, owner);
        if (!at || at + 10 > n || at + 10 + number_at(message + at + 8) > n)
            return false;
        if (!take_record(found, owner, message, n, at))
            return false;
        at += 10 + number_at(message + at + 8);
    }
    return true;
}

/* Prints the addresses in an answer to a query of that length. Returns 0 or an error. */
static int print_addresses(const unsigned char *answer, size_t n, size_t query_length, const char *name)
{
    struct found found = {.count = 0};
    int code = answer[3] & 15;
    if (answer[2] & TRUNCATED)
        return (int)asyncio_raise(-EMSGSIZE, "%s: the answer is too long for UDP", name);
    if (code)
        return (int)asyncio_raise(-ENOENT, "%s: the server says %s", name,
                                  code == 3 ? "that there is no such name" : "that it cannot tell");
    if (!find_addresses(&found, answer, n, query_length))
        return (int)asyncio_raise(-EBADMSG, "%s: the answer is broken", name);
    for (size_t i = 0; i < found.count; i++) {
        const unsigned char *address = found.addresses[i];
        printf("%s has address %d.%d.%d.%d\n", name, address[0], address[1], address[2], address[3]);
    }
    return found.count ? 0 : (int)asyncio_raise(-ENODATA, "%s has no address", name);
}

/* ---- The conversation ---------------------------------------------------------------------- */

/* An answer has the question's number, and repeats the question. */
static bool is_answer(const unsigned char *answer, size_t n, const unsigned char *query, size_t length)
{
    return n >= length && memcmp(answer, query, 2) == 0 && (answer[2] & (RESPONSE | OPCODE)) == RESPONSE &&
           number_at(answer + 4) == 1 &&
           memcmp(answer + HEADER_BYTES, query + HEADER_BYTES, length - HEADER_BYTES) == 0;
}

/* Waits for the answer to this question, and skips others, late or forged. */
static ssize_t receive_answer(asyncio_datagram *server, const unsigned char *query, size_t length,
                              unsigned char *answer)
{
    ssize_t n;
    do
        n = asyncio_datagram_recv(server, answer, ANSWER_MAX);
    while (n >= 0 && !is_answer(answer, (size_t)n, query, length));
    return n;
}

/* Uses a number and a port that nobody can guess: an attacker who does not see the question cannot forge an
 * answer. */
static ssize_t ask_once(const asyncio_address *address, unsigned char *query, size_t length,
                        unsigned char *answer)
{
    asyncio_datagram *server;
    if (getrandom(query, 2, 0) != 2)
        return asyncio_raise(-EIO, "there are no random numbers");
    ssize_t n = asyncio_open_datagram(NULL, address, NULL, &server); /* the kernel chooses a port */
    if (n)
        return n;
    ASYNCIO_TIMEOUT(n, TIMEOUT_S)
    {
        n = asyncio_datagram_send(server, query, length);
        if (n >= 0)
            n = receive_answer(server, query, length, answer);
    }
    asyncio_datagram_close(server);
    return n;
}

static ssize_t ask(const asyncio_address *address, unsigned char *query, size_t length, unsigned char *answer)
{
    ssize_t n = -ETIMEDOUT;
    for (int i = 0; i < TRIES && n == -ETIMEDOUT; i++) {
        n = ask_once(address, query, length, answer);
        if (n == -ETIMEDOUT)
            printf("no answer within %.1f s\n", TIMEOUT_S);
    }
    return n;
}

ASYNC(async_main, const char *, name, asyncio_address, address)
{
    unsigned char query[ANSWER_MAX], answer[ANSWER_MAX];
    ssize_t length = make_query(query, name);
    if (length < 0)
        return asyncio_raise(length, "%s is no name", name);
    ssize_t n = ask(&address, query, (size_t)length, answer);
    return n < 0 ? n : print_addresses(answer, (size_t)n, (size_t)length, name);
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
