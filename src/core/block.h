/*
 * What the block macros' functions share (asyncio/scopes.h).
 */
#ifndef ASY_CORE_BLOCK_H
#define ASY_CORE_BLOCK_H

#include "asyncio/scopes.h"

enum block_phase {
    BLOCK_NEW,
    BLOCK_OPEN,   /* entered */
    BLOCK_INSIDE, /* the body runs; left like this: by break, return or goto */
    BLOCK_ENDED,  /* the body was left by its end or by continue */
    BLOCK_CLOSED
};

/* The caller's error variable, whatever its size. */
intptr_t asy_block_err(const asyncio_block *block);
void asy_block_set_err(asyncio_block *block, intptr_t err);

/* In debug mode: a return or goto went past an outcome. */
void asy_block_report_return(intptr_t err, const char *what);

#endif
