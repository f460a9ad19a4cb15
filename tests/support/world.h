/*
 * For test programs that run in a simulated world (sim_world.c); in others these are NULL.
 */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include <stddef.h>

/* A fresh world for the next run, unless the test has made sockets for it already. */
__attribute__((weak)) void test_world_renew(void);
/* What the world's clock waits for: net_registrations. */
__attribute__((weak)) size_t test_world_attached(int fd);

#endif
