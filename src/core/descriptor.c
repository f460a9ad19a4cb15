/*
 * The debug descriptor's values.
 */
#include "core/descriptor.h"
#include "asyncio/timeouts.h"
#include "asyncio/version.h"
#include "base/sanitizer.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/select.h"
#include "core/switch.h"
#include "core/task.h"
#include "sys/context.h"
#include <elf.h>

struct asy_runtime asy_runtime = {{&asy_runtime.loops, &asy_runtime.loops}};

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_RISCV
#endif

#define AT(type, field) (uint32_t) offsetof(type, field)

extern const struct asyncio_debug_v1 asyncio_debug_v1;
__attribute__((section("asyncio_debug"), used, visibility("default")))
const struct asyncio_debug_v1 asyncio_debug_v1 = {
    .magic = "asyncio",
    .version = 1,
    .size = sizeof(struct asyncio_debug_v1),
    .runtime = &asy_runtime,
    .loop = {.size = sizeof(asyncio_loop),
             .node = AT(asyncio_loop, node),
             .thread = AT(asyncio_loop, tid),
             .current = AT(asyncio_loop, current),
             .turn = AT(asyncio_loop, steps),
             .ready_count = AT(asyncio_loop, ready.count),
             .timer_count = AT(asyncio_loop, timers.count),
             .tasks = AT(asyncio_loop, tasks),
             .task_count = AT(asyncio_loop, task_count),
             .now_ns = AT(asyncio_loop, now_ns)},
    .future = {.size = sizeof(asyncio_future),
               .refs = AT(asyncio_future, refs),
               .kind = AT(asyncio_future, kind),
               .done = AT(asyncio_future, is_done),
               .result = AT(asyncio_future, result),
               .site = AT(asyncio_future, site),
               .waiters = AT(asyncio_future, waiters)},
    .task = {.size = sizeof(asyncio_task),
             .node = AT(asyncio_task, all),
             .name = AT(asyncio_task, name),
             .id = AT(asyncio_task, id),
             .steps = AT(asyncio_task, steps),
             .type = AT(asyncio_task, type),
             .wait = AT(asyncio_task, wait),
             .sp = AT(asyncio_task, fiber.sp),
             .stack = AT(asyncio_task, stack),
             .cancels = AT(asyncio_task, cancels),
             .must_cancel = AT(asyncio_task, must_cancel)},
    .type = {.size = sizeof(asyncio_coro_type),
             .start = AT(asyncio_coro_type, start),
             .site = AT(asyncio_coro_type, site),
             .args = (uint32_t)TASK_ARGS_OFFSET},
    .site = {.size = sizeof(asyncio_site),
             .file = AT(asyncio_site, file),
             .func = AT(asyncio_site, func),
             .line = AT(asyncio_site, line)},
    .wait = {.size = sizeof(struct wait),
             .node = AT(struct wait, waiter.node),
             .task = AT(struct wait, task),
             .kind = AT(struct wait, kind),
             .object = AT(struct wait, object),
             .since_ns = AT(struct wait, since_ns),
             .state = AT(struct wait, state),
             .kind_name = AT(struct wait_kind, name)},
    .stack = {.size = sizeof(struct asy_stack),
              .low = AT(struct asy_stack, low),
              .top = AT(struct asy_stack, top)},
    .context = {.return_address = ASY_CONTEXT_RETURN_ADDRESS,
                .frame_pointer = ASY_CONTEXT_FRAME_POINTER,
                .size = ASY_CONTEXT_SIZE},
    .kind_future = OBJECT_FUTURE,
    .kind_task = OBJECT_TASK,
    .loop_more = {.id = AT(asyncio_loop, id),
                  .sleeping = AT(asyncio_loop, posts.is_sleeping),
                  .polls = AT(asyncio_loop, polls),
                  .callbacks = AT(asyncio_loop, callbacks),
                  .timer_slots = AT(asyncio_loop, timers.slots),
                  .slot_deadline = AT(struct heap_slot, key),
                  .clock = AT(asyncio_loop, options.clock),
                  .clock_virtual = ASYNCIO_CLOCK_VIRTUAL},
    .future_loop = AT(asyncio_future, loop),
    .task_scopes = AT(asyncio_task, scopes),
    .scope = {.size = sizeof(asyncio_scope),
              .outer = AT(asyncio_scope, outer),
              .kind = AT(asyncio_scope, kind),
              .timeout_deadline = AT(asyncio_timeout, deadline_ns),
              .is_timeout = SCOPE_TIMEOUT,
              .is_group = SCOPE_GROUP,
              .is_shield = SCOPE_SHIELD},
    .shape = {.kind = AT(struct wait_kind, shape.kind),
              .deadline = AT(struct wait_kind, shape.deadline),
              .at = AT(struct wait_kind, shape.at)},
    .group = &asy_wait_group,
    .registers = {ASY_CONTEXT_REGISTERS},
    .register_count =
        sizeof((struct asy_saved_register[]){ASY_CONTEXT_REGISTERS}) / sizeof(struct asy_saved_register),
    .machine = MACHINE,
    .sanitizers = (ASY_ASAN ? ASY_DEBUG_ASAN : 0) | (ASY_TSAN ? ASY_DEBUG_TSAN : 0),
    .library = ASYNCIO_VERSION,
    .loop_index = AT(asyncio_loop, index),
    .eager = {.loop_sp = AT(asyncio_loop, fiber.sp),
              .innermost = AT(asyncio_loop, eager),
              .outer = AT(struct eager_start, outer),
              .creator = AT(struct eager_start, creator),
              .outer_sp = AT(struct eager_start, fiber.sp)},
    .cases = {.kinds = AT(struct select_call, kinds),
              .which = AT(asyncio_case, kind_),
              .alone = AT(struct case_kind, alone)},
};
