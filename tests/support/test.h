/*
 * Tests that collect themselves. A program has as many as it likes; they run in the order in which they
 * stand, and main() is TEST_MAIN() or calls tests_run after what it has to prepare.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

struct test_case {
    const char *name;
    void (*fn)(void **state);
    int line; /* the order in the object file is the compiler's */
    bool once;
};

/* A test: TEST(name) { ... }. cmocka's asserts serve; and, with harness.h, CHECK. */
#define TEST(name) TEST_WITH(test_##name, case_##name, #name, false)
/* One that runs once, in a program whose others run in several ways (test_fixtures.skips_once). */
#define TEST_ONCE(name) TEST_WITH(test_##name, case_##name, #name, true)
/* Names come pasted: one may be a macro, as `unix` is. */
#define TEST_WITH(function, record, name, once)                                                              \
    static void function(void **state);                                                                      \
    __attribute__((used, section("asyncio_tests"),                                                           \
                   aligned(__alignof__(struct test_case)))) static const struct test_case record = {         \
        name, function, __LINE__, once};                                                                     \
    static void function(void **state __attribute__((unused)))

struct test_fixtures {
    CMFixtureFunction group_setup, group_teardown; /* once around all tests */
    CMFixtureFunction setup, teardown;             /* around each */
    bool skips_once;                               /* without those of TEST_ONCE */
};

/* Runs all tests of this program. For main's return. `fixtures` may be NULL. */
#define tests_run(fixtures) tests_run_between(__start_asyncio_tests, __stop_asyncio_tests, (fixtures))
#define TEST_MAIN()                                                                                          \
    int main(void)                                                                                           \
    {                                                                                                        \
        return tests_run(NULL);                                                                              \
    }

extern const struct test_case __start_asyncio_tests[], __stop_asyncio_tests[];
int tests_run_between(const struct test_case *first, const struct test_case *end,
                      const struct test_fixtures *fixtures);

#endif
