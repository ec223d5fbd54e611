"""Faults of the machine and its programs: what the tunnel must live through, on loopback and in namespaces of its own.

    faults_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

Times are short ones for the normal run; scripts/torture.sh sets longer ones: KCPTUN_KILL_SECONDS, KCPTUN_STOP_SECONDS.
"""

import asyncio
import contextlib
import itertools
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

import machine
import tunnel as t
from tunnel import TunnelCase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lab"))
import path as lab  # noqa: E402  (found by the line above)

MB = 1 << 20
FAST = ["--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024]
IS_SANITIZED = "KCPTUN_SANITIZED" in os.environ
KILL_SECONDS = float(os.environ.get("KCPTUN_KILL_SECONDS", "20"))
STOP_SECONDS = float(os.environ.get("KCPTUN_STOP_SECONDS", "4"))
DEAD_AFTER = 30  # seconds of silence after which a session is given up


async def refused(tunnel):
    """What a connection gets whose stream cannot be: its end, or a reset."""
    with contextlib.suppress(OSError):
        connection = await tunnel.connect()
        with connection:
            await t.send(connection, b"echo\nx")
            return await t.receive(connection)
    return b""


class FaultCase(TunnelCase):
    def echo(self, tunnel, size=256 << 10, seconds=60):
        t.run(t.echo_once(tunnel, self.seed, size), seconds)

    def echo_within(self, tunnel, seconds):
        """A transfer that may fail at first, and must succeed in time."""
        deadline = t.Deadline(seconds)
        while True:
            try:
                return self.echo(tunnel, seconds=max(5, deadline.left()))
            except (t.Failure, OSError):
                if deadline.is_over():
                    raise
                time.sleep(0.2)


class Descriptors(FaultCase):
    def test_accepting_pauses_without_descriptors_and_recovers(self):
        tunnel = self.tunnel(FAST)
        self.echo(tunnel)
        tunnel.wait_idle()
        client = tunnel.client_program
        usual = resource.prlimit(client.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(client.pid, resource.RLIMIT_NOFILE, (client.descriptors() + 5, usual[1]))

        async def crowd():
            crowd = [asyncio.ensure_future(t.echo_once(tunnel, self.seed + i, 20000)) for i in range(40)]
            await asyncio.wait(crowd, timeout=2)
            resource.prlimit(client.pid, resource.RLIMIT_NOFILE, usual)
            await asyncio.gather(*crowd)  # none was turned away: they waited to be accepted
        t.run(crowd(), 60)
        t.wait_logged(client, "accepting pauses", times=1)
        tunnel.wait_idle()

    def test_a_server_without_descriptors_ends_streams_and_not_sessions(self):
        tunnel = self.tunnel(FAST)
        self.echo(tunnel)
        tunnel.wait_idle()
        server = tunnel.server_program
        usual = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.descriptors(), usual[1]))

        for _ in range(5):
            self.assertEqual(t.run(refused(tunnel), 20), b"")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, usual)
        self.echo(tunnel)
        t.wait_logged(server, "session opened", times=1)
        tunnel.wait_idle()


class Memory(FaultCase):
    def test_stalled_streams_fit_into_a_memory_limit(self):
        tunnel = self.tunnel(FAST)
        self.echo(tunnel, 4 * MB)
        server = tunnel.server_program
        if not IS_SANITIZED:  # whose shadow needs an address space of its own
            with open(f"/proc/{server.pid}/statm") as statm:
                size = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.prlimit(server.pid, resource.RLIMIT_AS, (size + 64 * MB, resource.RLIM_INFINITY))

        async def stall():
            held = []
            for _ in range(64):
                connection = await tunnel.connect()
                held.append(connection)
                await t.send(connection, f"source {8 * MB} {self.seed}\n".encode())
            await asyncio.sleep(0)
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            for connection in held:
                connection.close()
        t.run(stall(), 60)
        self.echo(tunnel, 4 * MB)
        self.assertIsNone(server.exit_code())
        tunnel.wait_idle()


class Log(FaultCase):
    def test_a_full_disk_under_the_log_stops_nothing(self):
        tunnel = self.tunnel([*FAST, "--log", "/dev/full"])
        self.echo(tunnel, 4 * MB)
        t.run(t.echo_many(tunnel, self.seed, 40, 20000), 60)
        for program in tunnel.programs:
            program.signal(signal.SIGUSR1)
        self.echo(tunnel)
        for program in tunnel.programs:
            self.assertIsNone(program.exit_code())
            program.signal(signal.SIGTERM)
        for program in tunnel.programs:
            self.assertEqual(program.wait_exit(10), 0)


class FlappingTarget(FaultCase):
    def test_a_target_that_comes_and_goes(self):
        tunnel = self.tunnel(FAST)
        for number in range(8):
            self.echo(tunnel)
            tunnel.target.refuse()

            for _ in range(5):
                self.assertEqual(t.run(refused(tunnel), 20), b"")
            tunnel.target.listen()
        self.echo(tunnel)
        tunnel.wait_idle()


class Stopped(FaultCase):
    """SIGSTOP, as a machine that is suspended."""

    def check(self, which):
        tunnel = self.tunnel(FAST)
        self.echo(tunnel)
        program = getattr(tunnel, which)

        async def across():
            running = asyncio.ensure_future(t.echo_once(tunnel, self.seed, 8 * MB))
            await asyncio.sleep(0)
            program.signal(signal.SIGSTOP)
            try:
                deadline = time.monotonic() + STOP_SECONDS
                while time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
            finally:
                program.signal(signal.SIGCONT)
            await running
        if STOP_SECONDS < DEAD_AFTER - 10:
            t.run(across(), STOP_SECONDS + 60)
        else:
            with contextlib.suppress(t.Failure, OSError):  # given up, but never wrong: that would be a Failure of its own
                t.run(across(), STOP_SECONDS + 60)
        self.echo_within(tunnel, 60)
        tunnel.wait_idle(60)

    def test_the_server_for_a_while(self):
        self.check("server_program")

    def test_the_client_for_a_while(self):
        self.check("client_program")


class Clock(FaultCase):
    """The clock of the machine is set in the middle of transfers: of both programs, then of one."""

    def setUp(self):
        super().setUp()
        library = os.path.join(self.directory, "clock_shift.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library,
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock_shift.c")], check=True)
        self.shifts = [os.path.join(self.directory, f"shift{number}") for number in range(2)]
        self.set_clocks(0, 0)
        self.environments = [{"LD_PRELOAD": library, "KCPTUN_CLOCK_SHIFT": name,
                              "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
                             for name in self.shifts]

    def let_time_pass(self, number, seconds, asleep):
        """At one of the programs; a machine that sleeps has its monotonic clock stand still."""
        with open(self.shifts[number], "r+b") as file:
            file.write(struct.pack("=qqq", seconds, 0 if asleep else seconds, seconds))

    def set_clocks(self, *seconds):
        for name, shift in zip(self.shifts, seconds):
            with open(name, "r+b" if os.path.exists(name) else "wb") as file:  # in place: it is mapped
                file.write(struct.pack("=q", shift))

    def shifted_tunnel(self, common):
        # One session, so that those that are opened can be counted.
        return self.tunnel([*FAST, *common], client_args=["--conn", 1], environment=self.environments[0],
                           server_environment=self.environments[1])

    def check_transfers_go_on(self, tunnel, steps):
        async def across():
            running = asyncio.ensure_future(t.echo_once(tunnel, self.seed, 8 * MB))
            for step in steps:
                await t.echo_once(tunnel, self.seed, 256 << 10)
                self.set_clocks(*step)
                await t.echo_once(tunnel, self.seed + 1, 256 << 10)
            await running
        t.run(across(), 90)

    def test_a_clock_that_is_set_forward_and_back_disturbs_no_session(self):
        hour = 3600
        for crypt in ("aes-128", "xchacha20-poly1305"):
            with self.subTest(crypt=crypt):
                self.set_clocks(0, 0)
                tunnel = self.shifted_tunnel(["--crypt", crypt, "--ratelimit", 4 * MB])
                self.echo_within(tunnel, 40)
                dialled = tunnel.client_program.counters()["ActiveOpens"]
                self.check_transfers_go_on(tunnel, [(hour, hour), (-hour, -hour), (24 * hour, 24 * hour), (0, 0),
                                                    (hour, 0), (0, hour), (0, 0)])
                self.assertEqual(tunnel.client_program.counters()["ActiveOpens"], dialled)
                tunnel.wait_idle(20)
                tunnel.close()

    def test_a_new_session_needs_clocks_that_agree_and_no_more(self):
        tunnel = self.shifted_tunnel(["--crypt", "xchacha20-poly1305"])
        self.echo_within(tunnel, 40)
        self.set_clocks(7200, 7200)
        tunnel.client_program.kill()
        tunnel.start_client()
        self.echo_within(tunnel, 40)
        tunnel.client_program.kill()
        self.set_clocks(7200, 0)  # the server's is set back
        tunnel.start_client()
        connection = socket.create_connection((t.HOST, tunnel.local_port))
        with connection:
            connection.sendall(b"echo\nhello")
            t.wait_until(lambda: "session rejected" in tunnel.server_program.log(), 20, "the server says why")
        self.set_clocks(0, 0)
        self.echo_within(tunnel, 60)

    def wait_all_read(self, stopped, reader):
        """A packet that is read after the time has passed would begin the reader's wait for its peer anew."""
        def read():
            return reader.counters()["InPkts"]
        t.wait_until(stopped.is_stopped, 10, "the program stands still")
        t.wait_until(lambda: read() == read(), 10, "the other one has read what it sent")

    def test_after_the_client_has_slept_its_first_connection_is_served_at_once(self):
        for crypt, waiting in itertools.product(("aes-128", "xchacha20-poly1305"), (False, True)):
            with self.subTest(crypt=crypt, waiting=waiting):
                for name in self.shifts:
                    with open(name, "r+b") as file:
                        file.write(bytes(24))
                tunnel = self.shifted_tunnel(["--crypt", crypt])
                self.echo_within(tunnel, 40)
                client, server = tunnel.programs
                client.signal(signal.SIGSTOP)
                self.wait_all_read(client, server)
                if waiting:  # a keepalive of the server, in the client's socket
                    sent = server.counters()["OutPkts"]
                    self.let_time_pass(1, 15, asleep=False)
                    t.wait_until(lambda s=server, n=sent: s.counters()["OutPkts"] > n, 20, "a keepalive")
                self.let_time_pass(1, 50, asleep=False)
                t.wait_until(lambda s=server: s.counters() and "session closed" in s.log(), 20, "the server gives it up")
                self.let_time_pass(0, 50, asleep=True)
                client.signal(signal.SIGCONT)
                begun = time.monotonic()
                t.run(t.echo_once(tunnel, self.seed, 1000), 20)
                print(f"    {crypt} {waiting=}: served after {time.monotonic() - begun:.2f} s")
                self.assertLess(time.monotonic() - begun, 2 * machine.busy())
                tunnel.close()


@machine.needs("namespaces")
class Interface(FaultCase):
    def test_an_interface_that_goes_down_and_comes_up(self):
        space = lab.NameSpace()
        self.addCleanup(space.close)
        with space.entered():
            target = self.target(socket.AF_UNIX, os.path.join(self.directory, "target.sock"))
            tunnel = self.tunnel(FAST, local=os.path.join(self.directory, "local.sock"), target=target)
            self.echo(tunnel)

            async def across():
                running = asyncio.ensure_future(t.echo_once(tunnel, self.seed, 8 * MB))
                for _ in range(3):
                    space.ip("link", "set", "lo", "down")
                    await asyncio.sleep(1)
                    space.ip("link", "set", "lo", "up")
                    await asyncio.sleep(0.5)
                await running
            t.run(across(), 90)
            self.echo(tunnel)
        for program in tunnel.programs:
            self.assertIsNone(program.exit_code())


class Killed(FaultCase):
    """kill -9 of either end in a loop, with transfers that are checked: they may fail, they may not be wrong."""

    async def transfer(self, tunnel, seed):
        """True when it went through, False when it was cut off; Failure when a byte was wrong."""
        size = 512 << 10
        data = t.payload(seed, size)
        received = 0
        try:
            connection = await asyncio.wait_for(tunnel.connect(), 5)
        except (OSError, asyncio.TimeoutError):
            return False
        with connection:
            try:
                await asyncio.wait_for(t.send(connection, f"source {size} {seed}\n".encode()), 20)
                while received < size:
                    piece = await asyncio.wait_for(t.receive(connection), 40)
                    if not piece:
                        return False
                    if piece != data[received:received + len(piece)]:
                        raise t.Failure(f"wrong bytes at {received} of seed {seed}")
                    received += len(piece)
                if await asyncio.wait_for(t.receive(connection), 40):
                    raise t.Failure("more came than was sent")
            except (OSError, asyncio.TimeoutError):
                return False
        return True

    async def keep_transferring(self, tunnel, stop, done, first):
        seed = first
        while not stop.is_set():
            done[await self.transfer(tunnel, seed)] += 1
            seed += 1
            await asyncio.sleep(0.01)

    def test_never_a_wrong_byte_and_nothing_is_left(self):
        tunnel = self.tunnel(FAST)
        self.echo(tunnel)
        rng = random.Random(self.seed)
        done = {True: 0, False: 0}
        kills = 0

        async def torture():
            nonlocal kills
            stop = asyncio.Event()
            workers = [asyncio.ensure_future(self.keep_transferring(tunnel, stop, done, self.seed + 100000 * i))
                       for i in range(6)]
            deadline, limit = time.monotonic() + KILL_SECONDS, t.Deadline(KILL_SECONDS)
            while time.monotonic() < deadline or not (done[True] or limit.is_over()):  # a busy machine gets more time
                await asyncio.sleep(rng.uniform(0.3, 3))
                if rng.random() < 0.5:
                    tunnel.server_program.kill()
                    tunnel.start_server()
                else:
                    tunnel.client_program.kill()
                    tunnel.start_client()
                kills += 1
            stop.set()
            await asyncio.gather(*workers)
        t.run(torture(), KILL_SECONDS + 120)
        print(f"{kills} kills, {done[True]} transfers went through, {done[False]} were cut off", flush=True)
        self.assertGreater(done[True], 0)
        self.echo_within(tunnel, 60)
        tunnel.wait_idle(90)
        t.wait_until(lambda: tunnel.target.active == 0, 90, "the target's connections are gone")
        # What the kernel gave either program is given back; sessions of clients that were killed end by themselves.
        for program in tunnel.programs:
            t.wait_until(lambda p=program: p.descriptors() < 40, 60, "descriptors are given back")


if __name__ == "__main__":
    t.main()
