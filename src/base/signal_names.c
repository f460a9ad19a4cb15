/*
 * The names of signals: a constant table, since not every C library has one.
 */
#include "base/signal_names.h"
#include <signal.h>
#include <stddef.h>

#define NAME(signo) [signo] = #signo

static const char *const names[] = {
    NAME(SIGHUP),  NAME(SIGINT),    NAME(SIGQUIT), NAME(SIGILL),    NAME(SIGTRAP), NAME(SIGABRT),
    NAME(SIGBUS),  NAME(SIGFPE),    NAME(SIGKILL), NAME(SIGUSR1),   NAME(SIGSEGV), NAME(SIGUSR2),
    NAME(SIGPIPE), NAME(SIGALRM),   NAME(SIGTERM), NAME(SIGSTKFLT), NAME(SIGCHLD), NAME(SIGCONT),
    NAME(SIGSTOP), NAME(SIGTSTP),   NAME(SIGTTIN), NAME(SIGTTOU),   NAME(SIGURG),  NAME(SIGXCPU),
    NAME(SIGXFSZ), NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH),  NAME(SIGPOLL), NAME(SIGPWR),
    NAME(SIGSYS),
};

const char *asy_signal_name(int signo)
{
    return signo > 0 && (size_t)signo < sizeof names / sizeof *names ? names[signo] : NULL;
}
