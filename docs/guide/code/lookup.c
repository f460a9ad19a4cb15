/* Looking up names, and the error when no server is there. */
#include <asyncio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static int look_up(const char *host)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char text[INET_ADDRSTRLEN];
    int err = asyncio_getaddrinfo(host, "80", &hints, &found);
    if (err) {
        printf("%s: %s\n", host, asyncio_errname(err));
        return err;
    }
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)found->ai_addr;
    printf("%s: %s\n", host, inet_ntop(AF_INET, &address->sin_addr, text, sizeof text));
    freeaddrinfo(found);
    return 0;
}

ASYNC(async_main)
{
    asyncio_stream *stream;
    look_up("192.0.2.1");      /* numeric: answered at once */
    look_up("localhost");
    look_up("no such name");
    int err = asyncio_open_connection("127.0.0.1", 1, NULL, &stream);
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
