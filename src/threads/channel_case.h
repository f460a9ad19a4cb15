/*
 * Channels as cases of a select.
 */
#ifndef ASY_THREADS_CHANNEL_CASE_H
#define ASY_THREADS_CHANNEL_CASE_H

#include "core/select.h"

extern HIDDEN const struct case_kind asy_case_receive, asy_case_send;
/* The waits of the calls alone. (channels.c) */
extern HIDDEN const struct wait_kind asy_wait_channel_receive, asy_wait_channel_send;

#endif
