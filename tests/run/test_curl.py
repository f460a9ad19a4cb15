#!/usr/bin/python3
"""
The example that drives libcurl, with a web server of its own:

    test_curl.py CURL [--server HTTP_SERVER] [--slow-names LIBRARY]

HTTP_SERVER is 13_http_server, where that is built; LIBRARY, slow_names.c.
"""
import argparse
import collections
import faulthandler
import http.server
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
AT_A_TIME = 20
BODY_BYTES_MAX = 64 << 20
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


# ---- A server ---------------------------------------------------------------------------------

class Handler(http.server.BaseHTTPRequestHandler):
    """The first word of the path says what to do."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        server = self.server
        with server.lock:
            server.requests[self.path] += 1
            server.open += 1
            server.most = max(server.most, server.open)
        try:
            getattr(self, self.path.split('/')[1])()
        finally:
            with server.lock:
                server.open -= 1

    def answer(self, status, body=b'', length=None, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def page(self):
        self.answer(200, b'x' * int(self.path.split('/')[2]))

    def late(self):
        time.sleep(0.2)
        self.answer(200, b'late')

    def together(self):
        """Nobody has an answer before as many as may be are there."""
        try:
            self.server.gate.wait(SECONDS_MAX)
            self.answer(200, b'together')
        except threading.BrokenBarrierError:
            self.answer(500)

    def missing(self):
        self.answer(404, b'no such page')

    def moved(self):
        self.answer(302, Location='/page/5')

    def elsewhere(self):
        self.answer(302, Location='file:///etc/passwd')

    def circle(self):
        self.answer(302, Location=self.path)

    def cut(self):
        self.answer(200, b'half', length=100)
        self.close_connection = True

    def silent(self):
        """Until the client goes."""
        self.connection.settimeout(SECONDS_MAX)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 300

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.lock = threading.Lock()
        self.requests = collections.Counter()
        self.open = self.most = 0
        self.gate = threading.Barrier(AT_A_TIME)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def url(self, path, host='127.0.0.1'):
        return f'http://{host}:{self.server_port}/{path}'

    def handle_error(self, request, client_address):
        """Clients go when they like."""

    def waits_for(self, count):
        """Now, or soon: are there as many open requests?"""
        began = time.monotonic()
        while self.open != count and time.monotonic() - began < SECONDS_MAX:
            time.sleep(0.01)
        return self.open == count


def start(*command, **environment):
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})


def run(*command, **environment):
    """Exit status; what is said of each URL; and what it complained of."""
    process = start(*command, **environment)
    out, err = process.communicate(timeout=2 * SECONDS_MAX)
    said = collections.defaultdict(list)
    for line in out.splitlines():
        url, words = line.split(': ', 1)
        said[url].append(words)
    return process.returncode, said, err


# ---- URLs ---------------------------------------------------------------------------------------

def outcomes(server):
    """200 URLs, and what is to be said of each."""
    refused = free_port()
    expected = {server.url(f'page/{n * n * 100}/{n}'): f'200, {n * n * 100} bytes' for n in range(100)}
    expected |= {server.url(f'page/{n}', 'localhost'): f'200, {n} bytes' for n in range(20)}
    expected |= {server.url(f'late/{n}'): '200, 4 bytes' for n in range(20)}
    expected |= {server.url(f'missing/{n}'): '.* 404' for n in range(20)}
    expected |= {f'http://127.0.0.1:{refused}/{n}': 'Failed to connect .*' for n in range(20)}
    expected |= {server.url(f'moved/{n}'): '200, 5 bytes' for n in range(8)}
    expected |= {server.url(f'cut/{n}'): '.*96 .*' for n in range(4)}
    expected |= {server.url(f'silent/{n}'): 'no answer within .* s' for n in range(4)}
    expected |= {server.url('elsewhere'): '.*[Pp]rotocol "file".*', server.url('circle'): '.*redirects.*',
                 'gopher://127.0.0.1/': '.*[Pp]rotocol "gopher".*', 'http://:x/': '.+'}
    assert len(expected) == 200
    return expected


def check_all(program):
    """What the machine is too busy to answer in time is asked for again, with more time."""
    with Server() as server:
        expected = outcomes(server)
        for seconds in 3, 10, 30:
            status, said, err = run(program, seconds, *expected)
            late = [url for url, words in said.items() if words[0].startswith('no answer')]
            if len(late) == 4:
                break
        check(sorted(said) == sorted(expected), 'a line for each URL')
        for url, words in expected.items():
            check(len(said[url]) == 1 and re.fullmatch(words, said[url][0]), f'{url}: {said[url]}')
        check(status == 1 and '52 failed' in err, f'{status}: {err}')
        check(server.most <= AT_A_TIME, f'{server.most} at once')


def check_together(program):
    with Server() as server:
        urls = [server.url(f'together/{n}') for n in range(2 * AT_A_TIME)]
        status, said, err = run(program, SECONDS_MAX, *urls)
        check(status == 0 and err == '' and all(said[url] == ['200, 8 bytes'] for url in urls),
              f'{status}: {said} {err}')
        check(server.most == AT_A_TIME, f'{server.most} at once')


def check_large(program):
    """More than any socket takes at once; and more than is wanted."""
    with Server() as server:
        url, too_large = server.url(f'page/{20 << 20}'), server.url(f'page/{BODY_BYTES_MAX + 1}')
        status, said, err = run(program, SECONDS_MAX, url, too_large)
        check(status == 1 and said[url] == [f'200, {20 << 20} bytes'], f'{status}: {said} {err}')
        check('riting' in said[too_large][0], f'{status}: {said} {err}')


def check_other_server(program, http_server):
    process = subprocess.Popen([http_server, '0'], stdout=subprocess.PIPE, text=True)
    port = int(re.match(r'listening on port (\d+)', process.stdout.readline()).group(1))
    urls = [f'http://127.0.0.1:{port}/'] * 199
    status, said, err = run(program, SECONDS_MAX, *urls, f'http://127.0.0.1:{port}/none')
    check(status == 1 and '1 failed' in err, f'{status}: {err}')
    check(said[urls[0]] == ['200, 14 bytes'] * 199, said)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS_MAX)


def check_slow_names(program, library):
    """The time of a URL is over when it is, whatever the name server does."""
    urls = [f'http://slow{n}.example/' for n in range(AT_A_TIME)]
    began = time.monotonic()
    status, said, err = run(program, 0.2, *urls, LD_PRELOAD=library)
    took = time.monotonic() - began
    check(status == 1 and f'{AT_A_TIME} failed' in err, f'{status}: {err}')
    check(all(said[url] == ['no answer within 0.2 s'] for url in urls), said)
    check(took < 20, f'it took {took} s')


# ---- The end --------------------------------------------------------------------------------------

def check_interrupt(program):
    with Server() as server:
        process = start(program, 100, *[server.url(f'silent/{n}') for n in range(200)])
        check(server.waits_for(AT_A_TIME), f'{server.open} requests')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS_MAX)
        check(process.returncode == 130 and out == '', f'interrupted: {process.returncode} {out} {err}')
        check(server.waits_for(0), f'{server.open} connections are left')
        check(len(server.requests) == AT_A_TIME, f'{len(server.requests)} requests')


def check_idle(program):
    """Waiting costs no turns: nobody polls in vain."""
    with Server() as server:
        process = start(program, 100, server.url('silent/1'))
        check(server.waits_for(1), 'no request')
        before = switches_of(process.pid)
        time.sleep(1)
        after = switches_of(process.pid)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS_MAX)
        check(after - before < 50, f'{after - before} times awake in a second')


def switches_of(pid):
    with open(f'/proc/{pid}/status') as status:
        return int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', status.read(), re.MULTILINE).group(1))


parser = argparse.ArgumentParser()
parser.add_argument('curl')
parser.add_argument('--server')
parser.add_argument('--slow-names')
options = parser.parse_args()
for one_check in [check_all, check_together, check_large, check_interrupt, check_idle]:
    one_check(options.curl)
if options.server:
    check_other_server(options.curl, options.server)
if options.slow_names:
    check_slow_names(options.curl, options.slow_names)
for words in [(), ('5',), *[(seconds, 'http://127.0.0.1/') for seconds in ['x', '0', '-1', 'nan']]]:
    check(run(options.curl, *words)[0] == 2, f'usage: {words}')
sys.exit(1 if failed else 0)
