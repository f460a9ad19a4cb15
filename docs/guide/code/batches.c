/* Datagrams: one call for a batch. */
#include <asyncio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 8

/* Describes each text to the kernel: its place and its length. */
static void prepare(struct mmsghdr *messages, struct iovec *parts, char (*texts)[32], size_t bytes)
{
    memset(messages, 0, BATCH * sizeof *messages);
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){texts[i], bytes ? bytes : strlen(texts[i])};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

ASYNC(send_all, asyncio_datagram *, from)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    char texts[BATCH][32];
    for (int i = 0; i < BATCH; i++)
        snprintf(texts[i], sizeof texts[i], "reading %d", i);
    prepare(messages, parts, texts, 0);
    int sent = 0;
    while (sent < BATCH) {
        int n = asyncio_datagram_sendmmsg(from, messages + sent, BATCH - sent);
        if (n < 0)
            return n;
        sent += n;
    }
    return sent;
}

ASYNC(receive_all, asyncio_datagram *, to)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    char texts[BATCH][32];
    for (int got = 0; got < BATCH;) {
        prepare(messages, parts, texts, sizeof *texts);
        int n = asyncio_datagram_recvmmsg(to, messages, BATCH); /* waits for one, takes all that are there */
        if (n < 0)
            return n;
        for (int i = 0; i < n; i++)
            printf("%.*s\n", (int)messages[i].msg_len, texts[i]);
        got += n;
    }
    return 0;
}

ASYNC(async_main)
{
    asyncio_datagram *to, *from = NULL;
    asyncio_datagram_options options = {.family = AF_UNIX};
    asyncio_address address = {.host = "readings.sock"};
    int err = asyncio_open_datagram(&address, NULL, &options, &to);
    if (err)
        return err;
    err = asyncio_open_datagram(NULL, &address, &options, &from);
    if (!err)
        err = asyncio_gather(NULL, receive_all(to), send_all(from));
    asyncio_datagram_close(from);
    asyncio_datagram_close(to);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
