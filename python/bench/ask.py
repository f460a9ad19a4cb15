"""
Asks an echo server an exact number of times: each connection so often, 64 bytes at once.

    ask.py PORT CONNECTIONS ROUNDS
"""
import socket
import sys

BYTES = 64


def main(port, connections, rounds):
    sockets = [socket.create_connection(('127.0.0.1', port)) for _ in range(connections)]
    message = b'x' * BYTES
    for _ in range(rounds):
        for each in sockets:
            each.sendall(message)
        for each in sockets:
            missing = BYTES
            while missing:
                missing -= len(each.recv(missing))


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
