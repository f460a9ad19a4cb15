/*
 * The context switch: one real function in assembly for each architecture (arch/). It saves what the ABI
 * asks a callee to keep, and the floating-point control words, on the stack it leaves, and picks up the
 * same from the stack it enters. Both frames carry full unwind information; a stack's first frame ends the
 * chain, so that debuggers and profilers stop there.
 */
#ifndef ASY_SYS_CONTEXT_H
#define ASY_SYS_CONTEXT_H

#include <stdint.h>

/* What the switch leaves below a saved stack pointer: where in it the return address and the caller's frame
 * pointer lie, and its size; and where other registers lie, {DWARF number, offset} each. For tools. */
#if defined(__x86_64__)
#define ASY_CONTEXT_RETURN_ADDRESS 56
#define ASY_CONTEXT_FRAME_POINTER 48
#define ASY_CONTEXT_SIZE 64
#define ASY_CONTEXT_REGISTERS                                                                                \
    {15, 8}, {14, 16}, {13, 24}, {12, 32}, {3, 40},                                                          \
    {                                                                                                        \
        6, 48                                                                                                \
    }
#elif defined(__aarch64__)
#define ASY_CONTEXT_RETURN_ADDRESS 104
#define ASY_CONTEXT_FRAME_POINTER 96
#define ASY_CONTEXT_SIZE 176
#define ASY_CONTEXT_REGISTERS                                                                                \
    {19, 16}, {20, 24}, {21, 32}, {22, 40}, {23, 48}, {24, 56}, {25, 64}, {26, 72}, {27, 80}, {28, 88},      \
        {29, 96}, {72, 112}, {73, 120}, {74, 128}, {75, 136}, {76, 144}, {77, 152}, {78, 160},               \
    {                                                                                                        \
        79, 168                                                                                              \
    }
#elif defined(__riscv) && __riscv_xlen == 64
#define ASY_CONTEXT_RETURN_ADDRESS 8
#define ASY_CONTEXT_FRAME_POINTER 16
#define ASY_CONTEXT_INTEGERS                                                                                 \
    {8, 16}, {9, 24}, {18, 32}, {19, 40}, {20, 48}, {21, 56}, {22, 64}, {23, 72}, {24, 80}, {25, 88},        \
        {26, 96},                                                                                            \
    {                                                                                                        \
        27, 104                                                                                              \
    }
#if defined(__riscv_float_abi_soft)
#define ASY_CONTEXT_SIZE 112
#define ASY_CONTEXT_REGISTERS ASY_CONTEXT_INTEGERS
#else
#define ASY_CONTEXT_SIZE 208
#define ASY_CONTEXT_REGISTERS                                                                                \
    ASY_CONTEXT_INTEGERS, {40, 112}, {41, 120}, {50, 128}, {51, 136}, {52, 144}, {53, 152}, {54, 160},       \
        {55, 168}, {56, 176}, {57, 184}, {58, 192},                                                          \
    {                                                                                                        \
        59, 200                                                                                              \
    }
#endif
#endif

/* The floating-point control state (rounding mode, exception masks) of a thread. */
struct asy_fp_control {
    uint32_t word[2]; /* x86-64: mxcsr, x87 control word; AArch64: fpcr; RISC-V: frm */
};

/*
 * The processor predicts where a return goes by the calls that it has seen, and a wrong guess costs more
 * than the switch itself. So calls and returns stay in balance across a switch: each of these three is
 * meant to be the last thing its caller does, so that the compiler jumps to it, and the return at the end
 * of a switch belongs to the call of that caller. See docs/decisions/0001-switch-returns.md.
 */

/* Stores the stack pointer in *save and continues where `to` was stored. Returns when somebody continues
 * *save. */
void asy_context_switch(void **save, void *to);

/* Stores the stack pointer in *save and enters entry(arg) on the fresh stack whose highest address is `top`
 * (16-byte aligned), with the control state *fp. entry must not return. */
void asy_context_start(void **save, void *top, void (*entry)(void *), void *arg,
                       const struct asy_fp_control *fp);

/* Continues where `to` was stored; what is left is never continued. Does not return, but is not marked so,
 * since such a call is never a jump. */
void asy_context_leave(void *to);

/* Calls fn(arg) in such a way that an unwinder which starts there goes on with the context that was stored at
 * `at`, as if the function that left it had called fn. Its stack is only read, and by the unwinder alone. */
void asy_context_visit(void *at, void (*fn)(void *), void *arg);

static inline void asy_fp_control_save(struct asy_fp_control *fp)
{
#if defined(__x86_64__)
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(fp->word[0]), "=m"(x87));
    fp->word[1] = x87;
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fp->word[0] = (uint32_t)fpcr;
    fp->word[1] = 0;
#elif defined(__riscv) && __riscv_xlen == 64
    uint64_t frm = 0;
#if defined(__riscv_flen)
    __asm__ volatile("frrm %0" : "=r"(frm));
#endif
    fp->word[0] = (uint32_t)frm;
    fp->word[1] = 0;
#else
#error "libasyncio runs on x86-64, AArch64 and RISC-V 64; this target has no context switch"
#endif
}

static inline void asy_fp_control_load(const struct asy_fp_control *fp)
{
#if defined(__x86_64__)
    uint16_t x87 = (uint16_t)fp->word[1];
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(fp->word[0]), "m"(x87));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)fp->word[0]));
#elif defined(__riscv) && defined(__riscv_flen)
    __asm__ volatile("fsrm %0" : : "r"((uint64_t)fp->word[0]));
#else
    (void)fp;
#endif
}

#endif
