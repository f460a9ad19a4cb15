/*
 * The context switch on AArch64 (AAPCS64). See sys/context.h.
 *
 * A context that was left is 176 bytes on its stack, from its stack pointer up:
 *
 *       0  fpcr; 8 bytes unused
 *      16  x19 to x28
 *      96  x29, x30 (where it goes on)
 *     112  d8 to d15
 *
 * Both sides have this layout, so that the unwind information holds on either
 * side of the one instruction that changes stacks. It is right at every
 * instruction: a profiler's or a debugger's sample may hit any.
 */

#define FRAME_BYTES 176

    .section .text.hot, "ax", %progbits

/* bti c, spelled out for assemblers that do not know it. */
.macro landing_pad
    hint #34
.endm

.macro store_kept first, second, offset
    stp \first, \second, [sp, #\offset]
    .cfi_rel_offset \first, \offset
    .cfi_rel_offset \second, \offset + 8
.endm

.macro load_kept first, second, offset
    ldp \first, \second, [sp, #\offset]
    .cfi_restore \first
    .cfi_restore \second
.endm

.macro save_kept
    sub sp, sp, #FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    store_kept x19, x20, 16
    store_kept x21, x22, 32
    store_kept x23, x24, 48
    store_kept x25, x26, 64
    store_kept x27, x28, 80
    store_kept x29, x30, 96
    store_kept d8, d9, 112
    store_kept d10, d11, 128
    store_kept d12, d13, 144
    store_kept d14, d15, 160
    mrs x9, fpcr
    str x9, [sp]
.endm

.macro restore_kept
    ldr x9, [sp]
    msr fpcr, x9
    load_kept x19, x20, 16
    load_kept x21, x22, 32
    load_kept x23, x24, 48
    load_kept x25, x26, 64
    load_kept x27, x28, 80
    load_kept x29, x30, 96
    load_kept d8, d9, 112
    load_kept d10, d11, 128
    load_kept d12, d13, 144
    load_kept d14, d15, 160
    add sp, sp, #FRAME_BYTES
    .cfi_adjust_cfa_offset -FRAME_BYTES
.endm

/* Says that a context which was left lies at the address in a register. */
.macro left_context register
    .cfi_def_cfa \register, FRAME_BYTES
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    .cfi_rel_offset x29, 96
    .cfi_rel_offset x30, 104
    .cfi_rel_offset d8, 112
    .cfi_rel_offset d9, 120
    .cfi_rel_offset d10, 128
    .cfi_rel_offset d11, 136
    .cfi_rel_offset d12, 144
    .cfi_rel_offset d13, 152
    .cfi_rel_offset d14, 160
    .cfi_rel_offset d15, 168
.endm

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, %function
    .balign 16
asy_context_switch:
    .cfi_startproc
    landing_pad
    save_kept
    mov x10, sp
    str x10, [x0]
    mov sp, x1
    restore_kept
    ret
    .cfi_endproc
    .size asy_context_switch, . - asy_context_switch

/* void asy_context_start(void **save, void *top, void (*entry)(void *), void *arg,
 *                        const struct asy_fp_control *fp) */
    .globl asy_context_start
    .hidden asy_context_start
    .type asy_context_start, %function
    .balign 16
asy_context_start:
    .cfi_startproc
    landing_pad
    save_kept
    mov x10, sp
    str x10, [x0]
    mov sp, x1
    /* A new stack, with nobody below: as in asy_context_entry. */
    .cfi_def_cfa sp, 0
    .cfi_undefined x30
    ldr w9, [x4]
    msr fpcr, x9
    mov x29, #0
    adr x30, .Lbottom
    mov x0, x3
    mov x16, x2                 /* the register whose jumps a landing pad for calls admits */
    br x16
    .cfi_endproc
    .size asy_context_start, . - asy_context_start

/* void asy_context_leave(void *to) */
    .globl asy_context_leave
    .hidden asy_context_leave
    .type asy_context_leave, %function
    .balign 16
asy_context_leave:
    .cfi_startproc
    landing_pad
    mov sp, x0
    left_context sp
    restore_kept
    ret
    .cfi_endproc
    .size asy_context_leave, . - asy_context_leave

/* void asy_context_visit(void *at, void (*fn)(void *), void *arg) */
    .globl asy_context_visit
    .hidden asy_context_visit
    .type asy_context_visit, %function
    .balign 16
asy_context_visit:
    .cfi_startproc
    landing_pad
    stp x19, x30, [sp, #-16]!
    .cfi_adjust_cfa_offset 16
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x30, 8
    mov x19, x0
    mov x0, x2
    .cfi_remember_state
    left_context x19
    blr x1
    .cfi_restore_state
    ldp x19, x30, [sp], #16
    .cfi_adjust_cfa_offset -16
    .cfi_restore x19
    .cfi_restore x30
    ret
    .cfi_endproc
    .size asy_context_visit, . - asy_context_visit

/* The bottom of each context's stack: what its entry's return address says.
 * Nobody returns there, and every unwinder stops: there is no return address. */
    .type asy_context_entry, %function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_undefined x30
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lbottom:
    brk #1
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

/* This file may run under branch target identification. It signs no return
 * addresses, and could not switch a guarded control stack. */
    .section .note.gnu.property, "a", %note
    .balign 8
    .long 4, 16, 5              /* sizes of name and content; NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000000, 4, 1, 0   /* GNU_PROPERTY_AARCH64_FEATURE_1_AND, its size: BTI; padding */

    .section .note.GNU-stack, "", %progbits
