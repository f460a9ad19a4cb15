/*
 * Context variables: arrays of values, which are shared until one is written to; contexts of one's own;
 * tokens. contextvars.h says how they go together.
 */
#include "core/contextvars.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum context_kind { CONTEXT_SHARED = 0x61, CONTEXT_OWN };

/* The beginning of both kinds. */
struct asyncio_context {
    uint32_t refs; /* 0: freed */
    uint32_t kind; /* enum context_kind */
};

struct value {
    const asyncio_contextvar *var;
    void *value;
};

/* Never empty. */
struct shared {
    asyncio_context head;
    uint32_t count, capacity;
    struct value items[];
};

/* Numbers of used tokens, from the first to the last. */
struct span {
    uint64_t first, last;
};

#define SPANS_MAX 5

struct own {
    asyncio_context head;
    uint32_t span_count;
    struct shared *values;        /* NULL: no variable is set */
    uintptr_t thread;             /* the one that may use it, if the program holds it */
    uint64_t id;                  /* never used again in this process */
    uint64_t tokens;              /* given so far, numbered from 1 */
    struct span spans[SPANS_MAX]; /* in order, not adjacent */
};

/* The context of a thread that runs no loop. */
static THREAD_LOCAL asyncio_context *thread_context;

/* The place of the caller's context. */
static asyncio_context **current_place(void)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop)
        return &thread_context;
    return loop->current ? &loop->current->context : &loop->context;
}

static struct own *as_own(asyncio_context *context)
{
    return context && context->kind == CONTEXT_OWN ? (struct own *)context : NULL;
}

static struct shared *values_of(asyncio_context *context)
{
    const struct own *own = as_own(context);
    return own ? own->values : (struct shared *)context;
}

/* ---- Arrays ------------------------------------------------------------------ */

#define SHARED_STEP 64 /* bytes: the slab allocator rounds up to these */

static size_t shared_bytes(size_t capacity)
{
    return sizeof(struct shared) + capacity * sizeof(struct value);
}

/* An array of the first `count` items of `from`, with room for `more`. */
static struct shared *make_shared(const struct shared *from, size_t count, size_t more)
{
    size_t bytes = (shared_bytes(count + more) + SHARED_STEP - 1) & ~(size_t)(SHARED_STEP - 1);
    struct shared *shared = asy_slab_alloc(bytes);
    if (!shared)
        return NULL;
    shared->head = (asyncio_context){.refs = 1, .kind = CONTEXT_SHARED};
    shared->count = (uint32_t)count;
    shared->capacity = (uint32_t)((bytes - sizeof *shared) / sizeof(struct value));
    if (count)
        memcpy(shared->items, from->items, count * sizeof(struct value));
    return shared;
}

static void drop_shared(struct shared *shared)
{
    ASY_ASSERT(!shared || shared->head.refs > 0);
    if (shared && --shared->head.refs == 0)
        asy_slab_free(shared, shared_bytes(shared->capacity));
}

/* The variable's place; `count` if it has none. */
static size_t find_value(const struct shared *shared, const asyncio_contextvar *var)
{
    size_t i = 0, count = shared ? shared->count : 0;
    while (i < count && shared->items[i].var != var)
        i++;
    return i;
}

/* ---- Contexts ------------------------------------------------------------------ */

static struct own *make_own(struct shared *values)
{
    static _Atomic uint64_t made;
    struct own *own = asy_slab_alloc(sizeof *own);
    if (!own)
        return NULL;
    *own = (struct own){.head = {.refs = 1, .kind = CONTEXT_OWN}, .values = values};
    own->thread = asy_this_thread();
    /* Relaxed: each number is given once whatever the order, and nothing else goes with it. */
    own->id = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
    return own;
}

asyncio_context *asy_vars_ref(asyncio_context *context)
{
    ASY_ASSERT(!context || context->refs > 0);
    if (context)
        context->refs++;
    return context;
}

asyncio_context *asy_vars_copy(asyncio_context *context)
{
    struct shared *values = values_of(context);
    return values ? asy_vars_ref(&values->head) : NULL;
}

void asy_vars_unref(asyncio_context *context)
{
    struct own *own = as_own(context);
    if (!own) {
        drop_shared((struct shared *)context);
    } else if (--own->head.refs == 0) {
        drop_shared(own->values);
        asy_slab_free(own, sizeof *own);
    }
}

/* The copy has an array of its own, because its new owner must not touch the count of the caller's. */
int asy_vars_export(asyncio_context **out)
{
    const struct shared *values = values_of(*current_place());
    struct shared *copy = values ? make_shared(values, values->count, 0) : NULL;
    if (values && !copy)
        return -ENOMEM;
    *out = copy ? &copy->head : NULL;
    return 0;
}

/* ---- Threads -------------------------------------------------------------------- */

static pthread_key_t thread_end;
static bool has_thread_end;

static void drop_thread_context(void *arg)
{
    (void)arg;
    asy_vars_put(&thread_context, NULL);
}

static void make_thread_end(void)
{
    has_thread_end = asy_sys_thread_key(&thread_end, drop_thread_context);
}

/* Has the thread's context freed when the thread ends. If the process has no key left, it is never freed. */
static int watch_thread_end(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_thread_end);
    if (has_thread_end && pthread_setspecific(thread_end, &thread_context))
        return -ENOMEM;
    return 0;
}

/* In a simulation the loop's own thread does the work, in a callback. */
void asy_vars_enter_thread(asyncio_context *context)
{
    if (asy_running_loop) {
        asy_vars_enter(asy_running_loop, context);
        return;
    }
    asy_vars_put(&thread_context, context);
}

/* ---- Changing values -------------------------------------------------------------- */

/* Makes the context in a place an own one, and returns that. NULL: no memory. */
static struct own *make_own_at(asyncio_context **place)
{
    struct own *own = as_own(*place);
    if (own)
        return own;
    if (place == &thread_context && watch_thread_end())
        return NULL;
    own = make_own((struct shared *)*place);
    if (own)
        *place = &own->head;
    return own;
}

/* Does nothing else refer to its array, and is there room for `count` items? */
static bool can_write_in_place(const struct own *own, size_t count)
{
    return own->values && own->values->head.refs == 1 && count <= own->values->capacity;
}

static int assign_value(struct own *own, const asyncio_contextvar *var, void *value)
{
    size_t i = find_value(own->values, var), count = own->values ? own->values->count : 0;
    size_t more = i == count;
    if (!can_write_in_place(own, count + more)) {
        struct shared *copy = make_shared(own->values, count, more);
        if (!copy)
            return -ENOMEM;
        drop_shared(own->values);
        own->values = copy;
    }
    own->values->items[i] = (struct value){var, value};
    own->values->count = (uint32_t)(count + more);
    return 0;
}

static int unassign_value(struct own *own, const asyncio_contextvar *var)
{
    size_t i = find_value(own->values, var), count = own->values ? own->values->count : 0;
    if (i == count)
        return 0;
    struct shared *left = own->values;
    if (count == 1) {
        left = NULL;
    } else if (!can_write_in_place(own, count)) {
        left = make_shared(own->values, count - 1, 0);
        if (!left)
            return -ENOMEM;
    }
    /* The last one takes its place. */
    if (left) {
        left->count = (uint32_t)(count - 1);
        if (i < count - 1)
            left->items[i] = own->values->items[count - 1];
    }
    if (left != own->values)
        drop_shared(own->values);
    own->values = left;
    return 0;
}

void *asy_vars_find(asyncio_context *context, const asyncio_contextvar *var)
{
    const struct shared *values = values_of(context);
    size_t i = find_value(values, var);
    return values && i < values->count ? values->items[i].value : NULL;
}

void *asyncio_contextvar_get(asyncio_contextvar *var)
{
    if (!var)
        return NULL;
    const struct shared *values = values_of(*current_place());
    size_t i = find_value(values, var);
    return values && i < values->count ? values->items[i].value : var->default_;
}

int asyncio_contextvar_set(asyncio_contextvar *var, void *value, asyncio_contextvar_token *token)
{
    if (!var)
        return -EINVAL;
    struct own *own = make_own_at(current_place());
    if (!own)
        return -ENOMEM;
    size_t i = find_value(own->values, var);
    bool was_set = own->values && i < own->values->count;
    void *old = was_set ? own->values->items[i].value : NULL;
    int err = assign_value(own, var, value);
    if (!err && token)
        *token = (asyncio_contextvar_token){var, old, own->id, ++own->tokens, was_set};
    return err;
}

/* ---- Tokens ------------------------------------------------------------------------
 * A token is a plain value that the program may copy, so the context remembers which numbers were used. As a
 * rule tokens are used one after the other, or nested, and one or two spans suffice. More are needed if
 * tokens between were never used; when there is no room, the oldest span is forgotten, and its tokens would
 * be accepted again. */

static bool is_token_used(const struct own *own, uint64_t number)
{
    for (size_t i = 0; i < own->span_count; i++)
        if (number >= own->spans[i].first && number <= own->spans[i].last)
            return true;
    return false;
}

static void remove_span(struct own *own, size_t i)
{
    own->span_count--;
    memmove(&own->spans[i], &own->spans[i + 1], (own->span_count - i) * sizeof(struct span));
}

static void insert_span(struct own *own, size_t i, uint64_t number)
{
    ASY_ASSERT(own->span_count < SPANS_MAX);
    memmove(&own->spans[i + 1], &own->spans[i], (own->span_count - i) * sizeof(struct span));
    own->spans[i] = (struct span){number, number};
    own->span_count++;
}

static void note_token(struct own *own, uint64_t number)
{
    size_t i = own->span_count; /* to be: the first span above the number */
    while (i > 0 && own->spans[i - 1].first > number)
        i--;
    bool follows = i > 0 && own->spans[i - 1].last + 1 == number;
    bool precedes = i < own->span_count && own->spans[i].first == number + 1;
    if (follows && precedes) {
        own->spans[i - 1].last = own->spans[i].last;
        remove_span(own, i);
    } else if (follows) {
        own->spans[i - 1].last = number;
    } else if (precedes) {
        own->spans[i].first = number;
    } else if (own->span_count < SPANS_MAX) {
        insert_span(own, i, number);
    } else if (i > 0) {
        remove_span(own, 0);
        insert_span(own, i - 1, number);
    }
}

static int refuse_token(int err, const asyncio_contextvar *var, const char *why)
{
    const char *name = var && var->name_ ? var->name_ : "";
    return (int)asyncio_raise(err, "asyncio_contextvar_reset: the token is not good for '%s': %s", name, why);
}

int asyncio_contextvar_reset(asyncio_contextvar *var, asyncio_contextvar_token token)
{
    if (!var || token.var_ != var)
        return refuse_token(-EINVAL, var, "it belongs to another variable, or to none");
    struct own *own = as_own(*current_place());
    if (!own || own->id != token.context_)
        return refuse_token(-EINVAL, var, "it was set in another context");
    if (is_token_used(own, token.number_))
        return refuse_token(ASYNCIO_ESTATE, var, "it was used before");
    int err = token.was_set_ ? assign_value(own, var, token.old_) : unassign_value(own, var);
    if (!err)
        note_token(own, token.number_);
    return err;
}

/* ---- Contexts that the program holds ------------------------------------------------- */

asyncio_context *asyncio_copy_context(void)
{
    asyncio_context *copy = asy_vars_copy(*current_place());
    struct own *own = make_own((struct shared *)copy);
    if (own)
        return &own->head;
    asy_vars_drop(copy);
    return NULL;
}

void asy_vars_check(const asyncio_context *context, const char *call)
{
    if (UNLIKELY(context->refs == 0 || context->kind != CONTEXT_OWN))
        asy_fatal("%s: the context was released before", call);
    if (UNLIKELY(((const struct own *)context)->thread != asy_this_thread()))
        asy_fatal("%s: the context belongs to another thread", call);
}

void asyncio_context_release(asyncio_context *context)
{
    if (!context)
        return;
    asy_vars_check(context, __func__);
    asy_vars_unref(context);
}
