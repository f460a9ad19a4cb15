/* The version of the library that runs. */
#include "asyncio/version.h"

const char *asyncio_version(void)
{
    return ASYNCIO_VERSION;
}
