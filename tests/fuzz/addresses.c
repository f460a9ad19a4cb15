/*
 * Fuzzed: addresses. Texts of numeric hosts and Unix paths, addresses that the kernel or a name
 * service may give, and their order for a connection.
 */
#include "fd/address.h"
#include "fuzz/fuzz.h"
#include "net/endpoint.h"
#include "net/happy_eyeballs.h"
#include "net/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

/* ---- As text ----------------------------------------------------------------------------- */

/* Any bytes, as an address in memory of its own. */
static void check_address(struct input *input)
{
    const uint8_t *bytes;
    struct sockaddr_storage address = {0};
    char text[ASY_ADDRESS_TEXT], host[ASY_HOST_TEXT];
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, AF_NETLINK, AF_PACKET};
    size_t n = take_bytes(input, &bytes, take_byte(input) % sizeof address);
    memcpy(&address, bytes, n);
    if (take_byte(input) % 8)
        address.ss_family = families[take_byte(input) % (sizeof families / sizeof *families)];
    /* A record of the address's own size: nothing is read behind it. */
    size_t size = address.ss_family == AF_INET    ? sizeof(struct sockaddr_in)
                  : address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                  : address.ss_family == AF_UNIX  ? sizeof(struct sockaddr_un)
                                                  : sizeof(struct sockaddr);
    struct sockaddr *copy = malloc(size);
    MUST(copy);
    memcpy(copy, &address, size);
    asy_address_text(copy, text);
    MUST(*text && strlen(text) < sizeof text);
    asy_host_text(copy, (socklen_t)size, host);
    MUST(strlen(host) < sizeof host);
    int port = asy_address_port(copy);
    MUST((port >= 0) == (address.ss_family == AF_INET || address.ss_family == AF_INET6));
    MUST(port <= 65535);
    free(copy);
}

/* ---- From text ----------------------------------------------------------------------------- */

static void check_path(const char *path)
{
    struct sockaddr_un address;
    socklen_t length = 0;
    char text[ASY_ADDRESS_TEXT];
    size_t n = strlen(path);
    int err = asy_unix_address(path, &address, &length);
    MUST(err == (n == 0 ? -EINVAL : n >= sizeof address.sun_path ? -ENAMETOOLONG : 0));
    if (err)
        return;
    MUST(length > offsetof(struct sockaddr_un, sun_path) && length <= sizeof address);
    MUST((address.sun_path[0] == '\0') == (*path == '@'));
    asy_address_text((const struct sockaddr *)&address, text);
    MUST(strcmp(text, "@") == 0 || strcmp(path, "@") == 0 || strcmp(text, path) == 0);
}

/* glibc takes the last 16 bits of any number; asyncio_getaddrinfo refuses what is no port. */
static bool is_out_of_range(const char *service)
{
    char *end;
    long port = service ? strtol(service, &end, 10) : 0;
    return service && !*end && (port < 0 || port > 65535);
}

/* A number that the C library knows is looked up without a thread; what it says is what we say. Names are not
 * looked up here: whatever is no number is refused by a flag. */
static void check_host(const char *host, const char *service, int family)
{
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *ours = NULL, *theirs = NULL;
    int err = asyncio_getaddrinfo(host, service, &hints, &ours);
    if (is_out_of_range(service)) {
        MUST(err == ASYNCIO_EGAI_SERVICE);
        return;
    }
    int code = getaddrinfo(host, service, &hints, &theirs);
    MUST((err == 0) == (code == 0));
    MUST(err <= 0);
    if (err)
        return;
    MUST(ours->ai_addrlen == theirs->ai_addrlen);
    MUST(memcmp(ours->ai_addr, theirs->ai_addr, ours->ai_addrlen) == 0);
    char text[ASY_HOST_TEXT];
    asy_host_text(ours->ai_addr, ours->ai_addrlen, text);
    MUST(*text != '?');
    freeaddrinfo(ours);
    freeaddrinfo(theirs);
}

/* Ports as a number: refused, or those of the result. */
static void check_port(const char *host, int port)
{
    struct in_addr v4;
    struct in6_addr v6;
    asyncio_address address = {host, port};
    struct addrinfo *result = NULL;
    if (inet_pton(AF_INET, host, &v4) != 1 && inet_pton(AF_INET6, host, &v6) != 1)
        return; /* a name, maybe: nobody is asked here */
    int err = asy_look_up(&address, AF_UNSPEC, SOCK_DGRAM, false, &result);
    MUST(err == (port < 0 || port > 65535 ? -EINVAL : 0));
    if (err)
        return;
    MUST(asy_address_port(result->ai_addr) == port);
    freeaddrinfo(result);
}

/* ---- In order ------------------------------------------------------------------------------- */

#define LIST_MAX 64

/* Each address once, those of a family in their order, the first one first. */
static void check_order(struct input *input)
{
    struct addrinfo list[LIST_MAX + 1];
    const struct addrinfo *order[LIST_MAX];
    size_t n = take_byte(input) % LIST_MAX, families = 1 + take_byte(input) % 4;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct addrinfo){.ai_family = (int)(take_byte(input) % families),
                                    .ai_next = i + 1 < n ? &list[i + 1] : NULL};
    size_t room = take_byte(input) % (LIST_MAX + 1);
    size_t count = asy_interleave(n ? list : NULL, order, room);
    MUST(count == n);
    if (room < n)
        return;
    bool seen[LIST_MAX] = {false};
    size_t latest[4] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(order[i] - list);
        MUST(at < n && !seen[at]);
        MUST(i != 0 || at == 0);
        seen[at] = true;
        MUST(at >= latest[list[at].ai_family]);
        latest[list[at].ai_family] = at;
    }
}

ASYNC(fuzz_main, struct input *, input)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    while (input->left) {
        unsigned command = take_byte(input) % 5;
        if (command == 0) {
            check_address(input);
        } else if (command == 1) {
            check_order(input);
        } else {
            char *text = take_text(input, take_byte(input) % 140), *service = take_text(input, 6);
            if (command == 2)
                check_path(text);
            else if (command == 3)
                check_host(text, *service ? service : NULL, families[take_byte(input) % 4]);
            else
                check_port(text, (int)take_number(input) * 2 - 1);
            free(text);
            free(service);
        }
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    fuzz_run(fuzz_main(&input));
    return 0;
}
