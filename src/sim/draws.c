/*
 * The draws of a simulated run. See draws.h.
 */
#include "sim/draws.h"
#include "base/random.h"
#include <stdarg.h>
#include <stdio.h>

static THREAD_LOCAL struct {
    bool is_on;
    uint64_t count;
    uint32_t drawn; /* features, a bit each */
    struct sim_plan plan;
    int64_t (*now_ns)(void);
    struct random features[SIM_FEATURES];
    struct random user;
    char told[192];
} draws;

/* A seed for each generator: the same for a feature whatever others there are. */
static void seed_generator(struct random *random, uint64_t seed, uint64_t index)
{
    asy_random_seed(random, seed ^ (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

void asy_sim_draws_begin(const struct sim_plan *plan, int64_t (*now_ns)(void))
{
    draws.is_on = true;
    draws.count = 0;
    draws.drawn = 0;
    draws.plan = *plan;
    draws.now_ns = now_ns;
    draws.told[0] = '\0';
    for (unsigned i = 0; i < SIM_FEATURES; i++)
        seed_generator(&draws.features[i], plan->seed, i);
    seed_generator(&draws.user, plan->seed, 1000);
}

void asy_sim_draws_end(void)
{
    draws.is_on = false;
}

bool asy_sim_is_on(void)
{
    return draws.is_on;
}

uint64_t asy_sim_draws_count(void)
{
    return draws.count;
}

uint32_t asy_sim_draws_features(void)
{
    return draws.drawn;
}

uint64_t asy_sim_draw(enum sim_feature feature, uint64_t bound)
{
    if (!draws.is_on || bound < 2 || (draws.plan.off >> feature & 1))
        return 0;
    uint64_t value = asy_random_below(&draws.features[feature], bound);
    draws.drawn |= 1u << feature;
    return ++draws.count > draws.plan.limit ? 0 : value;
}

bool asy_sim_draw_chance(enum sim_feature feature, double probability)
{
    const uint64_t all = UINT64_C(1) << 32;
    if (!(probability > 0))
        return false;
    /* The highest numbers are the rare case, since 0 is the plain one; so even what is certain is never
     * drawn by the plan. */
    uint64_t rare = probability >= 1 ? all - 1 : (uint64_t)(probability * (double)all);
    return asy_sim_draw(feature, all) >= all - rare;
}

uint64_t asy_sim_draw_user(void)
{
    return draws.is_on ? asy_random_next(&draws.user) : 0;
}

bool asy_sim_is_told(void)
{
    return draws.is_on && draws.count == draws.plan.tell_at && draws.count && !draws.told[0];
}

void asy_sim_tell_words(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int used = vsnprintf(draws.told, sizeof draws.told, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof draws.told)
        snprintf(draws.told + used, sizeof draws.told - (size_t)used, ", at %.4f s",
                 (double)draws.now_ns() / 1e9);
}

const char *asy_sim_told(void)
{
    return draws.told;
}
