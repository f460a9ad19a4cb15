/* A library with descriptors of its own, like a database client: it says what it waits for. */
#include <asyncio.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The library, which knows nothing of us ---- */

struct client {
    int fd;
    size_t got;
    char answer[64];
};

/* Goes on as far as it can. Returns 0 when done, else the events to wait for before the next call. */
static int client_poll(struct client *client)
{
    ssize_t n = recv(client->fd, client->answer + client->got, sizeof client->answer - client->got,
                     MSG_DONTWAIT);
    if (n > 0)
        client->got += n;
    return n == 0 ? 0 : POLLIN;
}

static void client_finish(struct client *client)
{
    close(client->fd); /* without telling us */
}

/* ---- The program ---- */

ASYNC(query, struct client *, client)
{
    int events, ready = 0;
    while ((events = client_poll(client)) != 0) {
        ready = asyncio_wait_fd(client->fd, events, 2); /* 2 seconds, each time */
        if (ready < 0)
            break;
    }
    client_finish(client);
    return ready < 0 ? ready : 0;
}

ASYNC(database, int, fd)
{
    static const char *const words[] = {"forty", "-", "two"};
    for (int i = 0; i < 3; i++) {
        asyncio_sleep(0.02);
        asyncio_sock_sendall(fd, words[i], strlen(words[i]), 0);
    }
    return asyncio_close(fd);
}

ASYNC(async_main)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -1;
    struct client client = {.fd = ends[0]};
    int err = asyncio_gather(NULL, query(&client), database(ends[1]));
    printf("%.*s\n", (int)client.got, client.answer);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
