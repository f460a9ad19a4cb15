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

    .text

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

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, @function
    .balign 16
asy_context_switch:
    .cfi_startproc
    landing_pad
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

    movq %rsp, (%rdi)
    movq %rsi, %rsp

    /* Always: to compare first takes longer. */
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
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    /* Not ret: the processor would predict a return to whoever called last. No
     * landing pad follows a call, hence notrack. */
    notrack jmpq *%rcx
    .cfi_endproc
    .size asy_context_switch, . - asy_context_switch

/* Where a new context begins, never called: rbx is its entry, r12 the argument,
 * the stack is empty, rbp is 0. Here every unwinder stops: there is no return
 * address. */
    .type asy_context_entry, @function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_def_cfa rsp, 0
    .cfi_undefined rip
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lfirst:
    movq %r12, %rdi
    callq *%rbx
    ud2
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

/* void *asy_context_make(void *top, void (*entry)(void *), void *arg, const struct asy_fp_control *fp)
 *
 * r13 to r15 begin with what lies there. */
    .globl asy_context_make
    .hidden asy_context_make
    .type asy_context_make, @function
    .balign 16
asy_context_make:
    .cfi_startproc
    landing_pad
    leaq -64(%rdi), %rax
    movq (%rcx), %r8
    leaq .Lfirst(%rip), %r9
    movq %r8, (%rax)
    movq %rdx, 32(%rax)
    movq %rsi, 40(%rax)
    movq $0, 48(%rax)
    movq %r9, 56(%rax)
    ret
    .cfi_endproc
    .size asy_context_make, . - asy_context_make

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
