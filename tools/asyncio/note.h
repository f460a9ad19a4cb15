/*
 * The note that `asyncio save` adds to its core file: lines of text, each after a newline.
 *
 *     now NANOSECONDS          the process's monotonic clock
 *     pid NUMBER
 *     fd NUMBER [rw]WORDS      a descriptor that a task waits for, as describe_fd tells of it
 */
#ifndef TOOL_NOTE_H
#define TOOL_NOTE_H

#define NOTE_NAME "asyncio"
#define NOTE_TYPE 1

#endif
