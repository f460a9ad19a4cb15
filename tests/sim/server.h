/*
 * A server of a scenario: it serves on port 80 until it is cancelled.
 */
#ifndef TESTS_SIM_SERVER_H
#define TESTS_SIM_SERVER_H

#include <asyncio.h>

ASYNC(serve_on_80, asyncio_client_handler, handler)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, NULL, 80, NULL, &server);
    if (err)
        return err;
    err = asyncio_server_serve_forever(server);
    asyncio_server_release(server);
    return err;
}

#endif
