"""What can be reached, and when: no network at the start, names that nobody knows, addresses that stay silent, and hosts
that lack an address family.

    reach_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

Most of it has a network and files of /etc of its own, which end with it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

PATIENCE = 30
COMMON = ["--key", "reach", "--mode", "fast3"]
# Installs a seccomp filter that gives EAFNOSUPPORT for sockets of the family, and becomes the program.
WITHOUT_FAMILY = """
import ctypes, os, struct, sys
def op(code, jt, jf, k):
    return struct.pack("<HBBI", code, jt, jf, k)
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
program = b"".join([op(0x20, 0, 0, 0), op(0x15, 0, 3, SYS_SOCKET), op(0x20, 0, 0, 16),
                    op(0x15, 0, 1, int(sys.argv[1])), op(0x06, 0, 0, 0x00050000 | 97), op(0x06, 0, 0, 0x7fff0000)])
memory = ctypes.create_string_buffer(program)
filter = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(memory))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, filter, 0, 0) != 0:
    sys.exit("no seccomp filter: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@machine.needs("seccomp", "ipv6")
class Families(TunnelCase):
    """Both programs on a host without IPv6, or without IPv4."""

    def run_without(self, family, server_host):
        target = self.target(family=socket.AF_UNIX, address=os.path.join(self.directory, "target"))
        port, local = t.free_port(), t.free_port()
        programs = []
        for name, program, arguments in (
                ("server", OPTIONS.server, ["-l", f":{port}", "-t", target.name]),
                ("client", OPTIONS.client, ["-l", f":{local}", "-r", f"{server_host}:{port}", "--conn", 2])):
            programs.append(t.Program(sys.executable, ["-c", WITHOUT_FAMILY, int(family), program, *COMMON, *arguments],
                                      os.path.join(self.directory, name + ".log")))
            self.addCleanup(programs[-1].end)
            programs[-1].wait_ready(lambda: "tunnel started" in programs[-1].log())
        host = "127.0.0.1" if family == socket.AF_INET6 else "::1"
        with socket.create_connection((host, local), PATIENCE) as connection:
            connection.sendall(b"echo\nhello")
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.makefile("rb").read(), b"hello")
        for program in programs:
            program.signal(signal.SIGTERM)
            self.assertEqual(program.wait_exit(PATIENCE), 0, program.log())

    def test_without_ipv6(self):
        self.run_without(socket.AF_INET6, "127.0.0.1")

    def test_without_ipv4(self):
        self.run_without(socket.AF_INET, "[::1]")

    def test_a_name_with_both_families_without_ipv6(self):
        self.run_without(socket.AF_INET6, "localhost")


class Space:
    """A network and /etc/hosts, /etc/resolv.conf of its own. At first it has no interface that is up."""

    def __init__(self, directory):
        self.hosts, self.resolv = (os.path.join(directory, name) for name in ("hosts", "resolv.conf"))
        self.set_hosts()
        with open(self.resolv, "w") as file:
            file.write("nameserver 127.0.0.1\n")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
             f"mount --bind {self.hosts} /etc/hosts && mount --bind {self.resolv} /etc/resolv.conf && echo ready && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            self.close()
            raise t.Failure("no namespace")
        self.enter = ["nsenter", "--target", str(self._holder.pid), "--net", "--mount"]

    def set_hosts(self, *lines):
        with open(self.hosts, "w") as file:  # in place: the file is mounted
            file.write("".join(line + "\n" for line in ("127.0.0.1 localhost", *lines)))

    def ip(self, *arguments):
        subprocess.run([*self.enter, "ip", *arguments], check=True, timeout=PATIENCE)

    def connect_network(self):
        """Two addresses: 192.0.2.2, which works, and 192.0.2.1, which swallows what comes."""
        self.ip("link", "set", "lo", "up")
        for address in ("192.0.2.1/32", "192.0.2.2/32"):
            self.ip("addr", "add", address, "dev", "lo")
        subprocess.run([*self.enter, "nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }; "
                        "add rule inet t in ip daddr 192.0.2.1 drop"], check=True, timeout=PATIENCE)

    def program(self, path, arguments, log):
        return t.Program(self.enter[0], [*self.enter[1:], path, *COMMON, *arguments], log)

    def close(self):
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


@machine.needs("tcp-mode")  # namespaces and nftables
class SpaceCase(TunnelCase):
    def setUp(self):
        super().setUp()
        self.space = Space(self.directory)
        self.addCleanup(self.space.close)
        self.local = os.path.join(self.directory, "local")  # unix sockets pass namespaces
        self.unix_target = self.target(family=socket.AF_UNIX, address=os.path.join(self.directory, "target"))

    def start(self, name, program, arguments):
        started = self.space.program(program, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(started.end)
        started.wait_ready(lambda: "tunnel started" in started.log())
        return started

    def start_client(self, remote, *arguments):
        return self.start("client", OPTIONS.client, ["-l", self.local, "-r", remote, *arguments])

    def start_server(self, target=None, listen=":29900"):
        return self.start("server", OPTIONS.server, ["-l", listen, "-t", target or self.unix_target.name])

    def echo(self, seconds=PATIENCE, local=None):
        """What comes back; b"" when the connection is closed before."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(local or self.local)
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"echo\nhello")
                return connection.recv(5)
            return b""

    def says(self, program, words):
        t.wait_until(lambda: words in program.log(), PATIENCE, f"it says {words}")

    def runs(self, program):
        self.assertIsNone(program.exit_code(), program.log())


class NoNetwork(SpaceCase):
    def test_a_client_waits_for_the_network_and_so_do_its_connections(self):
        client = self.start_client("192.0.2.2:29900")
        self.says(client, "the server cannot be dialled yet, trying again")
        t.wait_logged(client, "Network is unreachable")
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.settimeout(PATIENCE)
            waiting.connect(self.local)
            waiting.sendall(b"echo\nhello")
            self.start_server()  # before: where nobody listens, the connection would end at once
            self.space.connect_network()
            self.assertEqual(waiting.recv(5), b"hello")
        t.wait_logged(client, "cannot be dialled yet", times=1)

    def test_a_name_is_looked_up_again_until_it_is_known(self):
        self.space.connect_network()
        client = self.start_client("server.test:29900")
        self.says(client, "cannot resolve server.test")
        self.runs(client)
        self.start_server()
        self.space.set_hosts("192.0.2.2 server.test")
        t.wait_until(lambda: self.echo() == b"hello", PATIENCE, "the tunnel works")

    def test_a_target_s_name_may_become_known_later(self):
        self.space.connect_network()
        with socket.socket(socket.AF_INET) as silent:  # not in the namespace: the name alone is of interest
            silent.bind((t.HOST, 0))
            server = self.start_server(target="target.test:80")
            self.says(server, "the target's name cannot be resolved yet")
            client = self.start_client("192.0.2.2:29900")
            self.assertEqual(self.echo(), b"")
            self.says(server, "cannot resolve target.test")
        self.space.set_hosts("127.0.0.1 target.test")
        self.assertEqual(self.echo(), b"")
        self.says(server, "Connection refused")  # it is known by now, and nobody listens there
        self.runs(client)

    def test_one_bad_name_does_not_stop_another_tunnel(self):
        self.space.connect_network()
        self.start_server()
        bad = os.path.join(self.directory, "bad")
        profile = os.path.join(self.directory, "client.json")
        with open(profile, "w") as file:
            json.dump({"key": "reach", "mode": "fast3",
                       "tunnels": [{"name": "good", "localaddr": self.local, "remoteaddr": "192.0.2.2:29900"},
                                   {"name": "bad", "localaddr": bad, "remoteaddr": "nowhere.test:29900"}]}, file)
        os.chmod(profile, 0o600)
        client = t.Program(self.space.enter[0], [*self.space.enter[1:], OPTIONS.client, "-c", profile],
                           os.path.join(self.directory, "client.log"))
        self.addCleanup(client.end)
        self.says(client, "cannot resolve nowhere.test")
        self.assertEqual(self.echo(), b"hello")
        self.runs(client)


class Names(SpaceCase):
    def silent_resolver(self):
        """Takes what is asked and says nothing."""
        self.space.connect_network()
        resolver = subprocess.Popen(
            [*self.space.enter, sys.executable, "-c",
             "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); "
             "print('ready', flush=True); s.recv(1); print('asked', flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(resolver.wait)
        self.addCleanup(resolver.stdout.close)
        self.addCleanup(resolver.stdin.close)
        self.assertEqual(resolver.stdout.readline(), "ready\n")
        return resolver

    def test_the_end_does_not_wait_for_a_resolver_that_says_nothing(self):
        resolver = self.silent_resolver()
        programs = [self.start_client("server.test:29900"), self.start_server(target="target.test:80")]
        self.assertEqual(resolver.stdout.readline(), "asked\n")
        for program in programs:
            before = time.monotonic()
            program.signal(signal.SIGTERM)
            self.assertEqual(program.wait_exit(PATIENCE), 0)
            self.assertLess(time.monotonic() - before, 4)  # a resolver that is silent is given up after 6 s

    def end_while_resolving(self, path, place):
        """The program must know where to listen before it can start."""
        resolver = self.silent_resolver()
        program = t.Program(self.space.enter[0], [*self.space.enter[1:], path, "--key", "a key of the test",
                                                  "-l", "here.test:29900", place, "192.0.2.2:1"],
                            os.path.join(self.directory, "starting.log"))
        self.addCleanup(program.end)
        self.assertEqual(resolver.stdout.readline(), "asked\n")
        program.signal(signal.SIGTERM)
        self.assertEqual(program.wait_exit(PATIENCE), 0)

    def test_a_signal_ends_a_client_that_still_resolves_its_own_name(self):
        self.end_while_resolving(OPTIONS.client, "-r")

    def test_a_signal_ends_a_server_that_still_resolves_its_own_name(self):
        self.end_while_resolving(OPTIONS.server, "-t")

    def test_a_search_domain_counts(self):
        self.space.connect_network()
        with open(self.space.resolv, "w") as file:
            file.write("search home.test\nnameserver 127.0.0.1\n")
        self.space.set_hosts("192.0.2.2 server server.home.test")
        self.start_server()
        self.start_client("server:29900")
        self.assertEqual(self.echo(), b"hello")


class SilentAddresses(SpaceCase):
    """Names with two addresses, of which one, 192.0.2.1, says nothing."""

    ORDERS = (("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1"))

    def name_both(self, name, order):
        self.space.set_hosts(*(f"{address} {name}" for address in order))

    def test_a_target_is_reached_by_the_address_that_answers(self):
        self.space.connect_network()
        listener = subprocess.Popen(
            [*self.space.enter, sys.executable, "-c",
             "import socket\ns = socket.create_server(('192.0.2.2', 8080))\nprint('ready', flush=True)\n"
             "while True:\n  c = s.accept()[0]\n  c.recv(5)\n  c.sendall(c.recv(5))\n  c.close()"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.addCleanup(listener.stdout.close)
        self.assertEqual(listener.stdout.readline(), "ready\n")
        for order in self.ORDERS:
            self.name_both("target.test", order)
            server = self.start_server(target="target.test:8080")
            client = self.start_client("192.0.2.2:29900")
            before = time.monotonic()
            self.assertEqual(self.echo(), b"hello")
            self.assertLess(time.monotonic() - before, 5)  # 10 s is the time for the target as a whole
            for program in (client, server):
                program.end()
                os.unlink(program.log_path)

    def test_a_server_is_dialled_at_the_address_that_answers(self):
        self.space.connect_network()
        self.start_server()
        for order in self.ORDERS:
            self.name_both("server.test", order)
            client = self.start_client("server.test:29900")
            self.assertEqual(self.echo(), b"hello")
            t.wait_logged(client, "remote=192.0.2.2:29900")
            self.assertNotIn("remote=192.0.2.1:29900", client.log())
            client.end()
            os.unlink(client.log_path)

    def test_of_several_servers_each_is_found_at_the_address_that_answers(self):
        self.space.connect_network()
        self.start_server()
        self.space.set_hosts("192.0.2.1 server.test", "192.0.2.2 server.test")
        client = self.start_client("server.test:29900,192.0.2.1:29901")
        self.assertEqual(self.echo(), b"hello")
        t.wait_logged(client, "server chosen address=server.test:29900")


if __name__ == "__main__":
    t.main()
