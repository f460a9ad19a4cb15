/*
 * Channels as cases of a select.
 */
#ifndef ASY_THREADS_CHANNEL_CASE_H
#define ASY_THREADS_CHANNEL_CASE_H

#include "core/select.h"

extern HIDDEN const struct case_kind asy_case_receive, asy_case_send;

#endif
