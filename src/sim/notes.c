/*
 * The latest notes of a run. See notes.h.
 */
#include "sim/notes.h"
#include "base/compiler.h"
#include <stdio.h>

static THREAD_LOCAL struct {
    size_t count; /* of all, those that are forgotten among them */
    struct {
        int64_t at_ns;
        char words[SIM_NOTE_BYTES];
    } last[SIM_NOTES];
} notes;

void asy_sim_notes_begin(void)
{
    notes.count = 0;
}

void asy_sim_notes_add(int64_t at_ns, const char *words)
{
    size_t place = notes.count++ % SIM_NOTES;
    notes.last[place].at_ns = at_ns;
    snprintf(notes.last[place].words, SIM_NOTE_BYTES, "%s", words);
}

void asy_sim_notes_write(char *text, size_t bytes)
{
    size_t used = 0, first = notes.count > SIM_NOTES ? notes.count - SIM_NOTES : 0;
    text[0] = '\0';
    for (size_t i = first; i < notes.count && used < bytes; i++) {
        int n = snprintf(text + used, bytes - used, "asyncio: note at %.4f s: %s\n",
                         (double)notes.last[i % SIM_NOTES].at_ns / 1e9, notes.last[i % SIM_NOTES].words);
        used += n > 0 ? (size_t)n : 0;
    }
}
