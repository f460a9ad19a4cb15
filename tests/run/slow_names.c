/*
 * A name server that does not answer, for programs that are run with this in LD_PRELOAD.
 */
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)host, (void)service, (void)hints, (void)result;
    sleep(30);
    return EAI_AGAIN;
}
