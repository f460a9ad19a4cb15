/* A simulation finds that one read is taken for one message. */
#include <asyncio.h>
#include <asyncio/sim.h>
#include <errno.h>
#include <string.h>

static const char message[] = "sixteen bytes ..";

ASYNC(checks, asyncio_stream *, stream)
{
    char text[16] = "";
    ssize_t n = asyncio_stream_read(stream, text, sizeof text); /* asyncio_stream_readexactly */
    if (n < 0)
        return n;
    return asyncio_stream_write(stream, memcmp(text, message, 16) == 0 ? "good" : "bad!", 4);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return checks(stream);
}

ASYNC(serve)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, NULL, 80, NULL, &server);
    if (err)
        return err;
    err = asyncio_server_serve_forever(server);
    asyncio_server_release(server);
    return err;
}

/* Unchanged code of a program: it knows nothing of the simulation. */
ASYNC(ask)
{
    asyncio_stream *stream;
    char answer[4] = "";
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    err = asyncio_stream_write(stream, message, 16);
    ssize_t n = err ? err : asyncio_stream_readexactly(stream, answer, 4);
    asyncio_stream_abort(stream);
    return n < 0 ? n : memcmp(answer, "good", 4) == 0 ? 0 : -EBADMSG;
}

ASYNC(scenario)
{
    asyncio_release(asyncio_sim_start("server", serve()));
    asyncio_sleep(0.1);
    return asyncio_await(asyncio_sim_start("client", ask()));
}

static asyncio_coro *make_scenario(void *arg)
{
    (void)arg;
    return scenario();
}

int main(void)
{
    return asyncio_sim_run(make_scenario, NULL, NULL, NULL) == -EBADMSG ? 0 : 1;
}
