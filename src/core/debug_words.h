/*
 * What ASYNCIO_DEBUG says: 1, or a list of words, as "slow=0.1,watchdog=0.5,block,cancel,stacks,fd".
 */
#ifndef ASY_CORE_DEBUG_WORDS_H
#define ASY_CORE_DEBUG_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* What debug mode checks besides: see debug.c, and fd/fd_table.c for the last one. */
enum debug_check { CHECK_BLOCK = 1 << 0, CHECK_CANCEL = 1 << 1, CHECK_STACKS = 1 << 2, CHECK_FD = 1 << 3 };

struct debug_words {
    bool is_on;            /* debug mode, unless the options say otherwise; the rest is for that mode alone */
    double slow, watchdog; /* limits, in seconds; of the watchdog 0: none */
    uint8_t checks;        /* enum debug_check */
};

/* Reads the variable; without it, debug mode is off, and would have its usual limits. The first time that it
 * has a word that nobody knows, that is told on stderr. */
struct debug_words asy_debug_words(void);

#endif
