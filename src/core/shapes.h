/*
 * Shapes: what the object of a wait is, and where in it lies what can be told of it. They are for tools that
 * look from outside, which find them by the debug descriptor. The numbers never change. `at` has offsets from
 * the object; 0 is none where the table says "or".
 *
 *                   at[0]                at[1]              at[2]                at[3]
 *   FUTURES         array (pointer)      its length         bytes an element     pointer to the future in it
 *   GROUP, SERVER   children (count)     list of children   from its node to a pointer to the task
 *   LOCK            owner: a task's id
 *   LOCK_OF         pointer to the lock  own lock, if NULL  owner, in a lock
 *   QUEUE           items                limit              items not dealt with
 *   SEMAPHORE       value (int)
 *   BARRIER         parties (int)        tasks inside (int)
 *   DESCRIPTOR      its number (int)
 *   WORK            thread id (int)      function, or       descriptor, or       path (pointer), or
 *   PROCESS         pid (int)            name (array), or
 *   SIGNAL          number (int)
 *   CASES           array (pointer)      its length         bytes a case         pointer to the object in it
 *
 * Counts and limits are size_t, ids uint64_t. A thread id of 0: no thread has begun the work.
 */
#ifndef ASY_CORE_SHAPES_H
#define ASY_CORE_SHAPES_H

#include <stdint.h>

enum wait_shape_kind {
    SHAPE_WORDS,  /* the name of the kind says all */
    SHAPE_FUTURE, /* the object is a future or a task */
    SHAPE_OBJECT, /* something of the program's, with nothing in it to tell: an event, a condition */
    SHAPE_FUTURES,
    SHAPE_GROUP,
    SHAPE_LOCK,
    SHAPE_LOCK_OF,
    SHAPE_QUEUE,
    SHAPE_SEMAPHORE,
    SHAPE_BARRIER,
    SHAPE_DESCRIPTOR,
    SHAPE_SERVER,
    SHAPE_WORK,
    SHAPE_PROCESS,
    SHAPE_SIGNAL,
    SHAPE_CASES, /* of a select; NULL stands for a descriptor. The debug descriptor has their kinds */
};
struct wait_shape {
    uint32_t kind;     /* enum wait_shape_kind */
    uint32_t deadline; /* where a deadline of its own lies, from the struct wait; 0: it has none */
    uint32_t at[4];
};

#endif
