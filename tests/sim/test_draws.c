/*
 * Draws and history: the same seed gives the same, a plan makes draws plain, features do not disturb each
 * other, and two histories part where they differ.
 */
#include "asyncio/sim.h"
#include "base/compiler.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "support/test.h"
#include <stdlib.h>
#include <string.h>

static int64_t stopped_clock(void)
{
    return 2500000;
}

static void draw_some(const struct sim_plan *plan, uint64_t values[], size_t count)
{
    asy_sim_draws_begin(plan, stopped_clock);
    for (size_t i = 0; i < count; i++)
        values[i] = asy_sim_draw(i % 2 ? SIM_PIECES : SIM_JITTER, 1000000);
    asy_sim_draws_end();
}

TEST(the_same_seed_draws_the_same)
{
    const struct sim_plan plan = {.seed = 7, .limit = UINT64_MAX}, other = {.seed = 8, .limit = UINT64_MAX};
    uint64_t a[20], b[20], c[20];
    draw_some(&plan, a, 20);
    draw_some(&plan, b, 20);
    draw_some(&other, c, 20);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    assert_int_equal(asy_sim_draws_count(), 20);
}

TEST(draws_after_the_limit_are_plain)
{
    const struct sim_plan plan = {.seed = 7, .limit = UINT64_MAX}, limited = {.seed = 7, .limit = 5};
    const uint64_t zeros[15] = {0};
    uint64_t a[20], b[20];
    draw_some(&plan, a, 20);
    draw_some(&limited, b, 20);
    assert_memory_equal(a, b, 5 * sizeof *a);
    assert_memory_equal(b + 5, zeros, sizeof zeros);
    assert_int_equal(asy_sim_draws_count(), 20);
}

TEST(a_feature_that_is_off_changes_no_other_one)
{
    const struct sim_plan plan = {.seed = 7, .limit = UINT64_MAX};
    const struct sim_plan whole = {.seed = 7, .limit = UINT64_MAX, .off = 1u << SIM_PIECES};
    uint64_t a[20], b[20];
    draw_some(&plan, a, 20);
    draw_some(&whole, b, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(b[i], i % 2 ? 0 : a[i]);
    assert_int_equal(asy_sim_draws_count(), 10);
}

TEST(chances)
{
    const struct sim_plan plan = {.seed = 3, .limit = 3000};
    int often = 0, never = 0, always = 0, after = 0;
    asy_sim_draws_begin(&plan, stopped_clock);
    for (int i = 0; i < 1000; i++) {
        often += asy_sim_draw_chance(SIM_LOSS, 0.25);
        never += asy_sim_draw_chance(SIM_LOSS, 0) + asy_sim_draw_chance(SIM_LOSS, -1);
        always += asy_sim_draw_chance(SIM_LOSS, 1) + asyncio_sim_chance("always", 1);
    }
    for (int i = 0; i < 1000; i++)
        after += asy_sim_draw_chance(SIM_LOSS, 1) + asyncio_sim_chance("now and then", 2);
    asy_sim_draws_end();
    assert_in_range(often, 180, 320);
    assert_int_equal(never, 0);
    assert_int_equal(always, 2000);
    assert_int_equal(after, 0); /* the limit has come */
}

/* The workload's own numbers are those of the seed, whatever else is drawn, and shrinking leaves them. */
TEST(random_numbers_of_the_scenario)
{
    const struct sim_plan plan = {.seed = 3, .limit = UINT64_MAX}, none = {.seed = 3, .off = UINT32_MAX};
    assert_int_equal(asyncio_sim_random(), 0);
    asy_sim_draws_begin(&plan, stopped_clock);
    uint64_t first = asyncio_sim_random();
    asy_sim_draw(SIM_WORK, 10);
    uint64_t second = asyncio_sim_random();
    asy_sim_draws_begin(&none, stopped_clock);
    assert_true(asyncio_sim_random() == first && asyncio_sim_random() == second && first != second);
    assert_int_equal(asy_sim_draws_count(), 0);
    asy_sim_draws_end();
    assert_int_equal(asyncio_sim_random(), 0);
}

static int formatted;
static int count_formatting(void)
{
    return ++formatted;
}

TEST(one_draw_is_told)
{
    const struct sim_plan plan = {.seed = 3, .limit = UINT64_MAX, .tell_at = 3};
    formatted = 0;
    asy_sim_draws_begin(&plan, stopped_clock);
    for (int i = 1; i <= 5; i++) {
        asy_sim_draw(SIM_WORK, 10);
        asy_sim_tell("the draw of round %d, formatted %d time", i, count_formatting());
    }
    asy_sim_draws_end();
    assert_string_equal(asy_sim_told(), "the draw of round 3, formatted 1 time, at 0.0025 s");
    assert_int_equal(formatted, 1);
}

TEST(outside_a_run_nothing_is_drawn_or_noted)
{
    assert_int_equal(asy_sim_draw(SIM_ORDER, 100), 0);
    assert_false(asyncio_sim_chance("fault", 1));
    uint64_t hash = asy_sim_hash();
    asyncio_sim_note("nothing");
    asy_sim_happened("nothing", 1, 2);
    assert_true(asy_sim_hash() == hash);
}

static void live(struct sim_log *log, uint64_t fourth, const char *note)
{
    const struct sim_plan plan = {.seed = 1, .limit = UINT64_MAX};
    asy_sim_draws_begin(&plan, stopped_clock);
    asy_sim_history_begin(stopped_clock, log);
    for (uint64_t i = 0; i < 10; i++)
        asy_sim_happened("packet", i, i == 4 ? fourth : 100);
    asyncio_sim_note("%s", note);
    asy_sim_history_end();
    asy_sim_draws_end();
}

TEST(histories_part_where_they_differ)
{
    struct sim_step room[2][20];
    struct sim_log a = {room[0], 0, 20}, b = {room[1], 0, 20};
    char words[128];
    live(&a, 7, "a note");
    uint64_t hash = asy_sim_hash();
    live(&b, 7, "a note");
    assert_true(asy_sim_hash() == hash);
    assert_int_equal(asy_sim_logs_part_at(&a, &b), 11);
    live(&b, 7, "another one");
    assert_true(asy_sim_hash() != hash);
    assert_int_equal(asy_sim_logs_part_at(&a, &b), 10);
    live(&b, 8, "a note");
    assert_int_equal(asy_sim_logs_part_at(&a, &b), 4);
    asy_sim_step_words(&b, 4, words, sizeof words);
    assert_string_equal(words, "5: packet 4, 8, at 0.002500000 s");
    /* A log that is full keeps its beginning; the hash goes on. */
    b.room = 4;
    live(&b, 8, "a note");
    assert_int_equal(b.count, 4);
    assert_true(asy_sim_hash() != hash);
}

TEST_MAIN()
