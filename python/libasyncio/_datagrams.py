"""Datagram transports: what is hot is _core's, in C; what is cold is asyncio's own."""
import os
import socket
from asyncio import selector_events

from . import _core
from ._servers import FAMILIES, family_of


class DatagramTransport(selector_events._SelectorDatagramTransport):
    """A transport of datagrams."""

    _family = None  # of those whose addresses C knows

    def __init__(self, loop, sock, *args, **kwargs):
        if type(sock) is socket.socket and family_of(sock) in FAMILIES:
            self._family = family_of(sock)
        super().__init__(loop, sock, *args, **kwargs)

    def _read_ready(self):
        if self._family is None or self._conn_lost:
            super()._read_ready()
            return
        error = self._loop._receive_datagrams(self, self._sock_fd, self._protocol.datagram_received)
        if error:
            self._protocol.error_received(OSError(error, os.strerror(error)))

    def sendto(self, data, addr=None):
        # In the usual case nothing waits, and the socket is connected or the address is told: not both.
        if self._family is not None and not self._buffer and not self._conn_lost and (
                (addr is None) is (self._address is not None)):
            error = _core.send_datagram(self._sock_fd, self._family, data, addr)
            if error == 0:
                return
            if error > 0:
                self._protocol.error_received(OSError(error, os.strerror(error)))
                return
        super().sendto(data, addr)
