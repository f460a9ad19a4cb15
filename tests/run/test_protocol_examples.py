#!/usr/bin/python3
"""
The examples that serve by protocols, with the clients played here, and by curl:

    test_protocol_examples.py ECHO SOCKS_PROXY
"""
import faulthandler
import http.server
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


class Running:
    """An example that runs while the block does, and ends well at Ctrl-C."""

    def __init__(self, program):
        self.program = program

    def __enter__(self):
        self.process = subprocess.Popen([self.program, '0'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.port = int(re.match(r'listening on port (\d+)', self.process.stdout.readline()).group(1))
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=SECONDS_MAX)
        check(self.process.returncode == 130 and not errors, f'{self.program}: {errors}')

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), timeout=SECONDS_MAX)


def read_all(client):
    data = b''
    while block := client.recv(65536):
        data += block
    return data


def test_echo(program):
    with Running(program) as server:
        clients = [server.connect() for _ in range(50)]
        for i, client in enumerate(clients):
            client.sendall(b'%d' % i * 100)
        for i, client in enumerate(clients):
            client.shutdown(socket.SHUT_WR)
            check(read_all(client) == b'%d' % i * 100, f'echo of client {i}')
        large = server.connect()
        data = os.urandom(5_000_000)
        threading.Thread(target=lambda: (large.sendall(data), large.shutdown(socket.SHUT_WR))).start()
        check(read_all(large) == data, 'echo of 5 MB')
        idle = server.connect()
        idle.sendall(b'x')
        check(idle.recv(1) == b'x', 'a client that is there at the end')


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'page ' * 100_000)

    def log_message(self, *words):
        pass


def ask(server, request, methods=b'\x05\x01\x00'):
    """The answers to a greeting and a request, sent byte by byte."""
    client = server.connect()
    try:
        for byte in methods:
            client.sendall(bytes([byte]))
        if client.recv(2) != b'\x05\x00':
            return None
    except OSError:  # it is refused as soon as it is known
        return None
    client.sendall(request)
    return client.recv(10)


def test_socks(program):
    pages = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    port = pages.server_address[1]
    with Running(program) as proxy:
        curl = shutil.which('curl')
        for option in ('--socks5', '--socks5-hostname') if curl else ():
            command = [curl, '-s', option, f'127.0.0.1:{proxy.port}', f'http://localhost:{port}/']
            done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX)
            check(done.stdout == b'page ' * 100_000, f'curl {option}: {done.returncode} {done.stderr}')
        here = b'\x05\x01\x00\x01\x7f\x00\x00\x01'
        with socket.create_server(('127.0.0.1', 0)) as closed:
            nobody = closed.getsockname()[1]
        check(ask(proxy, here + struct.pack('>H', nobody))[1] == 5, 'a port where nobody listens')
        check(ask(proxy, b'\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50')[1] == 7, 'a request to bind')
        check(ask(proxy, b'\x05\x01\x00\x09\x7f\x00\x00\x01\x00\x50')[1] == 8, 'an address of no kind')
        check(ask(proxy, b'', b'\x05\x01\x02') is None, 'a client that wants a password')
        check(ask(proxy, b'', b'\x04\x01\x00') is None, 'SOCKS 4')
        eager = proxy.connect()
        eager.sendall(b'\x05\x01\x00' + here + struct.pack('>H', port) + b'GET / HTTP/1.0\r\n\r\n')
        check(read_all(eager).endswith(b'page '), 'a client that does not wait')
        gone = proxy.connect()
        gone.sendall(b'\x05\x01\x00' + here + struct.pack('>H', port))
        gone.close()
    pages.shutdown()


def main():
    test_echo(sys.argv[1])
    test_socks(sys.argv[2])
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
