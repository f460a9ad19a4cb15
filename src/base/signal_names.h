/*
 * The names of signals, as programmers write them.
 */
#ifndef ASY_BASE_SIGNAL_NAMES_H
#define ASY_BASE_SIGNAL_NAMES_H

/* "SIGTERM"; NULL for a signal that has a number only. */
const char *asy_signal_name(int signo);

#endif
