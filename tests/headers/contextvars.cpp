// Context variables in C++: in static storage, in a namespace, in a class; tokens and contexts.
#include <asyncio.h>

static asyncio_contextvar plain = ASYNCIO_CONTEXTVAR_INIT("plain", nullptr);
static int seven = 7;

namespace here {
asyncio_contextvar with_default = ASYNCIO_CONTEXTVAR_INIT("with_default", &seven);
}

struct holder {
    static asyncio_contextvar of_class;
};
asyncio_contextvar holder::of_class = ASYNCIO_CONTEXTVAR_INIT("of_class", nullptr);

ASYNC(child)
{
    return *static_cast<int *>(asyncio_contextvar_get(&here::with_default));
}

ASYNC(async_main)
{
    asyncio_contextvar_token token;
    int err = asyncio_contextvar_set(&plain, &seven, &token);
    if (!err)
        err = asyncio_contextvar_set(&holder::of_class, &seven, nullptr);
    if (!err)
        err = asyncio_contextvar_reset(&plain, token);
    asyncio_task_options options{};
    options.context = asyncio_copy_context();
    intptr_t result = asyncio_await(asyncio_create_task_with(child(), &options));
    asyncio_context_release(options.context);
    return err ? err : result;
}

int main()
{
    return asyncio_run(async_main()) == 7 ? 0 : 1;
}
