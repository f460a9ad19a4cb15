/*
 * A Python module for the bench: serve(fd) serves the clients of a listening socket, each by a coroutine in
 * C, with no Python in between. It ends when it is cancelled.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <asyncio.h>
#include <asyncio/python.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static void send_at_once(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ASYNC(serve_client, int, fd)
{
    char block[65536];
    ssize_t n;
    while ((n = asyncio_sock_recv(fd, block, sizeof block, 0)) > 0) {
        n = asyncio_sock_sendall(fd, block, (size_t)n, 0);
        if (n < 0)
            break;
    }
    asyncio_close(fd);
    return 0; /* a reset is how the load ends */
}

ASYNC(serve, long, listener)
{
    for (;;) {
        int fd = asyncio_sock_accept((int)listener, NULL, NULL);
        if (fd < 0)
            return fd;
        send_at_once(fd);
        asyncio_release(asyncio_create_task(serve_client(fd)));
    }
}

ASYNCIO_PY_METHOD(serve_method, serve, PyLong_AsLong)

ASYNC(nothing)
{
    return 0;
}

ASYNCIO_PY_METHOD(nothing_method, nothing)

static PyMethodDef methods[] = {
    {"serve", ASYNCIO_PY_FUNCTION(serve_method), METH_FASTCALL, "Serve the clients of a listening socket."},
    {"nothing", ASYNCIO_PY_FUNCTION(nothing_method), METH_FASTCALL, "Do nothing, in C."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "echo_server", .m_size = -1,
                             .m_methods = methods};

PyMODINIT_FUNC PyInit_echo_server(void);

PyMODINIT_FUNC PyInit_echo_server(void)
{
    return asyncio_py_import() < 0 ? NULL : PyModule_Create(&module);
}
