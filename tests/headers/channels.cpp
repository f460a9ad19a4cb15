/* Channels from C++. */
#include <asyncio/channels.h>

struct job {
    int number;
    const char *name;
};

ASYNCIO_CHANNEL_OF(jobs, struct job);
ASYNCIO_CHANNEL_OF(texts, const char *);

int main()
{
    jobs *channel = jobs_new(4);
    struct job job = {1, "one"};
    int err = jobs_try_send(channel, job);
    if (!err)
        err = jobs_receive_blocking(channel, &job, ASYNCIO_FOREVER);
    if (!err)
        err = asyncio_channel_close(jobs_channel(channel));
    jobs_release(channel);
    texts_release(texts_ref(nullptr));
    return err;
}
