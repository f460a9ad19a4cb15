/*
 * Coroutine functions that another translation unit defines.
 */
#ifndef TESTS_SUPPORT_ELSEWHERE_H
#define TESTS_SUPPORT_ELSEWHERE_H

#include "asyncio.h"

ASYNC_DECLARE(elsewhere_nothing);
ASYNC_DECLARE(elsewhere_sum, int, a, int, b);

#endif
