#!/usr/bin/python3
"""
The examples that serve, with the clients played here:

    test_server_examples.py ECHO CHAT FORWARDER LOOP_PER_CORE [HTTP]
"""
import faulthandler
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


class Server:
    """One that runs while the block does, and ends well when it is told to."""

    def __init__(self, *command, sends=signal.SIGINT, status=130):
        self.command, self.sends, self.status = [str(word) for word in command], sends, status

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.line = self.process.stdout.readline()
        found = re.match(r'listening on port (\d+)', self.line)
        if not found:
            self.process.kill()
            sys.exit(f'FAILED: {self.command} said: {self.line}{self.process.stderr.read()}')
        self.port = int(found.group(1))
        return self

    def __exit__(self, *error):
        self.process.send_signal(self.sends)
        _, self.errors = self.process.communicate(timeout=SECONDS_MAX)
        check(self.process.returncode == self.status, f'{self.command}: status {self.process.returncode}')
        check(self.errors == '', f'{self.command}: {self.errors}')


class Client:
    def __init__(self, port, host='127.0.0.1'):
        self.socket = socket.create_connection((host, port), timeout=SECONDS_MAX)
        self.file = self.socket.makefile('rb')

    def say(self, text):
        self.socket.sendall(text.encode())

    def line(self):
        return self.file.readline().decode()

    def close(self):
        self.file.close()
        self.socket.close()


# ---- Echo ----------------------------------------------------------------------------

def check_echo(program):
    with Server(program, 0) as server:
        clients = [Client(server.port) for _ in range(20)]
        for number, client in enumerate(clients):
            client.say(f'number {number}\n')
        for number, client in enumerate(clients):
            check(client.line() == f'number {number}\n', 'echo')
        data = os.urandom(3000000)
        sender = threading.Thread(target=clients[0].socket.sendall, args=[data])
        sender.start()
        check(clients[0].file.read(len(data)) == data, 'much')
        sender.join()
        clients[1].socket.shutdown(socket.SHUT_WR)
        check(clients[1].file.read() == b'', 'the end')
        for client in clients[2:]:
            client.close()
    # Those that were still there saw the end.
    check(clients[0].file.read() == b'', 'the end of all')
    with Server(program, 0, sends=signal.SIGTERM, status=143) as server:
        port = server.port
        again = subprocess.run([program, str(port)], capture_output=True, text=True,
                               timeout=SECONDS_MAX)
        check(again.returncode == 1 and 'address already in use' in again.stderr, again.stderr)


# ---- Chat -----------------------------------------------------------------------------

def check_chat(program):
    with Server(program, 0) as server:
        ann, ben = Client(server.port), Client(server.port)
        check(ann.line() == 'Your name, please:\n' and ben.line() == 'Your name, please:\n', 'asked')
        ann.say('Ann\r\n')
        ann.say('alone\n')
        check(ann.line() == '* Ann has come\n', 'come')
        ben.say('Ben\n')
        check(ann.line() == ben.line() == '* Ben has come\n', 'come')
        ben.say('hello\n')
        check(ann.line() == 'Ben: hello\n', 'heard')
        ann.say('hello, Ben\n')
        check(ben.line() == 'Ann: hello, Ben\n', 'answered')
        nobody = Client(server.port)
        nobody.close()
        ann.say('a\x1b[2Jb\rBen: I am Ben\n')
        check(ben.line() == 'Ann: a?[2Jb\n', 'harmless')
        # One that has no name to say.
        nobody = Client(server.port)
        nobody.say('\n')
        check(ann.line() == ben.line() == '* somebody has come\n', 'come')
        nobody.close()
        check(ann.line() == ben.line() == '* somebody has left\n', 'left')
        # One that never reads does not keep the others waiting, and has to go.
        deaf = Client(server.port)
        deaf.say('Deaf\n')
        check(ann.line() == '* Deaf has come\n' and ben.line() == '* Deaf has come\n', 'come')
        text = 'x' * 60000
        gone = False
        for _ in range(400):
            ann.say(text + '\n')
            line = ben.line()
            if line == '* Deaf has left\n':
                gone = True
                break
            check(line == f'Ann: {text}\n', 'heard, although one is deaf')
        check(gone, 'who is deaf has to go')
        ben.close()
        line = ann.line()
        if gone:
            check(line == '* Deaf has left\n', line)
            line = ann.line()
        check(line == '* Ben has left\n', line)
    check(ann.line() == '* good night\n', 'good night')
    check(ann.file.read() == b'', 'the end')


# ---- Forwarding ------------------------------------------------------------------------

def check_forwarder(program, echo):
    with Server(echo, 0) as target, Server(program, 0, '127.0.0.1', target.port) as server:
        clients = [Client(server.port) for _ in range(10)]
        data = os.urandom(2000000)
        sender = threading.Thread(target=clients[0].socket.sendall, args=[data])
        sender.start()
        check(clients[0].file.read(len(data)) == data, 'much')
        sender.join()
        for client in clients:
            client.say('hello\n')
            check(client.line() == 'hello\n', 'forwarded')
            client.socket.shutdown(socket.SHUT_WR)
            check(client.file.read() == b'', 'both ends')
            client.close()
    # Nobody there: told, and the client is not left alone.
    closed = socket.create_server(('127.0.0.1', 0))
    port = closed.getsockname()[1]
    closed.close()
    process = subprocess.Popen([program, '0', '127.0.0.1', str(port)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    port_here = int(process.stdout.readline().split()[3])
    try:
        check(Client(port_here).socket.recv(1) == b'', 'refused')
    except ConnectionResetError:
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS_MAX)
    check(f'connect to 127.0.0.1:{port}: connection refused' in errors, errors)
    check('peer 127.0.0.1:' in errors, errors)
    check(subprocess.run([program], capture_output=True).returncode == 2, 'usage')


# ---- Many loops --------------------------------------------------------------------------

GET = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n'


def ask(client):
    """The status and the text of an answer."""
    client.say(GET)
    status = int(client.line().split()[1])
    length = 0
    while (line := client.line()) != '\r\n':
        length = int(line.split(':')[1])
    return status, client.file.read(length).decode()


def check_loops(program):
    with Server(program, 0, 3, 100000, status=0) as server:
        check(server.line.endswith('with 3 loops\n'), server.line)
        clients = [Client(server.port) for _ in range(60)]
        loops = {}
        for client in clients:
            for _ in range(3):
                status, text = ask(client)
                check(status == 200, status)
                loops[client] = text
        shares = sorted(list(loops.values()).count(text) for text in set(loops.values()))
        check(shares == [20, 20, 20], f'{shares} clients of each loop')
    for client in clients:  # they were answered, and are closed, not reset
        check(client.file.read() == b'', 'the end')
        client.close()


def check_limit(program):
    with Server(program, 0, 2, 5, status=0) as server:
        clients = [Client(server.port) for _ in range(4)]
        began = time.monotonic()
        answers = [ask(client)[0] for _ in range(25) for client in clients]
        took = time.monotonic() - began
        allowed = answers.count(200)
        check(answers[:5] == [200] * 5, 'the first ones')
        check(5 <= allowed <= 6 + 5 * took, f'{allowed} in {took} s')
        check(allowed + answers.count(429) == 100, set(answers))


# ---- HTTP ----------------------------------------------------------------------------------

def answers_to(port, request, chunk=None):
    """All that comes back, in one go or piece by piece."""
    client = Client(port)
    for at in range(0, len(request), chunk or len(request) or 1):
        client.socket.sendall(request[at:at + (chunk or len(request))])
    client.socket.shutdown(socket.SHUT_WR)
    answer = client.file.read()
    client.close()
    return answer.decode()


def check_http(program):
    get = b'GET / HTTP/1.1\r\nHost: here\r\n\r\n'
    hello = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n'
    with Server(program, 0) as server:
        connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=SECONDS_MAX)
        for _ in range(3):
            for method, path, status, body in [('GET', '/', 200, b'Hello, world!\n'), ('HEAD', '/', 200, b''),
                                               ('GET', '/x', 404, b'no such page\n'),
                                               ('POST', '/', 405, b'not here\n')]:
                connection.request(method, path, body=b'y' * 5000 if method == 'POST' else None)
                answer = connection.getresponse()
                check((answer.status, answer.read()) == (status, body), f'{method} {path}')
        check(answers_to(server.port, get) == hello, 'one')
        check(answers_to(server.port, get * 200) == hello * 200, 'pipelined')
        check(answers_to(server.port, get * 3, chunk=1) == hello * 3, 'piece by piece')
        old = answers_to(server.port, b'GET / HTTP/1.0\r\n\r\n' + get)
        check(old == hello.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), old)
        chunked = b'5;x=y\r\nhello\r\n0\r\nTrailer: t\r\n\r\n'
        post = b'POST / HTTP/1.1\r\nHost: here\r\n'
        text = answers_to(server.port, post + b'Transfer-Encoding: Chunked\r\n\r\n' + chunked + get, chunk=1)
        check(text.startswith('HTTP/1.1 405') and text.endswith(hello), f'chunked: {text}')
        text = answers_to(server.port, get.replace(b'Host:', b'Empty:\r\nHost:') * 2, chunk=1)
        check(text == hello * 2, f'an empty field: {text}')
        for status, bad in [
                (400, b'what?\r\n\r\n'), (414, b'GET /' + b'x' * 1000 + b' HTTP/1.1\r\nHost: here\r\n\r\n'),
                (400, b'GET / HTTP/1.1\r\nx y\r\n\r\n'),
                (413, post + b'Content-Length: 70000\r\n\r\n' + b'z' * 70000),
                (413, post + b'Transfer-Encoding: chunked\r\n\r\n' + b'11170\r\n' + b'z' * 70000),
                (431, get[:-2] + b'X: 1\r\n' * 100 + b'\r\n'),
                (431, get[:-2] + b'X: ' + b'1' * 9000 + b'\r\n\r\n'),
                # What two programs may understand in two ways.
                (400, b'GET / HTTP/1.1\r\n\r\n'), (400, b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
                (400, post + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n' + chunked),
                (400, post + b'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n' + chunked),
                (400, post + b'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello'),
                *[(400, post + b'Content-Length: ' + length + b'\r\n\r\nhello')
                  for length in [b'+5', b'5, 5', b'-1', b'0x5', b'5 5', b'']],
                (400, post + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n' + chunked),
                (501, post + b'Transfer-Encoding: gzip, chunked\r\n\r\n' + chunked),
                (501, post + b'Empty:\r\nTransfer-Encoding: xchunked\r\n\r\n' + chunked),
                (501, post + b'Transfer-Encoding: chunked\r\n x\r\n\r\n' + chunked),
                (400, post + b'Transfer-Encoding : chunked\r\n\r\n' + chunked),
                (400, post.replace(b'1.1', b'1.0') + b'Transfer-Encoding: chunked\r\n\r\n' + chunked),
                (505, get.replace(b'1.1', b'1.2')), (505, get.replace(b'1.1', b'2.0'))]:
            for chunk in [None, 1] if len(bad) < 500 else [None]:
                text = answers_to(server.port, bad, chunk)
                check(text.startswith(f'HTTP/1.1 {status} ') and text.count('HTTP/1.1') == 1,
                      f'{bad[:80]}, not {status}: {text[:200]}')
        check(answers_to(server.port, b'') == '', 'nothing')
        # The end finds one connection idle.
    # The time is that of a whole request, whatever the size of its pieces.
    with Server(program, 0, 0.3) as server:
        client = Client(server.port)
        client.say('GET / HTTP/1.1\r\nHost: here\r\n')
        began = time.monotonic()
        client.socket.settimeout(0.02)
        text = b''
        while not text and time.monotonic() - began < SECONDS_MAX:
            try:
                client.say('X: y\r\n')
                text = client.socket.recv(100)
            except TimeoutError:
                pass
        check(text.startswith(b'HTTP/1.1 408 '), f'after {time.monotonic() - began} s: {text}')
        client.close()


check_echo(sys.argv[1])
check_chat(sys.argv[2])
check_forwarder(sys.argv[3], sys.argv[1])
check_loops(sys.argv[4])
check_limit(sys.argv[4])
if len(sys.argv) > 5:
    check_http(sys.argv[5])
sys.exit(1 if failed else 0)
