/*
 * Names: getaddrinfo and getnameinfo on threads of their own.
 */
#include "asyncio/names.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "core/loop.h"
#include "core/message.h"
#include "net/endpoint.h"
#include "net/resolver.h"
#include "sys/net.h"
#include "sys/sys.h"
#include "sys/world.h"
#include "threads/offload.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many look-ups run at a time, and how many that were given up may go on beside them, since nothing ends
 * a getaddrinfo. If there are more, new look-ups wait for them
 * (docs/decisions/0009-look-ups-given-up.md). */
#define RESOLVER_THREADS 8
#define GIVEN_UP_MAX 64

static struct pool resolvers = POOL_INIT(resolvers, RESOLVER_THREADS, GIVEN_UP_MAX, "asyncio-names");

/* Translates an EAI_ code into our error; EAI_SYSTEM into the one in errno, which nothing has changed yet. */
static int translate_error(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_BADFLAGS:
        return ASYNCIO_EGAI_BADFLAGS;
    case EAI_NONAME:
        return ASYNCIO_EGAI_NONAME;
    case EAI_AGAIN:
        return ASYNCIO_EGAI_AGAIN;
    case EAI_FAIL:
        return ASYNCIO_EGAI_FAIL;
    case EAI_NODATA:
        return ASYNCIO_EGAI_NODATA;
    case EAI_FAMILY:
        return ASYNCIO_EGAI_FAMILY;
    case EAI_SOCKTYPE:
        return ASYNCIO_EGAI_SOCKTYPE;
    case EAI_SERVICE:
        return ASYNCIO_EGAI_SERVICE;
    case EAI_ADDRFAMILY:
        return ASYNCIO_EGAI_ADDRFAMILY;
    case EAI_MEMORY:
        return ASYNCIO_EGAI_MEMORY;
    case EAI_OVERFLOW:
        return ASYNCIO_EGAI_OVERFLOW;
    default:
        return code == EAI_SYSTEM && errno ? -errno : ASYNCIO_EGAI_SYSTEM;
    }
}

/* ---- getaddrinfo ---------------------------------------------------------------------- */

struct lookup {
    struct work work;
    char *host, *service; /* in the block itself, or NULL */
    bool has_hints;
    struct addrinfo hints;
    struct addrinfo *result;
    int err;
    char text[];
};

static void run_lookup(struct work *work)
{
    struct lookup *lookup = (struct lookup *)work;
    struct resolving resolving;
    asy_resolver_enter(&resolving);
    int code = asy_sys_getaddrinfo(lookup->host, lookup->service, lookup->has_hints ? &lookup->hints : NULL,
                                   &lookup->result);
    lookup->err = translate_error(code);
    asy_resolver_leave(&resolving);
}

static void free_lookup(struct work *work)
{
    struct lookup *lookup = (struct lookup *)work;
    if (lookup->result)
        freeaddrinfo(lookup->result);
    asy_sys_free(lookup);
}

/* The fields that getaddrinfo reads; the others must be 0 (POSIX). */
static struct addrinfo copy_hints(const struct addrinfo *hints)
{
    return (struct addrinfo){.ai_flags = hints->ai_flags,
                             .ai_family = hints->ai_family,
                             .ai_socktype = hints->ai_socktype,
                             .ai_protocol = hints->ai_protocol};
}

static struct lookup *make_lookup(const char *host, const char *service, const struct addrinfo *hints)
{
    size_t host_bytes = host ? strlen(host) + 1 : 0, service_bytes = service ? strlen(service) + 1 : 0;
    struct lookup *lookup = asy_sys_calloc(1, sizeof *lookup + host_bytes + service_bytes);
    if (!lookup)
        return NULL;
    lookup->work.run = run_lookup;
    lookup->work.free = free_lookup;
    if (host)
        lookup->host = memcpy(lookup->text, host, host_bytes);
    if (service)
        lookup->service = memcpy(lookup->text + host_bytes, service, service_bytes);
    if (hints) {
        lookup->has_hints = true;
        lookup->hints = copy_hints(hints);
    }
    return lookup;
}

/* In a simulated world (sys/world.h) the answer comes after a while of its clock; no thread looks it up. */
static COLD int look_up_in_world(struct work *work, const char *host)
{
    double delay = asy_sim->lookup_delay(host);
    int err = delay > 0 ? asyncio_sleep(delay) : 0;
    if (err)
        work->free(work);
    else
        work->run(work);
    return err;
}

static int run_on_resolver(asyncio_loop *loop, struct work *work, const char *host)
{
    return ASY_SEAM() && asy_sim ? look_up_in_world(work, host) : asy_offload_wait(&resolvers, loop, work);
}

/* glibc takes any number, and of that the last 16 bits: 99999 would be port 34463. */
static bool is_wrong_port(const char *service)
{
    int saved = errno;
    char *end;
    long port = strtol(service, &end, 10);
    errno = saved;
    return !*end && (port < 0 || port > UINT16_MAX);
}

/* Translates a numeric host and service at once; a name fails, and is for a thread. */
static int look_up_number(const char *host, const char *service, const struct addrinfo *hints,
                          struct addrinfo **result)
{
    struct addrinfo numeric = hints ? copy_hints(hints) : (struct addrinfo){0};
    numeric.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    int saved = errno; /* the program's, which musl changes on the way */
    struct resolving resolving;
    asy_resolver_enter(&resolving);
    int code = asy_sys_getaddrinfo(host, service, &numeric, result);
    int err = translate_error(code);
    asy_resolver_leave(&resolving);
    errno = saved;
    return err;
}

int asyncio_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!result || (!host && !service))
        return -EINVAL;
    if (service && is_wrong_port(service))
        return (int)asyncio_raise(ASYNCIO_EGAI_SERVICE,
                                  "look up %s, port %s: a port is a number from 0 to 65535",
                                  host ? host : "*", service);
    int err = asy_budget_spend(loop);
    if (err)
        return err;
    if (look_up_number(host, service, hints, result) == 0)
        return 0;
    struct lookup *lookup = make_lookup(host, service, hints);
    if (!lookup)
        return -ENOMEM;
    err = run_on_resolver(loop, &lookup->work, host);
    if (err)
        return err;
    err = lookup->err;
    if (err) {
        char words[ASY_WORDS];
        asyncio_raise(err, "look up %s: %s", host ? host : service, asy_words(err, words));
    } else {
        *result = lookup->result;
        lookup->result = NULL;
    }
    free_lookup(&lookup->work);
    return err;
}

/* ---- getnameinfo ------------------------------------------------------------------------- */

struct reverse {
    struct work work;
    struct sockaddr_storage address;
    socklen_t length;
    socklen_t host_length, service_length;
    int flags, err;
    char host[NI_MAXHOST], service[NI_MAXSERV];
};

static void run_reverse(struct work *work)
{
    struct reverse *reverse = (struct reverse *)work;
    struct resolving resolving;
    asy_resolver_enter(&resolving);
    int code = asy_sys_getnameinfo((const struct sockaddr *)&reverse->address, reverse->length,
                                   reverse->host_length ? reverse->host : NULL, reverse->host_length,
                                   reverse->service_length ? reverse->service : NULL, reverse->service_length,
                                   reverse->flags);
    reverse->err = translate_error(code);
    asy_resolver_leave(&resolving);
}

static int raise_name_error(int err)
{
    char words[ASY_WORDS];
    if (err)
        asyncio_raise(err, "look up the name of an address: %s", asy_words(err, words));
    return err;
}

/* Numbers are written without a name server. */
static bool is_written_as_number(const char *host, const char *service, int flags)
{
    return (!host || (flags & NI_NUMERICHOST)) && (!service || (flags & NI_NUMERICSERV));
}

static void free_reverse(struct work *work)
{
    asy_sys_free(work);
}

static socklen_t limit_length(socklen_t length, socklen_t most)
{
    return length < most ? length : most;
}

static struct reverse *make_reverse(const struct sockaddr *address, socklen_t length, int flags)
{
    struct reverse *reverse = asy_sys_calloc(1, sizeof *reverse);
    if (!reverse)
        return NULL;
    reverse->work.run = run_reverse;
    reverse->work.free = free_reverse;
    memcpy(&reverse->address, address, length);
    reverse->length = length;
    reverse->flags = flags;
    return reverse;
}

int asyncio_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                        char *service, socklen_t service_length, int flags)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!address || length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    int err = asy_budget_spend(loop);
    if (err)
        return err;
    if (is_written_as_number(host, service, flags)) {
        int saved = errno;
        int code = asy_sys_getnameinfo(address, length, host, host_length, service, service_length, flags);
        err = translate_error(code);
        errno = saved;
        return raise_name_error(err);
    }
    struct reverse *reverse = make_reverse(address, length, flags);
    if (!reverse)
        return -ENOMEM;
    reverse->host_length = host ? limit_length(host_length, NI_MAXHOST) : 0;
    reverse->service_length = service ? limit_length(service_length, NI_MAXSERV) : 0;
    err = run_on_resolver(loop, &reverse->work, NULL);
    if (err)
        return err;
    err = reverse->err;
    if (!err && reverse->host_length)
        memcpy(host, reverse->host, reverse->host_length);
    if (!err && reverse->service_length)
        memcpy(service, reverse->service, reverse->service_length);
    free_reverse(&reverse->work);
    return raise_name_error(err);
}
