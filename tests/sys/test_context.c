/*
 * The context switch: what a context keeps across it (registers, the
 * floating-point controls, its stack), how it begins, and that an unwinder finds
 * the end of its stack.
 */
#include "base/compiler.h"
#include "base/sanitizer.h"
#include "support/test.h"
#include "sys/context.h"
#include <fenv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

/* The assembly reads the control words as they stand here. */
_Static_assert(sizeof(struct asy_fp_control) == 8, "a frame has room for eight bytes");
_Static_assert(offsetof(struct asy_fp_control, word[1]) == 4, "x86-64: the x87 control word follows mxcsr");

#define STACK_BYTES (32 * 1024)

/* ---- Contexts of this test --------------------------------------------------- */
struct context {
    void *sp; /* NULL: not started */
    char *stack, *top;
    void (*run)(struct context *);
    void *arg;
    struct asy_fp_control fp;
    unsigned valgrind;
};

static struct context main_context;

/* The bottom of each stack. A context that is done is left for good. */
static void context_main(void *arg)
{
    struct context *self = arg;
    self->run(self);
    asy_context_leave(main_context.sp);
}

static void swap(struct context *from, struct context *to)
{
    if (to->sp)
        asy_context_switch(&from->sp, to->sp);
    else
        asy_context_start(&from->sp, to->top, context_main, to, &to->fp);
}

/* Behind the stack's highest address, where nobody may write. */
static const uint64_t canary[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void context_init(struct context *c, void (*run)(struct context *), void *arg)
{
    *c = (struct context){.run = run, .arg = arg};
    c->stack = aligned_alloc(64, STACK_BYTES + sizeof canary);
    assert_non_null(c->stack);
    memset(c->stack, 0xa5, STACK_BYTES);
    c->top = c->stack + STACK_BYTES;
    memcpy(c->top, canary, sizeof canary);
    asy_fp_control_save(&c->fp);
#if ASY_VALGRIND
    c->valgrind = VALGRIND_STACK_REGISTER(c->stack, c->top);
#endif
}

static void context_destroy(struct context *c)
{
    assert_memory_equal(c->top, canary, sizeof canary);
#if ASY_VALGRIND
    VALGRIND_STACK_DEREGISTER(c->valgrind);
#endif
    free(c->stack);
}

/* ---- Registers --------------------------------------------------------------- */
/* Loads every register that a callee has to keep from `in`, calls function(args[0],
 * ... args[4]), and stores the registers to `out`. */
void kept_across_call(const uint64_t *in, uint64_t *out, void (*function)(void), const uintptr_t *args);

#define TEXT(...) #__VA_ARGS__ "\n"
#define FUNCTION(name, ...)                                                                                  \
    __asm__(".text\n" TEXT(.globl name) TEXT(.balign 16) TEXT(name:) __VA_ARGS__ ".previous\n")

/* clang-format off */
#if defined(__x86_64__)
#define KEPT 6
FUNCTION(kept_across_call,
    TEXT(endbr64)
    TEXT(push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; push %rsi)
    TEXT(mov (%rdi), %rbp; mov 8(%rdi), %rbx; mov 16(%rdi), %r12)
    TEXT(mov 24(%rdi), %r13; mov 32(%rdi), %r14; mov 40(%rdi), %r15)
    TEXT(mov %rdx, %rax; mov %rcx, %r10)
    TEXT(mov (%r10), %rdi; mov 8(%r10), %rsi; mov 16(%r10), %rdx; mov 24(%r10), %rcx; mov 32(%r10), %r8)
    TEXT(call *%rax)
    TEXT(pop %rcx)
    TEXT(mov %rbp, (%rcx); mov %rbx, 8(%rcx); mov %r12, 16(%rcx))
    TEXT(mov %r13, 24(%rcx); mov %r14, 32(%rcx); mov %r15, 40(%rcx))
    TEXT(pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp)
    TEXT(ret));
#elif defined(__aarch64__)
#define KEPT 19
#define ALL(op, base, at) \
    TEXT(op x19, x20, [base, at]; op x21, x22, [base, at + 16]; op x23, x24, [base, at + 32]) \
    TEXT(op x25, x26, [base, at + 48]; op x27, x28, [base, at + 64]) \
    TEXT(op d8, d9, [base, at + 80]; op d10, d11, [base, at + 96]) \
    TEXT(op d12, d13, [base, at + 112]; op d14, d15, [base, at + 128])
FUNCTION(kept_across_call,
    TEXT(hint 34; sub sp, sp, 176; str x30, [sp]; str x1, [sp, 8]; str x29, [sp, 160])
    ALL(stp, sp, 16)
    ALL(ldp, x0, 0)
    TEXT(ldr x29, [x0, 144]; mov x9, x2; ldr x4, [x3, 32])
    TEXT(ldp x0, x1, [x3]; ldp x2, x3, [x3, 16]; blr x9; ldr x1, [sp, 8]; str x29, [x1, 144])
    ALL(stp, x1, 0)
    ALL(ldp, sp, 16)
    TEXT(ldr x30, [sp]; ldr x29, [sp, 160]; add sp, sp, 176; ret));
#else
#define KEPT 24
#define ALL(op, fop, base, at) \
    TEXT(op s0, at(base); op s1, at+8(base); op s2, at+16(base); op s3, at+24(base); op s4, at+32(base)) \
    TEXT(op s5, at+40(base); op s6, at+48(base); op s7, at+56(base); op s8, at+64(base)) \
    TEXT(op s9, at+72(base); op s10, at+80(base); op s11, at+88(base)) \
    TEXT(fop fs0, at+96(base); fop fs1, at+104(base); fop fs2, at+112(base); fop fs3, at+120(base)) \
    TEXT(fop fs4, at+128(base); fop fs5, at+136(base); fop fs6, at+144(base); fop fs7, at+152(base)) \
    TEXT(fop fs8, at+160(base); fop fs9, at+168(base); fop fs10, at+176(base); fop fs11, at+184(base))
FUNCTION(kept_across_call,
    TEXT(addi sp, sp, -208; sd ra, 0(sp); sd a1, 8(sp))
    ALL(sd, fsd, sp, 16)
    ALL(ld, fld, a0, 0)
    TEXT(mv t1, a2; mv t2, a3)
    TEXT(ld a0, 0(t2); ld a1, 8(t2); ld a2, 16(t2); ld a3, 24(t2); ld a4, 32(t2); jalr t1; ld a1, 8(sp))
    ALL(sd, fsd, a1, 0)
    ALL(ld, fld, sp, 16)
    TEXT(ld ra, 0(sp); addi sp, sp, 208; ret));
#endif
/* clang-format on */

/* Swaps with every register full of a pattern of one's own. */
static void swap_and_check(struct context *from, struct context *to, uint64_t pattern)
{
    uint64_t in[KEPT], out[KEPT] = {0};
    for (size_t i = 0; i < KEPT; i++)
        in[i] = pattern * (i + 1);
    uintptr_t to_running[5] = {(uintptr_t)&from->sp, (uintptr_t)to->sp};
    uintptr_t to_fresh[5] = {(uintptr_t)&from->sp, (uintptr_t)to->top, (uintptr_t)context_main, (uintptr_t)to,
                             (uintptr_t)&to->fp};
    if (to->sp)
        kept_across_call(in, out, (void (*)(void))asy_context_switch, to_running);
    else
        kept_across_call(in, out, (void (*)(void))asy_context_start, to_fresh);
    for (size_t i = 0; i < KEPT; i++)
        assert_true(in[i] == out[i]);
}

static void swap_three_times(struct context *self)
{
    for (uint64_t round = 1; round <= 3; round++)
        swap_and_check(self, &main_context, 0x123456789abcdefu * round);
}

/* Started, continued twice, and the last time its partner leaves for good. */
TEST(registers_survive)
{
    struct context a, b;
    context_init(&a, swap_three_times, NULL);
    context_init(&b, swap_three_times, NULL);
    for (uint64_t round = 1; round <= 4; round++) {
        swap_and_check(&main_context, &a, 0xfedcba987654321u * round);
        swap_and_check(&main_context, &b, 0xf0e1d2c3b4a5968u * round);
    }
    context_destroy(&a);
    context_destroy(&b);
}

/* ---- The beginning ------------------------------------------------------------ */
static void note_beginning(struct context *self)
{
    typedef float vector __attribute__((vector_size(16)));
    /* On x86-64 a store by movaps, which faults on a stack that is out of line. */
    volatile vector v = {1, 2, 3, 4};
    vector sum = v + v;
    assert_true(sum[3] == 8);
    assert_int_equal((uintptr_t)&v % 16, 0);
    assert_int_equal((uintptr_t)__builtin_frame_address(0) % 16, 0);
    *(struct context **)self->arg = self;
}

TEST(entry_gets_its_argument)
{
    struct context c, *seen = NULL;
    context_init(&c, note_beginning, &seen);
    swap(&main_context, &c);
    assert_ptr_equal(seen, &c);
    context_destroy(&c);
}

static void use_half(struct context *self)
{
    /* Not the array's address: that may be the address sanitizer's (detect_stack_use_after_return). */
    const char *frame = __builtin_frame_address(0);
    volatile char half[STACK_BYTES / 2];
    memset((char *)half, 1, sizeof half);
    assert_true(frame > self->stack + sizeof half && frame < self->top);
}

/* It runs on its own stack and writes nothing beyond that (see context_destroy). */
TEST(runs_on_its_stack)
{
    struct context c;
    context_init(&c, use_half, NULL);
    swap(&main_context, &c);
    assert_int_equal((unsigned char)c.stack[0], 0xa5);
    context_destroy(&c);
}

/* ---- Many --------------------------------------------------------------------- */
#define CHAIN 1000

static struct context chain[CHAIN];
static int chain_entered, chain_left;

/* Each makes the next and enters it; the way back passes all of them. */
static void link_of_chain(struct context *self)
{
    size_t i = (size_t)(self - chain);
    assert_int_equal(chain_entered++, i);
    if (i + 1 < CHAIN) {
        context_init(&chain[i + 1], link_of_chain, NULL);
        swap(self, &chain[i + 1]);
    }
    assert_int_equal(chain_left++, CHAIN - 1 - i);
    if (i > 0)
        swap(self, &chain[i - 1]);
}

TEST(chain_of_a_thousand)
{
    context_init(&chain[0], link_of_chain, NULL);
    swap(&main_context, &chain[0]);
    assert_int_equal(chain_entered, CHAIN);
    assert_int_equal(chain_left, CHAIN);
    for (size_t i = 0; i < CHAIN; i++)
        context_destroy(&chain[i]);
}

static void count_up(struct context *self)
{
    for (int *counter = self->arg;; ++*counter)
        swap(self, &main_context);
}

TEST(round_robin)
{
    enum { CONTEXTS = 8, ROUNDS = 10000 };
    struct context contexts[CONTEXTS];
    int counters[CONTEXTS] = {0};
    for (int i = 0; i < CONTEXTS; i++)
        context_init(&contexts[i], count_up, &counters[i]);
    for (int i = 0; i <= CONTEXTS * ROUNDS; i++)
        swap(&main_context, &contexts[i % CONTEXTS]);
    for (int i = 0; i < CONTEXTS; i++) {
        assert_int_equal(counters[i], i == 0 ? ROUNDS : ROUNDS - 1);
        context_destroy(&contexts[i]);
    }
}

/* ---- Floating-point controls ---------------------------------------------------- */
/* Computed when the program runs, in the current mode. */
static double third(double sign)
{
    volatile double one = sign, three = 3;
    return one / three;
}

static void check_rounding(int mode)
{
    bool up = mode == FE_UPWARD, down = mode == FE_DOWNWARD;
    assert_int_equal(fegetround(), mode);
    /* Valgrind keeps the mode, but rounds to nearest. */
    if (RUNNING_ON_VALGRIND)
        return;
    assert_int_equal(third(1) > 0x1.5555555555555p-2, up);
    assert_int_equal(third(-1) < -0x1.5555555555555p-2, down);
#if defined(__x86_64__)
    /* 2/3 in the x87's own format ends in ..aaaa, rounded to ..aaab unless toward zero
     * or down. */
    volatile long double two = 2, three = 3;
    long double nearest = 0xa.aaaaaaaaaaaaaabp-4L;
    assert_int_equal(two / three == nearest, mode == FE_TONEAREST || up);
#endif
}

static void keep_rounding(struct context *self)
{
    int mode = *(int *)self->arg;
    fesetround(mode);
    for (;;) {
        check_rounding(mode);
        swap(self, &main_context);
    }
}

TEST(each_context_has_its_rounding)
{
    struct context a, b;
    int up = FE_UPWARD, down = FE_DOWNWARD;
    context_init(&a, keep_rounding, &up);
    context_init(&b, keep_rounding, &down);
    for (int i = 0; i < 3; i++) {
        swap(&main_context, &a);
        check_rounding(FE_TONEAREST);
        swap(&main_context, &b);
        check_rounding(FE_TONEAREST);
    }
    fesetround(FE_TOWARDZERO);
    swap(&main_context, &a);
    check_rounding(FE_TOWARDZERO);
    fesetround(FE_TONEAREST);
    context_destroy(&a);
    context_destroy(&b);
}

static void note_control(struct context *self)
{
    asy_fp_control_save(self->arg);
}

/* What asy_context_start is given counts, not what its caller has. */
TEST(new_context_gets_its_controls)
{
    struct asy_fp_control plain, seen = {{0}}, after;
    struct context c;
    asy_fp_control_save(&plain);
    context_init(&c, note_control, &seen);
    fesetround(FE_TOWARDZERO);
    asy_fp_control_save(&c.fp);
    fesetround(FE_TONEAREST);
    assert_memory_not_equal(&plain, &c.fp, sizeof plain);

    swap(&main_context, &c);
    asy_fp_control_save(&after);
    assert_memory_equal(&seen, &c.fp, sizeof seen);
    assert_memory_equal(&after, &plain, sizeof after);
    context_destroy(&c);
}

TEST(control_save_and_load)
{
    struct asy_fp_control plain;
    asy_fp_control_save(&plain);
    fesetround(FE_UPWARD);
    asy_fp_control_load(&plain);
    check_rounding(FE_TONEAREST);
}

#if defined(__x86_64__)
static void set_words(uint32_t mxcsr, uint16_t x87)
{
    asy_fp_control_load(&(struct asy_fp_control){{mxcsr, x87}});
}

static void check_words(uint32_t mxcsr, uint16_t x87)
{
    struct asy_fp_control fp;
    asy_fp_control_save(&fp);
    assert_int_equal(fp.word[0], mxcsr);
    assert_int_equal(fp.word[1], x87);
}

/* Flush to zero and rounding up for SSE; double precision and rounding down for the x87. */
static void keep_words(struct context *self)
{
    set_words(0xdf80, 0x67f);
    for (;;) {
        swap(self, &main_context);
        check_words(0xdf80, 0x67f);
    }
}

/* The two units are independent: neither word is taken for the other. */
TEST(both_control_words)
{
    struct context c;
    if (RUNNING_ON_VALGRIND) /* has but the rounding of either word */
        skip();
    context_init(&c, keep_words, NULL);
    set_words(0x1f80, 0x37f);
    for (int i = 0; i < 2; i++) {
        swap(&main_context, &c);
        check_words(0x1f80, 0x37f);
    }
    set_words(0x3f80, 0xf7f);
    swap(&main_context, &c);
    check_words(0x3f80, 0xf7f);
    set_words(0x1f80, 0x37f);
    context_destroy(&c);
}
#endif

/* ---- Unwinding ------------------------------------------------------------------ */
#if HAS_UNWINDER
#define FRAMES_MAX 64

struct trace {
    size_t count;
    void *functions[FRAMES_MAX];
    _Unwind_Reason_Code end;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *frame, void *arg)
{
    struct trace *trace = arg;
    uintptr_t ip = (uintptr_t)_Unwind_GetIP(frame);
    /* libgcc tells of the end by a frame without an address. */
    if (ip == 0)
        return _URC_NO_REASON;
    if (trace->count == FRAMES_MAX)
        return _URC_NORMAL_STOP;
    trace->functions[trace->count++] = _Unwind_FindEnclosingFunction((void *)ip);
    return _URC_NO_REASON;
}

static NOINLINE void level3(struct context *self)
{
    struct trace *trace = self->arg;
    trace->end = _Unwind_Backtrace(add_frame, trace);
    swap(self, &main_context);
}

static NOINLINE void level2(struct context *self)
{
    level3(self);
    __asm__ volatile("" : : : "memory");
}

static void level1(struct context *self)
{
    level2(self);
    __asm__ volatile("" : : : "memory");
}

static void check_trace(const struct trace *trace)
{
    void *expected[] = {
        (void *)(uintptr_t)level3,
        (void *)(uintptr_t)level2,
        (void *)(uintptr_t)level1,
        (void *)(uintptr_t)context_main,
    };
    assert_int_equal(trace->end, _URC_END_OF_STACK);
    assert_int_equal(trace->count, 5);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(trace->functions[i], expected[i]);
    /* The fifth, asy_context_entry, has no name outside its file. */
    assert_in_range((uintptr_t)trace->functions[4] - (uintptr_t)asy_context_switch, 1, 4095);
}

TEST(unwinding_ends_at_the_first_frame)
{
    struct trace trace = {0};
    struct context c;
    /* RISC-V's compilers write unwind tables for C on request alone. */
    if (!_Unwind_FindEnclosingFunction((char *)(uintptr_t)level3 + 2))
        skip();
    context_init(&c, level1, &trace);
    swap(&main_context, &c);
    check_trace(&trace);
    context_destroy(&c);
}
#else
TEST(unwinding_ends_at_the_first_frame)
{
    skip();
}
#endif

TEST_MAIN()
