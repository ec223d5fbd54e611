"""UDP of applications that name their destinations: SOCKS5's UDP ASSOCIATE at a socks5 entrance, and datagrams that a
firewall's TPROXY leads to the client.

    socks_udp_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import os
import socket
import struct
import subprocess
import sys
import unittest

import machine
import tunnel as t
from reach_test import Space
from tunnel import OPTIONS, TunnelCase
from udp_test import Echo

PATIENCE = 20  # seconds
KEY = ["--key", "kcptun-uv test key"]
LARGEST = 65507  # bytes of a UDP payload over IPv4
REFUSED = "UDP cannot be forwarded"
MOST_ASSOCIATIONS = 1024  # ClientWorker::kMaxAssociations


def encoded(host, port):
    """An address as SOCKS5 has it."""
    try:
        return b"\x01" + socket.inet_aton(host) + struct.pack(">H", port)
    except OSError:
        return b"\x03" + bytes([len(host)]) + host.encode() + struct.pack(">H", port)


class Association:
    """An application's: the connection, and its socket."""

    def __init__(self, case, port):
        self.connection = socket.create_connection((t.HOST, port))
        case.addCleanup(self.connection.close)
        self.connection.settimeout(PATIENCE)
        self.connection.sendall(b"\x05\x01\x00")
        case.assertEqual(t.read_exactly(self.connection, 2), b"\x05\x00")
        self.connection.sendall(b"\x05\x03\x00" + encoded("0.0.0.0", 0))
        reply = t.read_exactly(self.connection, 10)
        case.assertEqual(reply[:4], b"\x05\x00\x00\x01")
        self.relay = (socket.inet_ntoa(reply[4:8]), struct.unpack(">H", reply[8:])[0])
        case.assertEqual(self.relay[0], t.HOST)
        self.socket = self.another_socket(case)

    def another_socket(self, case):
        another = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        another.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        another.connect(self.relay)
        another.settimeout(PATIENCE)
        case.addCleanup(another.close)
        return another

    def send(self, host, port, data, fragment=0):
        self.socket.send(b"\0\0" + bytes([fragment]) + encoded(host, port) + data)

    def receive(self):
        """The source, and the data."""
        datagram = self.socket.recv(LARGEST)
        assert datagram[:4] == b"\0\0\0\x01", datagram[:4]
        return (socket.inet_ntoa(datagram[4:8]), struct.unpack(">H", datagram[8:10])[0]), datagram[10:]


class AssociateCase(TunnelCase):
    def setUp(self):
        super().setUp()
        self.near, self.far = Echo(self), Echo(self)
        self.udp, self.entrance = t.free_port(), t.free_port()

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def pair(self, *rules, scheme="socks5", common=()):
        self.server = self.start("server", OPTIONS.server, ["-l", f":{self.udp}", "-t", "socks5", "--allow", ",".join(rules),
                                                            *KEY, *common])
        self.server.wait_ready(lambda: t.udp_bound(self.udp))
        self.client = self.start("client", OPTIONS.client, ["-r", f"{t.HOST}:{self.udp}", *KEY, "--forward",
                                                            f"{scheme}://{t.HOST}:{self.entrance}", *common])
        self.client.wait_ready(lambda: t.can_listen_tcp(self.entrance))


class Associate(AssociateCase):
    def test_datagrams_reach_each_destination_and_answers_have_their_source(self):
        for scheme, common in (("socks5", ()), ("http", ("--crypt", "xchacha20-poly1305")), ("socks5", ("--threads", "2"))):
            with self.subTest(scheme=scheme, common=common):
                self.udp, self.entrance = t.free_port(), t.free_port()
                self.pair("udp/127.0.0.0/8", "udp/localhost", scheme=scheme, common=common)
                application = Association(self, self.entrance)
                for size in (1, 0, 100, 1472, 30000, LARGEST - 10):
                    for echo in (self.near, self.far):
                        data = t.payload(self.seed + size, size)
                        application.send(t.HOST, echo.port, data)
                        self.assertEqual(application.receive(), ((t.HOST, echo.port), data))
                application.send("localhost", self.near.port, b"by name")
                self.assertEqual(application.receive(), ((t.HOST, self.near.port), b"by name"))
                self.client.end()
                self.server.end()
        self.assertEqual(len(self.far.senders), 3, "an association is one flow")

    def test_fragments_garbage_and_foreign_sources_are_dropped(self):
        self.pair("udp/127.0.0.0/8")
        application = Association(self, self.entrance)
        application.send(t.HOST, self.near.port, b"a fragment", fragment=1)
        for garbage in (b"", b"\0", b"\0\0\0", b"\0\0\0\x07abcd", b"\0\0\0\x01\x7f"):
            application.socket.send(garbage)
        application.send(t.HOST, self.near.port, b"whole")
        self.assertEqual(application.receive()[1], b"whole")
        foreign = application.another_socket(self)
        foreign.send(b"\0\0\0" + encoded(t.HOST, self.near.port) + b"foreign")
        application.send(t.HOST, self.near.port, b"again")
        self.assertEqual(application.receive()[1], b"again")
        foreign.setblocking(False)
        with self.assertRaises(BlockingIOError):
            foreign.recv(1)

    def test_associations_beyond_their_number_are_refused_until_another_ends(self):
        self.pair("udp/127.0.0.0/8", common=("--threads", "1"))
        held = [Association(self, self.entrance) for _ in range(MOST_ASSOCIATIONS)]
        refused = socket.create_connection((t.HOST, self.entrance))
        self.addCleanup(refused.close)
        refused.settimeout(PATIENCE)
        refused.sendall(b"\x05\x01\x00\x05\x03\x00" + encoded("0.0.0.0", 0))
        self.assertEqual(t.read_all(refused), b"\x05\x00")
        t.wait_logged(self.client, "association refused: there are too many", times=1)
        for application in (held[0], held[-1]):
            application.send(t.HOST, self.near.port, b"held")
            self.assertEqual(application.receive()[1], b"held")
        held[1].connection.close()
        t.wait_until(lambda: held[1].relay[1] not in self.client.udp_ports(), PATIENCE, "the client's port is closed")
        another = Association(self, self.entrance)
        another.send(t.HOST, self.near.port, b"another")
        self.assertEqual(another.receive()[1], b"another")

    def test_an_association_ends_with_its_connection(self):
        self.pair("udp/127.0.0.0/8")
        before = len(self.server.udp_ports())
        associations = [Association(self, self.entrance) for _ in range(20)]
        for application in associations:
            application.send(t.HOST, self.near.port, b"hello")
        for application in associations:
            self.assertEqual(application.receive()[1], b"hello")
        self.assertEqual(len(self.near.senders), 20)
        for application in associations:
            application.connection.close()
        relays = {application.relay[1] for application in associations}
        t.wait_until(lambda: not relays & set(self.client.udp_ports()) and len(self.server.udp_ports()) == before,
                     PATIENCE, "the sockets of both programs")

    def test_a_destination_without_a_rule_is_not_reached_and_others_are(self):
        self.pair(f"udp/{t.HOST}:{self.near.port}")
        application = Association(self, self.entrance)
        for _ in range(3):
            application.send(t.HOST, self.far.port, b"denied")
        application.send(t.HOST, self.near.port, b"allowed")
        self.assertEqual(application.receive(), ((t.HOST, self.near.port), b"allowed"))
        self.assertEqual(self.far.senders, set())

    def test_a_server_without_rules_for_udp_ends_the_association(self):
        self.pair(f"tcp/{t.HOST}")
        application = Association(self, self.entrance)
        application.send(t.HOST, self.near.port, b"denied")
        self.assertEqual(application.connection.recv(1), b"")
        t.wait_logged(self.client, REFUSED)


EXCHANGE = """
import os, socket, sys
os.setuid(65534)
app = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
app.settimeout(20)
for number, (host, port) in enumerate((("198.51.100.7", 7777), ("198.51.100.8", 7778), ("198.51.100.7", 7777))):
    data = b"%d" % number * (1 + 10000 * number)
    app.sendto(data, (host, port))
    answer, source = app.recvfrom(65535)
    assert answer == data and source == (host, port), (len(answer), source)
print("ok")
"""

ECHO = """
import socket, sys
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("127.0.0.1", 7777))
print("ready", flush=True)
while True:
    echo.sendto(*echo.recvfrom(65535))
"""


@machine.needs("tcp-mode")  # namespaces and nftables
class Transparent(TunnelCase):
    """Datagrams of user 65534 to 198.51.100.0/24 are led to the client; those of the server reach an echo."""

    def setUp(self):
        super().setUp()
        self.space = Space(self.directory)
        self.addCleanup(self.space.close)
        self.space.connect_network()
        owner = ["-m", "owner", "--uid-owner", "65534"]
        for rule in (["-t", "mangle", "-A", "OUTPUT", "-p", "udp", "-d", "198.51.100.0/24", *owner, "-j", "MARK", "--set-mark", "1"],
                     ["-t", "mangle", "-A", "PREROUTING", "-p", "udp", "-m", "mark", "--mark", "1", "-j", "TPROXY",
                      "--on-ip", "127.0.0.1", "--on-port", "1081", "--tproxy-mark", "1"],
                     ["-t", "nat", "-A", "OUTPUT", "-p", "udp", "-d", "198.51.100.0/24", "-m", "owner", "!", *owner[2:],
                      "-j", "DNAT", "--to-destination", "127.0.0.1:7777"]):
            self.inside("iptables", *rule)
        self.inside("ip", "route", "add", "198.51.100.0/24", "dev", "lo", "src", "192.0.2.2")
        self.inside("ip", "rule", "add", "fwmark", "1", "lookup", "100")
        self.inside("ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
        self.start("echo", sys.executable, ["-c", ECHO], "ready")

    def start(self, name, path, arguments, words):
        started = t.Program(self.space.enter[0], [*self.space.enter[1:], path, *arguments],
                            os.path.join(self.directory, name + ".log"))
        self.addCleanup(started.end)
        started.wait_ready(lambda: words in started.log())
        return started

    def inside(self, *command):
        done = subprocess.run([*self.space.enter, *command], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done.stdout

    def test_datagrams_keep_their_destination_and_answers_come_from_there(self):
        self.start("server", OPTIONS.server, ["-l", "127.0.0.1:29900", "-t", "socks5", "--allow", "udp/198.51.100.0/24", *KEY],
                   "tunnel started")
        client = self.start("client", OPTIONS.client, ["-r", "127.0.0.1:29900", "--forward", "tproxy://127.0.0.1:1081", *KEY],
                            "tunnel started")
        self.assertEqual(self.inside(sys.executable, "-c", EXCHANGE), "ok\n", client.log())

    def test_a_datagram_that_no_rule_led_there_is_dropped(self):
        self.start("server", OPTIONS.server, ["-l", "127.0.0.1:29900", "-t", "socks5", "--allow", "udp/*", *KEY], "tunnel started")
        client = self.start("client", OPTIONS.client, ["-r", "127.0.0.1:29900", "--forward", "tproxy://127.0.0.1:1081", *KEY],
                            "tunnel started")
        self.inside(sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                    "s.sendto(b'x', ('127.0.0.1', 1081))")
        self.assertEqual(self.inside(sys.executable, "-c", EXCHANGE), "ok\n", client.log())
        self.assertNotIn(REFUSED, client.log())


if __name__ == "__main__":
    t.main()
