/*
 * Stacks in this process. See sys/backtrace.h.
 */
#include "sys/backtrace.h"
#include "base/compiler.h"
#include "sys/context.h"
#include "sys/sys.h"
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAS_UNWINDER 1
#else
#define HAS_UNWINDER 0
#endif

/* How many bytes of code asy_context_visit has, at most. */
#define VISIT_BYTES 96
/* What stands on a stack above a visited context: the visit, its function, and a checker's own frames. */
#define VISITOR_FRAMES 4

int asy_sys_backtrace(void **pcs, int most)
{
#if HAS_UNWINDER
    return backtrace(pcs, most);
#else
    (void)pcs, (void)most;
    return 0;
#endif
}

struct visit {
    void *pcs[ASY_FRAMES_MAX + VISITOR_FRAMES];
    int count;
};

static NOINLINE void unwind_visited(void *arg)
{
    struct visit *visit = arg;
    visit->count = asy_sys_backtrace(visit->pcs, ASY_FRAMES_MAX + VISITOR_FRAMES);
    __asm__ volatile("" : : : "memory"); /* the call above is no jump */
}

int asy_sys_backtrace_at(void *context, void **pcs, int most)
{
    struct visit visit = {.count = 0};
    asy_context_visit(context, unwind_visited, &visit);
    int first = 0;
    while (first < visit.count &&
           (uintptr_t)visit.pcs[first] - (uintptr_t)(void *)asy_context_visit >= VISIT_BYTES)
        first++;
    int count = first < visit.count ? visit.count - first - 1 : 0;
    count = count < most ? count : most;
    if (count)
        memcpy(pcs, visit.pcs + first + 1, (size_t)count * sizeof *pcs);
    return count;
}

struct asy_symbol asy_sys_find_symbol(const void *pc)
{
    Dl_info info;
    struct asy_symbol symbol = {0};
    if (!dladdr(pc, &info))
        return symbol;
    symbol.object = info.dli_fname;
    symbol.base = info.dli_fbase;
    symbol.function = info.dli_sname;
    symbol.offset =
        (size_t)((const char *)pc - (const char *)(info.dli_sname ? info.dli_saddr : info.dli_fbase));
    return symbol;
}
