"""Pipe transports: reading is _core's, in C; all else is asyncio's own."""
from asyncio import unix_events


class ReadPipeTransport(unix_events._UnixReadPipeTransport):
    """A transport that reads from a pipe, a socket or a terminal."""

    def _read_ready(self):
        try:
            data = self._loop._read_some(self._fileno)
        except OSError as error:
            self._fatal_error(error, 'Fatal read error on pipe transport')
            return
        if data:
            self._protocol.data_received(data)
        elif data is not None:
            super()._read_ready()  # meets the end as well, and knows what to do
