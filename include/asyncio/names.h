/*
 * Names: getaddrinfo and getnameinfo, which never block the loop. They run in a pool of threads of their
 * own, where slow name servers hold up nothing else.
 */
#ifndef ASYNCIO_NAMES_H
#define ASYNCIO_NAMES_H

#include <asyncio/types.h>
#include <netdb.h>
#include <sys/socket.h>

ASYNCIO_BEGIN_DECLS

struct addrinfo; /* strict C hides netdb.h's */

/*
 * Looks up the addresses of a name, as getaddrinfo(3), with its parameters; free *result with freeaddrinfo.
 * Suspends, except for numeric hosts, which are answered at once. A cancel gives the look-up up: the call
 * returns -ECANCELED at once, and the thread's answer is dropped. Eight look-ups are made at a time; up to
 * 64 that were given up do not count. 0; ASYNCIO_EGAI_... (asyncio_strerror has gai_strerror's words;
 * _SERVICE also for a number above 65535, of which glibc would take the last 16 bits); -ENOMEM, -EAGAIN (no
 * thread), -EINVAL, ASYNCIO_ENOTASK. (loop.getaddrinfo)
 */
ASYNCIO_API int asyncio_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                                    struct addrinfo **result);

/* Looks up the name of an address, as getnameinfo(3), with its parameters; otherwise as
 * asyncio_getaddrinfo. (loop.getnameinfo) */
ASYNCIO_API int asyncio_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
                                    socklen_t host_length, char *service, socklen_t service_length,
                                    int flags);

ASYNCIO_END_DECLS

#endif
