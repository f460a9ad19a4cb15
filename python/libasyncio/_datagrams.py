"""Datagram transports: what is hot is _core's, in C; what is cold is asyncio's own."""
import os
import socket
from asyncio import selector_events

from . import _core
from ._servers import FAMILIES, family_of


class DatagramTransport(selector_events._SelectorDatagramTransport):
    """A transport of datagrams."""

    _family = None  # of those whose addresses C knows
    _is_connected = False

    def __init__(self, loop, sock, *args, **kwargs):
        if type(sock) is socket.socket and family_of(sock) in FAMILIES:
            self._family = family_of(sock)
        super().__init__(loop, sock, *args, **kwargs)
        self._is_connected = self._extra.get('peername') is not None

    def _read_ready(self):
        if self._family is None or self._conn_lost:
            super()._read_ready()
            return
        error = self._loop._receive_datagrams(self, self._sock_fd, self._protocol.datagram_received)
        if error:
            self._tell_error(error)

    def _tell_error(self, error):
        self._protocol.error_received(OSError(error, os.strerror(error)))

    def sendto(self, data, addr=None):
        if self._sock is None:
            return  # the connection is lost
        # In the usual case nothing waits, and the socket is connected or the address is told: not both.
        if self._family is not None and not self._buffer and not self._conn_lost and (
                (addr is None) is self._is_connected):
            error = _core.send_datagram(self._sock_fd, self._family, data, addr)
            if error == 0:
                return
            if error > 0:
                self._tell_error(error)
                return
        if self._is_connected and not self._extra['peername'] and self._family is not None:
            self._send_to_unnamed(data, addr)
        else:
            super().sendto(data, addr)

    # asyncio takes a peer without a name, the other end of a socketpair, for none: it fails.

    def _send_to_unnamed(self, data, addr):
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f'data argument must be a bytes-like object, not {type(data).__name__!r}')
        if addr is not None:
            raise ValueError('Invalid address: must be None')
        if not data or self._conn_lost:
            return
        self._buffer.append((bytes(data), None))
        self._buffer_size += len(data)
        if len(self._buffer) == 1:
            self._loop._add_writer(self._sock_fd, self._sendto_ready)
        self._maybe_pause_protocol()

    def _sendto_ready(self):
        if not self._is_connected or self._extra['peername'] or self._family is None:
            super()._sendto_ready()
            return
        while self._buffer:
            data, _ = self._buffer[0]
            error = _core.send_datagram(self._sock_fd, self._family, data, None)
            if error < 0:
                return
            self._buffer.popleft()
            self._buffer_size -= len(data)
            if error:
                self._tell_error(error)
                return
        self._maybe_resume_protocol()  # which may send more
        if not self._buffer:
            self._loop._remove_writer(self._sock_fd)
            if self._closing:
                self._call_connection_lost(None)
