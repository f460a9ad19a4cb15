/*
 * The seam, and the calls that fail there by plan. See sys.h.
 */
#include "base/compiler.h"
#include "sys/sys.h"
#include "sys/world.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

_Atomic uint8_t asy_seam;

void asy_seam_set(uint8_t bit)
{
    atomic_fetch_or(&asy_seam, bit);
}

void asy_seam_clear(uint8_t bit)
{
    atomic_fetch_and(&asy_seam, (uint8_t)~bit);
}

/* ---- Calls that fail --------------------------------------------------------- */

struct asy_fault asy_fault;

bool asy_fault_is_armed(void)
{
    return atomic_load_explicit(&asy_seam, memory_order_acquire) & ASY_SEAM_FAULTS;
}

COLD bool asy_fault_hit(const char *call)
{
    /* Acquire, since asy_fault_arm sets the bit last: a caller that sees it sees the rest of the plan. The
     * test may have disarmed the seam since the caller's relaxed look; or only a simulated world uses it. */
    if (!asy_fault_is_armed())
        return false;
    uint64_t n = atomic_fetch_add(&asy_fault.calls, 1) + 1, at = asy_fault.fail_at;
    if (at == 0 || n < at || (n > at && !asy_fault.sticky))
        return false;
    asy_fault.failed = call;
    return true;
}

static void arm_fault(uint64_t fail_at, bool sticky, unsigned way)
{
    asy_fault.sticky = sticky;
    asy_fault.fail_at = fail_at;
    asy_fault.way = way;
    asy_fault.failed = NULL;
    asy_fault.error = 0;
    asy_fault.calls = 0;
    asy_seam_set(ASY_SEAM_FAULTS);
}

void asy_fault_arm(uint64_t fail_at, bool sticky)
{
    arm_fault(fail_at, sticky, 0);
}

void asy_fault_arm_way(uint64_t fail_at, unsigned way)
{
    arm_fault(fail_at, false, way);
}

uint64_t asy_fault_disarm(void)
{
    asy_seam_clear(ASY_SEAM_FAULTS);
    return asy_fault.calls;
}

/* ---- In which ways ------------------------------------------------------------ */

/* What else a call fails with, beside its usual error: a peer that is gone, a file that fills up. */
struct fault_ways {
    const char *call;
    int errors[3]; /* up to 0 */
};

static const struct fault_ways all_ways[] = {
    {"accept", {-ECONNABORTED, -ENFILE}},
    {"connect", {-ECONNREFUSED, -ENETUNREACH}},
    {"open", {-ENOENT, -EACCES}},
    {"readv", {-ECONNRESET}},
    {"recv", {-ECONNRESET, -ETIMEDOUT}},
    {"recvmsg", {-ECONNREFUSED}},
    {"ring_enter", {-EBUSY, -ENOMEM, -EINTR}},
    {"send", {-ECONNRESET, -EPIPE}},
    {"sendmsg", {-ECONNRESET, -ENETUNREACH}},
    {"sendto", {-ECONNREFUSED}},
    {"write", {-EPIPE}},
    {"write_at", {-ENOSPC}},
    {"writev", {-ECONNRESET, -EPIPE}},
};

static const struct fault_ways *find_ways(const char *call)
{
    for (size_t i = 0; i < sizeof all_ways / sizeof *all_ways; i++)
        if (strcmp(all_ways[i].call, call) == 0)
            return &all_ways[i];
    return NULL;
}

unsigned asy_fault_ways(const char *call)
{
    const struct fault_ways *ways = call ? find_ways(call) : NULL;
    unsigned count = 1;
    for (int i = 0; ways && i < 3 && ways->errors[i]; i++)
        count++;
    return count;
}

COLD int asy_fault_error(const char *call, int usual)
{
    unsigned way = asy_fault.way;
    int error = way && way < asy_fault_ways(call) ? find_ways(call)->errors[way - 1] : usual;
    asy_fault.error = error;
    return error;
}

/* The other side learns of it, too: else it and the program, which still reads, could wait for each other for
 * ever. Where there is no connection the call fails in its usual way. */
COLD int asy_fault_at(int fd, const char *call, int usual)
{
    int error = asy_fault_error(call, usual), saved = errno;
    if (error != -ECONNRESET && error != -EPIPE && error != -ETIMEDOUT)
        return error;
    if (asy_sim_has(fd))
        asy_sim->shutdown(fd, SHUT_RDWR);
    else if (shutdown(fd, SHUT_RDWR) < 0 && errno == ENOTSOCK)
        asy_fault.error = error = usual;
    errno = saved;
    return error;
}
