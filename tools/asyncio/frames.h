/*
 * From code addresses to frames: function, file and line, inlined functions among them, and whether the
 * library is at work there. Each address is looked up once.
 */
#ifndef TOOL_FRAMES_H
#define TOOL_FRAMES_H

#include "unwind.h"
#include <elfutils/libdwfl.h>

struct frames;
struct frames *frames_open(struct model *model, Dwfl *dwfl);
void frames_free(struct frames *frames);
/* `is_parked`: the innermost public function is one that waits, and all within it is the library's. In a
 * stack that is at work the library may have called the program. */
void frames_make(struct frames *frames, const uint64_t *pcs, size_t count, bool is_parked, struct stack *out);
bool frames_symbol(struct frames *frames, uint64_t address, struct text *text);
const char *frames_function(struct frames *frames, uint64_t address);

#endif
