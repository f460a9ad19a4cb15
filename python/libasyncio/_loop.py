"""The class of loops: what is hot is _core's, in C; what is cold is asyncio's own."""
import asyncio
import os
import selectors
import warnings
import weakref
from asyncio import base_events, sslproto

from . import _core
from ._children import Children
from ._datagrams import DatagramTransport
from ._pipes import ReadPipeTransport
from ._servers import Servers
from ._transports import SocketTransport


class _Selector(selectors.BaseSelector):
    """
    Stands where asyncio has its selector, and tells what the loop watches. It has no descriptor and never
    waits: the loop in C does that.
    """

    def __init__(self, loop):
        self._loop = weakref.ref(loop)

    def register(self, fileobj, events, data=None):
        raise NotImplementedError('use loop.add_reader() and loop.add_writer()')

    def unregister(self, fileobj):
        raise NotImplementedError('use loop.remove_reader() and loop.remove_writer()')

    def select(self, timeout=None):
        return []

    def get_map(self):
        keys = {}
        for fd, reader, writer in self._loop()._list_watched():
            events = (selectors.EVENT_READ if reader else 0) | (selectors.EVENT_WRITE if writer else 0)
            keys[fd] = selectors.SelectorKey(fd, fd, events, (reader, writer))
        return keys

    def get_key(self, fileobj):
        return super().get_key(fileobj if isinstance(fileobj, int) else fileobj.fileno())


class Loop(_core.LoopCore, Servers, Children, asyncio.SelectorEventLoop):
    """An event loop in C, with all that asyncio.SelectorEventLoop has."""

    def __init__(self, selector=None):
        super().__init__(_Selector(self) if selector is None else selector)
        # asyncio's tasks look the method up for each of their steps: here it is bound already.
        if type(self).call_soon is _core.LoopCore.call_soon:
            self.call_soon = self.call_soon

    def close(self):
        super().close()
        self.__dict__.pop('call_soon', None)
        self._close_core()
        self._forget_children()

    async def shutdown_asyncgens(self):
        await _core.end_tasks()  # those in C, at the moment when asyncio.run has ended its own
        await super().shutdown_asyncgens()

    def _make_socket_transport(self, sock, protocol, waiter=None, *, extra=None, server=None):
        return SocketTransport(self, sock, protocol, waiter, extra, server)

    def _make_ssl_transport(self, rawsock, protocol, sslcontext, waiter=None, *, server_side=False,
                            server_hostname=None, extra=None, server=None, **timeouts):
        ssl_protocol = sslproto.SSLProtocol(self, protocol, sslcontext, waiter, server_side,
                                            server_hostname, **timeouts)
        SocketTransport(self, rawsock, ssl_protocol, extra=extra, server=server)
        return ssl_protocol._app_transport

    def _make_datagram_transport(self, sock, protocol, address=None, waiter=None, extra=None):
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def remove_signal_handler(self, sig):
        is_removed = super().remove_signal_handler(sig)
        self._keep_wakeups()  # asyncio takes it away with the last handler
        return is_removed

    def _add_callback(self, handle):
        """Queues a handle of asyncio's own, as of a signal."""
        if not handle._cancelled:
            self.call_soon(_run_handle, handle, context=handle._context)

    def _add_callback_signalsafe(self, handle):
        self._add_callback(handle)

    def _report_slow(self, handle, seconds):
        base_events.logger.warning(
            'Executing %s took %.3f seconds', base_events._format_handle(handle), seconds)


def _run_handle(handle):
    if not handle._cancelled:
        handle._callback(*handle._args)


os.register_at_fork(after_in_child=_core._leave_parent)


def new_event_loop():
    """Makes an event loop."""
    return Loop()


with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)  # policies go with Python 3.16
    _Policy = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_Policy):
    """asyncio's policy, with loops of libasyncio."""

    _loop_factory = Loop


def install():
    """Makes all loops that this process makes from here on loops of libasyncio."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
