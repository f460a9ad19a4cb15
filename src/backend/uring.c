/*
 * What the environment and the self test say of io_uring. See uring.h.
 *
 * Two threads may make the test at the same time, and come to the same end. Each publishes what it found
 * with one release, after the rest; whoever reads that it succeeded, with an acquire, sees the rest.
 */
#include "backend/uring.h"
#include "base/compiler.h"
#include "base/sanitizer.h"
#include "sys/ring.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNTESTED 1

static _Atomic int verdict = UNTESTED;
static _Atomic uint64_t known_ops; /* a bit for each */
static _Atomic unsigned measured_ns;

/* ---- The verdict ----------------------------------------------------------------------------- */

/* Anything else may be different the next time. */
static bool is_final_verdict(int err)
{
    return !err || err == -EPERM || err == -EACCES || err == -ENOSYS || err == -ENOTSUP || err == -EIO;
}

int asy_uring_check(void)
{
    uint64_t ops = 0;
    int err = atomic_load_explicit(&verdict, memory_order_acquire);
    if (is_final_verdict(err))
        return err;
    err = asy_uring_try(&ops);
    if (!err && RUNNING_ON_VALGRIND)
        err = -ENOTSUP;
    if (!err) {
        atomic_store_explicit(&known_ops, ops, memory_order_relaxed);
        atomic_store_explicit(&measured_ns, asy_uring_time_call(), memory_order_relaxed);
    }
    atomic_store_explicit(&verdict, err, memory_order_release);
    return err;
}

bool asy_uring_knows(unsigned code)
{
    return code < ASY_OPS_MAX && (atomic_load_explicit(&known_ops, memory_order_relaxed) >> code & 1);
}

/* ---- The environment ------------------------------------------------------------------------- */

bool asy_uring_may(const char *feature)
{
    const char *without = secure_getenv("ASYNCIO_URING_WITHOUT");
    size_t bytes = strlen(feature);
    while (without && *without) {
        size_t n = strcspn(without, ",");
        if (n == bytes && !memcmp(without, feature, n))
            return false;
        without += n + (without[n] == ',');
    }
    return true;
}

/* A number, and nothing else. */
unsigned asy_uring_call_ns(void)
{
    const char *said = secure_getenv("ASYNCIO_URING_CALL_NS");
    size_t digits = said ? strspn(said, "0123456789") : 0;
    if (digits > 0 && digits < 9 && !said[digits])
        return (unsigned)strtoul(said, NULL, 10);
    return atomic_load_explicit(&measured_ns, memory_order_relaxed);
}

enum files_by { FILES_AUTO, FILES_THREADS, FILES_RING };

static void warn_once(const char *name, const char *why)
{
    static _Atomic bool has_warned;
    char line[256];
    if (atomic_exchange(&has_warned, true))
        return;
    int n = snprintf(line, sizeof line, "asyncio: ASYNCIO_FILES=%.60s %s\n", name, why);
    if (n > 0)
        asy_sys_write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static enum files_by read_files_choice(void)
{
    const char *name = secure_getenv("ASYNCIO_FILES");
    if (!name || !*name || !strcmp(name, "auto"))
        return FILES_AUTO;
    if (!strcmp(name, "threads"))
        return FILES_THREADS;
    if (!strcmp(name, "ring"))
        return FILES_RING;
    warn_once(name, "is not known (auto, threads, ring); it is taken as auto");
    return FILES_AUTO;
}

bool asy_uring_has_files(void)
{
    enum files_by choice = read_files_choice();
    if (choice == FILES_THREADS || !asy_uring_may("files"))
        return false;
    int err = asy_uring_check();
    if (err && choice == FILES_RING)
        warn_once("ring: threads carry out calls on files:", asy_uring_words(err));
    return !err;
}

/* ---- In words -------------------------------------------------------------------------------- */

static const struct {
    int err;
    const char *words;
} reasons[] = {
    {-EPERM, "io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile"},
    {-EACCES, "io_uring is denied (EACCES): a security module"},
    {-ENOSYS, "there is no io_uring (ENOSYS): a kernel before 6.1, or a container's seccomp profile"},
    {-EINVAL, "io_uring is not all there (EINVAL)"},
    {-ENOTSUP, "Valgrind does not see what io_uring writes"},
    {-EIO, "io_uring did not pass its self test"},
    {-ETIMEDOUT, "io_uring did not answer within a second"},
    {-ENOMEM, "no memory for io_uring (ENOMEM): RLIMIT_MEMLOCK or a control group"},
    {-EMFILE, "no descriptor for io_uring (EMFILE)"},
    {-ENFILE, "no descriptor for io_uring (ENFILE)"},
};

const char *asy_uring_words(int err)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].err == err)
            return reasons[i].words;
    return "io_uring did not pass its self test";
}

const char *asy_uring_why_no_files(void)
{
    if (read_files_choice() == FILES_THREADS)
        return "ASYNCIO_FILES=threads";
    if (!asy_uring_may("files"))
        return "ASYNCIO_URING_WITHOUT has files";
    int err = asy_uring_check();
    return err ? asy_uring_words(err) : NULL;
}
