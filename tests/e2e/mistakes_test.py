"""Two ends that do not fit are told so in the log, once, with the field to look at: our pair, and Debian's kcptun at
either end.

    mistakes_test.py --client PROGRAM --server PROGRAM
"""

import contextlib
import os
import re
import socket

import machine
import tunnel as t
from lossy_relay import LossyRelay
from tunnel import HOST, OPTIONS, TunnelCase

DEBIAN = {"client": "/usr/bin/kcptun-client", "server": "/usr/bin/kcptun-server"}
COMPRESSES = "compresses and this end does not: nocomp must be the same at both ends (here true)"
ONLY_WE = "does not compress and this end does: nocomp must be the same at both ends (here false)"
SERVER_ENDS = "the server ends the session as soon as it has read from it"
VANISH = "full-size packets (mtu 1350) to"
NOTHING = "no packet arrives from"
REJECTED = "can be decrypted: its key or its crypt"


@machine.needs("debian-kcptun")
class Mistakes(TunnelCase):
    def setUp(self):
        super().setUp()
        self.udp, self.tcp = t.free_port(), t.free_port()

    def start(self, role, flags, program=None):
        if role == "server":
            arguments = ["-l", f"{HOST}:{self.udp}", "-t", f"{HOST}:{self.tcp}"]
        else:
            self.entry = t.free_port()
            arguments = ["-l", f"{HOST}:{self.entry}", "-r", f"{HOST}:{self.udp}"]
        log = os.path.join(self.directory, f"{role}.log")
        ended = t.Program(program or getattr(OPTIONS, role), [*arguments, *flags], log)
        self.addCleanup(ended.end)
        port = self.udp if role == "server" else self.entry
        ended.wait_ready(lambda: t.udp_bound(port) if role == "server" else t.can_listen_tcp(port))
        return ended

    def use(self, seconds=40):
        """One connection after another through the tunnel, each with some bytes, until `seconds` have passed."""
        opened = contextlib.ExitStack()
        self.addCleanup(opened.close)

        def connect():
            with contextlib.suppress(ConnectionResetError):  # the client may reset it before connect() returns
                connection = opened.enter_context(socket.create_connection((HOST, self.entry), 5))
                connection.sendall(b"x" * 3000)
        return connect

    def expect(self, program, text, connect, seconds=60):
        """`text`, or one of several, appears in the program's log, in one line, and never again however often the
        mistake is made."""
        texts = [text] if isinstance(text, str) else text

        def times():
            return sum(program.log().count(one) for one in texts)
        connect()
        t.wait_until(times, seconds, f"{text!r} in the log")
        connect()
        self.assertEqual(times(), 1, program.log())

    def check(self, client_flags, server_flags, at_client=None, at_server=None, debian=None):
        programs = {role: DEBIAN[role] if role == debian else None for role in DEBIAN}
        common = ["--key", "k", "--smuxver", 2] if debian else ["--key", "k"]
        server = self.start("server", [*common, *server_flags], programs["server"])
        client = self.start("client", [*common, *client_flags], programs["client"])
        connect = self.use()
        try:
            if at_server:
                self.expect(server, at_server, connect)
            if at_client:
                self.expect(client, at_client, connect)
        except BaseException:
            print(client.log(), server.log(), sep="\n---\n", flush=True)
            raise

    def test_only_the_client_compresses(self):
        self.check([], ["--nocomp"], at_server="the client " + COMPRESSES, at_client=(SERVER_ENDS, "the server " + ONLY_WE))

    def test_only_the_server_compresses(self):
        self.check(["--nocomp"], [], at_server="the client " + ONLY_WE, at_client=(SERVER_ENDS, "the server " + COMPRESSES))

    def test_another_smux_version(self):
        # What the server says of itself, its keepalive, may come before the client can tell that it ends each session.
        self.check(["--smuxver", 1], ["--smuxver", 2],
                   at_client=(SERVER_ENDS, "the server uses smux version 2, and this end 1"),
                   at_server="the client uses smux version 1, and this end 2: smuxver must be the same at both ends")

    def test_another_key(self):
        self.check(["--key", "other"], [], at_server=REJECTED, at_client=NOTHING)

    def test_another_cipher(self):
        self.check(["--crypt", "salsa20"], [], at_server="crypt (here aes)", at_client="key and crypt (here salsa20)")

    def test_no_server(self):
        client = self.start("client", ["--key", "k"])
        self.expect(client, "refuses (ICMP): no server listens on that UDP port", self.use())

    def test_a_silent_address(self):
        client = self.start("client", ["--key", "k", "-r", "192.0.2.77:4"])
        self.expect(client, NOTHING, self.use())

    def test_debians_client_with_other_settings(self):
        self.check([], ["--nocomp"], at_server="the client " + COMPRESSES, debian="client")

    def test_debians_client_without_compression(self):
        self.check(["--nocomp"], [], at_server="the client " + ONLY_WE, debian="client")

    def test_debians_client_with_another_smux_version(self):
        self.check(["--smuxver", 1], [], at_server="the client uses smux version 1, and this end 2", debian="client")

    def test_debians_client_with_another_key(self):
        self.check(["--key", "other"], [], at_server=REJECTED, debian="client")

    def test_debians_server_with_other_settings(self):
        self.check(["--nocomp"], [], at_client=(SERVER_ENDS, "the server " + COMPRESSES), debian="server")

    def test_debians_server_with_another_smux_version(self):
        self.check(["--smuxver", 1], [], at_client=(SERVER_ENDS, "the server uses smux version 2, and this end 1"),
                   debian="server")

    def test_debians_server_with_another_key(self):
        self.check(["--key", "other"], [], at_client=NOTHING, debian="server")

    def test_packets_of_full_size_that_vanish(self):
        target = self.target()
        server = self.start("server", ["--key", "k", "-t", target.name])
        relay = LossyRelay(self.udp, t.free_port(), self.seed, largest=1252)
        self.addCleanup(relay.close)
        client = self.start("client", ["--key", "k", "-r", f"{HOST}:{relay.port}"])
        with socket.create_connection((HOST, self.entry), 5) as connection:
            connection.sendall(b"echo\n" + t.payload(1, 5000))
            t.wait_until(lambda: VANISH in client.log(), 25, "the hint of the client")
        t.wait_logged(client, "mtu auto")
        self.assertNotIn(VANISH, server.log())

    @machine.needs("tcp-mode")
    def test_tcp_mode_at_the_client_only(self):
        self.check(["--tcp"], [], at_client="refuses the TCP connection: its server runs without tcp (here on)")

    def test_a_target_that_is_not_there_is_named(self):
        server = self.start("server", ["--key", "k"])
        self.start("client", ["--key", "k"])
        self.use()()
        t.wait_logged(server, f"cannot reach the target address={HOST}:{self.tcp}", seconds=60)

    def test_ends_that_fit_are_told_nothing(self):
        target = self.target()
        server = self.start("server", ["--key", "k", "-t", target.name])
        client = self.start("client", ["--key", "k"])
        with socket.create_connection((HOST, self.entry), 5) as connection:
            connection.sendall(b"echo\nhello")
            self.assertEqual(connection.recv(5), b"hello")
        self.assertNotIn("hint", client.log() + server.log())

    def test_a_log_begins_with_what_was_started_and_says_of_each_stream_whose_it_was(self):
        target = self.target()
        server = self.start("server", ["--key", "0123456789abcdef", "-t", target.name])
        client = self.start("client", ["--key", "0123456789abcdef"])
        with socket.create_connection((HOST, self.entry), 5) as connection:
            address = "%s:%d" % connection.getsockname()
            connection.sendall(b"echo\nhello")
            self.assertEqual(connection.recv(5), b"hello")
        time = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
        closed = rf"stream closed conv=\w{{8}} sid=\d+ client={address} sent=10 received=5 ms=\d+\n"
        t.wait_until(lambda: re.search(closed, client.log()), 10, "the end of the stream in the client's log")
        t.wait_until(lambda: "stream closed" in server.log(), 10, "the end of the stream in the server's log")
        t.wait_logged(server, re.compile(rf"stream closed conv=\w{{8}} sid=\d+ client={HOST}:\d+ sent=5 received=10 ms=\d+\n"))
        t.wait_logged(client, re.compile(rf"stream opened conv=\w{{8}} sid=\d+ client={address}\n"))
        for program in (client, server):
            t.wait_logged(program, re.compile(rf"\A{time} info tunnel started version="))

    def test_what_was_wrong_at_a_failed_start_is_said_all_the_same(self):
        server = self.start("server", ["--key", "k"])
        log = os.path.join(self.directory, "second.log")
        second = t.Program(OPTIONS.server, ["-l", f"{HOST}:{self.udp}", "-t", f"{HOST}:{self.tcp}", "--key", "k"], log)
        self.addCleanup(second.end)
        self.assertEqual(second.wait_exit(20), 1)
        self.assertLess(second.log().index("configuration: the key has 1 bytes"), second.log().index("cannot bind"))
        self.assertIsNone(server.exit_code())


if __name__ == "__main__":
    t.main()
