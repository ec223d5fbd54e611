"""What a user of kcptun relies on, seen from outside: example files, answering addresses, DSCP, MTU, session life.

    user_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

A test that wants addresses of its own makes network namespaces, which end with it.
"""

import asyncio
import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lab"))
from path import NameSpace  # noqa: E402  (found by the line above)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
EXAMPLES = os.path.join(ROOT, "docs", "examples")
FAST = ["--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024]
IPV6_RECVTCLASS, IPV6_TCLASS = 66, 67  # linux/in6.h; Python's socket module has them on some systems only


class WatchingRelay:
    """Forwards datagrams between one client and the server, and notes each one's size and TOS byte or traffic class."""

    def __init__(self, host, server_port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._front = socket.socket(family, socket.SOCK_DGRAM)
        self._front.bind((host, 0))
        self._back = socket.socket(family, socket.SOCK_DGRAM)
        self._back.connect((host, server_port))
        for one in (self._front, self._back):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
            else:
                one.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.port = self._front.getsockname()[1]
        self.seen = {"up": [], "down": []}  # (size, TOS) of each datagram
        self._ends, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _tos(ancillary):
        for _, kind, data in ancillary:
            if kind == IPV6_TCLASS and len(data) == 4:
                return struct.unpack("i", data)[0]
            if kind == socket.IP_TOS:
                return data[0]
        raise t.Failure("a datagram without TOS or traffic class")

    def _run(self):
        client = None
        while True:
            ready, _, _ = select.select([self._front, self._back, self._ends], [], [])
            if self._ends in ready:
                return
            for one in ready:
                with contextlib.suppress(ConnectionRefusedError):
                    data, ancillary, _, sender = one.recvmsg(2048, 64)
                    self.seen["up" if one is self._front else "down"].append((len(data), self._tos(ancillary)))
                    if one is self._front:
                        client = sender
                        self._back.send(data)
                    elif client:
                        self._front.sendto(data, client)

    def close(self):
        os.write(self._wake, b"x")
        self._thread.join(5)
        for one in (self._front, self._back):
            one.close()
        os.close(self._ends)
        os.close(self._wake)


class UserCase(TunnelCase):
    def space(self):
        space = NameSpace()
        self.addCleanup(space.close)
        return space

    def watched(self, host, common):
        """A tunnel through a WatchingRelay, and the relay."""
        relays = []

        def relay(server_port):
            relays.append(WatchingRelay(host.strip("[]"), server_port))
            return relays[0]
        return self.tunnel(common, listen_host=host, relay=relay), relays[0]


@machine.needs("namespaces")
class Examples(UserCase):
    """The files in docs/examples as they are: in a namespace that has the address they name."""

    def run_pair(self, suffix):
        paths = [os.path.join(EXAMPLES, f"{side}{suffix}.json") for side in ("client", "server")]
        space = self.space()
        space.ip("address", "add", "192.0.2.10/32", "dev", "lo")
        with space.entered():
            with open(paths[1]) as file:
                target = self.target(port=int(json.load(file)["target"].rsplit(":", 1)[1]))
            programs = []
            for program, path, ready in ((OPTIONS.server, paths[1], lambda: bool(programs[0].udp_ports())),
                                         (OPTIONS.client, paths[0], lambda: t.can_listen_tcp(12948))):
                log = os.path.join(self.directory, f"{len(programs)}.log")
                programs.append(t.Program(program, ["-c", path], log, {"KCPTUN_KEY": "a key of 24 random bytes"}))
                self.addCleanup(programs[-1].end)
                programs[-1].wait_ready(ready)
            t.run(self.carry(), 30)
            self.assertEqual(len(target.finished), 8)
            ports = programs[0].udp_ports()
            return [program.log() for program in programs], ports

    async def carry(self):
        for number in range(8):
            connection = socket.socket()
            connection.setblocking(False)
            with connection:
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", 12948))
                request = t.payload(self.seed + number, 300_000)
                await t.send(connection, f"answer 200000 {self.seed + 1}\n".encode() + request)
                connection.shutdown(socket.SHUT_WR)
                answer = await t.receive_all(connection)
                self.assertIsNone(t.first_difference(answer, t.expected_answer(request, self.seed, 200_000)))

    def check_logs(self, logs):
        for log in logs:
            self.assertNotIn("unknown", log)  # a field that the program does not know

    def test_plain_pair(self):
        logs, ports = self.run_pair("")
        self.check_logs(logs)
        self.assertIn(29900, ports)

    def test_port_range_with_qpp_and_ratelimit(self):
        logs, ports = self.run_pair("-ports-qpp")
        self.check_logs(logs)
        self.assertEqual(sorted(set(ports)), list(range(3000, 3101)))


@machine.needs("namespaces")
class AnsweringAddress(UserCase):
    """A server with two addresses on one device answers from the one that was asked: else a client hears nothing."""

    def test_two_addresses_ipv4_and_ipv6(self):
        ours, theirs = self.space(), self.space()
        ours.ip("link", "add", "asking", "type", "veth", "peer", "name", "asked")
        with theirs.entered():
            pid = subprocess.Popen(["sleep", "infinity"], preexec_fn=t._die_with_parent)
        self.addCleanup(pid.wait)
        self.addCleanup(pid.kill)
        ours.ip("link", "set", "asked", "netns", str(pid.pid))
        for space, device, host in ((ours, "asking", ("9",)), (theirs, "asked", ("1", "2"))):
            space.ip("link", "set", device, "up")
            for last in host:
                space.ip("address", "add", f"10.78.0.{last}/24", "dev", device)
                space.ip("address", "add", f"fd00:78::{last}/64", "dev", device, "nodad")
        with theirs.entered():
            target = self.target()
            server = t.Program(OPTIONS.server, ["--key", "k", "--listen", ":29900", "--target", target.name, *FAST],
                               os.path.join(self.directory, "server.log"))
            self.addCleanup(server.end)
            server.wait_ready(lambda: t.udp_bound(29900))
        for number, asked in enumerate(("10.78.0.1", "10.78.0.2", "[fd00:78::1]", "[fd00:78::2]")):
            with self.subTest(asked=asked), ours.entered():
                self.ask(asked, number)

    def ask(self, asked, number):
        log = os.path.join(self.directory, f"client{number}.log")
        local = os.path.join(self.directory, f"local{number}.sock")
        client = t.Program(OPTIONS.client, ["--key", "k", "--localaddr", local, "--remoteaddr", asked + ":29900",
                                            *FAST], log)
        self.addCleanup(client.end)
        client.wait_ready(lambda: t.unix_listening(local))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(local)
            connection.sendall(b"echo\nanyone")
            self.assertEqual(connection.recv(6, socket.MSG_WAITALL), b"anyone")


class Wire(UserCase):
    def test_dscp_is_in_its_six_bits_and_ecn_is_left_alone(self):
        for host in ("127.0.0.1", "[::1]"):
            for dscp in (0, 1, 46, 63):
                with self.subTest(host=host, dscp=dscp):
                    tunnel, relay = self.watched(host, [*FAST, "--dscp", dscp])
                    t.run(t.echo_once(tunnel, self.seed, 100_000), 20)
                    for way in ("up", "down"):
                        self.assertEqual({tos for _, tos in relay.seen[way]}, {dscp << 2}, way)

    def test_every_mtu_carries_data_and_is_kept(self):
        for mtu in (128, 129, 200, 256, 512, 576, 1000, 1280, 1350, 1400, 1472, 1499, 1500):
            with self.subTest(mtu=mtu):
                tunnel, relay = self.watched("127.0.0.1", [*FAST, "--mtu", mtu])
                t.run(t.echo_once(tunnel, self.seed, 200_000), 30)
                for way in ("up", "down"):
                    self.assertEqual(max(size for size, _ in relay.seen[way]), mtu, way)


class Life(UserCase):
    @machine.needs("namespaces")
    def test_a_listener_of_1000_ports_uses_no_processor_time_when_idle(self):
        with self.space().entered():
            program = t.Program(OPTIONS.server, ["--key", "k", "--listen", "127.0.0.1:20000-20999", "--target",
                                                 "127.0.0.1:9"], os.path.join(self.directory, "server.log"))
            self.addCleanup(program.end)
            program.wait_ready(lambda: set(range(20000, 21000)) <= set(program.udp_ports()), 20)
        before = program.cpu_seconds()
        time.sleep(5)  # the passing of time is what is tested
        used = program.cpu_seconds() - before
        print(f"    {used:.2f} s of processor time in 5 s")
        self.assertLessEqual(used, 0.02)  # two ticks of the clock that counts it

    def test_sixty_seconds_of_expiring_sessions(self):
        tunnel = self.tunnel(FAST, client_args=["--autoexpire", 5, "--scavengettl", 5])
        sessions = []

        async def talk(number):
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, b"echo\n")
                end = time.monotonic() + 3
                while time.monotonic() < end:
                    data = t.payload(self.seed + number, 20_000)
                    await t.send(connection, data)
                    self.assertEqual(await t.receive_exactly(connection, len(data)), data)
                    sessions.append(len(tunnel.client_program.udp_ports()))
                    await asyncio.sleep(0.05)  # traffic for 3 s, not as fast as it goes
        begun = time.monotonic()
        for number in range(20):
            t.run(talk(number), 10)
        self.assertGreater(time.monotonic() - begun, 59)
        expired = tunnel.client_program.log().count("session expired")
        print(f"    {len(sessions)} exchanges, {max(sessions)} sessions at most, {expired} expired")
        self.assertLessEqual(max(sessions), 4 if machine.busy() > 1 else 3)  # a late timer leaves one more
        self.assertGreaterEqual(expired, 8)


if __name__ == "__main__":
    t.main()
