/*
 * A resolver of the test's own: this program's getaddrinfo and getnameinfo come
 * before the C library's. Names that end in ".test" have the addresses that the
 * test says; all others go to the C library. Included by one file of a program.
 */
#ifndef TESTS_SUPPORT_RESOLVER_H
#define TESTS_SUPPORT_RESOLVER_H

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct resolver_name {
    const char *name;
    const char *addresses[6]; /* numeric */
    int code;                 /* EAI_..., in place of addresses */
    int error;                /* errno, for EAI_SYSTEM */
    bool is_slow;             /* answers when the gate is open */
};

static struct {
    const struct resolver_name *names;
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gate;              /* open: the slow ones answer */
    unsigned calls;         /* of names, here or there */
    unsigned running, most; /* of names, now, and the most at a time */
    unsigned reverse_calls;
    pthread_t thread; /* where the last call was */
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* A simulated world asks it, too. */
extern const bool resolver_is_there;
const bool resolver_is_there = true;

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int getnameinfo_fn(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);

static inline void resolver_set_gate(bool open)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.gate = open;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
}

/* How many lookups of names are being made. */
static inline unsigned resolver_running(void)
{
    pthread_mutex_lock(&resolver.lock);
    unsigned running = resolver.running;
    pthread_mutex_unlock(&resolver.lock);
    return running;
}

static inline unsigned resolver_calls(void)
{
    pthread_mutex_lock(&resolver.lock);
    unsigned calls = resolver.calls + resolver.reverse_calls;
    pthread_mutex_unlock(&resolver.lock);
    return calls;
}

static const struct resolver_name *resolver_find(const char *host)
{
    for (size_t i = 0; i < resolver.count; i++)
        if (strcmp(resolver.names[i].name, host) == 0)
            return &resolver.names[i];
    return NULL;
}

static void resolver_begin(bool is_slow)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.calls++;
    resolver.thread = pthread_self();
    if (++resolver.running > resolver.most)
        resolver.most = resolver.running;
    while (is_slow && !resolver.gate)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    resolver.running--;
    pthread_mutex_unlock(&resolver.lock);
}

/* The numeric addresses, as one list: this C library frees each by itself. */
static int resolver_list(getaddrinfo_fn *next, const char *const *addresses, const char *service,
                         const struct addrinfo *hints, struct addrinfo **result)
{
    struct addrinfo **end = result;
    int code = EAI_NONAME;
    *result = NULL;
    for (; *addresses; addresses++) {
        struct addrinfo numeric = hints ? *hints : (struct addrinfo){.ai_socktype = SOCK_STREAM};
        numeric.ai_flags |= AI_NUMERICHOST;
        code = next(*addresses, service, &numeric, end);
        while (!code && *end)
            end = &(*end)->ai_next;
    }
    return *result ? 0 : code; /* some may be of another family */
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    getaddrinfo_fn *next = (getaddrinfo_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints && (hints->ai_flags & AI_NUMERICHOST))
        return next(host, service, hints, result);
    const struct resolver_name *known = host ? resolver_find(host) : NULL;
    resolver_begin(known && known->is_slow);
    if (!known)
        return next(host, service, hints, result);
    if (known->code == EAI_SYSTEM)
        errno = known->error;
    return known->code ? known->code : resolver_list(next, known->addresses, service, hints, result);
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                char *service, socklen_t service_length, int flags)
{
    getnameinfo_fn *next = (getnameinfo_fn *)dlsym(RTLD_NEXT, "getnameinfo");
    if ((!host || (flags & NI_NUMERICHOST)) && (!service || (flags & NI_NUMERICSERV)))
        return next(address, length, host, host_length, service, service_length, flags);
    pthread_mutex_lock(&resolver.lock);
    resolver.reverse_calls++;
    resolver.thread = pthread_self();
    pthread_mutex_unlock(&resolver.lock);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    if (address->sa_family != AF_INET || !host || (ntohl(v4->sin_addr.s_addr) >> 8) != 0xc00002) /* 192.0.2 */
        return next(address, length, host, host_length, service, service_length, flags);
    if (flags & NI_NAMEREQD)
        return EAI_NONAME;
    int n = snprintf(host, host_length, "host-%u.test", ntohl(v4->sin_addr.s_addr) & 255);
    return n < (int)host_length ? 0 : EAI_OVERFLOW;
}

#endif
