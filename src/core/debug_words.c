/*
 * The words of ASYNCIO_DEBUG. See core/debug_words.h.
 */
#include "core/debug_words.h"
#include "core/report.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_S 0.1
#define WATCHDOG_S 0.5

/* A piece of the value, which has no end of its own. */
struct word {
    const char *text;
    size_t length;
};

static bool is_word(struct word word, const char *text)
{
    return strlen(text) == word.length && memcmp(word.text, text, word.length) == 0;
}

/* "0.25", whatever the program's locale has for a decimal point. */
static bool parse_seconds(struct word word, double *seconds)
{
    double value = 0, unit = 0;
    if (!word.length)
        return false;
    for (size_t i = 0; i < word.length; i++) {
        char c = word.text[i];
        if (c == '.' && unit == 0)
            unit = 1;
        else if (c < '0' || c > '9')
            return false;
        else if (unit == 0)
            value = value * 10 + (c - '0');
        else
            value += (c - '0') * (unit /= 10);
    }
    *seconds = value;
    return true;
}

static bool accept_seconds(struct word word, const char *name, double *seconds)
{
    size_t length = strlen(name);
    if (word.length <= length || memcmp(word.text, name, length) != 0 || word.text[length] != '=')
        return false;
    return parse_seconds((struct word){word.text + length + 1, word.length - length - 1}, seconds);
}

/* False: nobody knows it. */
static bool accept_word(struct debug_words *words, struct word word)
{
    static const struct {
        const char *name;
        uint8_t check;
    } checks[] = {
        {"block", CHECK_BLOCK}, {"cancel", CHECK_CANCEL}, {"stacks", CHECK_STACKS}, {"fd", CHECK_FD}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (!is_word(word, checks[i].name))
            continue;
        words->checks |= checks[i].check;
        return true;
    }
    return !word.length || is_word(word, "1") || accept_seconds(word, "slow", &words->slow) ||
           accept_seconds(word, "watchdog", &words->watchdog);
}

static void tell_unknown(const char *unknown)
{
    static atomic_flag is_told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&is_told))
        asy_report_site(NULL, NULL, 0,
                        "ASYNCIO_DEBUG has words that nobody knows:%s. There are 1, slow=SECONDS, "
                        "watchdog=SECONDS, block, cancel, stacks and fd",
                        unknown);
}

struct debug_words asy_debug_words(void)
{
    struct debug_words words = {.slow = SLOW_S, .watchdog = WATCHDOG_S};
    const char *value = secure_getenv("ASYNCIO_DEBUG");
    char unknown[128] = "";
    size_t used = 0;
    if (!value || !*value || strcmp(value, "0") == 0)
        return words;
    words.is_on = true;
    for (const char *at = value;; at++) {
        struct word word = {at, strcspn(at, ",")};
        if (!accept_word(&words, word) && used < sizeof unknown - 1)
            used += (size_t)snprintf(unknown + used, sizeof unknown - used, " %.*s", (int)word.length, at);
        at += word.length;
        if (!*at)
            break;
    }
    if (*unknown)
        tell_unknown(unknown);
    return words;
}
