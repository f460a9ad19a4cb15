/*
 * The resolver of a simulated world: answers, errors, delays, a change, a cancel.
 */
#include "sim/in_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <string.h>

/* The first address as text, or the error's name. */
static const char *look_up(const char *name, int family)
{
    static char text[INET6_ADDRSTRLEN];
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int err = asyncio_getaddrinfo(name, "80", &hints, &found);
    if (err)
        return asyncio_errname(err);
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return text;
}

ASYNC(nothing)
{
    return 0;
}

WORLD_TEST(hosts, PLAIN_LINK)
{
    CHECK_TEXT(look_up("server", AF_UNSPEC), "ASYNCIO_EGAI_NONAME");
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("server", nothing())), 0);
    CHECK_TEXT(look_up("server", AF_UNSPEC), "10.0.0.2");
    CHECK_TEXT(look_up("server", AF_INET6), "fd00::2");
    CHECK_TEXT(look_up("test", AF_INET), "10.0.0.1");
    CHECK_TEXT(look_up("localhost", AF_INET), "127.0.0.1");
    CHECK_TEXT(look_up("192.0.2.7", AF_UNSPEC), "192.0.2.7");
    CHECK(world_time() < 0.07); /* each took up to 10 ms */
    return 0;
}

/* A host can be found by its name, so that is none of these. */
WORLD_TEST(no_names_of_hosts, PLAIN_LINK)
{
    static const char *const names[] = {"", "localhost", "10.0.0.2", "fd00::2", NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_EQUAL(asyncio_await(asyncio_sim_start(names[i], nothing())), -EINVAL);
        CHECK_EQUAL(asyncio_sim_set_link(names[i], "server", NULL), names[i] ? -EINVAL : 0);
        CHECK_EQUAL(asyncio_sim_set_link("server", names[i], NULL), names[i] ? -EINVAL : 0);
    }
    CHECK_EQUAL(asyncio_sim_set_link("server", "10.0.0.2", NULL), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "\"10.0.0.2\" is no name for a host of the simulation");
    return 0;
}

/* What is set for a host's own name comes before the host. */
WORLD_TEST(an_answer_for_a_host, PLAIN_LINK)
{
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("server", nothing())), 0);
    CHECK_EQUAL(asyncio_sim_set_name("server", "10.0.0.9", 0, 0), 0);
    CHECK_TEXT(look_up("server", AF_UNSPEC), "10.0.0.9");
    CHECK_EQUAL(asyncio_sim_set_name("server", NULL, 0, 0), 0);
    CHECK_TEXT(look_up("server", AF_UNSPEC), "10.0.0.2");
    return 0;
}

/* Which addresses this machine has does not matter. */
WORLD_TEST(flags, PLAIN_LINK)
{
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("server", nothing())), 0);
    CHECK_EQUAL(asyncio_getaddrinfo("server", "80", &hints, &found), 0);
    freeaddrinfo(found);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK_EQUAL(asyncio_getaddrinfo("server", "80", &hints, &found), ASYNCIO_EGAI_NONAME);
    return 0;
}

WORLD_TEST(answers, PLAIN_LINK)
{
    CHECK_EQUAL(asyncio_sim_set_name("db", "10.0.0.9", 0, 0.5), 0);
    CHECK_TEXT(look_up("db", AF_UNSPEC), "10.0.0.9");
    CHECK_TIME(0.5);
    CHECK_EQUAL(asyncio_sim_set_name("db", "fd00::9", 0, 0), 0); /* a change */
    CHECK_TEXT(look_up("db", AF_UNSPEC), "fd00::9");
    CHECK_EQUAL(asyncio_sim_set_name("db", NULL, ASYNCIO_EGAI_AGAIN, 5), 0);
    CHECK_TEXT(look_up("db", AF_UNSPEC), "ASYNCIO_EGAI_AGAIN");
    CHECK_TIME(5.5);
    CHECK_EQUAL(asyncio_sim_set_name("db", NULL, 0, 0), 0);
    CHECK_TEXT(look_up("db", AF_UNSPEC), "ASYNCIO_EGAI_NONAME");
    CHECK_EQUAL(asyncio_sim_set_name("db", "no address", 0, 0), -EINVAL);
    CHECK_EQUAL(asyncio_sim_set_name("db", NULL, -EPERM, 0), -EINVAL);
    CHECK_EQUAL(asyncio_sim_set_name("db", "10.0.0.1", 0, NAN), -EINVAL);
    return 0;
}

ASYNC(look_up_slowly)
{
    struct addrinfo *found = NULL;
    return asyncio_getaddrinfo("slow", "80", NULL, &found);
}

WORLD_TEST(cancel, PLAIN_LINK)
{
    CHECK_EQUAL(asyncio_sim_set_name("slow", "10.0.0.9", 0, 100), 0);
    asyncio_task *task = asyncio_create_task(look_up_slowly());
    asyncio_sleep(1);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_TIME(1);
    CHECK_EQUAL(asyncio_wait_for(look_up_slowly(), 2), -ETIMEDOUT);
    CHECK_TIME(3);
    return 0;
}

WORLD_TEST(reverse, PLAIN_LINK)
{
    char host[64], service[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("server", nothing())), 0);
    CHECK_EQUAL(inet_pton(AF_INET, "10.0.0.2", &address.sin_addr), 1);
    CHECK_EQUAL(asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, service,
                                    sizeof service, NI_NUMERICSERV),
                0);
    CHECK_TEXT(host, "server");
    CHECK_TEXT(service, "80");
    CHECK_EQUAL(inet_pton(AF_INET, "192.0.2.1", &address.sin_addr), 1);
    CHECK_EQUAL(
        asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, NULL, 0, 0), 0);
    CHECK_TEXT(host, "192.0.2.1");
    CHECK_EQUAL(asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, NULL, 0,
                                    NI_NAMEREQD),
                ASYNCIO_EGAI_NONAME);
    CHECK_EQUAL(inet_pton(AF_INET, "10.0.0.2", &address.sin_addr), 1);
    CHECK_EQUAL(
        asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, strlen("server"), NULL, 0, 0),
        ASYNCIO_EGAI_OVERFLOW);
    CHECK_EQUAL(asyncio_getnameinfo((struct sockaddr *)&address, sizeof address, host, strlen("server") + 1,
                                    NULL, 0, 0),
                0);
    return 0;
}

/* Whatever errno the program has: a run depends on its seed alone. */
WORLD_TEST(a_system_error_is_none_of_the_program, PLAIN_LINK)
{
    CHECK_EQUAL(asyncio_sim_set_name("ill", NULL, ASYNCIO_EGAI_SYSTEM, 0), 0);
    errno = ENOSPC;
    CHECK_TEXT(look_up("ill", AF_UNSPEC), "ASYNCIO_EGAI_SYSTEM");
    return 0;
}

ASYNC_TEST(no_host_outside_a_world)
{
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("a", nothing())), ASYNCIO_ENOTASK);
    return 0;
}

TEST(outside_a_world)
{
    CHECK_EQUAL(asyncio_sim_set_name("a", "10.0.0.1", 0, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sim_set_link("a", "b", NULL), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sim_reset("a", "b"), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sim_crash("a"), ASYNCIO_ENOTASK);
    harness_settle();
}

TEST_MAIN()
