/*
 * The least that a switch between two stacks can be on x86-64: the yardstick
 * for the library's own. No unwind information, no landing pads, no safety.
 *
 * void bare_switch(void **save, void *to)      the callee-saved registers
 * void bare_switch_fp(void **save, void *to)   and the floating-point control words
 *
 * Both continue with `pop; jmp`: a `ret` would be predicted to go where the
 * call on the other stack came from, and each switch would miss.
 */
#if defined(__x86_64__)
    .text

    .globl bare_switch
    .type bare_switch, @function
    .p2align 6
bare_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
    .size bare_switch, . - bare_switch

    .globl bare_switch_fp
    .type bare_switch_fp, @function
    .p2align 6
bare_switch_fp:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
    .size bare_switch_fp, . - bare_switch_fp

    /* Where a new stack begins: %r12 is the function, %r13 its argument. */
    .globl bare_start
    .type bare_start, @function
    .p2align 4
bare_start:
    movq %r13, %rdi
    callq *%r12
    ud2
    .size bare_start, . - bare_start
#endif
    .section .note.GNU-stack, "", @progbits
