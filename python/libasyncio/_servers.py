"""The part of a loop that accepts clients."""
import _socket
import contextvars
import socket

from . import _core

# As numbers: what a socket object gives are members of enums, which take long to find.
family_of, _type_of = _socket.socket.family.__get__, _socket.socket.type.__get__
FAMILIES = frozenset(map(int, (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)))


class Servers:
    """Takes the clients that wait. asyncio makes a task and a future for each; none is needed here."""

    def _accept_connection(self, protocol_factory, sock, sslcontext=None, server=None, backlog=100,
                           *timeouts):
        family = family_of(sock) if type(sock) is socket.socket else None
        if sslcontext is not None or family not in FAMILIES or self.get_debug():
            return super()._accept_connection(protocol_factory, sock, sslcontext, server, backlog, *timeouts)
        kind = _type_of(sock) | socket.SOCK_NONBLOCK
        for _ in range(backlog):
            fd = sock.fileno()
            if fd < 0:  # a protocol's factory closed the server
                return
            try:
                client = _core.accept(fd)
            except OSError:  # asyncio meets it again, and knows what to do
                return super()._accept_connection(protocol_factory, sock, None, server, 1, *timeouts)
            if client is None:
                return
            connection = socket.socket(family, kind, sock.proto, client[0])
            context = contextvars.copy_context()
            context.run(self._serve_client, protocol_factory, connection, client[1], server)

    def _serve_client(self, protocol_factory, connection, address, server):
        try:
            protocol = protocol_factory()
            self._make_socket_transport(connection, protocol, extra={'peername': address}, server=server)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:  # asyncio tells it in debug mode only
            connection.close()
