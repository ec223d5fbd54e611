"""tcp mode: sessions in the disguise of TCP between two network namespaces, our programs and Debian's kcptun.

    tcp_mode_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

The namespaces, joined by a veth pair, end with this process.
"""

import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lab"))
from path import NameSpace  # noqa: E402  (found by the line above)

SERVER = {4: "10.77.0.2", 6: "[fd77::2]"}
PORT, LOCAL = 29900, 12948
COMMON = ["--key", "tcp mode", "--nocomp", "--smuxver", "1", "--mode", "fast3", "--sndwnd", "512", "--rcvwnd", "512"]
DEBIAN = {role: f"/usr/bin/kcptun-{role}" for role in ("client", "server")}
PREFIX = "table inet kcptun-uv-"


class Echo:
    """Reads `up` bytes of each connection, answers with their SHA-256 and `down` bytes, and closes."""

    def __init__(self, space):
        self._listener = space.listen("127.0.0.1", 8080)
        self.port = 8080
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection):
        with connection:
            seed, up, down = struct.unpack("<QQQ", read(connection, 24))
            digest = hashlib.sha256(read(connection, up)).digest()
            connection.sendall(digest + random.Random(seed).randbytes(down))

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def read(connection, size):
    parts, left = [], size
    while left:
        part = connection.recv(min(left, 1 << 16))
        if not part:
            raise t.Failure(f"the connection ended {left} bytes too early")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def tables(space):
    with space.entered():
        return [line for line in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True,
                                                check=True).stdout.splitlines() if line.startswith(PREFIX)]


@machine.needs("tcp-mode")
class TcpModeCase(TunnelCase):
    def setUp(self):
        super().setUp()
        self.client_space, self.server_space = NameSpace(), NameSpace()
        for space in (self.client_space, self.server_space):
            self.addCleanup(space.close)
        peer = f"/proc/{os.getpid()}/fd/{self.server_space.descriptor}"
        self.client_space.ip("link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", peer)
        for number, space in enumerate((self.client_space, self.server_space), 1):
            space.ip("address", "add", f"10.77.0.{number}/24", "dev", "v0")
            space.ip("address", "add", f"fd77::{number}/64", "dev", "v0", "nodad")
            space.ip("link", "set", "v0", "up")
        self.echo = Echo(self.server_space)
        self.addCleanup(self.echo.close)
        self._logs = 0

    def start(self, space, path, arguments, ready):
        self._logs += 1
        log = os.path.join(self.directory, f"{self._logs}-{os.path.basename(path)}.log")
        with space.entered():
            program = t.Program(path, ["--tcp", *COMMON, *arguments], log)
            self.addCleanup(program.end)
            program.wait_ready(lambda: ready(program))
        return program

    def start_server(self, path=None, listen=f":{PORT}", more=()):
        return self.start(self.server_space, path or OPTIONS.server, ["-l", listen, "-t", "127.0.0.1:8080", *more],
                          lambda _: t.can_listen_tcp(int(listen.rsplit(":", 1)[1].split("-")[0])))

    def start_client(self, version=4, path=None, remote_port=PORT, more=()):
        return self.start(self.client_space, path or OPTIONS.client,
                          ["-l", f"127.0.0.1:{LOCAL}", "-r", f"{SERVER[version]}:{remote_port}", "--conn", "3", *more],
                          lambda _: t.can_listen_tcp(LOCAL))

    def carry(self, up=3_000_000, down=3_000_000, connections=3):
        for number in range(connections):
            seed = self.seed + number
            request = random.Random(seed + 1).randbytes(up)
            connection = self.client_space.connect("127.0.0.1", LOCAL)
            connection.settimeout(60)
            with connection:
                connection.sendall(struct.pack("<QQQ", seed, up, down) + request)
                self.assertEqual(read(connection, 32), hashlib.sha256(request).digest())
                answer = read(connection, down)
            expected = random.Random(seed).randbytes(down)
            self.assertEqual(hashlib.sha256(answer).digest(), hashlib.sha256(expected).digest())

    def udp_seen(self):
        """Datagrams that came to the server's namespace by UDP."""
        with self.server_space.entered(), open("/proc/net/snmp") as table:
            return int([line for line in table if line.startswith("Udp:")][1].split()[1])


class Sessions(TcpModeCase):
    def test_our_pair_over_ipv4_and_ipv6(self):
        self.start_server()
        for version in (4, 6):
            client = self.start_client(version)
            self.carry()
            self.assertEqual(len(tables(self.client_space)), 1)
            client.end()
        self.assertEqual(self.udp_seen(), 0)

    def test_the_server_listens_on_udp_as_well(self):
        server = self.start_server()
        with self.server_space.entered():
            self.assertIn(PORT, server.udp_ports())
        log = os.path.join(self.directory, "plain.log")
        with self.client_space.entered():
            client = t.Program(OPTIONS.client, [*COMMON, "-l", f"127.0.0.1:{LOCAL}", "-r", f"{SERVER[4]}:{PORT}"], log)
            self.addCleanup(client.end)
            client.wait_ready(lambda: t.can_listen_tcp(LOCAL))
        self.carry()
        self.assertGreater(self.udp_seen(), 0)

    def test_a_port_range(self):
        self.start_server(listen=":29900-29920")
        self.start_client(remote_port="29900-29920")
        self.carry()

    def test_our_client_with_debians_server(self):
        self.start_server(DEBIAN["server"])
        for version in (4, 6):
            client = self.start_client(version)
            self.carry()
            client.end()

    def test_debians_client_with_our_server(self):
        self.start_server()
        for version in (4, 6):
            client = self.start_client(version, DEBIAN["client"])
            self.carry()
            client.end()

    def test_a_server_that_comes_late_and_one_that_starts_anew(self):
        self.start_client()
        server = self.start_server()
        self.carry(connections=1)
        server.kill()
        self.start_server()

        def served():
            try:
                self.carry(up=1000, down=1000, connections=1)
                return True
            except (t.Failure, OSError):
                return False
        t.wait_until(served, 60, "a client is served after its server was killed", 0.2)


    def test_another_user_keeps_the_two_capabilities_and_dials_again(self):
        user = ["--user", "nobody"]
        server, client = self.start_server(more=user), self.start_client(more=[*user, "--autoexpire", "1"])
        self.carry(connections=1)
        for program in (server, client):
            with open(f"/proc/{program.pid}/status") as status:
                held = next(line.split()[1] for line in status if line.startswith("CapEff"))
            self.assertEqual(int(held, 16), 1 << 12 | 1 << 13)  # CAP_NET_ADMIN, CAP_NET_RAW
        before = client.log().count("session dialled")

        def dialled_again():
            self.carry(up=1000, down=1000, connections=1)
            return client.log().count("session dialled") > before
        t.wait_until(dialled_again, 20, "a session dialled by the other user", 0.2)


class Endings(TcpModeCase):
    def test_rules_are_gone_after_each_ending(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server, client = self.start_server(), self.start_client()
            self.carry(connections=1)
            for space, program in ((self.client_space, client), (self.server_space, server)):
                self.assertEqual(len(tables(space)), 1)
                program.signal(number)
                self.assertEqual(program.wait_exit(20), 0)
                self.assertEqual(tables(space), [])

    def test_a_killed_run_leaves_nothing_for_the_next(self):
        server, client = self.start_server(), self.start_client()
        self.carry(connections=1)
        server.kill()
        client.kill()
        self.start_server()
        self.start_client()
        for space in (self.client_space, self.server_space):
            self.assertEqual(len(tables(space)), 1)
        self.carry(connections=1)

    def test_a_stale_table_of_an_older_kernel_is_removed_and_others_stay(self):
        ended = subprocess.Popen(["true"])
        ended.wait()
        space = os.stat("/proc/self/ns/pid").st_ino
        stale, others = f"kcptun-uv-{space}-{ended.pid}-1-77", ["kcptun-uv-mine", "filter"]
        with self.server_space.entered():
            for name in (stale, *others):
                subprocess.run(["nft", "add", "table", "inet", name], check=True)
        server = self.start_server()
        names = tables(self.server_space)
        self.assertNotIn(f"table inet {stale}", names)
        self.assertIn("table inet kcptun-uv-mine", names)
        server.end()
        with self.server_space.entered():
            left = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(sorted(left.split("\n")), ["", *(f"table inet {name}" for name in sorted(others))])

    def test_a_start_that_fails_leaves_no_rule(self):
        with self.server_space.entered():
            taken = socket.create_server(("0.0.0.0", PORT))
            with taken:
                done = subprocess.run([OPTIONS.server, "--tcp", "-l", f"0.0.0.0:{PORT}", "--key", "a key of the test"],
                                      capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, rf"\Akcptun-server: cannot listen on TCP 0.0.0.0:{PORT}: [^\n]+\n\Z")
        self.assertEqual(tables(self.server_space), [])

    def test_without_either_privilege_the_start_fails_with_one_line_that_names_them(self):
        self.assertTrue(shutil.which("setpriv"))
        for missing in ("-net_raw", "-net_admin", "-all"):
            for program, arguments in ((OPTIONS.server, ["-l", f":{PORT}"]),
                                       (OPTIONS.client, ["-r", f"127.0.0.1:{PORT}", "-l", f"127.0.0.1:{LOCAL}"])):
                with self.server_space.entered():
                    done = subprocess.run(
                        ["setpriv", "--bounding-set", missing, "--inh-caps", missing, program, "--tcp", "--key", "a key of the test",
                         *arguments], capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn("CAP_NET_RAW and CAP_NET_ADMIN", done.stderr)


if __name__ == "__main__":
    t.main()
