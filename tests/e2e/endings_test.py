"""Connections ended in every way, thousands of them, and nothing may stay behind.

Each pair (our programs, ours with Debian's server, Debian's client with ours; smux 1 and 2) carries its share of
connections that end by either half-close first, a reset at either side, the application's death, a close while idle
and a close in the middle of a transfer, many at once. Then no TCP socket of our programs may be left in any state, and
their descriptors must be as many as before. What Debian's programs keep is their own affair.

    endings_test.py --client PROGRAM --server PROGRAM [--connections N] [--only TEXT]
"""

import argparse
import asyncio
import collections
import os
import socket
import struct
import subprocess
import sys
import time

import tunnel as t

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() resets
AT_ONCE = 100        # connections that are open at once in one pair
APPLICATION = 50     # connections of one application that is killed
BLOB = os.urandom(3 << 20)  # more than any window between the two ends
STEP_LIMIT = 20      # seconds for one connection's way to its end
LEFT_LIMIT = 50      # seconds until nothing is left: our drain time of 35, and room
PAIRS = (("debian -> ours", "peer_client", "server"), ("ours -> debian", "client", "peer_server"),
         ("ours -> ours", "client", "server"))


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    connection.close()


class EndingTarget(t.Target):
    """A target that also ends connections in ways of its own, each chosen by the application's first line:

        flow          sends BLOB, shuts down its writing side, reads to the end of file
        reset         sends "hello" and resets
        cut N         sends N bytes of an answer and closes while more is coming in
        abort N       sends N bytes of an answer and resets
    """

    async def _play_role(self, connection, role, numbers, rest, record):
        if role not in ("flow", "reset", "cut", "abort"):
            return await super()._play_role(connection, role, numbers, rest, record)
        if role == "flow":
            await self._loop.sock_sendall(connection, BLOB)
            connection.shutdown(socket.SHUT_WR)
            return await self._drain(connection, rest, record)
        await self._loop.sock_sendall(connection, b"hello" if role == "reset" else bytes(int(numbers[0])))
        if role != "cut":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        return None


# ---------------------------------------------------------------------------------------------------------------------
# The ways. Each is a coroutine that gets an open connection and returns when the application has let go of it.

async def half_close_first(connection):
    """Shuts down writing, gets the answer and its end. Debian's release may cut the answer off."""
    await t.send(connection, b"answer 1000 7\nrequest")
    connection.shutdown(socket.SHUT_WR)
    await read_to_end(connection)


async def half_close_second(connection):
    """The target shuts down writing first; then this end does."""
    await t.send(connection, b"source 1000 7\n")
    await read_to_end(connection)
    await send_tolerantly(connection, b"the rest")
    shut_down_tolerantly(connection)


async def reset_here(connection):
    await hello(connection)
    reset(connection)


async def reset_before_a_byte(connection):
    reset(connection)


async def reset_there(connection):
    await t.send(connection, b"reset\n")
    await read_to_end(connection)


async def idle_and_closed(connection):
    await hello(connection)
    await asyncio.sleep(0.05)  # being idle is what is tested
    connection.close()


async def closed_without_a_byte(connection):
    connection.close()


async def closed_in_a_download(connection):
    await t.send(connection, b"flow\n")
    await t.receive(connection)
    connection.close()  # unread data: a reset


async def closed_in_an_upload(connection):
    await t.send(connection, b"answer 0 0\n" + bytes(200_000))
    connection.close()


async def reset_in_an_upload(connection):
    await t.send(connection, b"answer 0 0\n" + bytes(200_000))
    reset(connection)


async def cut_there_in_both_directions(connection):
    await t.send(connection, b"cut 200000\n")
    await send_tolerantly(connection, bytes(100_000))
    await read_to_end(connection)


async def aborted_there(connection):
    await t.send(connection, b"abort 200000\n")
    await read_to_end(connection)


async def half_closed_then_reset(connection):
    await t.send(connection, b"flow\n")
    connection.shutdown(socket.SHUT_WR)
    await t.within(receive_tolerantly(connection), STEP_LIMIT)
    reset(connection)


WAYS = (half_close_first, half_close_second, reset_here, reset_before_a_byte, reset_there, idle_and_closed,
        closed_without_a_byte, closed_in_a_download, closed_in_an_upload, reset_in_an_upload,
        cut_there_in_both_directions, aborted_there, half_closed_then_reset)
KILLED = "killed"


async def hello(connection):
    await t.send(connection, b"echo\nhello")
    if await t.receive_exactly(connection, 5) != b"hello":
        raise t.Failure("the echo differs")


async def receive_tolerantly(connection):
    try:
        return await t.receive(connection)
    except (ConnectionResetError, BrokenPipeError):
        return b""


async def read_to_end(connection):
    while await receive_tolerantly(connection):
        pass


async def send_tolerantly(connection, data):
    try:
        await t.send(connection, data)
    except (ConnectionResetError, BrokenPipeError):
        pass


def shut_down_tolerantly(connection):
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # reset meanwhile


# ---------------------------------------------------------------------------------------------------------------------
# One pair

class Pair:
    def __init__(self, options, name, client, server, smux):
        self.name = f"{name}  smux {smux}"
        self.target = EndingTarget()
        self.tunnel = t.Tunnel(getattr(options, client), getattr(options, server),
                               ["--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024, "--smuxver", smux, "--quiet"],
                               target=self.target)
        self.ours = {"client": client == "client", "server": server == "server"}
        self.ended = collections.Counter()
        self.failed = []

    def start(self):
        self.tunnel.__enter__()
        t.run(t.echo_once(self.tunnel, 1, 1000), 10)
        t.wait_until(lambda: not self.left(), 10, f"{self.name}: idle before the start")
        self.before = self.descriptors()

    def close(self):
        self.tunnel.close()
        self.target.close()

    def programs(self):
        return {side: program for side, program in zip(("client", "server"), self.tunnel.programs) if self.ours[side]}

    def descriptors(self):
        return {side: program.descriptors() for side, program in self.programs().items()}

    def left(self):
        """States of all TCP sockets of our programs, with or without a descriptor."""
        mine = lambda local, remote: (self.ours["client"] and local == self.tunnel.local_port
                                      or self.ours["server"] and remote == self.target.port)
        return collections.Counter(state for local, remote, state, _ in t.kernel_sockets("tcp")
                                   if mine(local, remote) and state not in ("LISTEN", "TIME-WAIT"))

    def run(self, count):
        killed = max(1, count // (len(WAYS) + 1) // APPLICATION)
        ways = [WAYS[i % len(WAYS)] for i in range(count - killed * APPLICATION)]
        t.run(self.end_all(ways, killed), 60)

    async def end_all(self, ways, killed):
        gate = asyncio.Semaphore(AT_ONCE)
        roles = (["echo", "flow"] * killed)[:killed]
        applications = [asyncio.to_thread(self.kill_an_application, role) for role in roles]
        await asyncio.gather(*applications, *(self.end_one(way, gate) for way in ways))

    async def end_one(self, way, gate):
        async with gate:
            connection = await self.tunnel.connect()
            with connection:
                try:
                    await t.within(way(connection), STEP_LIMIT)
                    self.ended[way.__name__] += 1
                except (ConnectionResetError, BrokenPipeError):
                    self.ended[way.__name__] += 1  # the peer was quicker: ended all the same
                except (asyncio.TimeoutError, t.Failure) as error:
                    self.failed.append(f"{way.__name__}: {error!r}")

    def kill_an_application(self, role):
        with subprocess.Popen([sys.executable, __file__, "--application", str(self.tunnel.local_port), role],
                              stdout=subprocess.PIPE) as application:
            try:
                if application.stdout.readline() != b"ready\n":
                    self.failed.append(f"{KILLED}: the application did not come up")
                elif sum(self.left().values()) < APPLICATION:  # else the look at the end would prove nothing
                    self.failed.append(f"{KILLED}: only {dict(self.left())} while {APPLICATION} connections are open")
            finally:
                application.kill()
        self.ended[KILLED] += APPLICATION

    def is_as_before(self):
        now = self.descriptors()
        return not self.left() and all(now[side] <= count for side, count in self.before.items())

    def check(self, deadline):
        """What is wrong, as lines; waits for the deadline at most."""
        wrong = list(self.failed)
        try:
            t.wait_until(self.is_as_before, max(0.1, deadline - time.monotonic()), "nothing is left", 0.05)
        except t.Failure:
            wrong.append(f"sockets left: {dict(self.left())}; descriptors {self.before} before, "
                         f"{self.descriptors()} after")
        for side, program in self.programs().items():
            if program.exit_code() is not None:
                wrong.append(f"the {side} ended by itself, code {program.exit_code()}")
        if not wrong:
            t.run(t.echo_once(self.tunnel, 2, 100_000), 10)  # and the tunnel works on
        return wrong


def be_an_application(port, role):
    """Opens its connections, tells so, and waits to be killed."""
    opened = []
    for _ in range(APPLICATION):
        connection = socket.create_connection((t.HOST, port))
        connection.sendall(b"echo\nhello" if role == "echo" else b"flow\n")
        connection.recv(1)
        opened.append(connection)
    print("ready", flush=True)
    time.sleep(600)


def run_pairs(options, pairs):
    started = time.monotonic()
    for pair in pairs:
        begun = time.monotonic()
        pair.start()
        pair.run(-(-options.connections // len(pairs)))
        print(f"{pair.name}: {sum(pair.ended.values())} connections ended, {time.monotonic() - begun:.1f} s", flush=True)
    failed = 0
    deadline = time.monotonic() + LEFT_LIMIT
    for pair in pairs:
        wrong = pair.check(deadline)
        print(f"{'FAIL' if wrong else 'ok  '}  {pair.name}  {time.monotonic() - started:.1f} s", flush=True)
        for line in wrong[:20]:
            print("      " + line)
        if wrong:
            print(pair.tunnel.logs(20))
            failed += 1
    ended = sum((pair.ended for pair in pairs), collections.Counter())
    print("ways: " + ", ".join(f"{way} {count}" for way, count in ended.items()))
    print(f"{sum(ended.values())} connections, {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def main():
    if sys.argv[1:2] == ["--application"]:
        return be_an_application(int(sys.argv[2]), sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--client", required=True, help="our kcptun-client")
    parser.add_argument("--server", required=True, help="our kcptun-server")
    parser.add_argument("--peer-client", default="/usr/bin/kcptun-client")
    parser.add_argument("--peer-server", default="/usr/bin/kcptun-server")
    parser.add_argument("--connections", type=int, default=10_000, metavar="N", help="over all pairs together")
    parser.add_argument("--only", default="", help="pairs whose name contains this text")
    options = parser.parse_args()
    missing = [path for path in (options.peer_client, options.peer_server) if not os.access(path, os.X_OK)]
    if missing:
        print(f"{', '.join(missing)}: not there. Install Debian's release: apt-get install kcptun", file=sys.stderr)
        return 1
    pairs = [Pair(options, *names, smux) for names in PAIRS for smux in (2, 1)]
    pairs = [pair for pair in pairs if options.only in pair.name]
    try:
        return run_pairs(options, pairs)
    finally:
        for pair in pairs:
            pair.close()


if __name__ == "__main__":
    sys.exit(main())
