/*
 * Invariants of child processes and of signals: a test breaks each kind on purpose.
 */
#include "asyncio.h"
#include "process/process.h"
#include "process/signal_dispatch.h"
#include <stddef.h>
#include <stdint.h>

#include "broken.h"
#include "support/test.h"

static const char *const cat[] = {"/bin/cat", NULL};

static asyncio_process *start_cat(void)
{
    asyncio_process *process = NULL;
    asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE};
    CHILD_CHECK(asyncio_create_subprocess_exec(cat, &options, &process) == 0);
    return process;
}

/* ---- References -------------------------------------------------------------------------- */

ASYNC(leaves_more_often_than_it_came)
{
    asyncio_process *process = start_cat();
    process->users = 0;
    asy_process_leave(process);
    return 0;
}

TEST(the_users_of_a_process_are_counted)
{
    expect_broken(leaves_more_often_than_it_came(), "asy_process_leave", "process->users > 0");
}

ASYNC(goes_while_it_is_watched)
{
    asyncio_process *process = start_cat();
    process->users = 1;
    asy_process_leave(process);
    return 0;
}

TEST(the_loop_uses_what_it_watches)
{
    expect_broken(goes_while_it_is_watched(), "asy_process_leave", "!process->record");
}

/* ---- States ------------------------------------------------------------------------------ */

ASYNC(ends_twice)
{
    asyncio_process *process = start_cat();
    asyncio_stream_close(asyncio_process_stdin(process));
    asyncio_process_wait(process, NULL);
    asy_process_lost(process);
    return 0;
}

TEST(a_process_ends_once)
{
    expect_broken(ends_twice(), "finish_process", "!process->has_ended");
}

ASYNC(is_watched_twice)
{
    asyncio_process *process = start_cat();
    asy_process_watch(process);
    return 0;
}

TEST(a_process_is_watched_once)
{
    expect_broken(is_watched_twice(), "asy_process_watch", "!process->record");
}

/* ---- Signals ----------------------------------------------------------------------------- */

ASYNC(watches_in_vain)
{
    static struct signal_watch watch;
    asy_signal_watch(SIGUSR1, &watch);
    return 0;
}

TEST(a_watch_tells_somebody)
{
    expect_broken(watches_in_vain(), "asy_signal_watch", "watch->notify");
}

TEST_MAIN()
