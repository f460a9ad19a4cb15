/*
 * The resolver of a simulated world: the names of its hosts, "localhost", and what asyncio_sim_set_name says.
 * A host's name is its address of version 4, or, where only version 6 is asked for, that one. The C library
 * turns addresses into its lists, and knows the names of services.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "sim/draws.h"
#include "sim/net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MAX_NS INT64_C(10000000)
#define NS_PER_S 1e9

struct answer {
    struct list node;
    int code; /* of EAI_; 0: there is an address */
    double delay;
    char address[INET6_ADDRSTRLEN];
    char name[];
};

#define HEADS 64

static THREAD_LOCAL struct list *answers; /* HEADS lists, by the name */

static struct list *head_of(const char *name)
{
    unsigned hash = 5381;
    for (; *name; name++)
        hash = hash * 33 ^ (unsigned char)*name;
    return &answers[hash % HEADS];
}

static struct answer *find_answer(const char *name)
{
    if (!answers || !name)
        return NULL;
    LIST_EACH(node, head_of(name)) {
        struct answer *answer = LIST_ENTRY(node, struct answer, node);
        if (strcmp(answer->name, name) == 0)
            return answer;
    }
    return NULL;
}

/* ---- Set ------------------------------------------------------------------------------------- */

/* The C library's code for an error of ours. */
static int to_library_code(int error)
{
    static const struct {
        int error, code;
    } codes[] = {
        {ASYNCIO_EGAI_NONAME, EAI_NONAME},
        {ASYNCIO_EGAI_AGAIN, EAI_AGAIN},
        {ASYNCIO_EGAI_FAIL, EAI_FAIL},
        {ASYNCIO_EGAI_NODATA, EAI_NODATA},
        {ASYNCIO_EGAI_FAMILY, EAI_FAMILY},
        {ASYNCIO_EGAI_MEMORY, EAI_MEMORY},
        {ASYNCIO_EGAI_ADDRFAMILY, EAI_ADDRFAMILY},
        {ASYNCIO_EGAI_SYSTEM, EAI_SYSTEM},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].error == error)
            return codes[i].code;
    return 0;
}

static void forget_answer(struct answer *answer)
{
    if (!answer)
        return;
    list_remove(&answer->node);
    asy_sim_free(answer);
}

bool asy_sim_is_address(const char *text)
{
    struct in6_addr ip;
    return inet_pton(AF_INET, text, &ip) == 1 || inet_pton(AF_INET6, text, &ip) == 1;
}

int asyncio_sim_set_name(const char *name, const char *address, int error, double delay)
{
    if (!asy_sim)
        return ASYNCIO_ENOTASK;
    int code = address ? 0 : to_library_code(error);
    if (!name || !*name || (address && !asy_sim_is_address(address)))
        return (int)asyncio_raise(-EINVAL, "asyncio_sim_set_name: %s is no address", address ? address : "");
    if (!(delay >= 0) || isinf(delay) || (!address && error && !code))
        return (int)asyncio_raise(-EINVAL, "asyncio_sim_set_name: the %s makes no sense",
                                  delay >= 0 && !isinf(delay) ? "error" : "delay");
    if (!answers) {
        answers = asy_sim_alloc(HEADS * sizeof *answers);
        for (unsigned i = 0; i < HEADS; i++)
            list_init(&answers[i]);
    }
    forget_answer(find_answer(name));
    if (!address && !error)
        return 0;
    size_t bytes = strlen(name) + 1;
    struct answer *answer = asy_sim_alloc(sizeof *answer + bytes);
    answer->code = code;
    answer->delay = delay;
    if (address)
        snprintf(answer->address, sizeof answer->address, "%s", address);
    memcpy(answer->name, name, bytes);
    list_append(head_of(name), &answer->node);
    return 0;
}

void asy_sim_names_end(void)
{
    for (unsigned i = 0; answers && i < HEADS; i++)
        while (!list_is_empty(&answers[i]))
            forget_answer(LIST_ENTRY(answers[i].next, struct answer, node));
    asy_sim_free(answers);
    answers = NULL;
}

/* ---- Asked -------------------------------------------------------------------------------------- */

double asy_sim_lookup_delay(const char *host)
{
    const struct answer *answer = find_answer(host);
    if (answer)
        return answer->delay;
    int64_t delay_ns = (int64_t)asy_sim_draw(SIM_WORK, ANSWER_MAX_NS);
    asy_sim_tell("look-up of %s takes %.4f s", host ? host : "an address", (double)delay_ns / NS_PER_S);
    return (double)delay_ns / NS_PER_S;
}

/* The number of a name as text. 0 or a code. */
static int find_number(const char *host, int family, char text[INET6_ADDRSTRLEN])
{
    const struct answer *answer = find_answer(host);
    if (answer) {
        snprintf(text, INET6_ADDRSTRLEN, "%s", answer->address);
        errno = 0; /* which EAI_SYSTEM would refer to */
        return answer->code;
    }
    const struct sim_host *at = asy_sim_host_find(host);
    bool is_local = strcmp(host, "localhost") == 0;
    if (!at && !is_local)
        return EAI_NONAME;
    int used = family == AF_INET6 ? AF_INET6 : AF_INET;
    struct in6_addr ip = is_local ? asy_sim_loopback(used) : asy_sim_address_of(at, used);
    inet_ntop(used, used == AF_INET ? (const void *)&ip.s6_addr[12] : &ip, text, INET6_ADDRSTRLEN);
    return 0;
}

int asy_sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result)
{
    struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};
    char text[INET6_ADDRSTRLEN];
    if (host && !(numeric.ai_flags & AI_NUMERICHOST) && !asy_sim_is_address(host)) {
        int code = find_number(host, numeric.ai_family, text);
        if (code)
            return code;
        host = text;
    }
    if (host)
        numeric.ai_flags |= AI_NUMERICHOST;
    numeric.ai_flags &= ~AI_ADDRCONFIG;
    return getaddrinfo(host, service, &numeric, result);
}

int asy_sim_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                        char *service, socklen_t service_length, int flags)
{
    const struct sim_socket reader = {.family = address->sa_family};
    struct sim_place place;
    const struct sim_host *at = NULL;
    if (host && host_length && !(flags & NI_NUMERICHOST) &&
        (reader.family == AF_INET || reader.family == AF_INET6) &&
        asy_sim_place_read(&reader, address, length, &place) == 0)
        at = asy_sim_host_at(asy_sim_life_here(), &place.ip);
    if (!at) {
        bool must_name = host && (flags & NI_NAMEREQD);
        return must_name ? EAI_NONAME
                         : getnameinfo(address, length, host, host_length, service, service_length,
                                       flags | NI_NUMERICHOST);
    }
    const char *name = asy_sim_is_loopback(&place.ip) ? "localhost" : at->name;
    if (strlen(name) >= host_length)
        return EAI_OVERFLOW;
    memcpy(host, name, strlen(name) + 1);
    return service ? getnameinfo(address, length, NULL, 0, service, service_length, flags) : 0;
}
