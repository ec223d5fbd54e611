"""One client, several servers: it uses the fastest that answers, leaves one that dies, and returns to it.

    servers_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import heapq
import json
import os
import re
import selectors
import signal
import socket
import threading
import time
import urllib.request

import machine
import tunnel as t
from own_test import free_udp_range
from reload_test import Configured
from tunnel import HOST, OPTIONS, TunnelCase

DEBIAN_SERVER = "/usr/bin/kcptun-server"
BASICS = ["--key", "kcptun-uv test key", "--mode", "fast3"]
COMMON = [*BASICS, "--nocomp", "--smuxver", "1"]  # 1: Debian's default
PATIENCE = 20
PROOF = 15     # seconds that a server which failed must answer before it is preferred again
FAILOVER = 3  # seconds, as promised


class DelayingRelay:
    """Passes datagrams on to a server's port, each `delay` seconds late on each way."""

    def __init__(self, server_port, delay):
        self.port = t.free_port()
        self._server, self.delay = (HOST, server_port), delay
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((HOST, self.port))
        self._backs = {}  # client's address: socket to the server
        self._due = []    # (time, number, socket, data, address)
        self._stop, self._number = False, 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop = True
        self._thread.join(5)
        for one in [self._front, *self._backs.values()]:
            one.close()

    def _later(self, to, data, address):
        self._number += 1
        heapq.heappush(self._due, (time.monotonic() + self.delay, self._number, to, data, address))

    def _receive(self, source, peer):
        try:
            data, address = source.recvfrom(65536)
        except OSError:  # the server is gone, says ICMP
            return
        if peer is not None:
            return self._later(self._front, data, peer)
        if address not in self._backs:
            back = self._backs[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._selector.register(back, selectors.EVENT_READ, address)
        self._later(self._backs[address], data, self._server)

    def _run(self):
        while not self._stop:
            wait = min(0.1, max(0, self._due[0][0] - time.monotonic())) if self._due else 0.1
            for key, _ in self._selector.select(wait):
                self._receive(key.fileobj, key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, to, data, address = heapq.heappop(self._due)
                try:
                    to.sendto(data, address)
                except OSError:
                    pass


class NamingTarget(t.ThreadedTarget):
    """Says its name to whoever connects, then echoes: so a connection tells which server it went through."""

    def __init__(self, name):
        self.greeting = name.encode()
        super().__init__()

    def serve(self, connection):
        with connection:
            try:
                connection.sendall(self.greeting)
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                pass


class ServersCase(TunnelCase):
    DEBIAN = "b"  # that one is Debian's, where it is installed
    DELAYS = {"a": 0.005, "b": 0.03, "c": 0.06}  # one way

    def setUp(self):
        super().setUp()
        self.targets, self.ports, self.servers, self.relays = {}, {}, {}, {}
        for name, delay in self.DELAYS.items():
            self.targets[name] = NamingTarget(name)
            self.addCleanup(self.targets[name].close)
            self.ports[name] = t.free_port()
            self.start_server(name)
            self.relays[name] = DelayingRelay(self.ports[name], delay)
            self.addCleanup(self.relays[name].close)
        self.local, self.status = t.free_port(), t.free_port()

    def options(self, name):
        return COMMON

    def start_server(self, name):
        debian = name == self.DEBIAN and os.access(DEBIAN_SERVER, os.X_OK)
        program = t.Program(DEBIAN_SERVER if debian else OPTIONS.server,
                            ["--listen", f"{HOST}:{self.ports[name]}", "--target",
                             f"{HOST}:{self.targets[name].port}", *self.options(name)],
                            os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        program.wait_ready(lambda: t.udp_bound(self.ports[name]))
        self.servers[name] = program

    def address(self, name):
        return f"{HOST}:{self.relays[name].port}"

    def start_client(self, order="cba", flags=(), remotes=None):
        """`order`: servers by name; `remotes`: servers by address."""
        self.client = t.Program(OPTIONS.client,
                                ["--localaddr", f"{HOST}:{self.local}", "--remoteaddr",
                                 ",".join(remotes or map(self.address, order)),
                                 "--status", f"{HOST}:{self.status}", *COMMON, *flags],
                                os.path.join(self.directory, "client.log"))
        self.addCleanup(self.client.end)
        self.client.wait_ready(lambda: t.can_listen_tcp(self.local))

    def connect(self, seconds=PATIENCE):
        """A new connection and the name of the server it went through."""
        connection = socket.create_connection((HOST, self.local), seconds)
        self.addCleanup(connection.close)
        connection.settimeout(seconds)
        try:
            return connection, connection.recv(1).decode()
        except (TimeoutError, ConnectionResetError):  # it went to a server that is gone, or new to the session
            return connection, ""

    def goes_to(self, name, seconds, others=()):
        """Connects until a new connection goes through `name`; how long that took."""
        began = time.monotonic()

        def arrived():
            connection, via = self.connect(0.4)
            connection.close()
            return via == name
        try:
            t.wait_until(arrived, seconds, f"new connections go to {name}", 0.05)
        except t.Failure as failure:
            raise t.Failure(f"{failure}\n{self.tunnel_status().get('servers')}\n{self.client.log()}") from None
        return time.monotonic() - began

    def echoes(self, connection):
        connection.settimeout(PATIENCE)
        connection.sendall(b"x")
        return connection.recv(1) == b"x"

    def tunnel_status(self):
        with urllib.request.urlopen(f"http://{HOST}:{self.status}/status.json", timeout=PATIENCE) as answer:
            return json.load(answer)["tunnels"][0]

    def seen(self):
        servers = self.tunnel_status()["servers"]
        return {name: next(s for s in servers if s["server"] == self.address(name)) for name in self.DELAYS}

    def all_answer(self):
        t.wait_until(lambda: all(s["healthy"] for s in self.seen().values()), PATIENCE, "all servers answer")


class Servers(ServersCase):
    def test_the_fastest_that_answers_is_used(self):
        self.start_client()
        self.all_answer()
        self.goes_to("a", PATIENCE)
        seen = self.seen()
        for name, delay in self.DELAYS.items():
            self.assertGreaterEqual(seen[name]["round_trip_seconds"], 2 * delay)
        self.assertLess(seen["a"]["round_trip_seconds"], seen["b"]["round_trip_seconds"])
        self.assertEqual([name for name in seen if seen[name]["chosen"]], ["a"])
        on_a, via = self.connect()
        self.assertEqual(via, "a")

        self.servers["a"].kill()  # idle: nobody but the checks can notice
        self.assertLess(self.goes_to("b", PATIENCE), (FAILOVER + 0.5) * machine.busy())
        t.wait_until(lambda: not self.seen()["a"]["healthy"], PATIENCE, "the status tells that it failed")
        on_b, via = self.connect()
        self.assertEqual(via, "b")

        self.start_server("a")
        self.assertGreater(self.goes_to("a", PROOF + PATIENCE), PROOF - 2)
        self.assertTrue(self.echoes(on_b))  # which stayed where it was
        self.servers["a"].signal(signal.SIGSTOP)
        self.addCleanup(self.servers["a"].signal, signal.SIGCONT)
        self.assertLess(self.goes_to("b", PATIENCE), (FAILOVER + 0.5) * machine.busy())
        self.assertTrue(self.echoes(on_b))
        self.servers["a"].signal(signal.SIGCONT)
        self.goes_to("a", PROOF + PATIENCE)
        self.assertTrue(self.echoes(on_b))
        with urllib.request.urlopen(f"http://{HOST}:{self.status}/metrics", timeout=PATIENCE) as answer:
            metrics = answer.read().decode()
        self.assertIn(f'kcptun_server_chosen{{tunnel="default",server="{self.address("a")}"}} 1', metrics)

    def test_the_first_connection_waits_for_a_server_that_answers(self):
        self.servers["c"].kill()
        self.start_client()  # c stands first
        self.assertIn(self.connect()[1], ("a", "b"))

    def test_a_first_round_trip_that_was_long_is_soon_forgotten(self):
        self.relays["a"].delay = 0.1
        self.start_client()
        self.all_answer()
        self.goes_to("b", PATIENCE)
        self.assertGreater(self.seen()["a"]["round_trip_seconds"], 0.2)
        self.relays["a"].delay = self.DELAYS["a"]
        self.goes_to("a", PATIENCE)

    def test_none_answers_and_one_comes(self):
        for program in self.servers.values():
            program.kill()
        self.start_client()
        t.wait_until(lambda: "no server answers" in self.client.log(), PATIENCE, "the log says that no server answers")
        self.start_server("c")
        self.goes_to("c", PATIENCE)
        t.wait_logged(self.client, "no server answers", times=1)

    def all_go_to(self, name, slots, seconds):
        """As goes_to, with a connection of each slot."""
        began = time.monotonic()

        def arrived():
            connections = [self.connect(0.4) for _ in range(slots)]
            for connection, _ in connections:
                connection.close()
            return all(via == name for _, via in connections)
        t.wait_until(arrived, seconds, f"connections of all slots go to {name}", 0.05)
        return time.monotonic() - began

    def test_every_session_of_every_loop_moves(self):
        slots = 5
        self.start_client(flags=["--conn", slots, "--threads", 2])
        self.all_answer()
        self.all_go_to("a", slots, PATIENCE)
        t.wait_logged(self.client, "server chosen address=" + self.address("a"), times=2)  # loops
        kept = [self.connect() for _ in range(slots)]
        self.servers["a"].kill()
        self.assertLess(self.all_go_to("b", slots, PATIENCE), (FAILOVER + 1.5) * machine.busy())
        self.start_server("a")
        self.all_go_to("a", slots, PROOF + PATIENCE)
        self.assertEqual([via for _, via in kept], ["a"] * slots)

    def test_a_name_that_does_not_resolve_and_a_port_range_stand_in_the_list(self):
        first, count = free_udp_range(5), 5
        target = NamingTarget("r")
        self.addCleanup(target.close)
        server = t.Program(OPTIONS.server, ["--listen", f"{HOST}:{first}-{first + count - 1}", "--target",
                                            f"{HOST}:{target.port}", *COMMON], os.path.join(self.directory, "r.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: t.udp_bound(first + count - 1))
        ranged = f"{HOST}:{first}-{first + count - 1}"
        self.start_client(remotes=["nowhere.invalid:29900", self.address("c"), ranged], flags=["--conn", 12])
        self.all_go_to("r", 12, PATIENCE)
        ports = {int(port) for port in re.findall(r"session dialled .*remote=\S+:(\d+)", self.client.log())}
        ports.discard(self.relays["c"].port)
        self.assertLessEqual(ports, set(range(first, first + count)))
        self.assertGreater(len(ports), 1)
        t.wait_until(lambda: "server failed address=nowhere.invalid:29900" in self.client.log(), PATIENCE, "it is said")
        states = {server["server"]: server for server in self.tunnel_status()["servers"]}
        self.assertEqual([name for name in states if states[name]["chosen"]], [ranged])
        self.assertFalse(states["nowhere.invalid:29900"]["healthy"])
        self.assertIsNone(states["nowhere.invalid:29900"]["round_trip_seconds"])

    def test_where_no_name_resolves_connections_are_closed_and_the_client_lives_on(self):
        self.start_client(remotes=["nowhere.invalid:29900", "nobody.invalid:29900"])
        for _ in range(2):
            connection, via = self.connect(2 * PATIENCE)
            self.assertEqual(via, "")
            self.assertEqual(connection.recv(1), b"")
        t.wait_logged(self.client, "no server answers")
        self.assertIsNone(self.client.exit_code())


class StoodStill(ServersCase):
    """Slow servers: what the client asks is nearly always under way."""

    DEBIAN = None
    DELAYS = {"a": 0.35, "b": 0.4}

    def test_a_client_that_was_stopped_does_not_take_that_for_the_servers_silence(self):
        self.start_client("ab")
        self.all_answer()
        for _ in range(5):
            self.client.signal(signal.SIGSTOP)
            time.sleep(2.5)  # no condition: the length of the stop is what is tested
            self.client.signal(signal.SIGCONT)
            connection, via = self.connect()
            self.assertTrue(self.echoes(connection))
        self.assertNotIn("server failed", self.client.log())


class ReloadedServers(ServersCase):
    def test_one_becomes_several_and_several_become_one(self):
        fields = {"localaddr": f"{HOST}:{self.local}", "key": BASICS[1], "mode": "fast3", "nocomp": True, "smuxver": 1,
                  "status": f"{HOST}:{self.status}", "remoteaddr": self.address("c")}
        self.client = Configured(self.directory, "client", OPTIONS.client, fields)
        self.addCleanup(self.client.end)
        self.client.wait_ready(lambda: t.can_listen_tcp(self.local))
        kept = [self.connect()]
        self.assertNotIn("servers", self.tunnel_status())

        self.client.reload({**fields, "remoteaddr": [self.address("c"), self.address("a")]})
        self.goes_to("a", PATIENCE)
        kept.append(self.connect())
        self.client.reload({**fields, "remoteaddr": [self.address("b"), self.address("c")]})
        self.goes_to("b", PATIENCE)
        self.client.reload({**fields, "remoteaddr": self.address("c")})
        t.wait_until(lambda: "servers" not in self.tunnel_status(), PATIENCE, "the status knows of no servers")
        self.assertEqual(self.connect()[1], "b")  # one server is for new sessions
        self.servers["b"].kill()
        self.goes_to("c", PATIENCE)
        several = [self.address("a"), self.address("c")]
        for mtu in 1200, 1300:  # the second time the servers stay the same
            self.client.reload({**fields, "mtu": mtu, "remoteaddr": several})
            self.goes_to("a", PATIENCE)
        t.wait_until(lambda: (seen := self.tunnel_status().get("servers")) and all(s["healthy"] for s in seen), PATIENCE,
                     "both answer")  # the status is a second old at most
        self.assertEqual([via for _, via in kept], ["c", "a"])
        for connection, _ in kept:
            self.assertTrue(self.echoes(connection))


class ServersThatDiffer(ServersCase):
    """The nearest two acknowledge what comes, and end the session once they have read it."""

    DEBIAN = "c"
    DELAYS = {"a": 0.002, "b": 0.06, "c": 0.01}  # one way
    DIFFERENT = {"a": ["--nocomp", "--smuxver", "2"], "c": ["--smuxver", "1"]}

    def options(self, name):
        return BASICS + self.DIFFERENT[name] if name in self.DIFFERENT else COMMON

    def test_one_with_other_settings_is_left_for_good(self):
        self.start_client()
        self.goes_to("b", 2 * PATIENCE)
        answered = {name: 0 for name in self.DIFFERENT}
        before = self.seen()

        def came_back_often():
            nonlocal before
            connection, via = self.connect()
            connection.close()
            self.assertEqual(via, "b")
            seen, was = self.seen(), before
            self.assertEqual([name for name in seen if seen[name]["chosen"]], ["b"])
            for name in answered:
                answered[name] += seen[name]["healthy"] and not was[name]["healthy"]
            before = seen
            return min(answered.values()) >= 3
        t.wait_until(came_back_often, 120, "the two answered three times more", 0.05)
        for name in answered:
            lines = [line for line in self.client.log().splitlines() if "server failed" in line and self.address(name) in line]
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], "smuxver|nocomp")


if __name__ == "__main__":
    t.main()
