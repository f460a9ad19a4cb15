/*
 * Where an address of code comes from: its compilation unit, and its line. As libdwfl's own functions, but
 * also for compilers that write no .debug_aranges, as clang does: libdwfl does not know of their units, and
 * takes their addresses for those of whatever unit comes before.
 */
#ifndef TOOL_LINES_H
#define TOOL_LINES_H

#include <elfutils/libdwfl.h>

/* The unit that an address is in, and what is to be taken off addresses to get those of the file; or NULL. */
Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias);
/* The last part of the path of the file that an address comes from, and the line; or NULL. */
const char *find_line(Dwfl_Module *module, Dwarf_Addr address, int *line);

#endif
