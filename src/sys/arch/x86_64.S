/*
 * The context switch on x86-64 (System V ABI). See sys/context.h.
 *
 * A context that was left is 64 bytes on its stack, from its stack pointer up:
 *
 *       0  mxcsr, x87 control word: as in struct asy_fp_control
 *       8  r15, r14, r13, r12, rbx, rbp
 *      56  the address where it goes on
 *
 * Both sides have this layout, so that the unwind information holds on either
 * side of the one instruction that changes stacks. It is right at every
 * instruction: a profiler's or a debugger's sample may hit any.
 */

    .section .text.hot, "ax", @progbits

/* endbr64, spelled out for assemblers that do not know it. */
.macro landing_pad
    .byte 0xf3, 0x0f, 0x1e, 0xfa
.endm

.macro push_kept register
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
.endm

.macro pop_kept register
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
.endm

/* Below the return address of whoever called: the registers and control words. */
.macro save_kept
    push_kept rbp
    push_kept rbx
    push_kept r12
    push_kept r13
    push_kept r14
    push_kept r15
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
.endm

/* The control words always: to compare them first takes longer. */
.macro restore_kept
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop_kept r15
    pop_kept r14
    pop_kept r13
    pop_kept r12
    pop_kept rbx
    pop_kept rbp
.endm

/* Says that a context which was left lies at the address in a register. */
.macro left_context register
    .cfi_def_cfa \register, 64
    .cfi_rel_offset r15, 8
    .cfi_rel_offset r14, 16
    .cfi_rel_offset r13, 24
    .cfi_rel_offset r12, 32
    .cfi_rel_offset rbx, 40
    .cfi_rel_offset rbp, 48
.endm

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, @function
    .balign 16
asy_context_switch:
    .cfi_startproc
    landing_pad
    save_kept
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    restore_kept
    ret
    .cfi_endproc
    .size asy_context_switch, . - asy_context_switch

/* void asy_context_start(void **save, void *top, void (*entry)(void *), void *arg,
 *                        const struct asy_fp_control *fp) */
    .globl asy_context_start
    .hidden asy_context_start
    .type asy_context_start, @function
    .balign 16
asy_context_start:
    .cfi_startproc
    landing_pad
    save_kept
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    /* A new stack, with nobody below: as in asy_context_entry. */
    .cfi_def_cfa rsp, 0
    .cfi_undefined rip
    ldmxcsr (%r8)
    fldcw 4(%r8)
    xorl %ebp, %ebp
    movq %rcx, %rdi
    leaq .Lbottom(%rip), %rax
    pushq %rax
    .cfi_adjust_cfa_offset 8
    jmpq *%rdx
    .cfi_endproc
    .size asy_context_start, . - asy_context_start

/* void asy_context_leave(void *to) */
    .globl asy_context_leave
    .hidden asy_context_leave
    .type asy_context_leave, @function
    .balign 16
asy_context_leave:
    .cfi_startproc
    landing_pad
    movq %rdi, %rsp
    left_context rsp
    restore_kept
    ret
    .cfi_endproc
    .size asy_context_leave, . - asy_context_leave

/* void asy_context_visit(void *at, void (*fn)(void *), void *arg) */
    .globl asy_context_visit
    .hidden asy_context_visit
    .type asy_context_visit, @function
    .balign 16
asy_context_visit:
    .cfi_startproc
    landing_pad
    push_kept rbx
    movq %rdi, %rbx
    movq %rdx, %rdi
    .cfi_remember_state
    left_context rbx
    call *%rsi
    .cfi_restore_state
    pop_kept rbx
    ret
    .cfi_endproc
    .size asy_context_visit, . - asy_context_visit

/* The bottom of each context's stack: what its entry's return address says.
 * Nobody returns there, and every unwinder stops: there is no return address. */
    .type asy_context_entry, @function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_def_cfa rsp, 0
    .cfi_undefined rip
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lbottom:
    ud2
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

/* This file may run under indirect branch tracking; never with a shadow stack,
 * which would have to be switched too. */
#if defined(__CET__) && (__CET__ & 1)
    .section .note.gnu.property, "a", @note
    .balign 8
    .long 4, 16, 5              /* sizes of name and content; NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000002, 4, 1, 0   /* GNU_PROPERTY_X86_FEATURE_1_AND, its size: IBT; padding */
#endif

    .section .note.GNU-stack, "", @progbits
