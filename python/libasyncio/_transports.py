"""Transports: what is hot is _core's, in C; what is cold is asyncio's own."""
import warnings

from . import _core


class SocketTransport(_core.TransportCore):
    """A transport of a stream socket."""

    __slots__ = ()

    def __repr__(self):
        info = [self.__class__.__name__]
        if self._sock is None:
            info.append('closed')
        elif self._closing:
            info.append('closing')
        info.append(f'fd={self._sock_fd}')
        if self._loop is not None and not self._loop.is_closed():
            reads, writes = self._polling
            info.append(f'read={"polling" if reads else "idle"}')
            size = self.get_write_buffer_size()
            info.append(f'write=<{"polling" if writes else "idle"}, bufsize={size}>')
        return f'<{" ".join(info)}>'

    def __del__(self, _warn=warnings.warn):
        if self._sock is not None:
            _warn(f'unclosed transport {self!r}', ResourceWarning, source=self)
            self._discard()
