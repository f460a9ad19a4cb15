/*
 * The context switch on RISC-V 64. See sys/context.h.
 *
 * A context that was left is this on its stack, from its stack pointer up:
 *
 *       0  frm (where there is floating point)
 *       8  the address where it goes on
 *      16  s0 to s11
 *     112  fs0 to fs11 (where the ABI passes numbers in floating-point registers)
 *
 * Both sides have this layout, so that the unwind information holds on either
 * side of the one instruction that changes stacks. It is right at every
 * instruction: a profiler's or a debugger's sample may hit any.
 */

#if defined(__riscv_float_abi_double)
#define FRAME_BYTES 208
#define STORE_FLOAT fsd
#define LOAD_FLOAT fld
#elif defined(__riscv_float_abi_single)
#define FRAME_BYTES 208
#define STORE_FLOAT fsw
#define LOAD_FLOAT flw
#elif defined(__riscv_float_abi_soft)
#define FRAME_BYTES 112
#else
#error "the context switch does not know this floating-point ABI"
#endif

    .text

.macro store_kept register, offset
    sd \register, \offset(sp)
    .cfi_rel_offset \register, \offset
.endm

.macro load_kept register, offset
    ld \register, \offset(sp)
    .cfi_restore \register
.endm

.macro store_kept_float register, offset
    STORE_FLOAT \register, \offset(sp)
    .cfi_rel_offset \register, \offset
.endm

.macro load_kept_float register, offset
    LOAD_FLOAT \register, \offset(sp)
    .cfi_restore \register
.endm

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, @function
    .balign 16
asy_context_switch:
    .cfi_startproc
    addi sp, sp, -FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    store_kept ra, 8
    store_kept s0, 16
    store_kept s1, 24
    store_kept s2, 32
    store_kept s3, 40
    store_kept s4, 48
    store_kept s5, 56
    store_kept s6, 64
    store_kept s7, 72
    store_kept s8, 80
    store_kept s9, 88
    store_kept s10, 96
    store_kept s11, 104
#if !defined(__riscv_float_abi_soft)
    store_kept_float fs0, 112
    store_kept_float fs1, 120
    store_kept_float fs2, 128
    store_kept_float fs3, 136
    store_kept_float fs4, 144
    store_kept_float fs5, 152
    store_kept_float fs6, 160
    store_kept_float fs7, 168
    store_kept_float fs8, 176
    store_kept_float fs9, 184
    store_kept_float fs10, 192
    store_kept_float fs11, 200
#endif
#if defined(__riscv_flen)
    frrm t0
    sd t0, 0(sp)
#endif

    sd sp, 0(a0)
    mv sp, a1

#if defined(__riscv_flen)
    ld t0, 0(sp)
    fsrm t0
#endif
    ld t2, 8(sp)
    load_kept s0, 16
    load_kept s1, 24
    load_kept s2, 32
    load_kept s3, 40
    load_kept s4, 48
    load_kept s5, 56
    load_kept s6, 64
    load_kept s7, 72
    load_kept s8, 80
    load_kept s9, 88
    load_kept s10, 96
    load_kept s11, 104
#if !defined(__riscv_float_abi_soft)
    load_kept_float fs0, 112
    load_kept_float fs1, 120
    load_kept_float fs2, 128
    load_kept_float fs3, 136
    load_kept_float fs4, 144
    load_kept_float fs5, 152
    load_kept_float fs6, 160
    load_kept_float fs7, 168
    load_kept_float fs8, 176
    load_kept_float fs9, 184
    load_kept_float fs10, 192
    load_kept_float fs11, 200
#endif
    addi sp, sp, FRAME_BYTES
    .cfi_adjust_cfa_offset -FRAME_BYTES
    .cfi_register ra, t2
    /* Not ra or t0: the processor would predict a return to whoever called last.
     * And t2 is the register whose jumps need no landing pad. */
    jr t2
    .cfi_endproc
    .size asy_context_switch, . - asy_context_switch

/* Where a new context begins, never called: s1 is its entry, s2 the argument,
 * the stack is empty, s0 is 0. Here every unwinder stops: there is no return
 * address. */
    .type asy_context_entry, @function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_undefined ra
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lfirst:
    mv a0, s2
    jalr s1
    ebreak
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

/* void *asy_context_make(void *top, void (*entry)(void *), void *arg, const struct asy_fp_control *fp)
 *
 * The other registers begin with what lies there. */
    .globl asy_context_make
    .hidden asy_context_make
    .type asy_context_make, @function
    .balign 16
asy_context_make:
    .cfi_startproc
    addi a0, a0, -FRAME_BYTES
    lwu t0, 0(a3)
    lla t1, .Lfirst
    sd t0, 0(a0)
    sd t1, 8(a0)
    sd zero, 16(a0)
    sd a1, 24(a0)
    sd a2, 32(a0)
    ret
    .cfi_endproc
    .size asy_context_make, . - asy_context_make

    .section .note.GNU-stack, "", @progbits
