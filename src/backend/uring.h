/*
 * Whether io_uring can be used in this process, for what, and why not. A kernel may lack it, a container may
 * deny it, and the environment may forbid it:
 *
 *   ASYNCIO_FILES=auto|threads|ring    who carries out calls on files; auto: the ring where there is one
 *   ASYNCIO_URING_WITHOUT=files,...    features that are not used, by their names
 *   ASYNCIO_URING_CALL_NS=n            what a system call is taken to cost, in place of a measurement
 *
 * A test of the whole, with a ring of its own, is made once a process. Any thread may ask.
 */
#ifndef ASY_BACKEND_URING_H
#define ASY_BACKEND_URING_H

#include <stdbool.h>
#include <stdint.h>

/* 0: a ring works; or a negative errno. What was short, as with -EMFILE, is tried again the next time. */
int asy_uring_check(void);
/* Does the kernel know this operation (IORING_OP_...)? False before a check that succeeded. */
bool asy_uring_knows(unsigned code);
/* Does the environment allow this feature? */
bool asy_uring_may(const char *feature);
/* Do calls on files go through a ring: does it work, and is it allowed? One that was asked for by name and is
 * denied is told on stderr, once. */
bool asy_uring_has_files(void);
/* What a check that ended so means. Static. */
const char *asy_uring_words(int err);
/* Why calls on files do not go through a ring, or NULL: they do. Static. */
const char *asy_uring_why_no_files(void);

/* Nanoseconds that a system call costs which has next to nothing to do: a hundred, or a thousand where the
 * kernel hides its pages from programs. 0 before a check that succeeded. */
unsigned asy_uring_call_ns(void);
/* Below so much a stream never goes by completions: the kernel's memory for each that waits costs more than
 * the calls that it saves (docs/decisions/0015). */
#define ASY_URING_PAYS_FROM_NS 400

/* uring_trial.c: the test. 0, and *ops has a bit for each operation that the kernel knows; or why not. */
int asy_uring_try(uint64_t *ops);
/* The least of several calls. */
unsigned asy_uring_time_call(void);

#endif
