/*
 * The latest notes of a run (asyncio_sim_note), which tell the story of a failure. State is this thread's.
 */
#ifndef ASY_SIM_NOTES_H
#define ASY_SIM_NOTES_H

#include <stddef.h>
#include <stdint.h>

/* So many are kept. */
#define SIM_NOTES 16
/* Of one, with the end of its string; the rest is cut off. */
#define SIM_NOTE_BYTES 128
/* Room for a line about each. */
#define SIM_NOTES_TEXT (SIM_NOTES * (SIM_NOTE_BYTES + 48))

/* Forgets those of the run before. */
void asy_sim_notes_begin(void);
void asy_sim_notes_add(int64_t at_ns, const char *words);
/* Writes a line about each, the oldest first, if there is room for it. */
void asy_sim_notes_write(char *text, size_t bytes);

#endif
