/*
 * Transports: made, closed, lost. See transport.h.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "fd/socket_options.h"
#include "fd/transport.h"
#include "sys/net.h"
#include "sys/process.h"
#include "sys/slab.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char asy_what_transport[] = "transport";

/* ---- What is due -------------------------------------------------------------------------- */

static void free_transport(asyncio_transport *transport)
{
    asyncio_loop *loop = transport->loop;
    ASY_ASSERT(transport->state == TRANSPORT_ENDED);
    callback_remove(&loop->ready, &transport->next);
    asy_vars_drop(transport->context);
    asy_message_unref(transport->words);
    asy_bytes_free(&transport->rest);
    asy_object_free(loop, transport, sizeof *transport);
    asy_loop_object_freed(loop);
}

static void make_connection(asyncio_transport *transport)
{
    ASY_ASSERT(!transport->is_made);
    struct transport_owner *owner = transport->owner;
    if (owner && (transport->state != TRANSPORT_OPEN || !owner->choose_protocol(owner))) {
        asy_transport_discard(transport);
        return;
    }
    transport->is_made = true;
    asy_connecting_begin(transport->connecting);
    if (transport->protocol->connection_made)
        transport->protocol->connection_made(transport->self, transport);
    asy_connecting_made(transport->connecting);
    asy_transport_pause_writing(transport); /* it may have been written to before */
    asy_transport_do_next(transport);
}

static void tell_lost(asyncio_transport *transport, intptr_t err)
{
    ASY_ASSERT(transport->is_made && transport->state == TRANSPORT_LOST);
    transport->state = TRANSPORT_ENDED;
    asy_message_show(err, transport->words ? transport->words->text : NULL);
    if (transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport->self, err);
    asy_thread_message_clear();
    asy_connecting_lost(transport->connecting, err);
    transport->what = NULL;
}

/* The program has no pointer to it any more. */
static void close_transport_fd(asyncio_transport *transport)
{
    asyncio_stream *stream = transport->stream;
    stream->holder = NULL;
    stream->face = NULL;
    stream->has_waiters = false;
    if (transport->must_reset)
        asy_stream_reset(stream);
    else
        asy_stream_destroy(stream);
}

/* The descriptor is closed. */
static void leave_owner(asyncio_transport *transport)
{
    if (transport->owner)
        transport->owner->transport_ended(transport->owner);
    free_transport(transport);
}

static void end_transport(asyncio_transport *transport)
{
    tell_lost(transport, transport->error);
    close_transport_fd(transport);
    leave_owner(transport);
}

void asy_transport_discard(asyncio_transport *transport)
{
    ASY_ASSERT(!transport->is_made);
    transport->connecting = NULL;
    transport->state = TRANSPORT_ENDED;
    transport->what = NULL;
    transport->must_reset = true;
    asy_timer_stop(transport->loop, &transport->timer);
    asy_transport_stop_reading(transport);
    close_transport_fd(transport);
    leave_owner(transport);
}

static void run_next(struct callback *callback)
{
    asyncio_transport *transport = LIST_ENTRY(callback, asyncio_transport, next);
    ASY_ASSERT(transport->state != TRANSPORT_ENDED);
    if (transport->context)
        asy_vars_enter(transport->loop, asy_vars_ref(transport->context));
    if (!transport->is_made) {
        make_connection(transport);
    } else if (transport->state == TRANSPORT_LOST) {
        end_transport(transport);
    } else {
        asy_transport_write_step(transport);
        asy_transport_resume_writing(transport);
        asy_transport_read(transport);
    }
}

/* A loop that closes tells the transport first, which takes it back. */
static const struct callback_kind next_kind = {run_next, NULL};

void asy_transport_do_next(asyncio_transport *transport)
{
    if (transport->next.link || transport->loop->is_closed)
        return;
    callback_push(&transport->loop->ready, &transport->next, &next_kind);
    asy_loop_queued(transport->loop);
}

/* ---- Over --------------------------------------------------------------------------------- */

void asy_transport_lose(asyncio_transport *transport, intptr_t err)
{
    asyncio_stream *stream = transport->stream;
    if (transport->state >= TRANSPORT_LOST)
        return;
    ASY_ASSERT(transport->state != TRANSPORT_SHAKING);
    transport->state = TRANSPORT_LOST;
    transport->error = err;
    transport->must_reset |= err && err != ASYNCIO_ETLS; /* TLS tells the peer what is wrong */
    if (err)
        transport->words = asy_message_take(err);
    asy_transport_stop_reading(transport);
    asy_timer_stop(transport->loop, &transport->timer);
    stream->to_come = 0;
    if (!stream->write_error)
        asy_stream_fail_writes(stream, err ? (int)err : -ECONNABORTED);
    if (err == -EBADF) /* somebody else has closed it, and the number may be another file's */
        stream->fd = -EBADF;
    asy_transport_do_next(transport);
}

/* Waits for so many seconds in this state. */
static void limit_closing(asyncio_transport *transport, double seconds)
{
    asyncio_loop *loop = transport->loop;
    int err = asy_timer_start(loop, &transport->timer, asy_deadline_after(asy_loop_now_ns(loop), seconds));
    if (err)
        asy_transport_lose(transport, err);
}

static void look_at_closing(struct timer *timer)
{
    asyncio_transport *transport = LIST_ENTRY(timer, asyncio_transport, timer);
    asyncio_stream *stream = transport->stream;
    if (transport->state == TRANSPORT_CLOSING && !asy_stream_has_stalled(stream, &transport->look)) {
        limit_closing(transport, stream->close_timeout / FLUSH_LOOKS);
        return;
    }
    if (transport->state == TRANSPORT_CLOSING)
        asyncio_raise(-ETIMEDOUT, "the peer took nothing for %g seconds; %zu bytes were dropped",
                      stream->close_timeout, transport->look.left);
    else
        asyncio_raise(-ETIMEDOUT, "the peer did not answer the goodbye of TLS");
    asy_transport_lose(transport, -ETIMEDOUT);
}

/* All is sent. A peer that has said goodbye, or has ended, is not waited for. */
static void end_flush_of(asyncio_transport *transport)
{
    asyncio_stream *stream = transport->stream;
    double timeout = stream->filter ? stream->filter_ops->shutdown_timeout(stream->filter) : -1;
    asy_timer_stop(transport->loop, &transport->timer);
    if (timeout < 0 || stream->is_at_end) {
        asy_transport_lose(transport, 0);
        return;
    }
    transport->state = TRANSPORT_PARTING;
    asy_stream_shut_output(stream);
    limit_closing(transport, timeout);
    asy_transport_do_next(transport);
}

void asy_transport_close(asyncio_transport *transport)
{
    asyncio_stream *stream = transport->stream;
    ASY_ASSERT(transport->state == TRANSPORT_OPEN);
    transport->state = TRANSPORT_CLOSING;
    asy_transport_stop_reading(transport);
    if (stream->filter && !stream->to_come)
        asy_stream_say_end(stream); /* which may end it */
    if (transport->state != TRANSPORT_CLOSING)
        return;
    asy_stream_begin_looks(stream, &transport->look);
    if (!asy_stream_unsent(stream))
        end_flush_of(transport);
    else if (stream->close_timeout > 0)
        limit_closing(transport, stream->close_timeout / FLUSH_LOOKS);
    else
        asy_transport_lose(transport, -ETIMEDOUT);
}

/* Of the stream's queue. */
static void output_moved(struct stream_face *face)
{
    asyncio_transport *transport = LIST_ENTRY(face, asyncio_transport, face);
    const asyncio_stream *stream = transport->stream;
    if (transport->state >= TRANSPORT_LOST || transport->state == TRANSPORT_SHAKING)
        return;
    if (stream->write_error)
        asy_transport_lose(transport, transport->state == TRANSPORT_PARTING ? 0 : stream->write_error);
    else if (transport->state == TRANSPORT_CLOSING && !asy_stream_unsent(stream))
        end_flush_of(transport);
    else if (stream->to_come || (transport->is_writing_paused && !stream->is_full))
        asy_transport_do_next(transport);
}

/* The loop closes. The stream closes the descriptor, and is freed, after this. */
static void transport_loop_closes(struct stream_holder *holder, asyncio_stream *stream)
{
    asyncio_transport *transport = LIST_ENTRY(holder, asyncio_transport, holder);
    /* The program has not seen it. */
    bool is_secret = !transport->is_made && (transport->connecting || transport->owner);
    intptr_t err = transport->state == TRANSPORT_LOST ? transport->error : -ECONNABORTED;
    transport->state = is_secret ? TRANSPORT_ENDED : TRANSPORT_LOST;
    asy_transport_stop_reading(transport);
    asy_timer_stop(transport->loop, &transport->timer);
    stream->face = NULL;
    if (!is_secret && !transport->is_made)
        make_connection(transport);
    transport->connecting = NULL; /* on the stack of a task that never runs again */
    if (!is_secret)
        tell_lost(transport, err);
    leave_owner(transport);
}

/* ---- Made --------------------------------------------------------------------------------- */

static void find_directions(asyncio_transport *transport)
{
    const asyncio_stream *stream = transport->stream;
    int mode = stream->is_socket ? O_RDWR : asy_sys_access_mode(stream->fd);
    bool is_output = stream->fd == STDOUT_FILENO || stream->fd == STDERR_FILENO;
    transport->can_read = mode != O_WRONLY && (stream->is_socket || !is_output);
    transport->can_write = mode != O_RDONLY;
}

int asy_transport_make(asyncio_stream *stream, const asyncio_protocol *protocol, void *self,
                       asyncio_context *context, asyncio_transport **out)
{
    asyncio_transport *transport = asy_slab_alloc(sizeof *transport);
    if (!transport) {
        asy_vars_drop(context);
        return -ENOMEM;
    }
    *transport = (asyncio_transport){.what = asy_what_transport,
                                     .loop = stream->loop,
                                     .stream = stream,
                                     .protocol = protocol,
                                     .self = self,
                                     .context = context,
                                     .face.output_moved = output_moved,
                                     .holder = {transport_loop_closes, .frees_stream = true},
                                     .timer.fire = look_at_closing};
    list_init(&transport->reader.node);
    transport->reader.events = FD_READ;
    transport->reader.notify = asy_transport_reader_notified;
    find_directions(transport);
    stream->face = &transport->face;
    stream->has_waiters = true;
    stream->holder = &transport->holder;
    asy_loop_object_made(stream->loop);
    *out = transport;
    return 0;
}

static int check_transport_options(const asyncio_connect_options *options)
{
    if (!options)
        return 0;
    if (options->tls)
        return (int)asyncio_raise(-EINVAL, "TLS over a transport is started by asyncio_transport_start_tls");
    return asy_check_seconds(options->close_timeout, options->keepalive, options->user_timeout);
}

/* A stream over what can be waited for; the descriptor stays the caller's on failure. */
static int open_pollable(asyncio_loop *loop, int fd, const asyncio_connect_options *options,
                         asyncio_stream **out)
{
    int err = asy_stream_adopt(loop, fd, options, out);
    if (err)
        return err;
    asyncio_stream *stream = *out;
    err = stream->file ? -EPERM : asy_fd_register_for(loop, stream->record, FD_READ);
    if (!err && stream->record->kind == ASY_FD_ALWAYS_READY)
        err = -EPERM;
    if (err || fd <= STDERR_FILENO)
        asy_stream_keep_fd(stream);
    if (err)
        asy_stream_destroy(stream);
    return err;
}

int asyncio_transport_from_fd(int fd, const asyncio_protocol *protocol, void *self,
                              const asyncio_connect_options *options, asyncio_transport **out)
{
    asyncio_loop *loop = asy_running_loop;
    asyncio_stream *stream;
    if (!loop)
        return ASYNCIO_ESTATE;
    int err = protocol && out ? check_transport_options(options) : -EINVAL;
    if (!err)
        err = open_pollable(loop, fd, options, &stream);
    if (err)
        return err;
    asy_stream_learn_peer(stream);
    err = asy_transport_make(stream, protocol, self, asy_vars_inherit(loop), out);
    if (err) {
        asy_stream_keep_fd(stream);
        asy_stream_destroy(stream);
        return err;
    }
    asy_transport_do_next(*out);
    return 0;
}

/* ---- From the program --------------------------------------------------------------------- */

void asyncio_transport_set_protocol(asyncio_transport *transport, const asyncio_protocol *protocol,
                                    void *self)
{
    if (!transport || !protocol)
        return;
    asy_transport_check(transport, __func__);
    transport->protocol = protocol;
    transport->self = self;
}

/* A task that shakes hands finds out, and then loses the connection. */
static void break_handshake(asyncio_transport *transport)
{
    transport->must_reset = true;
    asy_stream_end_input(transport->stream, -ECONNABORTED);
}

void asy_transport_abort(asyncio_transport *transport, intptr_t err)
{
    if (transport->state == TRANSPORT_SHAKING) {
        break_handshake(transport);
    } else if (transport->state < TRANSPORT_LOST) {
        transport->must_reset = true;
        asy_transport_lose(transport, err);
    }
}

void asyncio_transport_close(asyncio_transport *transport)
{
    if (!transport)
        return;
    asy_transport_check(transport, __func__);
    if (asy_loop_is_parents(transport->loop))
        return;
    if (transport->state == TRANSPORT_SHAKING)
        break_handshake(transport);
    else if (transport->state == TRANSPORT_OPEN)
        asy_transport_close(transport);
}

void asyncio_transport_abort(asyncio_transport *transport)
{
    if (!transport)
        return;
    asy_transport_check(transport, __func__);
    if (!asy_loop_is_parents(transport->loop))
        asy_transport_abort(transport, 0);
}

bool asyncio_transport_is_closing(asyncio_transport *transport)
{
    if (!transport)
        return true;
    asy_transport_check(transport, __func__);
    return transport->state > TRANSPORT_SHAKING || transport->must_reset;
}

/* Nothing began: the arguments are wrong, or it is not the time. */
static bool has_not_begun(const asyncio_transport *transport, int err)
{
    return !transport->stream->filter && (err == -EINVAL || err == ASYNCIO_ESTATE);
}

int asyncio_transport_start_tls(asyncio_transport *transport, asyncio_tls_context *tls,
                                const char *server_hostname)
{
    if (!transport)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    if (!transport->loop->current)
        return ASYNCIO_ENOTASK;
    if (transport->state != TRANSPORT_OPEN || !transport->is_made || transport->stream->filter ||
        transport->stream->is_at_end || !transport->can_read || !transport->can_write)
        return (int)asyncio_raise(ASYNCIO_ESTATE,
                                  "TLS cannot start: the transport has it, or is not open both ways");
    transport->state = TRANSPORT_SHAKING;
    asy_transport_stop_reading(transport);
    int err = asyncio_stream_start_tls(transport->stream, tls, server_hostname);
    transport->state = TRANSPORT_OPEN;
    if (!err || has_not_begun(transport, err))
        asy_transport_do_next(transport);
    else
        asy_transport_lose(transport, transport->must_reset ? 0 : err);
    return err;
}

int asyncio_transport_peername(asyncio_transport *transport, struct sockaddr *name, socklen_t *length)
{
    if (!transport)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    return asyncio_stream_peername(transport->stream, name, length);
}

int asyncio_transport_sockname(asyncio_transport *transport, struct sockaddr *name, socklen_t *length)
{
    if (!transport)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    return asyncio_stream_sockname(transport->stream, name, length);
}

int asyncio_transport_fd(asyncio_transport *transport)
{
    if (!transport)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    return transport->stream->fd;
}
