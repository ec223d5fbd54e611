"""Reverse forwards: our server listens, and our client connects. Rules, ends, restarts of either program, and a Debian
server, which cannot.

    reverse_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import json
import os
import signal
import socket
import unittest

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

DEBIANS = "/usr/bin/kcptun-server"
PATIENCE = 20  # seconds
MAX_PENDING = 256  # connections of a listener that wait for the client's reply
KEY = ["--key", "kcptun-uv test key"]
LISTENS = "the server listens for this client"
REFUSED = "the server does not listen for this client"


class ReverseCase(t.BlockingStreams, TunnelCase):
    def setUp(self):
        super().setUp()
        self.near = self.target()  # what the client connects to
        self.udp, self.port, self.dead, self.local = (t.free_port() for _ in range(4))

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def start_server(self, *more, path=None):
        self.server = self.start("server", path or OPTIONS.server, ["-l", f":{self.udp}", *KEY, *more])
        self.server.wait_ready(lambda: t.udp_bound(self.udp))

    def start_client(self, *more, reverses=None, name="client"):
        reverses = reverses or [f"tcp://127.0.0.1:{self.port}=tcp://{self.near.name}"]
        self.client = self.start(name, OPTIONS.client, ["-r", f"127.0.0.1:{self.udp}", *KEY, *more] + [
            word for reverse in reverses for word in ("--reverse", reverse)])

    def wait_listening(self, port=None):
        t.wait_until(lambda: t.can_listen_tcp(port or self.port), PATIENCE, "the server listens")

    def connect(self, port=None):
        connection = socket.create_connection((t.HOST, port or self.port))
        connection.settimeout(PATIENCE)
        self.addCleanup(connection.close)
        return connection


class Own(ReverseCase):
    def test_connections_reach_the_clients_target_and_end_as_they_would_without_a_tunnel(self):
        for common in ((), ("--smuxver", "1"), ("--crypt", "xchacha20-poly1305", "--threads", "2"), ("--QPP",)):
            with self.subTest(common=common):
                self.udp, self.port = t.free_port(), t.free_port()
                self.start_server("--allow-listen", f"127.0.0.1:{self.port}", *common)
                self.start_client(*common)
                self.wait_listening()
                for size in (0, 1, 2_000_000):
                    self.echo(self.connect(), size)
                    self.source(self.connect(), size)
                self.client.end()
                self.server.end()

    def test_many_connections_share_the_session(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client("--conn", "2", "--threads", "2")
        self.wait_listening()
        connections = [self.connect() for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.sendall(b"echo\n%04d" % number)
        for number, connection in enumerate(connections):
            self.assertEqual(t.read_exactly(connection, 4), b"%04d" % number)

    def test_a_client_without_connections_of_its_own_listens_nowhere_at_home(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client()
        self.wait_listening()
        self.assertFalse(t.can_listen_tcp(12948))
        t.wait_until(lambda: f"listen=tcp://127.0.0.1:{self.port}" in self.client.log(), PATIENCE, "the client's line")
        t.wait_logged(self.server, "listening for a client")

    def test_the_target_may_be_a_unix_socket_and_localaddr_goes_on_beside_it(self):
        path = os.path.join(self.directory, "near")
        self.target(family=socket.AF_UNIX, address=path)
        self.start_server("--allow-listen", "127.0.0.1", "-t", self.near.name)
        self.start_client("-l", f"127.0.0.1:{self.local}", reverses=[f"tcp://127.0.0.1:{self.port}=unix://{path}"])
        self.wait_listening()
        self.echo(self.connect(), 100_000)
        self.echo(self.connect(self.local), 100_000)

    def test_a_refused_target_resets_the_connection(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client(reverses=[f"tcp://127.0.0.1:{self.port}=tcp://127.0.0.1:{self.dead}"])
        self.wait_listening()
        with self.assertRaises(ConnectionResetError):
            self.connect().recv(1)
        t.wait_until(lambda: "cannot reach a requested target" in self.client.log()
                     and f"target=tcp://127.0.0.1:{self.dead}" in self.client.log(), PATIENCE, "the client's line")
        t.wait_until(lambda: "target not reached" in self.server.log(), PATIENCE, "the server's line")


    def test_connections_beyond_those_that_wait_for_the_client_are_reset(self):
        self.enterContext(t.black_hole(self.dead))
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client(reverses=[f"tcp://127.0.0.1:{self.port}=tcp://127.0.0.1:{self.dead}"])
        self.wait_listening()
        connections = [self.connect() for _ in range(MAX_PENDING + 20)]
        for connection in connections[MAX_PENDING:]:
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)
        for connection in connections[:MAX_PENDING]:
            connection.setblocking(False)
            with self.assertRaises(BlockingIOError):
                connection.recv(1)
        t.wait_until(lambda: "connections to a listener are reset" in self.server.log(), PATIENCE, "the server's line")
        self.assertEqual(self.server.log().count("connections to a listener are reset"), 1)


class Rules(ReverseCase):
    def test_without_a_rule_that_permits_it_the_server_listens_nowhere(self):
        for rules in ((), ("--allow-listen", f"127.0.0.1:{self.dead}"), ("--allow-listen", f"127.0.0.2:{self.port}"),
                      ("--allow", f"127.0.0.1:{self.port}")):
            with self.subTest(rules=rules):
                self.udp = t.free_port()
                self.start_server(*rules)
                self.start_client()
                t.wait_until(lambda: REFUSED in self.client.log(), PATIENCE, "the client's line")
                t.wait_logged(self.client, "allow-listen does not permit it")
                t.wait_until(lambda: "request denied" in self.server.log(), PATIENCE, "the server's line")
                t.wait_logged(self.server, f"127.0.0.1:{self.port}")
                self.assertFalse(t.can_listen_tcp(self.port))
                self.client.end()
                self.server.end()

    def test_all_addresses_need_a_rule_for_all(self):
        self.start_server("--allow-listen", f"127.0.0.1:{self.port},*:{self.dead}")
        self.start_client(reverses=[f"tcp://:{self.port}=tcp://{self.near.name}",
                                    f"tcp://:{self.dead}=tcp://{self.near.name}"])
        self.wait_listening(self.dead)
        self.echo(self.connect(self.dead), 1000)
        t.wait_until(lambda: REFUSED in self.client.log(), PATIENCE, "the client's line")
        self.assertFalse(t.can_listen_tcp(self.port))

    def test_a_reload_that_takes_the_rule_away_closes_the_listener(self):
        path = os.path.join(self.directory, "server.json")

        def write(rules):
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"listen": f":{self.udp}", "allow-listen": rules}, file)

        write([f"127.0.0.1:{self.port}", f"127.0.0.1:{self.dead}"])
        self.start_server("-c", path)
        self.start_client(reverses=[f"tcp://127.0.0.1:{port}=tcp://{self.near.name}" for port in (self.port, self.dead)])
        self.wait_listening()
        self.wait_listening(self.dead)
        connection = self.connect()
        self.echo(connection, 10)
        write([f"127.0.0.1:{self.dead}"])
        self.server.signal(signal.SIGHUP)
        t.wait_until(lambda: not t.can_listen_tcp(self.port), PATIENCE, "the port is closed")
        self.echo(self.connect(self.dead), 1000)
        connection.sendall(b"more")  # open connections go on
        self.assertEqual(t.read_exactly(connection, 4), b"more")

    def test_the_first_client_keeps_its_address_while_it_lives(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client()
        self.wait_listening()
        other = self.target()
        self.start_client(reverses=[f"tcp://127.0.0.1:{self.port}=tcp://{other.name}"], name="second")
        t.wait_until(lambda: REFUSED in self.client.log(), PATIENCE, "the second client's line")
        t.wait_until(lambda: self.server.log().count("cannot reach a requested target") >= 3, PATIENCE, "it tries again")
        self.echo(self.connect(), 1000)
        self.assertNotIn("no longer listening", self.server.log())


class Restarts(ReverseCase):
    def test_the_client_returns_to_a_server_that_was_restarted(self):
        rule = ("--allow-listen", "127.0.0.1")
        self.start_server(*rule)
        self.start_client()
        self.wait_listening()
        self.echo(self.connect(), 1000)
        self.server.kill()
        self.start_server(*rule)
        self.wait_listening()
        self.echo(self.connect(), 1000)

    def test_a_client_that_was_killed_gets_its_address_back(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client()
        self.wait_listening()
        self.client.kill()
        self.start_client(name="second")
        t.wait_until(lambda: LISTENS in self.client.log(), PATIENCE, "the new client's listener")
        self.echo(self.connect(), 1000)
        t.wait_logged(self.server, "its client does not answer")

    def test_a_client_that_ends_closes_the_listener_at_once(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client()
        self.wait_listening()
        self.client.end()
        t.wait_until(lambda: not t.can_listen_tcp(self.port), 5, "the port is closed")

    def test_an_expired_session_passes_its_listeners_on(self):
        self.start_server("--allow-listen", "127.0.0.1")
        self.start_client("--autoexpire", "1")
        t.wait_until(lambda: self.client.log().count(LISTENS) >= 3, PATIENCE, "three sessions in turn")
        self.wait_listening()
        self.echo(self.connect(), 1000)


@machine.needs("debian-kcptun")
class Debian(ReverseCase):
    def test_a_server_that_cannot_listen_gets_one_line_and_no_harm(self):
        self.start_server("-t", self.near.name, "--smuxver", "1", path=DEBIANS)
        self.start_client("-l", f"127.0.0.1:{self.local}", "--smuxver", "1")
        self.client.wait_ready(lambda: t.can_listen_tcp(self.local))
        connection = self.connect(self.local)
        self.echo(connection, 100_000)
        t.wait_until(lambda: "the server cannot listen for this client" in self.client.log(), PATIENCE, "the line")
        connection.sendall(b"more")
        self.assertEqual(t.read_exactly(connection, 4), b"more")
        self.echo(self.connect(self.local), 100_000)
        self.assertEqual(self.client.log().count("the server cannot listen"), 1)
        self.assertEqual(self.client.log().count("session dialled"), 1)


if __name__ == "__main__":
    t.main()
