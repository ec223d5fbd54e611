"""Sessions that change their ports (--hop), while streams and UDP flows go on: with our server, with Debian's, and where
some ports of the range are dead.

    hop_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import os
import re
import socket
import threading
import time

import machine
import tunnel as t
from own_test import free_udp_range
from tunnel import OPTIONS, TunnelCase
from udp_test import Echo

DEBIANS = "/usr/bin/kcptun-server"
PATIENCE = 30  # seconds
KEY = ["--key", "kcptun-uv test key"]
PORTS = 5
HOPPED = re.compile(r"session hopped .*remote=\S+:(\d+)")


class HopCase(t.BlockingStreams, TunnelCase):
    def setUp(self):
        super().setUp()
        self.far = self.target()
        self.servers = self.clients = 0
        self.new_ports()

    def new_ports(self):
        self.first, self.tcp, self.entrance = free_udp_range(PORTS), t.free_port(), t.free_port()
        self.range = f"{self.first}-{self.first + PORTS - 1}"

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def start_server(self, *more, path=None, listen=None):
        self.servers += 1
        self.server = self.start(f"server{self.servers}", path or OPTIONS.server,
                                 ["-l", listen or f"{t.HOST}:{self.range}", "-t", self.far.name, *KEY, *more])
        self.server.wait_ready(lambda: t.udp_bound(self.first))

    def start_client(self, *more, remote=None):
        self.clients += 1
        self.client = self.start(f"client{self.clients}", OPTIONS.client, [
            "-r", f"{t.HOST}:{remote or self.range}", "-l", f"{t.HOST}:{self.tcp}", "--hop", "1", "--log-level", "debug", *KEY,
            *more])
        self.client.wait_ready(lambda: t.can_listen_tcp(self.tcp))

    def start_client_at_the_first_port(self, *more):
        """Of two, of which the second is dead: a client chooses one at random."""
        deadline = t.Deadline(PATIENCE)
        while not deadline.is_over():
            self.start_client("--conn", "1", *more, remote=f"{self.first}-{self.first + 1}")
            t.wait_logged(self.client, "session dialled")
            if re.search(rf"session dialled .*remote=\S+:{self.first}\b", self.client.log()):
                return
            self.client.end()
        raise t.Failure("always the other port")

    def connect(self):
        connection = socket.create_connection((t.HOST, self.tcp))
        connection.settimeout(PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def hops(self):
        return HOPPED.findall(self.client.log())

    def echo_until(self, connection, condition):
        """Checks each block that comes back."""
        connection.sendall(b"echo\n")
        deadline, data = t.Deadline(PATIENCE), t.payload(self.seed, 128 << 10)
        while not condition():
            self.assertFalse(deadline.is_over(), self.client.log()[-3000:])
            writer = threading.Thread(target=connection.sendall, args=(data,))
            writer.start()
            self.assertEqual(t.sha(t.read_exactly(connection, len(data))), t.sha(data))
            writer.join()


class Own(HopCase):
    def test_streams_and_flows_go_on_while_both_ports_change(self):
        for common in ((), ("--crypt", "aes-128-gcm", "--threads", "2"), ("--crypt", "xchacha20-poly1305", "--threads", "2"),
                       ("--crypt", "noise")):
            with self.subTest(common=common):
                self.new_ports()
                echo = Echo(self)
                self.start_server("--allow", f"udp/{t.HOST}", *common)
                self.start_client("--conn", "1", "--forward", f"udp://{t.HOST}:{self.entrance}=udp://{t.HOST}:{echo.port}",
                                  *common)
                self.play(echo)
                self.client.end()
                self.server.end()

    def play(self, echo):
        connection = self.connect()
        connection.sendall(b"echo\n!")
        t.read_exactly(connection, 1)  # a server with a session header accepts the first session 6 s after its start
        dialled = self.client.log().count("session dialled")
        counts = {"sent": 0, "back": 0}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as application:
            application.settimeout(2)
            application.connect((t.HOST, self.entrance))

            def ask():
                counts["sent"] += 1
                application.send(b"%d" % counts["sent"])
                try:
                    counts["back"] += application.recv(100) == b"%d" % counts["sent"]
                except TimeoutError:
                    pass
                return len(self.hops()) >= 5

            data = t.payload(self.seed, 64 << 10)
            deadline = t.Deadline(PATIENCE)
            while not ask():
                self.assertFalse(deadline.is_over(), self.client.log()[-3000:])
                connection.sendall(data)
                self.assertEqual(t.sha(t.read_exactly(connection, len(data))), t.sha(data))
        self.assertGreater(counts["back"], 50)
        self.assertLessEqual(counts["sent"] - counts["back"], 1 + counts["sent"] // 100)
        self.assertEqual(len(echo.senders), 1, "the flow has kept its port at the server")
        self.assertGreater(len(set(self.hops())), 1, "the server's port changes")
        self.assertEqual(self.client.log().count("session dialled"), dialled)
        self.assertNotIn("cannot hop", self.client.log())
        t.wait_logged(self.server, "session moved")
        self.assertLessEqual(self.server.log().count("session opened"), dialled)

    def test_one_port_is_changed_at_the_client_alone_and_a_dead_one_is_left_alone(self):
        self.start_server(listen=f"{t.HOST}:{self.first}")
        self.start_client("--conn", "1", remote=str(self.first))
        self.echo_until(self.connect(), lambda: len(self.hops()) >= 2)
        self.assertEqual(set(self.hops()), {str(self.first)})
        self.assertNotIn("cannot hop", self.client.log())
        self.client.end()
        self.start_client_at_the_first_port()
        self.echo_until(self.connect(), lambda: "cannot hop to this port" in self.client.log())
        self.echo(self.connect(), 100_000)
        self.assertEqual(self.client.log().count("session dialled"), 1)
        self.assertEqual(self.hops(), [])


@machine.needs("debian-kcptun")
class Debian(HopCase):
    """A server of 2021, which takes packets from another port for another session. It has one port."""

    def start_pair(self):
        self.start_server("--smuxver", "1", path=DEBIANS, listen=f"{t.HOST}:{self.first}")
        self.start_client("--smuxver", "1", "--conn", "1", remote=str(self.first))

    def test_sessions_are_replaced_and_streams_stay_where_they_are(self):
        self.start_pair()
        old = self.connect()
        old.sendall(b"echo\nfirst")
        self.assertEqual(t.read_exactly(old, 5), b"first")
        deadline = t.Deadline(PATIENCE)
        while len(self.hops()) < 3:
            self.assertFalse(deadline.is_over(), self.client.log())
            self.echo(self.connect(), 100_000)
            time.sleep(0.1)
        old.sendall(b"still here")
        self.assertEqual(t.read_exactly(old, 10), b"still here")
        self.assertGreaterEqual(self.client.log().count("session dialled"), 4)
        for harm in ("session closed", "session suspect", "cannot hop"):
            self.assertNotIn(harm, self.client.log())

    def test_a_port_that_does_not_answer_replaces_nothing(self):
        self.start_server("--smuxver", "1", path=DEBIANS, listen=f"{t.HOST}:{self.first}")
        self.start_client_at_the_first_port("--smuxver", "1")
        self.echo_until(self.connect(), lambda: "cannot hop to this port" in self.client.log())
        self.echo(self.connect(), 100_000)
        self.assertEqual(self.hops(), [])
        self.assertNotIn("session suspect", self.client.log())


if __name__ == "__main__":
    t.main()
