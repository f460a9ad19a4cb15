/*
 * libasyncio: Python's asyncio, natively in C.
 *
 * This header includes one header for each area; each stands alone.
 */
#ifndef ASYNCIO_H
#define ASYNCIO_H

#include <asyncio/channels.h>
#include <asyncio/contextvars.h>
#include <asyncio/coroutines.h>
#include <asyncio/datagrams.h>
#include <asyncio/embed.h>
#include <asyncio/errors.h>
#include <asyncio/events.h>
#include <asyncio/fdio.h>
#include <asyncio/files.h>
#include <asyncio/futures.h>
#include <asyncio/inspect.h>
#include <asyncio/instrument.h>
#include <asyncio/locks.h>
#include <asyncio/loops.h>
#include <asyncio/messages.h>
#include <asyncio/queues.h>
#include <asyncio/names.h>
#include <asyncio/runners.h>
#include <asyncio/scopes.h>
#include <asyncio/select.h>
#include <asyncio/servers.h>
#include <asyncio/signals.h>
#include <asyncio/sockets.h>
#include <asyncio/streams.h>
#include <asyncio/subprocess.h>
#include <asyncio/taskgroups.h>
#include <asyncio/tasks.h>
#include <asyncio/threads.h>
#include <asyncio/timeouts.h>
#include <asyncio/trace.h>
#include <asyncio/transports.h>
#include <asyncio/types.h>
#include <asyncio/version.h>
#include <asyncio/waiting.h>

#endif
