#!/usr/bin/python3
"""
The examples that talk to somebody, with the other side played here, on the loopback interface:

    test_network_examples.py DNS_QUERY PORT_SCANNER
"""
import faulthandler
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def run(*command):
    """Exit status and what it printed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, timeout=50)
    return done.returncode, done.stdout


# ---- A name server --------------------------------------------------------------------

def question_end(query):
    at = 12
    while query[at]:
        at += 1 + query[at]
    return at + 5


def name_of(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return '.'.join(labels)


def record(kind, data, name=b'\xc0\x0c', class_=1):
    return (name + kind.to_bytes(2, 'big') + class_.to_bytes(2, 'big') + (60).to_bytes(4, 'big') +
            len(data).to_bytes(2, 'big') + data)


def answer(query, records=(), code=0, id_=None):
    question = query[12:question_end(query)]
    return ((id_ or query[:2]) + bytes([0x81, 0x80 | code]) + b'\0\1' + len(records).to_bytes(2, 'big') +
            b'\0\0\0\0' + question + b''.join(records))


A, CNAME, AAAA = 1, 5, 28
WWW = b'\3WWW\xc0\x0c'
FOUND = [record(CNAME, b'\3www\xc0\x0c'), record(AAAA, bytes(16)), record(A, bytes([192, 0, 2, 7]), WWW),
         record(A, bytes([203, 0, 113, 1]), b'\4evil\0'), record(A, bytes([203, 0, 113, 2]), WWW, 3),
         record(A, bytes([192, 0, 2, 8]), WWW)]
LOOP = [record(A, bytes([192, 0, 2, 7]), b'\3abc\xc0' + bytes([12 + 5 + len('loop.example.org') + 1]))]


class NameServer:
    """Answers by the first label of the name; counts in `asked`; `numbers` and `ports` are the questions'."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.asked, self.numbers, self.ports = {}, [], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            name = name_of(query)
            self.numbers.append(query[:2])
            self.ports.append(peer[1])
            count = self.asked[name] = self.asked.get(name, 0) + 1
            for message in self.answers(name.split('.')[0], count, query):
                self.socket.sendto(message, peer)

    def was_asked(self, name, times):
        """Now, or soon: the questions are there, but the thread may have something before it."""
        began = time.monotonic()
        while self.asked.get(name) != times and time.monotonic() - began < 50:
            time.sleep(0.01)
        return self.asked.get(name) == times

    @staticmethod
    def answers(what, count, query):
        wrong = bytes([query[0] ^ 1, query[1]])
        other = query[:13] + bytes([query[13] ^ 1]) + query[14:]  # another name
        good = answer(query, FOUND)
        return {
            'found': [good],
            'late': [good] if count >= 2 else [],
            'forged': [b'', b'short', answer(query, [record(A, bytes(4))], id_=wrong), query,
                       answer(other, [record(A, bytes(4))]), good],
            'missing': [answer(query, code=3)],
            'empty': [answer(query)],
            'broken': [good[:-10]],
            'endless': [good[:question_end(query)] + b'\x3f' * 100],
            'loop': [answer(query, LOOP)],
            'itself': [good[:question_end(query)] + b'\xc0' + bytes([question_end(query)]) + bytes(14)],
            'cut': [good[:2] + bytes([good[2] | 2]) + good[3:]],
            'another': [answer(query, [record(A, bytes(4), b'\4evil\0')])],
            'opcode': [good[:2] + bytes([good[2] | 0x28]) + good[3:]] if count == 1 else [good],
        }.get(what, [])


def check_dns(program):
    server = NameServer()

    def ask_once(name):
        return run(program, name, '127.0.0.1', server.port)

    def ask(name):
        """The program does not wait for long, and the machine may be busy."""
        for _ in range(10):
            status, text = ask_once(name)
            if 'no answer' not in text:
                break
        return status, text

    addresses = '{0} has address 192.0.2.7\n{0} has address 192.0.2.8\n'
    for name in ['found.example.org', 'forged.example.org', 'found.example.org.']:
        check(ask(name) == (0, addresses.format(name)), f'{name}: {ask(name)}')
    for number in range(10):
        name = f'late.{number}.example.org'
        status, text = ask_once(name)
        if status == 0:
            break
    check(re.fullmatch(r'(no answer within 0.5 s\n)+' + addresses.format(name), text), text)
    status, text = ask('missing.example.org')
    check(status == 1 and 'no such name' in text, text)
    status, text = ask('empty.example.org')
    check(status == 1 and 'has no address' in text, text)
    for name in ['broken', 'endless', 'loop', 'itself']:
        status, text = ask(name + '.example.org')
        check(status == 1 and 'the answer is broken' in text and 'has address' not in text, f'{name}: {text}')
    status, text = ask('cut.example.org')
    check(status == 1 and 'too long for UDP' in text and 'has address' not in text, text)
    status, text = ask('another.example.org')
    check(status == 1 and 'has no address' in text, text)
    check('no answer within' in ask_once('opcode.example.org')[1], 'an answer to something else')
    status, text = ask_once('silent.example.org')
    check(status == 1 and text.count('no answer') == 3, text)
    check(server.was_asked('silent.example.org', 3), server.asked)
    # Nobody can tell the next number, or port, from those before.
    numbers = [int.from_bytes(number, 'big') for number in server.numbers]
    steps = {(second - first) % 65536 for first, second in zip(numbers, numbers[1:])}
    check(len(set(numbers)) > 10 and len(steps) > 10 and max(steps) > 20000, numbers)
    check(len(set(server.ports[-3:])) == 3, server.ports)
    for name in ['a..b', '.', 'x' * 64 + '.org', '']:
        status, text = ask(name)
        check(status == 1 and 'is no name' in text, f'{name}: {text}')
    # Nobody there: the network says so.
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(('127.0.0.1', 0))
    port = closed.getsockname()[1]
    closed.close()
    status, text = run(program, 'found.example.org', '127.0.0.1', port)
    check(status == 1 and 'ECONNREFUSED' in text, text)
    check(run(program)[0] == 2, 'usage')


# ---- Ports -------------------------------------------------------------------------------

def on_a_terminal(*command):
    controller, terminal = pty.openpty()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=terminal,
                               stdin=subprocess.DEVNULL, text=True)
    os.close(terminal)
    shown = b''
    while True:
        try:
            part = os.read(controller, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    out = process.communicate(timeout=50)[0]
    return process.returncode, out, shown.decode()


def check_scanner(program):
    listeners = [socket.create_server(('127.0.0.1', 0), backlog=50) for _ in range(3)]
    ports = sorted(listener.getsockname()[1] for listener in listeners)
    for host in ['127.0.0.1', 'localhost']:
        for port in ports:
            status, text = run(program, host, port, port)
            check(status == 0 and text == f'{port} is open\n', text)
    # A range around one of them; others of this machine's may be open, too.
    first, last = max(1, ports[1] - 300), min(65535, ports[1] + 300)
    status, text = run(program, '127.0.0.1', first, last)
    check(status == 0 and f'{ports[1]} is open\n' in text, text)
    status, text, shown = on_a_terminal(program, '127.0.0.1', first, last)
    check(status == 0 and f'{ports[1]} is open\n' in text, text)
    total = last - first + 1
    check(f'{total} of {total} ports' in shown and f'\r0 of {total} ports' in shown, shown)
    for listener in listeners:
        listener.close()
    check(run(program, '127.0.0.1', ports[0], ports[0]) == (0, ''), 'a closed port')
    status, text = run(program, '300.300.300.300', 1, 1)
    check(status == 1 and 'look up' in text, text)
    for words in [(), ('127.0.0.1', 0, 5), ('127.0.0.1', 5, 4), ('127.0.0.1', 1, 65536)]:
        check(run(program, *words)[0] == 2, f'usage: {words}')


check_dns(sys.argv[1])
check_scanner(sys.argv[2])
sys.exit(1 if failed else 0)
