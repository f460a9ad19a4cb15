/*
 * The end of a process whose TLS library finds an invariant of its own broken.
 */
#include "tls/tls.h"
#include <stdio.h>
#include <stdlib.h>

void asy_tls_assert_failed(const struct asy_assertion *assertion)
{
    fprintf(stderr, "asyncio: broken invariant in %s (%s:%d): %s\n", assertion->function, assertion->file,
            assertion->line, assertion->condition);
    abort();
}
