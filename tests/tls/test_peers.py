#!/usr/bin/python3
"""
TLS with others: our client with `openssl s_server` and Python's ssl, our server with `openssl s_client`,
curl and Python's ssl:

    test_peers.py CLIENT SERVER HTTPS_GET

The last is an example, which fetches a page from Python's ssl. Certificates are made here, by the
openssl command.
"""
import faulthandler
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

CLIENT, SERVER, HTTPS_GET = sys.argv[1:4]
TIMEOUT_S = 50
folder = tempfile.mkdtemp(prefix='asyncio-tls-')
tests = []


def test(function):
    tests.append(function)
    return function


def expect(condition, *what):
    if not condition:
        raise AssertionError(' '.join(map(str, what)))


# ---- Certificates ---------------------------------------------------------------------------

def path(name):
    return os.path.join(folder, name)


def openssl(*words, **options):
    return subprocess.run(['openssl', *words], check=True, capture_output=True, text=True, timeout=TIMEOUT_S,
                          **options)


def make_certificates():
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl('req', '-x509', *key, '-days', '2', '-subj', '/CN=Authority', '-keyout', path('ca.key'),
            '-out', path('ca.pem'))
    for name, more in (('server', 'subjectAltName=DNS:server.test,IP:127.0.0.1'),
                       ('site', 'subjectAltName=DNS:*.site.test'),
                       ('client', 'keyUsage=digitalSignature')):
        openssl('req', *key, '-subj', f'/CN={name}.test', '-keyout', path(f'{name}.key'),
                '-out', path('request'))
        with open(path('extensions'), 'w') as file:
            file.write(more)
        openssl('x509', '-req', '-in', path('request'), '-CA', path('ca.pem'), '-CAkey', path('ca.key'),
                '-CAcreateserial', '-days', '2', '-extfile', path('extensions'), '-out', path(f'{name}.pem'))
        with open(path(f'{name}.both'), 'w') as both:
            for part in ('pem', 'key'):
                with open(path(f'{name}.{part}')) as file:
                    both.write(file.read())


# ---- Our programs -------------------------------------------------------------------------------

def our_client(port, *, text='hello\nworld\n', name='server.test', certificate=(), **env):
    """Its exit status, and what it showed on stdout and stderr."""
    with tempfile.TemporaryFile('w+') as file:
        file.write(text)
        file.seek(0)
        done = subprocess.run([CLIENT, str(port), name, path('ca.pem'), *certificate], stdin=file,
                              capture_output=True, text=True, timeout=TIMEOUT_S, env={**os.environ, **env})
    return done.returncode, done.stdout, done.stderr


def start(*command, stderr=subprocess.STDOUT, env=None):
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                            env={**os.environ, **(env or {})})


def start_server(*command):
    """One that lets the kernel choose a port; and which that is."""
    process = start(*command)
    while line := process.stdout.readline():
        if found := re.search(r'(?:ACCEPT|listening on) .*:(\d+)$', line):
            return process, int(found.group(1))
    process.kill()
    raise AssertionError(f'{command} names no port: {process.communicate()}')


def start_openssl_server(*more):
    return start_server('openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', path('server.pem'),
                        '-key', path('server.key'), *more)


class OurServer:
    def __init__(self, *clients_ca, **env):
        self.process = start(SERVER, path('server.pem'), path('server.key'), *clients_ca,
                             stderr=subprocess.PIPE, env=env)
        self.port = int(self.process.stdout.readline())
        self.errors = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _, self.errors = self.process.communicate(timeout=TIMEOUT_S)
        expect(self.process.returncode == 0, 'the server ended with', self.process.returncode, self.errors)


# ---- Foreign servers ----------------------------------------------------------------------------------

class PythonServer:
    """Answers lines with themselves, in a thread, one connection after the other."""

    def __init__(self, *, connections=1, starttls=False, cut=False, alpn=(), version=None, clients=False):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(path('server.pem'), path('server.key'))
        if alpn:
            self.context.set_alpn_protocols(alpn)
        if version:
            self.context.maximum_version = self.context.minimum_version = version
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(path('ca.pem'))
        self.connections, self.starttls, self.cut = connections, starttls, cut
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.errors, self.unwrapped = [], 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        for _ in range(self.connections):
            plain, _ = self.listener.accept()
            plain.settimeout(TIMEOUT_S)
            try:
                self.serve(plain)
            except OSError as error:
                self.errors.append(str(error))
            plain.close()

    def serve(self, plain):
        if self.starttls:
            expect(plain.recv(9) == b'STARTTLS\n')
            plain.sendall(b'go\n')
        stream = self.context.wrap_socket(plain, server_side=True)
        while line := stream.recv(4096):
            stream.sendall(line)
            if self.cut:
                os.close(stream.detach())
                return
        stream.unwrap().close()
        self.unwrapped += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(TIMEOUT_S)
        self.listener.close()


@test
def client_with_python():
    for version, name in ((ssl.TLSVersion.TLSv1_2, 'TLSv1.2'), (ssl.TLSVersion.TLSv1_3, 'TLSv1.3')):
        with PythonServer(version=version) as server:
            status, out, told = our_client(server.port)
        expect((status, out) == (0, 'hello\nworld\n'), status, out, told)
        expect(told.startswith(name) and 'subject=CN=server.test' in told, told)
        expect(server.unwrapped == 1 and not server.errors, 'no goodbye:', server.errors)


@test
def client_reads_the_fingerprint():
    shown = openssl('x509', '-in', path('server.pem'), '-noout', '-fingerprint', '-sha256').stdout
    with PythonServer() as server:
        _, _, told = our_client(server.port)
    expect(shown.split('=')[1].strip().replace(':', '').lower() in told, shown, told)


@test
def client_with_alpn():
    with PythonServer(connections=2, alpn=['h2']) as server:
        expect(' alpn=h2 ' in our_client(server.port, ALPN='h2')[2])
        expect(' alpn= ' in our_client(server.port, ALPN='imap')[2])


@test
def client_resumes():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with PythonServer(connections=2, version=version) as server:
            status, _, told = our_client(server.port, AGAIN='1')
        expect(status == 0 and re.search(r'resumed=0(.|\n)*resumed=1', told), status, told)


@test
def client_starts_late():
    with PythonServer(starttls=True) as server:
        status, out, told = our_client(server.port, STARTTLS='1')
    expect((status, out) == (0, 'hello\nworld\n'), status, out, told)


@test
def client_with_certificate():
    with PythonServer(connections=2, clients=True) as server:
        status, out, told = our_client(server.port, certificate=[path('client.both')])
        expect((status, out) == (0, 'hello\nworld\n'), status, out, told)
        status, out, told = our_client(server.port)
        expect(status == 1 and 'ASYNCIO_ETLS: TLS: the peer refuses: certificate required' in told, told)


@test
def client_is_cut_off():
    with PythonServer(cut=True) as server:
        status, out, told = our_client(server.port)
    expect(status == 1 and ('truncated' in told or 'ECONNRESET' in told), status, told)


@test
def client_refuses():
    with PythonServer() as server:
        status, _, told = our_client(server.port, name='other.test')
    expect(status == 1 and 'certificate verify failed: hostname mismatch (other.test)' in told, told)
    expect(server.errors and 'alert' in server.errors[0], server.errors)


@test
def client_with_openssl():
    for version in ('-tls1_2', '-tls1_3'):
        process, port = start_openssl_server(version, '-rev', '-naccept', '2', '-alpn', 'h2')
        try:
            status, out, told = our_client(port, ALPN='h2')
            expect((status, out) == (0, 'olleh\ndlrow\n'), status, out, told)
            expect(' alpn=h2 ' in told, told)
        finally:
            process.kill()
            process.communicate()


@test
def client_refuses_renegotiation():
    server, port = start_openssl_server('-tls1_2', '-naccept', '1')
    client = None
    try:
        client = start(CLIENT, str(port), 'server.test', path('ca.pem'))
        client.stdin.write('hello\n')
        client.stdin.flush()
        while server.stdout.readline() != 'hello\n':
            pass
        server.stdin.write('r\n')
        server.stdin.flush()
        # It says so and ends, or waits for ever.
        timer = threading.Timer(TIMEOUT_S, server.kill)
        timer.start()
        out = ''
        while not re.search('no[ _]renegotiation', out) and (line := server.stdout.readline()):
            out += line
        timer.cancel()
        expect(re.search('no[ _]renegotiation', out), out)
    finally:
        for process in (server, client):
            if process:
                process.kill()
                process.communicate()


PAGE = 'a page\n' * 10000


def fetch(server, head, page, host='127.0.0.1'):
    """What the example does with such an answer."""
    def serve(stream):
        while stream.readline().strip():
            pass
        stream.write((head + page).encode())
        stream.flush()

    def serve_one(plain):
        stream = server.context.wrap_socket(plain, server_side=True)
        with stream.makefile('rwb') as file:
            serve(file)
        stream.unwrap().close()

    server.serve = serve_one
    with server:
        return subprocess.run([HTTPS_GET, host, '/', str(server.port), path('ca.pem')], capture_output=True,
                              text=True, timeout=TIMEOUT_S)


@test
def example_fetches():
    done = fetch(PythonServer(), 'HTTP/1.0 200 OK\r\n\r\n', PAGE)
    expect(done.returncode == 0 and done.stdout == PAGE and 'CN=server.test' in done.stderr, done)
    done = fetch(PythonServer(), f'HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE)}\r\n\r\n', PAGE)
    expect(done.returncode == 0 and done.stdout == PAGE, done)
    done = fetch(PythonServer(), f'HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE) + 1}\r\n\r\n', PAGE)
    expect(done.returncode == 1 and done.stdout == PAGE, done.stderr)
    lengths = [f'Content-Length: {length}\r\n'
               for length in ['+5', '', '-5', '9' * 20, '5\r\ncontent-length: 6']]
    for fields, words in [*[(length, 'has no length') for length in lengths],
                          ('Transfer-Encoding: chunked\r\n', 'has a coding'),
                          ('X: y\r\n' * 1000, 'has too long a head')]:
        done = fetch(PythonServer(), f'HTTP/1.1 200 OK\r\n{fields}\r\n', PAGE)
        expect(done.returncode == 1 and not done.stdout and f'the answer {words}' in done.stderr, fields,
               done.stderr)
    done = fetch(PythonServer(), 'SSH-2.0\r\n\r\n', PAGE)
    expect(done.returncode == 1 and not done.stdout and 'is not HTTP' in done.stderr, done.stderr)
    for words in [['127.0.0.1', '/ HTTP/1.1\r\nX: y'], ['127.0.0.1\r\nX: y', '/']]:
        done = subprocess.run([HTTPS_GET, *words], capture_output=True, text=True, timeout=TIMEOUT_S)
        expect(done.returncode == 1 and 'have no spaces' in done.stderr, done.stderr)
    done = fetch(PythonServer(), 'HTTP/1.0 200 OK\r\n\r\n', PAGE, host='localhost')
    expect(done.returncode == 1 and 'hostname mismatch (localhost)' in done.stderr, done)


# ---- Foreign clients ----------------------------------------------------------------------------------

def python_client(port, **more):
    context = ssl.create_default_context(cafile=path('ca.pem'))
    if more.get('certificate'):
        context.load_cert_chain(path('client.pem'), path('client.key'))
    if more.get('version'):
        context.minimum_version = context.maximum_version = more['version']
    context.set_alpn_protocols(more.get('alpn', ['http/1.1']))
    plain = socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT_S)
    return context.wrap_socket(plain, server_hostname='server.test', session=more.get('session'))


@test
def server_with_python():
    with OurServer() as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with python_client(server.port, version=version) as stream:
                stream.sendall(b'hello\n')
                expect(stream.recv(100) == b'hello\n')
                expect(stream.selected_alpn_protocol() == 'http/1.1')
                stream.sendall(b'BIG 1000000\n')
                got = 0
                while got < 1000000:
                    part = stream.recv(65536)
                    expect(part == b'x' * len(part) and part)
                    got += len(part)
                stream.sendall(b'quit\n')
                expect(stream.recv(1) == b'')  # and not an error: it said goodbye
                stream.unwrap()
    expect(server.errors == '', server.errors)


@test
def server_resumes():
    with OurServer() as server:
        context = ssl.create_default_context(cafile=path('ca.pem'))
        session = None
        for resumed in (False, True):
            plain = socket.create_connection(('127.0.0.1', server.port), timeout=TIMEOUT_S)
            with context.wrap_socket(plain, server_hostname='server.test', session=session) as stream:
                stream.sendall(b'x\n')
                stream.recv(10)
                expect(stream.session_reused == resumed, 'resumed:', stream.session_reused)
                session = stream.session


@test
def server_is_left_without_goodbye():
    with OurServer() as server:
        stream = python_client(server.port)
        stream.sendall(b'hello\n')
        stream.recv(100)
        stream.close()
    expect('truncated' in server.errors, server.errors)


@test
def server_demands_certificates():
    with OurServer(path('ca.pem')) as server:
        with python_client(server.port, certificate=True) as stream:
            stream.sendall(b'GET /\n\n')
            expect(b'subject=CN=client.test' in stream.recv(1000))
            stream.unwrap()
        try:
            with python_client(server.port) as stream:
                stream.recv(1)
            expect(False, 'was let in')
        except ssl.SSLError as error:
            expect('CERTIFICATE_REQUIRED' in str(error), error)
    expect('peer did not return a certificate' in server.errors, server.errors)


@test
def server_with_curl():
    if not shutil.which('curl'):
        return
    with OurServer() as server:
        for more in ([], ['--tls-max', '1.2'], ['--http1.1']):
            where = f'server.test:{server.port}'
            done = subprocess.run(['curl', '--silent', '--show-error', '--cacert', path('ca.pem'),
                                   '--no-alpn', *more, '--noproxy', '*', '--resolve', f'{where}:127.0.0.1',
                                   f'https://{where}/'], capture_output=True, text=True, timeout=TIMEOUT_S)
            expect(done.returncode == 0 and 'sni=server.test' in done.stdout, done)
    expect(server.errors == '', server.errors)


def s_client(port, text, *more):
    return subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-CAfile', path('ca.pem'),
                           '-servername', 'server.test', '-verify_return_error', *more], input=text,
                          capture_output=True, text=True, timeout=TIMEOUT_S)


@test
def server_with_openssl():
    with OurServer() as server:
        for version in ('-tls1_2', '-tls1_3'):
            done = s_client(server.port, 'hello\nquit\n', version, '-ign_eof', '-alpn', 'h2')
            expect(done.returncode == 0 and '\nhello\n' in done.stdout, done)
            expect('Verify return code: 0' in done.stdout and 'ALPN protocol: h2' in done.stdout, done)
    expect(server.errors == '', server.errors)


@test
def server_with_socat():
    with OurServer(SITE_NAME='*.site.test', SITE_CERT=path('site.both')) as server:
        for name, subject in (('server.test', 'server.test'), ('one.site.test', '*.site.test')):
            done = subprocess.run(['socat', '-t', str(TIMEOUT_S), '-',
                                   f'OPENSSL:127.0.0.1:{server.port},cafile={path("ca.pem")},'
                                   f'snihost={name},commonname={subject}'],
                                  input='hello\nBIG 3000000\nquit\n', capture_output=True, text=True,
                                  timeout=TIMEOUT_S)
            expect((done.returncode, done.stderr) == (0, ''), name, done.returncode, done.stderr)
            expect(done.stdout == 'hello\n' + 'x' * 3000000, name, len(done.stdout))
    expect(server.errors == '', server.errors)


@test
def client_with_socat():
    for versions in ('max-version=TLS1.2', 'min-version=TLS1.3'):
        for verify in (0, 1):  # our certificate
            options = f'cert={path("server.both")},cafile={path("ca.pem")},verify={verify},{versions}'
            process, port = start_server('socat', '-d', '-d', f'OPENSSL-LISTEN:0,bind=127.0.0.1,{options}',
                                         'EXEC:cat')
            status, out, told = our_client(port, certificate=[path('client.both')] if verify else [])
            said, _ = process.communicate(timeout=TIMEOUT_S)
            expect((status, out) == (0, 'hello\nworld\n'), versions, verify, status, out, told)
            expect(process.returncode == 0 and not re.search(r' [EFW] ', said), process.returncode, said)


def names_of(port, name):
    """Subjects of the certificates that OpenSSL, Python and curl get there."""
    shown = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-servername', name],
                           input='quit\n', capture_output=True, text=True, timeout=TIMEOUT_S).stdout
    yield re.search(r'subject=CN ?= ?(\S+)', shown).group(1)
    context = ssl.create_default_context(cafile=path('ca.pem'))
    plain = socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT_S)
    with context.wrap_socket(plain, server_hostname=name) as stream:
        yield stream.getpeercert()['subject'][0][0][1]
        stream.sendall(b'quit\n')
        stream.unwrap()
    done = subprocess.run(['curl', '--silent', '--show-error', '--verbose', '--cacert', path('ca.pem'),
                           '--no-alpn', '--noproxy', '*', '--resolve', f'{name}:{port}:127.0.0.1',
                           f'https://{name}:{port}/'], capture_output=True, text=True, timeout=TIMEOUT_S)
    expect(done.returncode == 0, done)
    yield re.search(r'subject: CN=(\S+)', done.stderr).group(1)


@test
def server_has_sites():
    with OurServer(SITE_NAME='*.site.test', SITE_CERT=path('site.both')) as server:
        for name, subject in (('server.test', 'server.test'), ('one.site.test', 'site.test')):
            got = list(names_of(server.port, name))
            expect(got == [subject] * 3, name, got)
    expect(server.errors == '', server.errors)


@test
def server_has_sites_and_another_group():
    """The client's share of a key is of a group that the server has not: it is asked for a second hello."""
    with open(path('groups.cnf'), 'w') as file:
        file.write('openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = here\n'
                   '[here]\nGroups = P-384\n')
    with OurServer(SITE_NAME='*.site.test', SITE_CERT=path('site.both'),
                   OPENSSL_CONF=path('groups.cnf')) as server:
        for name, subject in (('server.test', 'server.test'), ('one.site.test', 'site.test')):
            done = s_client(server.port, 'hello\nquit\n', '-tls1_3', '-ign_eof', '-servername', name,
                            '-alpn', 'h2', '-groups', 'X25519:P-384', '-msg')
            expect(done.returncode == 0 and '\nhello\n' in done.stdout, done)
            expect(len(re.findall('>>> TLS 1.3, Handshake .*ClientHello', done.stdout)) == 2, done.stdout)
            expect(re.search(r'subject=CN ?= ?(\S+)', done.stdout).group(1) == subject, name, done.stdout)
            expect('ALPN protocol: h2' in done.stdout, done.stdout)
    expect(server.errors == '', server.errors)


@test
def client_is_asked_for_another_group():
    process, port = start_openssl_server('-tls1_3', '-groups', 'P-521', '-servername', 'one.site.test',
                                         '-cert2', path('site.pem'), '-key2', path('site.key'), '-rev',
                                         '-naccept', '1', '-msg')
    try:
        status, out, told = our_client(port, name='one.site.test')
        shown, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    expect((status, out) == (0, 'olleh\ndlrow\n'), status, out, told)
    expect('subject=CN=site.test' in told, told)
    expect(len(re.findall('<<< TLS 1.3, Handshake .*ClientHello', shown)) == 2, shown)


@test
def server_tells_old_clients():
    with OurServer() as server:
        done = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{server.port}', '-tls1_1',
                               '-cipher', 'ALL:@SECLEVEL=0'], input='', capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        expect(done.returncode != 0 and 'alert protocol version' in done.stderr, done)
    expect('unsupported protocol' in server.errors, server.errors)


@test
def client_is_refused_its_protocol():
    with PythonServer() as server:
        server.context.set_alpn_protocols(['imap'])
        status, _, told = our_client(server.port, ALPN='h2')
        expect(status == 0 and ' alpn= ' in told, told)  # Python's goes on without one
    process, port = start_openssl_server('-alpn', 'imap')
    try:
        status, _, told = our_client(port, ALPN='h2')
        expect(status == 1 and 'no application protocol' in told, status, told)
    finally:
        process.kill()
        process.communicate()


@test
def server_refuses_renegotiation():
    with OurServer() as server:
        process = start('openssl', 's_client', '-connect', f'127.0.0.1:{server.port}', '-tls1_2')
        process.stdin.write('hello\n')
        process.stdin.flush()
        while (line := process.stdout.readline()) != 'hello\n':
            expect(line, 'no answer')
        process.stdin.write('R\n')
        process.stdin.flush()
        out, _ = process.communicate(timeout=TIMEOUT_S)
        expect('RENEGOTIATING' in out and 'no renegotiation' in out, out)
        # And serves others.
        expect('\nhello\n' in s_client(server.port, 'hello\nquit\n', '-ign_eof').stdout)


@test
def server_updates_keys():
    """TLS 1.3: a client may ask for new keys, ours as well."""
    with OurServer() as server:
        process = start('openssl', 's_client', '-connect', f'127.0.0.1:{server.port}', '-tls1_3')
        for line in ('one\n', 'K\n', 'two\n', 'k\n', 'three\n'):
            process.stdin.write(line)
            process.stdin.flush()
            answer = '' if len(line) > 2 else line
            while answer != line:
                answer = process.stdout.readline()
                expect(answer, 'no answer to', line)
            if len(line) == 2:
                time.sleep(0.1)
        process.stdin.close()
        process.stdout.read()
        process.wait(TIMEOUT_S)


def main():
    failed = 0
    try:
        make_certificates()
        for function in tests:
            try:
                function()
                print('ok', function.__name__)
            except Exception:
                failed += 1
                print('FAILED', function.__name__)
                traceback.print_exc(file=sys.stdout)
    finally:
        shutil.rmtree(folder)
    return 1 if failed else 0


sys.exit(main())
