/*
 * What a scenario asks of chance itself. See asyncio/sim.h.
 */
#include "asyncio/sim.h"
#include "core/trace.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "sim/notes.h"
#include "sim/run.h"
#include <stdarg.h>
#include <stdio.h>

uint64_t asyncio_sim_random(void)
{
    return asy_sim_draw_user();
}

bool asyncio_sim_chance(const char *name, unsigned one_in)
{
    if (!one_in || !asy_sim_is_on())
        return false;
    bool is_hit = asy_sim_draw_chance(SIM_CHANCE, 1.0 / one_in);
    asy_sim_tell("chance \"%s\" %s", name ? name : "", is_hit ? "happens" : "does not happen");
    return is_hit;
}

void asyncio_sim_note(const char *format, ...)
{
    char words[256];
    va_list args;
    if (!format || !asy_sim_is_on())
        return;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    asy_sim_said("note", words);
    asy_sim_notes_add(asy_sim_run_now_ns(), words);
    if (asy_running_loop && asy_running_loop->is_traced)
        asy_trace_note(asy_running_loop, words);
}
