/*
 * The words and names of errors: all of Linux's, as the C library has them, and
 * the library's own; the names of signals.
 */
#include "base/signal_names.h"
#include "support/test.h"
#include <asyncio/errors.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CODE(code)                                                                                           \
    {                                                                                                        \
        code, #code                                                                                          \
    }

static const struct {
    int code;
    const char *name;
} own[] = {
    CODE(ASYNCIO_ESTATE),       CODE(ASYNCIO_ENOTASK),         CODE(ASYNCIO_EINCOMPLETE),
    CODE(ASYNCIO_ELIMIT),       CODE(ASYNCIO_EGROUP),          CODE(ASYNCIO_EQUEUE_EMPTY),
    CODE(ASYNCIO_EQUEUE_FULL),  CODE(ASYNCIO_EQUEUE_SHUTDOWN), CODE(ASYNCIO_EBROKEN),
    CODE(ASYNCIO_ETLS),         CODE(ASYNCIO_EPYTHON),         CODE(ASYNCIO_EGAI_BADFLAGS),
    CODE(ASYNCIO_EGAI_NONAME),  CODE(ASYNCIO_EGAI_AGAIN),      CODE(ASYNCIO_EGAI_FAIL),
    CODE(ASYNCIO_EGAI_NODATA),  CODE(ASYNCIO_EGAI_FAMILY),     CODE(ASYNCIO_EGAI_SOCKTYPE),
    CODE(ASYNCIO_EGAI_SERVICE), CODE(ASYNCIO_EGAI_ADDRFAMILY), CODE(ASYNCIO_EGAI_MEMORY),
    CODE(ASYNCIO_EGAI_SYSTEM),  CODE(ASYNCIO_EGAI_OVERFLOW),
};

#define OWN_COUNT (sizeof own / sizeof own[0])

TEST(success)
{
    assert_string_equal(asyncio_strerror(0), "success");
    assert_string_equal(asyncio_strerror(INTPTR_MAX), "success");
    assert_string_equal(asyncio_errname(0), "OK");
    assert_string_equal(asyncio_errname(1), "OK");
}

TEST(examples)
{
    assert_string_equal(asyncio_strerror(-ECONNREFUSED), "Connection refused");
    assert_string_equal(asyncio_errname(-ECONNREFUSED), "ECONNREFUSED");
    assert_string_equal(asyncio_errname(-EPERM), "EPERM");
    assert_string_equal(asyncio_errname(-EHWPOISON), "EHWPOISON");
    assert_string_equal(asyncio_errname(-EWOULDBLOCK), "EAGAIN");
    assert_string_equal(asyncio_strerror(ASYNCIO_ENOTASK), "no running task");
    assert_string_equal(asyncio_errname(ASYNCIO_ESTATE), "ASYNCIO_ESTATE");
}

/* Gaps in the numbers, one beyond each end of each range, and far away. */
TEST(unknown)
{
    static const intptr_t codes[] = {-41, -58, -134, -1024, -1036, -1280, -1293, -4095, -4096, INTPTR_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_string_equal(asyncio_strerror(codes[i]), "unknown error");
        assert_string_equal(asyncio_errname(codes[i]), "unknown");
    }
}

TEST(own)
{
    for (size_t i = 0; i < OWN_COUNT; i++) {
        assert_string_equal(asyncio_errname(own[i].code), own[i].name);
        assert_string_not_equal(asyncio_strerror(own[i].code), "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(asyncio_strerror(own[i].code), asyncio_strerror(own[j].code));
    }
}

/* The header's promise: -4095..-1024, and the low byte (an exit status) is not 0. */
TEST(own_range)
{
    for (size_t i = 0; i < OWN_COUNT; i++) {
        assert_in_range(-own[i].code, 1024, 4095);
        assert_int_not_equal(own[i].code & 0xff, 0);
    }
}

#if defined(__GLIBC__)
/* Every error that the C library knows, in the C locale. */
TEST(errnos_as_the_c_library)
{
    for (int code = 1; code <= EHWPOISON; code++) {
        const char *words = strerror(code);
        if (strncmp(words, "Unknown error", 13) == 0)
            words = "unknown error";
        assert_string_equal(asyncio_strerror(-code), words);
#if defined(__GLIBC__)
        const char *name = strerrorname_np(code);
        assert_string_equal(asyncio_errname(-code), name ? name : "unknown");
#endif
    }
}

TEST(gai_as_the_c_library)
{
    static const struct {
        int code, eai;
    } same[] = {
        {ASYNCIO_EGAI_BADFLAGS, EAI_BADFLAGS},     {ASYNCIO_EGAI_NONAME, EAI_NONAME},
        {ASYNCIO_EGAI_AGAIN, EAI_AGAIN},           {ASYNCIO_EGAI_FAIL, EAI_FAIL},
        {ASYNCIO_EGAI_NODATA, EAI_NODATA},         {ASYNCIO_EGAI_FAMILY, EAI_FAMILY},
        {ASYNCIO_EGAI_SOCKTYPE, EAI_SOCKTYPE},     {ASYNCIO_EGAI_SERVICE, EAI_SERVICE},
        {ASYNCIO_EGAI_ADDRFAMILY, EAI_ADDRFAMILY}, {ASYNCIO_EGAI_MEMORY, EAI_MEMORY},
        {ASYNCIO_EGAI_SYSTEM, EAI_SYSTEM},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        assert_string_equal(asyncio_strerror(same[i].code), gai_strerror(same[i].eai));
}
#endif

TEST(signals)
{
    assert_string_equal(asy_signal_name(SIGHUP), "SIGHUP");
    assert_string_equal(asy_signal_name(SIGTERM), "SIGTERM");
    for (int signo = 1; signo <= SIGSYS; signo++)
        assert_non_null(asy_signal_name(signo));
    const int nameless[] = {INT_MIN, -1, 0, SIGSYS + 1, SIGRTMIN, SIGRTMAX, INT_MAX};
    for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++)
        assert_null(asy_signal_name(nameless[i]));
#if defined(__GLIBC__)
    for (int signo = 1; signo <= SIGSYS; signo++)
        assert_string_equal(asy_signal_name(signo) + 3, sigabbrev_np(signo));
#endif
}

TEST_MAIN()
