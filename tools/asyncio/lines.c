/*
 * Where an address of code comes from. See lines.h.
 */
#include "lines.h"
#include <elfutils/libdw.h>
#include <string.h>

Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
    if (unit && dwarf_haspc(unit, address - *bias) > 0)
        return unit;
    unit = NULL;
    while ((unit = dwfl_module_nextcu(module, unit, bias)))
        if (dwarf_haspc(unit, address - *bias) > 0)
            return unit;
    return NULL;
}

const char *find_line(Dwfl_Module *module, Dwarf_Addr address, int *line)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = find_unit(module, address, &bias);
    Dwarf_Line *found = unit ? dwarf_getsrc_die(unit, address - bias) : NULL;
    const char *path = found ? dwarf_linesrc(found, NULL, NULL) : NULL;
    if (!path || dwarf_lineno(found, line))
        return NULL;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
