/*
 * libuv's side of `process`.
 */
#include "../../process.h"

#include <uv.h>

static void ended(uv_process_t *process, int64_t status, int signo)
{
    BENCH_CHECK(status == 0 && signo == 0);
    uv_close((uv_handle_t *)process, NULL);
}

static int64_t measure_process(void *arg, uint64_t times)
{
    static char *argv[] = {(char *)PROCESS_PROGRAM, NULL};
    uv_stdio_container_t inherit[3];
    for (int i = 0; i < 3; i++) {
        inherit[i].flags = UV_INHERIT_FD;
        inherit[i].data.fd = i;
    }
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        uv_process_t process;
        uv_process_options_t options = {
            .exit_cb = ended, .file = argv[0], .args = argv, .stdio_count = 3, .stdio = inherit};
        BENCH_CHECK(uv_spawn(arg, &process, &options) == 0);
        BENCH_CHECK(uv_run(arg, UV_RUN_DEFAULT) == 0);
    }
    return bench_now_ns() - began;
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        process_measure(argv[i], measure_process, uv_default_loop());
    return 0;
}
