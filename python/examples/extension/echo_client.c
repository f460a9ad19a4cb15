/*
 * A Python extension module: coroutines in C, which Python awaits beside its own.
 *
 *     echo(host, port, lines)   sends so many lines to a server, reads each back; the number of bytes
 *     count_primes(limit)       computes in a thread without the interpreter's lock; the number of primes
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <asyncio.h>
#include <asyncio/python.h>
#include <stdio.h>
#include <string.h>

/* ---- An echo client ---- */

static intptr_t exchange(asyncio_stream *stream, long lines)
{
    intptr_t total = 0;
    for (long i = 0; i < lines; i++) {
        char line[32], *back;
        int n = snprintf(line, sizeof line, "line %ld\n", i);
        int err = asyncio_stream_write(stream, line, (size_t)n);
        if (err)
            return err;
        ssize_t got = asyncio_stream_readline(stream, &back);
        if (got < 0)
            return got;
        total += got;
    }
    return total;
}

ASYNC(echo, const char *, host, long, port, long, lines)
{
    asyncio_stream *stream;
    int err = asyncio_open_connection(host, (int)port, NULL, &stream);
    if (err)
        return err;
    intptr_t total = exchange(stream, lines);
    asyncio_stream_close(stream);
    return total;
}

ASYNCIO_PY_METHOD(echo_method, echo, PyUnicode_AsUTF8, PyLong_AsLong, PyLong_AsLong)

/* ---- A computation ---- */

/* Runs in a thread of the library's, without the interpreter's lock: Python goes on meanwhile. */
static intptr_t count_them(void *arg)
{
    intptr_t limit = *(long *)arg, count = 0;
    for (intptr_t n = 2; n < limit; n++) {
        intptr_t d = 2;
        while (d * d <= n && n % d)
            d++;
        count += d * d > n;
    }
    return count;
}

ASYNC(count_primes, long, limit)
{
    return asyncio_to_thread(count_them, &limit);
}

ASYNCIO_PY_METHOD(count_primes_method, count_primes, PyLong_AsLong)

/* ---- The module ---- */

static PyMethodDef methods[] = {
    {"echo", ASYNCIO_PY_FUNCTION(echo_method), METH_FASTCALL, "Send lines to an echo server."},
    {"count_primes", ASYNCIO_PY_FUNCTION(count_primes_method), METH_FASTCALL, "Count primes, in a thread."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "echo_client", .m_size = -1,
                             .m_methods = methods};

PyMODINIT_FUNC PyInit_echo_client(void);

PyMODINIT_FUNC PyInit_echo_client(void)
{
    return asyncio_py_import() < 0 ? NULL : PyModule_Create(&module);
}
