/*
 * The time of day as the Python originals print it: time.strftime('%X').
 */
#ifndef EXAMPLES_CLOCK_H
#define EXAMPLES_CLOCK_H

#include <stdio.h>
#include <time.h>

static inline void print_time(const char *event)
{
    char text[16];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(text, sizeof text, "%H:%M:%S", &local);
    printf("%s at %s\n", event, text);
}

#endif
