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

    .section .text.hot, "ax", @progbits

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

.macro save_kept
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
.endm

.macro restore_kept
#if defined(__riscv_flen)
    ld t0, 0(sp)
    fsrm t0
#endif
    load_kept ra, 8
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
.endm

/* Says that a context which was left lies at the address in a register. */
.macro left_context register
    .cfi_def_cfa \register, FRAME_BYTES
    .cfi_rel_offset ra, 8
    .cfi_rel_offset s0, 16
    .cfi_rel_offset s1, 24
    .cfi_rel_offset s2, 32
    .cfi_rel_offset s3, 40
    .cfi_rel_offset s4, 48
    .cfi_rel_offset s5, 56
    .cfi_rel_offset s6, 64
    .cfi_rel_offset s7, 72
    .cfi_rel_offset s8, 80
    .cfi_rel_offset s9, 88
    .cfi_rel_offset s10, 96
    .cfi_rel_offset s11, 104
#if !defined(__riscv_float_abi_soft)
    .cfi_rel_offset fs0, 112
    .cfi_rel_offset fs1, 120
    .cfi_rel_offset fs2, 128
    .cfi_rel_offset fs3, 136
    .cfi_rel_offset fs4, 144
    .cfi_rel_offset fs5, 152
    .cfi_rel_offset fs6, 160
    .cfi_rel_offset fs7, 168
    .cfi_rel_offset fs8, 176
    .cfi_rel_offset fs9, 184
    .cfi_rel_offset fs10, 192
    .cfi_rel_offset fs11, 200
#endif
.endm

/* void asy_context_switch(void **save, void *to) */
    .globl asy_context_switch
    .hidden asy_context_switch
    .type asy_context_switch, @function
    .balign 16
asy_context_switch:
    .cfi_startproc
    save_kept
    sd sp, 0(a0)
    mv sp, a1
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
    save_kept
    sd sp, 0(a0)
    mv sp, a1
    /* A new stack, with nobody below: as in asy_context_entry. */
    .cfi_def_cfa sp, 0
    .cfi_undefined ra
#if defined(__riscv_flen)
    lwu t0, 0(a4)
    fsrm t0
#endif
    li s0, 0
    lla ra, .Lbottom
    mv a0, a3
    jr a2
    .cfi_endproc
    .size asy_context_start, . - asy_context_start

/* void asy_context_leave(void *to) */
    .globl asy_context_leave
    .hidden asy_context_leave
    .type asy_context_leave, @function
    .balign 16
asy_context_leave:
    .cfi_startproc
    mv sp, a0
    left_context sp
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
    addi sp, sp, -16
    .cfi_adjust_cfa_offset 16
    store_kept s1, 0
    store_kept ra, 8
    mv s1, a0
    mv a0, a2
    .cfi_remember_state
    left_context s1
    jalr a1
    .cfi_restore_state
    load_kept s1, 0
    load_kept ra, 8
    addi sp, sp, 16
    .cfi_adjust_cfa_offset -16
    ret
    .cfi_endproc
    .size asy_context_visit, . - asy_context_visit

/* The bottom of each context's stack: what its entry's return address says.
 * Nobody returns there, and every unwinder stops: there is no return address. */
    .type asy_context_entry, @function
    .balign 16
asy_context_entry:
    .cfi_startproc
    .cfi_undefined ra
    /* Unwinders look up the instruction before the one to go on with. */
    nop
.Lbottom:
    ebreak
    .cfi_endproc
    .size asy_context_entry, . - asy_context_entry

    .section .note.GNU-stack, "", @progbits
