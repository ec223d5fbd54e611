"""Streams that name their target at a server with `-t socks5`, and the client's address at the target.

    socks_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

import machine
import reach_test
import tunnel as t
from tunnel import OPTIONS, TunnelCase

DEBIAN_CLIENT = "/usr/bin/kcptun-client"
PATIENCE = 20
GREETING = b"\5\1\0"
GRANTED = b"\5\0"
SUCCEEDED, GENERAL, NOT_ALLOWED, NETWORK, HOST, REFUSED, TIMED_OUT, COMMAND, TYPE = range(9)


def to_name(name, port, command=1):
    encoded = name if isinstance(name, bytes) else name.encode()
    return b"\5" + bytes([command]) + b"\0\3" + bytes([len(encoded)]) + encoded + struct.pack("!H", port)


def to_ip(ip, port):
    family, kind = (socket.AF_INET6, b"\4") if ":" in ip else (socket.AF_INET, b"\1")
    return b"\5\1\0" + kind + socket.inet_pton(family, ip) + struct.pack("!H", port)


class Answer(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


class SocksCase(TunnelCase):
    def web_server(self, size=2 << 20):
        """Its port, and the SHA-256 of what it serves."""
        body = t.payload(self.seed, size)
        server = http.server.ThreadingHTTPServer((t.HOST, 0), type("Of", (Answer,), {"body": body}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port, hashlib.sha256(body).hexdigest()

    def socks_tunnel(self, *rules, common=(), server_args=(), client=None):
        allow = [word for rule in rules for word in ("--allow", rule)]
        if client:
            return self.foreign_tunnel(client, common, [*allow, *server_args])
        return self.tunnel(common, target_name="socks5", server_args=[*allow, *server_args])

    def foreign_tunnel(self, client, common, server_args, **options):
        directory = tempfile.mkdtemp(dir=self.directory)
        tunnel = t.Tunnel(client, OPTIONS.server, common, directory=directory, server_args=server_args,
                          **{"target_name": "socks5", **options})
        self._tunnels.append(tunnel)
        self.addCleanup(tunnel.close)
        return tunnel.__enter__()

    def connect(self, tunnel):
        connection = socket.create_connection((t.HOST, tunnel.local_port), timeout=PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def ask(self, tunnel, request, greeting=GREETING):
        """What comes back until the server ends the stream."""
        with self.connect(tunnel) as connection:
            connection.sendall(greeting + request)
            return t.read_all(connection)

    def code(self, tunnel, request):
        """The REP field of a failure, which is all that comes back."""
        answer = self.ask(tunnel, request)
        self.assertEqual(answer[:2], GRANTED)
        self.assertEqual(len(answer), 12, answer)
        self.assertEqual(answer[2:3] + answer[4:], b"\5\0\1" + bytes(6))
        return answer[3]


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", *map(str, arguments)],
                          capture_output=True, timeout=90)


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(SocksCase):
    """curl waits for each reply, through our own client and through Go's."""

    def fetch_both_ways(self, tunnel, port, wanted):
        for host in (t.HOST, "localhost"):
            for proxy in (["--socks5-hostname", f"{t.HOST}:{tunnel.local_port}"],
                          ["--proxytunnel", "--proxy", f"http://{t.HOST}:{tunnel.local_port}"]):
                done = curl(*proxy, f"http://{host}:{port}/")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(hashlib.sha256(done.stdout).hexdigest(), wanted)

    def refuse_both_ways(self, tunnel, port):
        done = curl("--socks5-hostname", f"{t.HOST}:{tunnel.local_port}", f"http://127.0.0.2:{port}/")
        self.assertIn(done.returncode, (7, 97), done.stderr)
        done = curl("--proxytunnel", "--proxy", f"http://{t.HOST}:{tunnel.local_port}", f"http://127.0.0.2:{port}/")
        self.assertEqual(done.returncode, 56, done.stderr)
        self.assertIn(b"403", done.stderr)

    def run_with(self, client, common):
        port, wanted = self.web_server()
        tunnel = self.socks_tunnel(f"127.0.0.1:{port}", "localhost", client=client, common=common)
        self.fetch_both_ways(tunnel, port, wanted)
        self.refuse_both_ways(tunnel, port)
        tunnel.wait_idle(30)

    def test_our_client(self):
        self.run_with(None, ())

    @machine.needs("debian-kcptun")
    def test_gos_client(self):
        for version in (1, 2):
            with self.subTest(smuxver=version):
                self.run_with(DEBIAN_CLIENT, ("--smuxver", version))


class Replies(SocksCase):
    def test_each_failure_has_its_reason(self):
        closed, silent = t.free_port(), t.free_port()
        tunnel = self.socks_tunnel("127.0.0.1", "*.invalid")
        self.assertEqual(self.code(tunnel, to_ip("127.0.0.1", closed)), REFUSED)
        self.assertEqual(self.code(tunnel, to_name("127.0.0.1", closed)), REFUSED)
        self.assertEqual(self.code(tunnel, to_name("nobody.invalid", 80)), HOST)
        self.assertEqual(self.code(tunnel, to_ip("127.0.0.2", closed)), NOT_ALLOWED)
        self.assertEqual(self.code(tunnel, to_name("a", 80, command=2)), COMMAND)
        self.assertEqual(self.code(tunnel, to_name("a", 80, command=3)), COMMAND)
        self.assertEqual(self.code(tunnel, b"\5\1\0\2"), TYPE)
        with t.black_hole(silent):
            self.assertEqual(self.code(tunnel, to_ip("127.0.0.1", silent)), TIMED_OUT)
        self.assertEqual(self.ask(tunnel, b"", greeting=b"\5\1\2"), b"\5\xff")  # a password, which is not asked for
        tunnel.wait_idle(30)

    def test_http_has_its_own_replies(self):
        tunnel = self.socks_tunnel("127.0.0.1")

        def status(head):
            return self.ask(tunnel, head, greeting=b"").split(b" ", 2)[1]
        self.assertEqual(status(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % t.free_port()), b"502")
        self.assertEqual(status(b"CONNECT 10.0.0.1:80 HTTP/1.1\r\n\r\n"), b"403")
        self.assertEqual(status(b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n"), b"400")
        self.assertEqual(status(b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n"), b"405")
        self.assertEqual(status(b"CONNECT a:1 HTTP/1.1\r\n" + b"X: y\r\n" * 2000), b"431")
        tunnel.wait_idle(30)

    def test_a_payload_behind_the_request_arrives_with_it(self):
        target = self.target()
        tunnel = self.socks_tunnel("127.0.0.1")
        data = t.payload(self.seed, 300_000)
        with self.connect(tunnel) as connection:
            connection.sendall(GREETING + to_ip("127.0.0.1", target.port) + b"answer 0 0\n" + data)
            connection.shutdown(socket.SHUT_WR)
            answer = t.read_all(connection)
        self.assertEqual(answer[:12], GRANTED + b"\5\0\0\1" + bytes(6))
        self.assertEqual(answer[12:], struct.pack("<Q", len(data)) + t.sha(data))
        tunnel.wait_idle(30)

    def test_what_is_no_request_and_what_never_ends_is_closed(self):
        tunnel = self.socks_tunnel("127.0.0.1")
        for nothing in (b"\x16\x03\x01", b"\4\1\0\x50\x7f\0\0\1\0", b"\0"):
            with self.connect(tunnel) as connection:
                connection.sendall(nothing)
                self.assertEqual(self.rest_of(connection), b"")
        with self.connect(tunnel) as slow, self.connect(tunnel) as stubborn:
            slow.sendall(GREETING + b"\5\1\0")
            stubborn.sendall(GREETING + to_ip("127.0.0.2", 80))
            self.assertEqual(len(t.read_all(stubborn)), 12)
            self.assertEqual(self.rest_of(slow), GRANTED)  # after 10 s
            t.wait_until(lambda: self.is_reset(stubborn), 10, "a stream that stays open behind the reply is reset")
        tunnel.wait_idle(30)

    def is_reset(self, connection):
        try:
            connection.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def rest_of(self, connection):
        received = b""
        try:
            while piece := connection.recv(4096):
                received += piece
        except ConnectionResetError:
            pass
        return received


PRIVATE_IPS = ("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
               "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1",
               "64:ff9b::10.0.0.1", "2002:7f00:1::1", "fd00::1", "fe80::1", "ff02::1")
PRIVATE_NAMES = ("localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0X7F.1", "017700000001",
                 "0177.0.0.1", "127.1", "127.0.0.1.", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:0:0:1",
                 "fe80::1%lo", "64:ff9b::7f00:1")


class OpenProxy(SocksCase):
    """No spelling of a private address passes a server that allows public ones."""

    def test_every_spelling_is_denied_counted_and_shown(self):
        target, page = self.target(), t.free_port()
        tunnel = self.socks_tunnel("public", "*", "0.0.0.0/0", "::/0", "*.localhost",
                                   server_args=["--status", f"{t.HOST}:{page}"])
        requests = [to_ip(ip, target.port) for ip in PRIVATE_IPS] + [to_name(name, target.port) for name in PRIVATE_NAMES]
        for request in requests:
            self.assertEqual(self.code(tunnel, request), NOT_ALLOWED, request)
        self.assertEqual(target.finished, [])
        with urllib.request.urlopen(f"http://{t.HOST}:{page}/status.json", timeout=PATIENCE) as answer:
            shown = json.load(answer)["tunnels"][0]
        self.assertEqual((shown["requests"], shown["denied_requests"]), (len(requests), len(requests)))
        with urllib.request.urlopen(f"http://{t.HOST}:{page}/metrics", timeout=PATIENCE) as answer:
            self.assertIn(f'kcptun_tunnel_denied_requests_total{{tunnel="default"}} {len(requests)}', answer.read().decode())
        lines = [line for line in tunnel.server_program.log().splitlines() if "request denied" in line]
        self.assertTrue(lines)
        self.assertLessEqual(len(lines), 20)  # limited, and the rest is counted

    def test_a_server_without_rules_does_not_start(self):
        started = subprocess.run([OPTIONS.server, "--key", "k", "-l", f"{t.HOST}:{t.free_port()}", "-t", "socks5"],
                                 capture_output=True, timeout=PATIENCE, text=True)
        self.assertEqual(started.returncode, 2)
        self.assertIn("needs allow", started.stderr)
        self.assertIn("--allow public:443", started.stderr)

    def test_rules_change_while_the_server_runs(self):
        target, port = self.target(), t.free_port()
        profile = os.path.join(self.directory, "server.json")

        def write(allow):
            with open(profile, "w") as file:
                json.dump({"key": "kcptun-uv test key", "listen": f"{t.HOST}:{port}", "target": "socks5", "allow": allow}, file)
        write(["public"])
        server = t.Program(OPTIONS.server, ["-c", profile], os.path.join(self.directory, "server.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: t.udp_bound(port))
        tunnel = t.Tunnel(OPTIONS.client, OPTIONS.server, directory=self.directory, target_name="socks5", udp_port=port)
        self.addCleanup(tunnel.close)
        tunnel.start_client()
        self.assertEqual(self.code(tunnel, to_ip("127.0.0.1", target.port)), NOT_ALLOWED)
        write(["127.0.0.1"])
        server.signal(signal.SIGHUP)
        t.wait_until(lambda: self.granted(tunnel, target.port), PATIENCE, "the new rule counts")

    def granted(self, tunnel, port):
        with self.connect(tunnel) as connection:
            connection.sendall(GREETING + to_ip("127.0.0.1", port))
            return connection.recv(2, socket.MSG_WAITALL) + connection.recv(10, socket.MSG_WAITALL) == \
                GRANTED + b"\5\0\0\1" + bytes(6)


# Answers the queries for a name in turn from a list of lists of IPv4 addresses; the last one stays.
NAME_SERVER = """
import socket, sys
answers = {name: [a.split("+") for a in rest.split(",")] for name, rest in (w.split("=") for w in sys.argv[1:])}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    query, sender = server.recvfrom(512)
    end = query.index(b"\\0", 12) + 5
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    known = answers.get(".".join(name).lower())
    addresses = []
    if known and query[end - 3] == 1:
        addresses = known.pop(0) if len(known) > 1 else known[0]
    head = query[:2] + (b"\\x81\\x80" if known else b"\\x81\\x83") + b"\\0\\1" + len(addresses).to_bytes(2, "big") + bytes(4)
    records = b"".join(b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton(a) for a in addresses)
    server.sendto(head + query[12:end] + records, sender)
"""
# Says by which of its addresses it was reached.
TWO_FACED = """
import socket, sys, threading
def serve(address, port):
    listener = socket.create_server((address, port))
    while True:
        connection, _ = listener.accept()
        connection.sendall(address.encode())
        connection.close()
for word in sys.argv[1:]:
    address, port = word.split(":")
    threading.Thread(target=serve, args=(address, int(port)), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@machine.needs("tcp-mode")
class Names(reach_test.SpaceCase):
    """Names that resolve to private addresses, at once or later, in a network with its own name server."""

    connect = SocksCase.connect
    ask = SocksCase.ask

    def script(self, text, *arguments):
        process = subprocess.Popen([*self.space.enter, sys.executable, "-c", text, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "ready\n")

    def reached(self, name, port=80):
        """The address that a request for the name reached, or the reply code."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self.local)
            connection.sendall(GREETING + to_name(name, port))
            answer = t.read_all(connection)
        self.assertEqual(answer[:2], GRANTED)
        return answer[12:].decode() if answer[3] == 0 else answer[3]

    def test_names_are_resolved_once_and_only_permitted_addresses_are_dialled(self):
        self.space.connect_network()
        self.space.set_hosts("127.0.0.1 private.test", "192.0.2.2 public.test")
        self.script(NAME_SERVER, "rebinds.test=192.0.2.2,127.0.0.1", "both.test=127.0.0.1+192.0.2.2",
                    "private.dns.test=127.0.0.1")
        self.script(TWO_FACED, "192.0.2.2:80", "127.0.0.1:80", "127.0.0.1:81")
        self.start("server", OPTIONS.server, ["-l", ":29900", "-t", "socks5", "--allow", "public"])
        self.start_client("127.0.0.1:29900")
        self.assertEqual(self.reached("public.test"), "192.0.2.2")
        self.assertEqual(self.reached("private.test"), NOT_ALLOWED)
        self.assertEqual(self.reached("private.dns.test"), NOT_ALLOWED)
        self.assertEqual(self.reached("rebinds.test"), "192.0.2.2")
        self.assertEqual(self.reached("rebinds.test"), NOT_ALLOWED)
        self.assertEqual(self.reached("both.test"), "192.0.2.2")
        self.assertEqual(self.reached("both.test", 81), REFUSED)  # open at the private address only


class HeaderReader(t.ThreadedTarget):
    """Reads a header of the PROXY protocol and 5 bytes more, and notes them."""

    def __init__(self):
        self.seen = []
        super().__init__()

    def serve(self, connection):
        with connection, connection.makefile("rb") as reader:
            first = reader.read(1)
            if first == b"P":
                kind, family, source, _, source_port, port = (first + reader.readline()).decode().split()
                header = (kind, family, source, int(source_port), int(port))
            else:
                head = first + reader.read(15)
                size = struct.unpack("!H", head[14:])[0]
                rest = reader.read(size)
                source, _, source_port, port = struct.unpack("!4s4sHH", rest)
                header = (head[:14], size, socket.inet_ntoa(source), source_port, port)
            self.seen.append((header, reader.read(5)))
            connection.sendall(b"done")


class ProxyHeader(SocksCase):
    """The client's address at the target."""

    def tell(self, tunnel):
        with self.connect(tunnel) as connection:
            connection.sendall(b"hello")  # and no end of file, by which a client of 2021 ends both directions
            return t.read_all(connection)

    def run_with(self, version, client):
        reader = HeaderReader()
        self.addCleanup(reader.close)
        arguments = ["--proxy-protocol", version]
        tunnel = self.foreign_tunnel(client, ("--smuxver", 2), arguments, target_name=reader.name)
        self.assertEqual(self.tell(tunnel), b"done")
        header, rest = reader.seen[0]
        self.assertEqual(rest, b"hello")
        self.assertEqual(header[2:], (t.HOST, tunnel.client_program.udp_ports()[0], tunnel.udp_port))
        self.assertEqual(header[:2], ("PROXY", "TCP4") if version == "v1"
                         else (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", 12))

    def test_our_client(self):
        for version in ("v1", "v2"):
            with self.subTest(version=version):
                self.run_with(version, OPTIONS.client)

    @machine.needs("debian-kcptun")
    def test_gos_client(self):
        for version in ("v1", "v2"):
            with self.subTest(version=version):
                self.run_with(version, DEBIAN_CLIENT)

    def run_with_server(self, program, arguments, config, port, versions):
        """A web server that expects the header and answers with the client's address."""
        path = os.path.join(self.directory, "server.conf")
        with open(path, "w") as file:
            file.write(config)
        server = t.Program(program, [*arguments, path], os.path.join(self.directory, "web.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: t.can_listen_tcp(port))
        for version in versions:
            tunnel = self.tunnel(target_name=f"{t.HOST}:{port}", server_args=["--proxy-protocol", version])
            with urllib.request.urlopen(f"http://{t.HOST}:{tunnel.local_port}/", timeout=PATIENCE) as answer:
                self.assertEqual(answer.read().decode().strip(),
                                 f"{t.HOST}:{tunnel.client_program.udp_ports()[0]}")
            tunnel.close()

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_nginx(self):
        port = t.free_port()
        folders = " ".join(f"{kind}_temp_path {self.directory}/{kind};"
                           for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = (f"daemon off; pid {self.directory}/nginx.pid; error_log stderr; events {{}}\n"
                  f"http {{ access_log off; {folders} "
                  f"server {{ listen {t.HOST}:{port} proxy_protocol; location / {{ "
                  "return 200 $proxy_protocol_addr:$proxy_protocol_port; } } }\n")
        self.run_with_server(shutil.which("nginx"), ["-c"], config, port, ("v1", "v2"))

    @unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
    def test_haproxy(self):
        port = t.free_port()
        config = ("defaults\n  mode http\n  timeout client 20s\n  timeout server 20s\n  timeout connect 20s\n"
                  f"frontend web\n  bind {t.HOST}:{port} accept-proxy\n"
                  "  http-request return status 200 content-type text/plain lf-string %[src]:%[src_port]\n")
        self.run_with_server(shutil.which("haproxy"), ["-f"], config, port, ("v1", "v2"))


if __name__ == "__main__":
    t.main()
