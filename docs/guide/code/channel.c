/* A thread without a loop feeds tasks by one channel, and hears back by another. */
#include <asyncio.h>
#include <pthread.h>
#include <stdio.h>

struct reading {
    int sensor;
    double celsius;
};

ASYNCIO_CHANNEL_OF(readings, struct reading);
ASYNCIO_CHANNEL_OF(orders, int);

struct device {
    pthread_t thread;
    readings *up;
    orders *down;
};

/* Like a driver's thread, which knows nothing of loops: it blocks where it waits. */
static void *run_device(void *arg)
{
    struct device *device = arg;
    int sensor;
    while (orders_receive_blocking(device->down, &sensor, ASYNCIO_FOREVER) == 0) {
        struct reading reading = {sensor, 20 + sensor * 0.5};
        if (readings_send_blocking(device->up, reading, ASYNCIO_FOREVER))
            break;
    }
    readings_close(device->up); /* there will be no more */
    return NULL;
}

ASYNC(show_readings, readings *, up)
{
    struct reading reading;
    int err;
    while ((err = readings_receive(up, &reading)) == 0)
        printf("sensor %d: %.1f degrees\n", reading.sensor, reading.celsius);
    printf("the device has ended: %s\n", asyncio_errname(err));
    return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err;
}

ASYNC(ask_for_readings, orders *, down)
{
    int err = 0;
    for (int sensor = 1; sensor <= 3 && !err; sensor++)
        err = orders_send(down, sensor); /* suspends while the device is behind */
    orders_close(down);
    return err;
}

ASYNC(async_main)
{
    struct device device = {.up = readings_new(8), .down = orders_new(2)};
    if (!device.up || !device.down || pthread_create(&device.thread, NULL, run_device, &device))
        return asyncio_raise(-1, "no device");

    int err = asyncio_gather(NULL, show_readings(device.up), ask_for_readings(device.down));

    orders_close(device.down);
    readings_close(device.up); /* after these two the thread waits for nothing */
    pthread_join(device.thread, NULL);
    readings_release(device.up);
    orders_release(device.down);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
