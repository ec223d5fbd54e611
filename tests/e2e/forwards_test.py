"""Forwards of our client: each entrance, with Debian's kcptun-server in front of a SOCKS5 server, and in a network of its
own behind iptables' REDIRECT and TPROXY.

    forwards_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import contextlib
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import machine
import tunnel as t
from reach_test import Space
from tunnel import OPTIONS, TunnelCase

HERE = os.path.dirname(os.path.abspath(__file__))
DEBIANS = "/usr/bin/kcptun-server"
PATIENCE = 20  # seconds
KEY = ["--key", "kcptun-uv test key", "--smuxver", "1"]
HINT = "did not answer the request of forward"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


class ForwardCase(t.BlockingStreams, TunnelCase):
    """Client, a server in front of a SOCKS5 server, and a target that a name and an address lead to."""

    def setUp(self):
        super().setUp()
        self.far = self.target()
        self.ports = {kind: t.free_port() for kind in ("tcp", "closed", "socks5", "http", "udp", "socks")}
        self.dead = t.free_port()  # nobody listens
        self.path = os.path.join(self.directory, "db.sock")

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def start_socks(self):
        self.socks = self.start("socks", sys.executable, [os.path.join(HERE, "socks_server.py"), self.ports["socks"]])
        self.socks.wait_ready(lambda: "ready" in self.socks.log())

    def start_server(self, target):
        self.server = self.start("server", DEBIANS, ["-l", f":{self.ports['udp']}", "-t", target, *KEY])
        self.server.wait_ready(lambda: t.udp_bound(self.ports["udp"]))

    def start_client(self, *more):
        forwards = [f"tcp://127.0.0.1:{self.ports['tcp']}=tcp://localhost:{self.far.port}",
                    f"tcp://127.0.0.1:{self.ports['closed']}=tcp://127.0.0.1:{self.dead}",
                    f"unix://{self.path}=tcp://127.0.0.1:{self.far.port}",
                    f"socks5://127.0.0.1:{self.ports['socks5']}", f"http://127.0.0.1:{self.ports['http']}"]
        self.client = self.start("client", OPTIONS.client, ["-r", f"127.0.0.1:{self.ports['udp']}", *KEY, *more] + [
            word for forward in forwards for word in ("--forward", forward)])
        self.client.wait_ready(lambda: t.can_listen_tcp(self.ports["http"]))

    def connect(self, kind):
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.path)
        else:
            connection = socket.create_connection((t.HOST, self.ports[kind]))
        connection.settimeout(PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def ask_socks(self, host, port):
        """The connection behind the two replies, and the code of the second."""
        connection = self.connect("socks5")
        connection.sendall(b"\x05\x01\x00")
        self.assertEqual(t.read_exactly(connection, 2), b"\x05\x00")
        connection.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + struct.pack(">H", port))
        reply = t.read_exactly(connection, 10)
        self.assertEqual(reply[0], 5)
        return connection, reply[1]

    def ask_http(self, authority):
        connection = self.connect("http")
        connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += t.read_exactly(connection, 1)
        return connection, head.split(b" ")[1]

    def curl(self, *arguments):
        site = http.server.ThreadingHTTPServer((t.HOST, 0), Page)
        self.addCleanup(site.server_close)
        self.addCleanup(site.shutdown)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        done = subprocess.run(["curl", "-sS", *arguments, f"http://localhost:{site.server_port}/"], capture_output=True,
                              timeout=PATIENCE)
        return done.stdout, done.stderr.decode()


class Entrances:
    """What each entrance does, whatever server dials."""

    def test_forwards_carry_both_directions_to_their_end(self):
        for kind in ("tcp", "unix"):
            for size in (0, 1, 1_000_000):
                with self.subTest(kind=kind, size=size):
                    self.echo(self.connect(kind), size)
                    self.source(self.connect(kind), size)
        t.wait_until(lambda: f"forward=tcp://127.0.0.1:{self.ports['tcp']}" in self.client.log()
                     and f"target=localhost:{self.far.port}" in self.client.log(), PATIENCE, "the stream's line")

    def test_an_application_asks_by_socks5(self):
        connection, code = self.ask_socks("localhost", self.far.port)
        self.assertEqual(code, 0)
        self.echo(connection, 300_000)
        self.assertEqual(self.curl("--socks5-hostname", f"127.0.0.1:{self.ports['socks5']}"), (b"page", ""))

    def test_an_application_asks_by_http_connect(self):
        connection, status = self.ask_http(f"localhost:{self.far.port}")
        self.assertEqual(status, b"200")
        self.echo(connection, 300_000)
        self.assertEqual(self.curl("--proxytunnel", "--proxy", f"http://127.0.0.1:{self.ports['http']}"), (b"page", ""))

    def test_payload_may_follow_the_request_at_once(self):
        connection = self.connect("socks5")
        host = b"localhost"
        connection.sendall(b"\x05\x01\x00\x05\x01\x00\x03" + bytes([len(host)]) + host
                           + struct.pack(">H", self.far.port) + b"echo\nhello")
        self.assertEqual(t.read_exactly(connection, 12), b"\x05\x00\x05\x00\x00\x01" + bytes(6))
        self.assertEqual(t.read_exactly(connection, 5), b"hello")

    def test_many_connections_share_the_session(self):
        connections = [self.connect(kind) for kind in ("tcp", "unix") * 30]
        for number, connection in enumerate(connections):
            connection.sendall(b"echo\n%04d" % number)
        for number, connection in enumerate(connections):
            self.assertEqual(t.read_exactly(connection, 4), b"%04d" % number)
        t.wait_logged(self.client, "session dialled", times=1)

    def test_a_refused_target_resets_the_connection(self):
        begun = time.monotonic()
        connection = self.connect("closed")
        with self.assertRaises(ConnectionResetError):
            connection.recv(1)
        self.assertLess(time.monotonic() - begun, 5 * machine.busy())
        t.wait_until(lambda: "target not reached" in self.client.log() and "connection refused" in self.client.log(),
                     PATIENCE, "the reason in the log")

    def test_an_application_that_asks_sees_why(self):
        connection, code = self.ask_socks("127.0.0.1", self.dead)
        self.assertEqual(code, 5)
        self.assertEqual(t.read_all(connection), b"")
        connection, code = self.ask_socks("no-such-host.invalid", 80)
        self.assertEqual(code, 4)
        connection, status = self.ask_http(f"127.0.0.1:{self.dead}")
        self.assertEqual(status, b"502")
        self.assertIn(b"refuses", t.read_all(connection))

    def test_a_request_that_is_none_ends_its_connection_only(self):
        for kind in ("socks5", "http"):
            connection = self.connect(kind)
            connection.sendall(b"\x04\x01\x00\x50")
            with contextlib.suppress(ConnectionResetError):
                t.read_all(connection)
        connection, code = self.ask_socks("localhost", self.far.port)
        self.assertEqual(code, 0)


@machine.needs("debian-kcptun")
class Debian(Entrances, ForwardCase):
    def setUp(self):
        super().setUp()
        self.start_socks()
        self.start_server(f"127.0.0.1:{self.ports['socks']}")
        self.start_client()

    def test_names_and_addresses_are_asked_for_as_such(self):
        for kind, asked in (("tcp", f"name localhost:{self.far.port}"), ("unix", f"address 127.0.0.1:{self.far.port}")):
            self.echo(self.connect(kind), 1)
            t.wait_logged(self.socks, asked)


class OwnServerCase(ForwardCase):
    """With our server, which answers the requests itself."""

    def start_own_server(self, target):
        self.server = self.start("server", OPTIONS.server, ["-l", f":{self.ports['udp']}", "-t", target, "--allow",
                                                            "127.0.0.0/8,localhost", *KEY])
        self.server.wait_ready(lambda: t.udp_bound(self.ports["udp"]))


class Own(Entrances, OwnServerCase):
    def setUp(self):
        super().setUp()
        self.start_own_server("socks5")
        self.start_client()

    def test_a_target_that_the_rules_do_not_cover_is_not_reached(self):
        connection, code = self.ask_socks("192.0.2.1", 80)
        self.assertEqual(code, 2)
        connection, status = self.ask_http("192.0.2.1:80")
        self.assertEqual(status, b"403")
        t.wait_until(lambda: self.client.log().count("reason=\"the server does not allow it\"") == 2, PATIENCE,
                     "both reasons in the log")

class BesideTarget(OwnServerCase):
    def test_localaddr_leads_to_the_servers_own_target_beside_forwards(self):
        own = self.target()
        self.ports["local"] = t.free_port()
        self.start_own_server(own.name)
        self.start_client("-l", f"127.0.0.1:{self.ports['local']}")
        plain, forwarded = self.connect("local"), self.connect("tcp")
        self.echo(plain, 100_000)
        self.echo(forwarded, 200_000)
        for connection in (plain, forwarded):
            connection.close()
        self.assertEqual(own.wait_finished("echo", PATIENCE)["received"], 100_000)
        self.assertEqual(self.far.wait_finished("echo", PATIENCE)["received"], 200_000)
        t.wait_logged(self.client, "session dialled", times=1)



@machine.needs("debian-kcptun")
class NoSocks(ForwardCase):
    def test_a_server_without_socks5_ends_the_connection_and_gives_one_hint(self):
        thread = threading.Thread(target=self.answer_as_another_protocol, daemon=True)
        self.listener = socket.create_server((t.HOST, self.ports["socks"]))
        self.addCleanup(self.listener.close)
        thread.start()
        self.start_server(f"127.0.0.1:{self.ports['socks']}")
        self.start_client()
        for _ in range(3):
            connection = self.connect("tcp")
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(connection.recv(1), b"")
        connection, code = self.ask_socks("localhost", 80)
        self.assertEqual(code, 1)
        t.wait_until(lambda: self.client.log().count("target not reached") == 4, PATIENCE, "all four failures in the log")
        t.wait_logged(self.client, HINT, times=1)
        t.wait_logged(self.client, "start it with --target socks5 or --allow")

    def answer_as_another_protocol(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.recv(t.CHUNK)
                connection.sendall(b"SSH-2.0-test\r\n")
                connection.close()


CONNECT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
connection.sendall(b"echo\\nhello")
data = b""
while len(data) < 5:
    data += connection.recv(5) or sys.exit("end of file")
print(data.decode())
"""


@machine.needs("tcp-mode", "debian-kcptun")  # namespaces and nftables
class NetworkCase(TunnelCase):
    """Server, SOCKS5 server and target in a network of their own, in which rules may be set."""

    def setUp(self):
        super().setUp()
        self.space = Space(self.directory)
        self.addCleanup(self.space.close)
        self.space.connect_network()
        self.far = self.target(family=socket.AF_UNIX, address=os.path.join(self.directory, "far"))
        self.start("socks", sys.executable, [os.path.join(HERE, "socks_server.py"), "1080", self.far.name], "ready")
        self.start("server", DEBIANS, ["-l", "127.0.0.1:29900", "-t", "127.0.0.1:1080", *KEY], "listening on")
        self.inside("ip", "route", "add", "198.51.100.0/24", "dev", "lo", "src", "192.0.2.2")

    def start(self, name, path, arguments, words):
        started = t.Program(self.space.enter[0], [*self.space.enter[1:], path, *arguments],
                            os.path.join(self.directory, name + ".log"))
        self.addCleanup(started.end)
        started.wait_ready(lambda: words in started.log())
        setattr(self, name, started)

    def inside(self, *command):
        done = subprocess.run([*self.space.enter, *command], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done.stdout

    def start_client(self, forward, *more):
        self.start("client", OPTIONS.client, ["-r", "127.0.0.1:29900", "--forward", forward, *KEY, *more],
                   "tunnel started")


class Transparent(NetworkCase):
    """Applications that know nothing of the tunnel: rules lead their connections to 198.51.100.7:80 into it."""

    def reaches(self, host):
        self.assertEqual(self.inside(sys.executable, "-c", CONNECT, host, "80"), "hello\n")
        shown = f"[{host}]" if ":" in host else host
        t.wait_until(lambda: f"address {shown}:80\n" in self.socks.log(), PATIENCE, "the original destination")

    def test_redirect(self):
        self.start_client("redirect://127.0.0.1:1081")
        self.inside("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", "198.51.100.7", "-j", "REDIRECT",
                    "--to-ports", "1081")
        self.reaches("198.51.100.7")

    def test_redirect_at_every_address_and_of_ipv6(self):
        self.inside("ip", "-6", "addr", "add", "2001:db8::1/128", "dev", "lo", "nodad")
        self.inside("ip", "-6", "route", "add", "2001:db8:7::/64", "dev", "lo")
        self.start_client("redirect://:1081")
        for program, host in (("iptables", "198.51.100.7"), ("ip6tables", "2001:db8:7::7")):
            self.inside(program, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", host, "-j", "REDIRECT", "--to-ports", "1081")
            self.reaches(host)

    def test_a_connection_that_no_rule_redirected_is_reset(self):
        self.start_client("redirect://127.0.0.1:1081")
        done = subprocess.run([*self.space.enter, sys.executable, "-c", CONNECT, "127.0.0.1", "1081"], capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        t.wait_until(lambda: "connection refused: no firewall rule redirected it" in self.client.log(), PATIENCE,
                     "the reason in the log")

    def test_tproxy(self):
        self.start_client("tproxy://127.0.0.1:1081")
        self.inside("iptables", "-t", "mangle", "-A", "OUTPUT", "-p", "tcp", "-d", "198.51.100.7", "-j", "MARK",
                    "--set-mark", "1")
        self.inside("ip", "rule", "add", "fwmark", "1", "lookup", "100")
        self.inside("ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
        self.inside("iptables", "-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "-d", "198.51.100.7", "-j", "TPROXY",
                    "--on-ip", "127.0.0.1", "--on-port", "1081", "--tproxy-mark", "1")
        self.reaches("198.51.100.7")


class Uplinks(NetworkCase):
    """--bind, --interface and --fwmark: of the client's sockets to the server."""

    def run_with(self, *arguments):
        self.start_client("socks5://127.0.0.1:1081", *arguments)

    def test_packets_leave_from_the_address_with_the_mark(self):
        self.inside("nft", "add table inet u; add chain inet u out { type filter hook output priority 0; }; "
                    "add rule inet u out ip saddr 192.0.2.2 meta mark 7 udp dport 29900 counter")
        self.run_with("--bind", "192.0.2.2", "--fwmark", "7", "--interface", "lo")
        ask = ("import socket; c = socket.create_connection(('127.0.0.1', 1081), 20); "
               "c.sendall(b'\\x05\\x01\\x00\\x05\\x01\\x00\\x01\\xc6\\x33\\x64\\x07\\x00\\x50echo\\nhello'); "
               "d = b''\nwhile len(d) < 17: d += c.recv(17) or exit(1)")
        self.inside(sys.executable, "-c", ask)
        self.assertNotIn("packets 0 ", self.inside("nft", "list", "chain", "inet", "u", "out"))

    def test_an_address_that_is_not_there_is_reported(self):
        self.run_with("--bind", "203.0.113.9")
        t.wait_until(lambda: "cannot bind to 203.0.113.9" in self.client.log(), PATIENCE, "the reason")


if __name__ == "__main__":
    t.main()
