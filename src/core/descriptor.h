/*
 * The debug descriptor: tells a tool that looks at a process, or at a core file, where loops, tasks and their
 * waits are, without our headers.
 *
 * It is a constant in the ELF section "asyncio_debug", which survives strip.
 * A tool checks magic, version and size, then follows `runtime`. The layout
 * never changes within a version; new fields come at the end, and `size` tells
 * whether they are there.
 */
#ifndef ASY_CORE_DESCRIPTOR_H
#define ASY_CORE_DESCRIPTOR_H

#include "base/list.h"
#include <stdint.h>

/* All loops of the process. Written under a lock; read from outside. */
struct asy_runtime {
    struct list loops;
};
extern struct asy_runtime asy_runtime;

struct asyncio_debug_v1 {
    char magic[8];                     /* "asyncio\0" */
    uint32_t version;                  /* 1 */
    uint32_t size;                     /* of this struct */
    const struct asy_runtime *runtime; /* head of the list of loops: {next, prev} */

    /* Offsets are in bytes from the start of the struct named, sizes in bytes. */
    struct {
        uint32_t size, node, thread, current, turn, ready_count, timer_count, tasks, task_count, now_ns;
    } loop;
    struct {
        uint32_t size, refs, kind, done, result, site, waiters;
    } future; /* a task begins with one */
    struct {
        uint32_t size, node, name, id, steps, type, wait, sp, stack, cancels, must_cancel;
    } task;
    struct {
        uint32_t size, start, site, args;
    } type;
    struct {
        uint32_t size, file, func, line;
    } site;
    struct {
        uint32_t size, node, task, kind, object, since_ns, state, kind_name;
    } wait; /* `node` stands in the list `waiters` of an awaited future */
    struct {
        uint32_t size, low, top;
    } stack;
    /* Where the switch left the registers, from the saved stack pointer. */
    struct {
        uint32_t return_address, frame_pointer, size;
    } context;
    uint8_t kind_future, kind_task; /* values of future.kind */
    uint8_t reserved[6];

    /* From here on: since `size` is more than 232. */
    struct {
        uint32_t id, sleeping, polls, callbacks; /* sleeping: a byte, 1 while it waits in a poll */
        uint32_t timer_slots, slot_deadline; /* a pointer to the first timer's slot, and the deadline in it */
        uint32_t clock, clock_virtual;       /* a word, and its value if the clock is virtual */
    } loop_more;
    uint32_t future_loop, task_scopes;
    struct {
        uint32_t size, outer, kind, timeout_deadline; /* the deadline is in nanoseconds */
        uint32_t is_timeout, is_group, is_shield;     /* values of `kind`, a byte */
    } scope;
    struct {
        uint32_t kind, deadline, at; /* in a kind of wait: core/wait.h has the table */
    } shape;
    const struct wait_kind *group; /* whose shape is that of the groups in task_scopes, waited for or not */
    /* What else the switch left from the saved stack pointer: registers by their DWARF numbers. */
    struct asy_saved_register {
        uint16_t dwarf, offset;
    } registers[32];
    uint32_t register_count;
    uint32_t machine;    /* EM_X86_64, EM_AARCH64 or EM_RISCV */
    uint32_t sanitizers; /* ASY_DEBUG_ASAN, ASY_DEBUG_TSAN */
    char library[20];    /* its version, "0.1.0" */
    uint32_t loop_index; /* in a loop: an int, its place among several; -1: it is alone */
    /* In a loop: its saved stack pointer, and a pointer to the innermost eager start that is under way, whose
     * creator has its place there; 0: none is. In that: the next outer one, the creator (0: no task), and
     * where the stack pointer of the next outer creator is. */
    struct {
        uint32_t loop_sp, innermost, outer, creator, outer_sp;
    } eager;
    /* Of a wait whose shape is SHAPE_CASES: in its object, a pointer to pointers to kinds of cases; in a
     * case, which of these is its, an int; in such a kind, a pointer to the wait that the case is like. */
    struct {
        uint32_t kinds, which, alone;
    } cases;
};

#define ASY_DEBUG_ASAN 1u
#define ASY_DEBUG_TSAN 2u

#endif
