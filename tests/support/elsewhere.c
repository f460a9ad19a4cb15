/*
 * Coroutine functions with external linkage, for those who only see elsewhere.h.
 */
#include "support/elsewhere.h"

ASYNC_DEFINE(elsewhere_nothing)
{
    return asyncio_sleep(0);
}

ASYNC_DEFINE(elsewhere_sum, int, a, int, b)
{
    int err = asyncio_sleep(1);
    return err ? err : a + b;
}
