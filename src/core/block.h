/*
 * What the block macros' functions share (asyncio/scopes.h).
 */
#ifndef ASY_CORE_BLOCK_H
#define ASY_CORE_BLOCK_H

#include "asyncio/scopes.h"

enum block_phase {
    BLOCK_NEW,
    BLOCK_OPEN,   /* entered */
    BLOCK_INSIDE, /* the body runs, or was left by break, return or goto */
    BLOCK_ENDED,  /* the body was left by its end or by continue */
    BLOCK_CLOSED
};

/* Read and write the caller's error variable, whose size the block knows. */
intptr_t asy_block_err(const asyncio_block *block);
void asy_block_set_err(asyncio_block *block, intptr_t err);

/* In debug mode: reports that a return or goto left a block, so that the caller does not learn its
 * outcome. */
void asy_block_report_return(intptr_t err, const char *what);

#endif
