"""UDP forwards of our client: to our server with rules for UDP, and to Debian's server, which cannot.

    udp_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import os
import socket
import threading
import time
import unittest

import tunnel as t
from tunnel import OPTIONS, TunnelCase

DEBIANS = "/usr/bin/kcptun-server"
PATIENCE = 20  # seconds
KEY = ["--key", "kcptun-uv test key"]
LARGEST = 65507  # bytes of a UDP payload over IPv4
REFUSED = "UDP cannot be forwarded"


class Echo:
    """Returns each datagram to its sender; remembers the senders."""

    def __init__(self, case):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((t.HOST, 0))
        self.port = self.socket.getsockname()[1]
        self.senders = set()
        case.addCleanup(self.end)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            data, sender = self.socket.recvfrom(LARGEST)
            if data == b"end" and sender == self.socket.getsockname():
                return
            self.senders.add(sender)
            self.socket.sendto(data, sender)

    def end(self):
        if self.socket.fileno() < 0:
            return
        self.socket.sendto(b"end", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


class UdpCase(TunnelCase):
    def setUp(self):
        super().setUp()
        self.echo = Echo(self)
        self.new_ports()

    def new_ports(self):
        self.tunnel_port, self.entrance = t.free_port(), t.free_port()

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def start_client(self, *more):
        forward = f"udp://{t.HOST}:{self.entrance}=udp://{t.HOST}:{self.echo.port}"
        self.client = self.start("client", OPTIONS.client,
                                 ["-r", f"{t.HOST}:{self.tunnel_port}", *KEY, "--forward", forward, *more])
        self.client.wait_ready(lambda: t.udp_bound(self.entrance))

    def start_server(self, *more, path=None):
        self.server = self.start("server", path or OPTIONS.server, ["-l", f":{self.tunnel_port}", *KEY, *more])
        self.server.wait_ready(lambda: t.udp_bound(self.tunnel_port))

    def application(self):
        connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        connection.connect((t.HOST, self.entrance))
        connection.settimeout(PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def wait_for_line(self, act, program, text):
        deadline = time.monotonic() + PATIENCE
        while text not in program.log():
            self.assertLess(time.monotonic(), deadline, program.log())
            act()
            time.sleep(0.05)

    def exchange(self, connection, data):
        connection.send(data)
        self.assertEqual(connection.recv(LARGEST), data)


class Own(UdpCase):
    def pair(self, *client_args, server_args=()):
        self.start_server("-t", "socks5", "--allow", f"udp/{t.HOST}:{self.echo.port}", *server_args)
        self.start_client(*client_args)

    def test_datagrams_of_all_sizes_come_back(self):
        self.pair()
        connection = self.application()
        for size in (1, 0, 2, 100, 1200, 1472, 4000, 30000, LARGEST):
            self.exchange(connection, t.payload(self.seed + size, size))
        self.assertEqual(len(self.echo.senders), 1, "one source is one flow")

    def test_each_source_is_a_flow_and_has_its_own_answers(self):
        self.pair()
        sources = [self.application() for _ in range(50)]
        for round_number in range(4):
            for number, source in enumerate(sources):
                source.send(b"%d of %d" % (round_number, number))
            for number, source in enumerate(sources):
                self.assertEqual(source.recv(LARGEST), b"%d of %d" % (round_number, number))
        self.assertEqual(len(self.echo.senders), len(sources))

    def test_datagrams_travel_beside_the_streams_under_every_kind_of_suite(self):
        for crypt in ("none", "salsa20", "aes-128-gcm", "xchacha20-poly1305"):
            with self.subTest(crypt=crypt):
                self.new_ports()
                self.pair("--crypt", crypt, server_args=("--crypt", crypt))
                connection = self.application()
                for number in range(200):
                    self.exchange(connection, b"%d" % number)
                self.client.end()
                self.server.end()

    def test_a_server_without_a_rule_for_udp_refuses_and_says_so(self):
        self.start_server("-t", "socks5", "--allow", f"tcp/{t.HOST}:{self.echo.port}")
        self.start_client()
        connection = self.application()
        self.wait_for_line(lambda: connection.send(b"refused"), self.client, REFUSED)
        self.assertEqual(self.echo.senders, set())


@unittest.skipUnless(os.path.exists(DEBIANS), "Debian's kcptun is not installed")
class Debian(UdpCase):
    """A server that has no datagrams. Its target answers no SOCKS5."""

    def test_a_server_that_cannot_harms_no_session(self):
        target = self.target()
        local = t.free_port()
        self.start_server("-t", f"{t.HOST}:{target.port}", "--smuxver", "2", path=DEBIANS)
        self.start_client("-l", f"{t.HOST}:{local}", "--smuxver", "2")
        beside = socket.create_connection((t.HOST, local))
        self.addCleanup(beside.close)
        beside.settimeout(PATIENCE)
        connection = self.application()
        self.wait_for_line(lambda: connection.send(b"nobody reads this"), self.client, REFUSED)
        beside.sendall(b"echo\nstill here")
        self.assertEqual(beside.recv(10, socket.MSG_WAITALL), b"still here")
        t.wait_logged(self.client, REFUSED, times=1)



if __name__ == "__main__":
    t.main()
