/*
 * A target's mappings in the form of /proc/PID/maps, for libdw.
 */
#ifndef TOOL_MAPS_FILE_H
#define TOOL_MAPS_FILE_H

#include "target.h"
#include <stdio.h>

/* NULL: there is none. To be closed. */
FILE *open_maps_file(const struct target *target);

#endif
