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

    .text

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

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, %function
    .balign 16
asy_context_switch:
    .cfi_startproc
    landing_pad
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

    mov x10, sp
    str x10, [x0]
    mov sp, x1

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
    /* Not br: no landing pad follows a call. */
    ret
    .cfi_endproc
    .size asy_context_switch, . - asy_context_switch

/* Where a new context begins, never called: x19 is its entry, x20 the argument,
 * the stack is empty, x29 is 0. Here every unwinder stops: there is no return
 * address. */
    .type asy_context_entry, %function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_undefined x30
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lfirst:
    mov x0, x20
    blr x19
    brk #1
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

/* void *asy_context_make(void *top, void (*entry)(void *), void *arg, const struct asy_fp_control *fp)
 *
 * The other registers begin with what lies there. */
    .globl asy_context_make
    .hidden asy_context_make
    .type asy_context_make, %function
    .balign 16
asy_context_make:
    .cfi_startproc
    landing_pad
    sub x0, x0, #FRAME_BYTES
    ldr w9, [x3]
    adr x10, .Lfirst
    str x9, [x0]
    stp x1, x2, [x0, #16]
    stp xzr, x10, [x0, #96]
    ret
    .cfi_endproc
    .size asy_context_make, . - asy_context_make

/* This file may run under branch target identification. It signs no return
 * addresses, and could not switch a guarded control stack. */
    .section .note.gnu.property, "a", %note
    .balign 8
    .long 4, 16, 5              /* sizes of name and content; NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000000, 4, 1, 0   /* GNU_PROPERTY_AARCH64_FEATURE_1_AND, its size: BTI; padding */

    .section .note.GNU-stack, "", %progbits
