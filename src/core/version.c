/* The version of the library that the program runs with. */
#include "asyncio/version.h"

const char *asyncio_version(void)
{
    return ASYNCIO_VERSION;
}
