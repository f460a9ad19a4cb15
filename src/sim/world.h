/*
 * The simulated world of a run: hosts, links between them, names, and sockets that exist nowhere else. For
 * the runner (run.c); net.h is what the world's own files share.
 *
 * A thread has one world at most. Its loop is opened in it, with the virtual clock, and closed before it
 * ends.
 */
#ifndef ASY_SIM_WORLD_H
#define ASY_SIM_WORLD_H

#include "asyncio/sim.h"
#include <stddef.h>
#include <stdint.h>

/* Gives this thread a world; of the options the link counts. 0; -EINVAL, with words: a value of the link is
 * out of its range; -ENOSYS, with words: the thread has a world; -EMFILE. */
int asy_sim_world_begin(const asyncio_sim_options *options);

/* How many sockets are open, and one line of words about some of them, or "". */
size_t asy_sim_world_open(char *text, size_t bytes);

/* How many sockets the program has closed by close(2), past the library, as far as that has come out; and
 * words about some of them, or "". asy_sim_world_open looks for more. */
size_t asy_sim_world_lost(char *text, size_t bytes);

/* Takes the world back, with all that is in it. Returns how many sockets were still open, and writes one line
 * of words into `text` about some of them, or "". */
size_t asy_sim_world_end(char *text, size_t bytes);

/* How many sockets are open. */
size_t asy_sim_world_sockets(void);

/* How many sockets the clock waits for; or whether it does for this one. */
size_t asy_sim_world_attached(int fd);

/* As socketpair(2) of Unix sockets, on the calling task's host. 0 or a negative errno. */
int asy_sim_world_pair(int type, int fds[2]);

/* Its clock, as of its latest event. Without a world: 0. */
int64_t asy_sim_world_now_ns(void);

/* Says what a descriptor of the world is, as in "tcp 10.0.0.1:40001 -> 10.0.0.2:80 (sent 16, received 0)";
 * "" for one that is not. */
void asy_sim_world_describe_fd(int fd, char *text, size_t bytes);

/* The name of the host that a task runs on, "test" for main's; without a world: "". */
const char *asy_sim_world_host_of(const asyncio_task *task);

/* Has the host of the context that runs crashed, and is this still its former life? */
bool asy_sim_world_is_down_here(void);

/* 0, or -EINVAL with words: a value is out of its range. */
int asy_sim_link_check(const asyncio_sim_link *link);

#endif
