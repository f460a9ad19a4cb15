/*
 * Scopes: timeouts, groups and shields, entered and left in LIFO order by their task.
 */
#ifndef ASY_CORE_SCOPE_H
#define ASY_CORE_SCOPE_H

#include "asyncio/scopes.h"

enum scope_kind { SCOPE_TIMEOUT, SCOPE_GROUP, SCOPE_SHIELD };

/* The wait for a group's children. Its shape, which tools look at, is that of any group. */
extern const struct wait_kind asy_wait_group;

/* Enters a scope of the running task. 0, -EINVAL for NULL, ASYNCIO_ENOTASK. */
int asy_scope_enter(asyncio_scope *scope, enum scope_kind kind);
/* 0 if it is the innermost scope of the running task; else ASYNCIO_ESTATE, or -EINVAL for NULL. */
int asy_scope_check(const asyncio_scope *scope);
/* Leaves the innermost scope of its task, and withdraws its request. */
void asy_scope_exit(asyncio_scope *scope);

#endif
