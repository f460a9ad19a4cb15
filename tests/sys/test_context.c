/*
 * The context switch: what a context keeps across it (registers, the
 * floating-point controls, its stack), how it begins, and that an unwinder finds
 * the end of its stack.
 */
#include "base/compiler.h"
#include "base/sanitizer.h"
#include "sys/context.h"
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>
#include <cmocka.h>

/* The assembly reads the control words as they stand here. */
_Static_assert(sizeof(struct asy_fp_control) == 8, "a frame has room for eight bytes");
_Static_assert(offsetof(struct asy_fp_control, word[1]) == 4, "x86-64: the x87 control word follows mxcsr");

#define STACK_BYTES (32 * 1024)

/* ---- Contexts of this test --------------------------------------------------- */
struct context {
    void *sp;
    char *stack;
    void (*run)(struct context *);
    void *arg;
    unsigned valgrind;
};

static struct context main_context;

static void swap(struct context *from, struct context *to)
{
    asy_context_switch(&from->sp, to->sp);
}

static _Noreturn void context_main(void *arg)
{
    struct context *self = arg;
    self->run(self);
    swap(self, &main_context);
    abort();
}

static void context_new_with(struct context *c, void (*run)(struct context *), const struct asy_fp_control *fp)
{
    c->stack = aligned_alloc(16, STACK_BYTES);
    assert_non_null(c->stack);
    memset(c->stack, 0xa5, STACK_BYTES);
    c->run = run;
#if ASY_VALGRIND
    c->valgrind = VALGRIND_STACK_REGISTER(c->stack, c->stack + STACK_BYTES);
#endif
    c->sp = asy_context_make(c->stack + STACK_BYTES, context_main, c, fp);
    assert_true((char *)c->sp >= c->stack && (char *)c->sp < c->stack + STACK_BYTES);
}

static void context_new(struct context *c, void (*run)(struct context *))
{
    struct asy_fp_control fp;
    asy_fp_control_save(&fp);
    context_new_with(c, run, &fp);
}

static void context_free(struct context *c)
{
#if ASY_VALGRIND
    VALGRIND_STACK_DEREGISTER(c->valgrind);
#endif
    free(c->stack);
}

/* ---- Registers --------------------------------------------------------------- */
/* void kept_across_switch(void **save, void *to, const uint64_t *in, uint64_t *out): loads
 * every register that a callee has to keep from `in`, switches, and stores them to `out`. */
void kept_across_switch(void **save, void *to, const uint64_t *in, uint64_t *out);

#define TEXT(...) #__VA_ARGS__ "\n"
#define FUNCTION(name, ...) \
    __asm__(".text\n" TEXT(.globl name) TEXT(.balign 16) TEXT(name:) __VA_ARGS__ ".previous\n")

#if defined(__x86_64__)
#define KEPT 6
/* clang-format off */
FUNCTION(kept_across_switch,
    TEXT(endbr64)
    TEXT(push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; push %rcx)
    TEXT(mov (%rdx), %rbp; mov 8(%rdx), %rbx; mov 16(%rdx), %r12)
    TEXT(mov 24(%rdx), %r13; mov 32(%rdx), %r14; mov 40(%rdx), %r15)
    TEXT(call asy_context_switch)
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
    TEXT(op d8, d9, [base, at + 88]; op d10, d11, [base, at + 104]) \
    TEXT(op d12, d13, [base, at + 120]; op d14, d15, [base, at + 136])
FUNCTION(kept_across_switch,
    TEXT(hint 34; sub sp, sp, 176; str x30, [sp]; str x3, [sp, 8]; str x29, [sp, 96])
    ALL(stp, sp, 16)
    ALL(ldp, x2, 0)
    TEXT(ldr x29, [x2, 80]; bl asy_context_switch; ldr x3, [sp, 8]; str x29, [x3, 80])
    ALL(stp, x3, 0)
    ALL(ldp, sp, 16)
    TEXT(ldr x30, [sp]; ldr x29, [sp, 96]; add sp, sp, 176; ret));
#else
#define KEPT 24
#define ALL(op, fop, base, at) \
    TEXT(op s0, at(base); op s1, at+8(base); op s2, at+16(base); op s3, at+24(base); op s4, at+32(base)) \
    TEXT(op s5, at+40(base); op s6, at+48(base); op s7, at+56(base); op s8, at+64(base)) \
    TEXT(op s9, at+72(base); op s10, at+80(base); op s11, at+88(base)) \
    TEXT(fop fs0, at+96(base); fop fs1, at+104(base); fop fs2, at+112(base); fop fs3, at+120(base)) \
    TEXT(fop fs4, at+128(base); fop fs5, at+136(base); fop fs6, at+144(base); fop fs7, at+152(base)) \
    TEXT(fop fs8, at+160(base); fop fs9, at+168(base); fop fs10, at+176(base); fop fs11, at+184(base))
FUNCTION(kept_across_switch,
    TEXT(addi sp, sp, -208; sd ra, 0(sp); sd a3, 8(sp))
    ALL(sd, fsd, sp, 16)
    ALL(ld, fld, a2, 0)
    TEXT(call asy_context_switch; ld a3, 8(sp))
    ALL(sd, fsd, a3, 0)
    ALL(ld, fld, sp, 16)
    TEXT(ld ra, 0(sp); addi sp, sp, 208; ret));
#endif
/* clang-format on */

/* Switches with every register full of a pattern of one's own. */
static void check_kept(struct context *from, struct context *to, uint64_t pattern)
{
    uint64_t in[KEPT], out[KEPT] = {0};
    for (size_t i = 0; i < KEPT; i++)
        in[i] = pattern * (i + 1);
    kept_across_switch(&from->sp, to->sp, in, out);
    for (size_t i = 0; i < KEPT; i++)
        assert_true(in[i] == out[i]);
}

static void keep_and_return(struct context *self)
{
    for (uint64_t round = 1; round <= 3; round++)
        check_kept(self, &main_context, 0x123456789abcdefu * round);
}

static void test_registers_survive(void **state)
{
    (void)state;
    struct context a, b;
    context_new(&a, keep_and_return);
    context_new(&b, keep_and_return);
    for (uint64_t round = 1; round <= 4; round++) {
        check_kept(&main_context, &a, 0xfedcba987654321u * round);
        check_kept(&main_context, &b, 0xf0e1d2c3b4a5968u * round);
    }
    context_free(&a);
    context_free(&b);
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

static void test_entry_gets_its_argument(void **state)
{
    (void)state;
    struct context c, *seen = NULL;
    c.arg = &seen;
    context_new(&c, note_beginning);
    swap(&main_context, &c);
    assert_ptr_equal(seen, &c);
    context_free(&c);
}

/* Nothing outside the stack is written, up to its last byte. */
static void test_make_stays_below_top(void **state)
{
    (void)state;
    enum { WORDS = 64 };
    static _Alignas(16) uint64_t memory[WORDS];
    struct asy_fp_control fp;
    asy_fp_control_save(&fp);
    for (size_t i = 0; i < WORDS; i++)
        memory[i] = ~(uint64_t)i;
    void *sp = asy_context_make(&memory[WORDS / 2], context_main, NULL, &fp);
    assert_int_equal((uintptr_t)sp % 16, 0);
    for (size_t i = 0; i < WORDS; i++) {
        if ((void *)&memory[i] < sp || i >= WORDS / 2)
            assert_true(memory[i] == ~(uint64_t)i);
    }
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
        context_new(&chain[i + 1], link_of_chain);
        swap(self, &chain[i + 1]);
    }
    assert_int_equal(chain_left++, CHAIN - 1 - i);
    if (i > 0)
        swap(self, &chain[i - 1]);
}

static void test_chain_of_a_thousand(void **state)
{
    (void)state;
    context_new(&chain[0], link_of_chain);
    swap(&main_context, &chain[0]);
    assert_int_equal(chain_entered, CHAIN);
    assert_int_equal(chain_left, CHAIN);
    for (size_t i = 0; i < CHAIN; i++)
        context_free(&chain[i]);
}

static void count_up(struct context *self)
{
    for (int *counter = self->arg;; ++*counter)
        swap(self, &main_context);
}

static void test_round_robin(void **state)
{
    (void)state;
    enum { CONTEXTS = 8, ROUNDS = 10000 };
    struct context contexts[CONTEXTS];
    int counters[CONTEXTS] = {0};
    for (int i = 0; i < CONTEXTS; i++) {
        contexts[i].arg = &counters[i];
        context_new(&contexts[i], count_up);
    }
    for (int i = 0; i <= CONTEXTS * ROUNDS; i++)
        swap(&main_context, &contexts[i % CONTEXTS]);
    for (int i = 0; i < CONTEXTS; i++) {
        assert_int_equal(counters[i], i == 0 ? ROUNDS : ROUNDS - 1);
        context_free(&contexts[i]);
    }
}

/* ---- Floating-point controls ---------------------------------------------------- */
/* A third, rounded as the current mode has it: by sign and size it tells which. */
static double third(double sign)
{
    volatile double one = sign, three = 3;
    return one / three;
}

static void check_rounding(int mode)
{
    bool up = mode == FE_UPWARD, down = mode == FE_DOWNWARD;
    assert_int_equal(fegetround(), mode);
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

static void test_each_context_has_its_rounding(void **state)
{
    (void)state;
    struct context a, b;
    int up = FE_UPWARD, down = FE_DOWNWARD;
    a.arg = &up;
    b.arg = &down;
    context_new(&a, keep_rounding);
    context_new(&b, keep_rounding);
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
    context_free(&a);
    context_free(&b);
}

static void note_control(struct context *self)
{
    asy_fp_control_save(self->arg);
}

/* What asy_context_make was given counts, not what its caller or the switcher has. */
static void test_new_context_gets_its_controls(void **state)
{
    (void)state;
    struct asy_fp_control plain, toward_zero, seen = {{0}}, after;
    asy_fp_control_save(&plain);
    fesetround(FE_TOWARDZERO);
    asy_fp_control_save(&toward_zero);
    fesetround(FE_TONEAREST);
    assert_memory_not_equal(&plain, &toward_zero, sizeof plain);

    struct context c;
    c.arg = &seen;
    context_new_with(&c, note_control, &toward_zero);
    swap(&main_context, &c);
    asy_fp_control_save(&after);
    assert_memory_equal(&seen, &toward_zero, sizeof seen);
    assert_memory_equal(&after, &plain, sizeof after);
    context_free(&c);
}

static void test_control_save_and_load(void **state)
{
    (void)state;
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
static void test_both_control_words(void **state)
{
    (void)state;
    struct context c;
    context_new(&c, keep_words);
    set_words(0x1f80, 0x37f);
    for (int i = 0; i < 2; i++) {
        swap(&main_context, &c);
        check_words(0x1f80, 0x37f);
    }
    set_words(0x3f80, 0xf7f);
    swap(&main_context, &c);
    check_words(0x3f80, 0xf7f);
    set_words(0x1f80, 0x37f);
    context_free(&c);
}
#endif

/* ---- Unwinding ------------------------------------------------------------------ */
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
    /* A return address may lie behind the last instruction of its function. */
    trace->functions[trace->count++] = _Unwind_FindEnclosingFunction((void *)(ip - 1));
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
    /* The fifth is the trampoline, which nobody else may name; it lies in the same file. */
    assert_in_range((uintptr_t)trace->functions[4] - (uintptr_t)asy_context_switch, 1, 4095);
}

static void test_unwinding_ends_at_the_first_frame(void **state)
{
    (void)state;
    struct trace trace = {0};
    struct context c;
    c.arg = &trace;
    context_new(&c, level1);
    swap(&main_context, &c);
    check_trace(&trace);
    context_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_survive),
        cmocka_unit_test(test_entry_gets_its_argument),
        cmocka_unit_test(test_make_stays_below_top),
        cmocka_unit_test(test_chain_of_a_thousand),
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_each_context_has_its_rounding),
        cmocka_unit_test(test_new_context_gets_its_controls),
        cmocka_unit_test(test_control_save_and_load),
#if defined(__x86_64__)
        cmocka_unit_test(test_both_control_words),
#endif
        cmocka_unit_test(test_unwinding_ends_at_the_first_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
