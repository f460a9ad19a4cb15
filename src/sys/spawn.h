/*
 * What the two ways to start a program share: posix_spawn (spawn.c), and a child of our own (spawn_child.c).
 */
#ifndef ASY_SYS_SPAWN_H
#define ASY_SYS_SPAWN_H

#include "sys/process.h"
#include <spawn.h>

/* Arranges the child's descriptors and folder: in the list, or at once if `actions` is NULL. 0 or an
 * errno. */
int asy_spawn_arrange(const struct asy_spawn *spawn, posix_spawn_file_actions_t *actions);

/* asy_sys_spawn, by a child of our own. */
int asy_spawn_child(const struct asy_spawn *spawn, pid_t *pid, enum asy_spawn_step *failed);
/* Its steps: 0 or an errno. */
int asy_child_dup(int from, int to);
int asy_child_open_null(int fd);
int asy_child_close(int fd);
int asy_child_close_from(int first);
int asy_child_enter(const char *folder);

#endif
