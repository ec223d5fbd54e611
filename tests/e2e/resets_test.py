"""A connection that ends by a reset delivers what came before it, as a direct connection does.

Every ending (close with unread input, a reset by SO_LINGER, a reset behind a half-close, an application that is
killed), at either end of the tunnel, also with a receiver that does not read before the reset is there; smux 1 and 2,
with and without compression and QPP. Then iperf3, which ends its data connections with unread bytes.

    resets_test.py --client PROGRAM --server PROGRAM [--rounds N] [--iperf N] [unittest arguments]

--rounds: connections for each ending, side and configuration; --iperf: runs of iperf3 in each direction.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import tunnel as t

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() resets
ENDINGS = ("unread", "linger", "half-closed", "killed")
RESETS = {"unread", "linger", "killed"}  # endings that a receiver sees as a reset and not as an end of file
ANSWER = 5000
REQUEST = 20_000     # of which the target reads less than 100 bytes
LARGE = 4 << 20      # more than the buffers of a local socket: some of it waits in our program
AT_ONCE = 8
LIMIT = 30           # seconds for one connection
CONFIGURATIONS = (["--smuxver", "2"], ["--smuxver", "1"], ["--smuxver", "2", "--nocomp", "--QPP"],
                  ["--smuxver", "1", "--nocomp"], ["--smuxver", "1", "--QPP"])
SETTINGS = argparse.Namespace(rounds=3, iperf=5)


def queued(connection):
    """Bytes sent that the other end's kernel has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


def end(connection, ending):
    """Ends a connection that has unread input."""
    if ending == "killed":
        child = os.fork()
        if child == 0:
            signal.pause()
        connection.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return
    if ending == "half-closed":
        connection.shutdown(socket.SHUT_WR)
    if ending != "unread":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    connection.close()


def send_tolerantly(connection, data):
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(data)


def read_to_end(connection):
    """All bytes that come, and how they end: "eof" or "reset"."""
    parts = []
    while True:
        try:
            data = connection.recv(1 << 20)
        except ConnectionResetError:
            return b"".join(parts), "reset"
        if not data:
            return b"".join(parts), "eof"
        parts.append(data)


class EndingTarget(t.ThreadedTarget):
    """Does what the application's first line says:

        answer ENDING SIZE      reads less than 100 bytes, answers with SIZE bytes and ends so
        listen NAME UNREAD WAIT sends UNREAD bytes; once released (WAIT 1: not before) reads to the end, and notes under
                                NAME what came
    """

    def __init__(self):
        self.heard = {}
        self.released = threading.Event()
        super().__init__(backlog=1024)

    def serve(self, connection):
        connection.settimeout(LIMIT)
        line = b""
        while not line.endswith(b"\n"):
            line += connection.recv(1)
        role, *words = line.decode().split()
        if role == "answer":
            connection.recv(50)
            send_tolerantly(connection, t.payload(1, int(words[1])))
            t.wait_until(lambda: queued(connection) == 0, LIMIT, "the tunnel has read the answer", 0.001)
            end(connection, words[0])
        else:
            send_tolerantly(connection, bytes(int(words[1])))
            if words[2] == "1":
                self.released.wait(LIMIT)
            self.heard[words[0]] = read_to_end(connection)
            connection.close()


def connect(port):
    connection = socket.create_connection((t.HOST, port))
    connection.settimeout(LIMIT)
    return connection


def answered(port, ending):
    """The target ends the connection: what the application gets."""
    with connect(port) as connection:
        send_tolerantly(connection, f"answer {ending} {ANSWER}\n".encode() + bytes(REQUEST))
        return read_to_end(connection)


def told(target, port, ending, name, size=ANSWER, unread=REQUEST, wait=0):
    """The application ends the connection, with unread input: how the target's record will be named."""
    connection = connect(port)
    connection.sendall(f"listen {name} {unread} {wait}\n".encode())
    if unread:
        select.select([connection], [], [], LIMIT)
    connection.sendall(t.payload(1, size))
    if wait:
        t.wait_until(lambda: queued(connection) == 0, LIMIT, "the tunnel has read the request", 0.001)
    end(connection, ending)
    if wait:
        time.sleep(0.3)  # the reset arrives, and must do no harm to what waits
        target.released.set()
    return t.wait_until(lambda: target.heard.pop(name, None), LIMIT, f"{name} has ended at the target")


class Case(t.TunnelCase):
    def start(self, configuration):
        target = EndingTarget()
        self.addCleanup(target.close)
        return self.tunnel(["--mode", "fast3", *configuration], target=target), target

    def check(self, failures, ending, got, size):
        data, how = got
        if data != t.payload(1, size):
            failures.append(f"{ending}: {t.first_difference(data, t.payload(1, size))}, then {how}")
        elif ending in RESETS and how != "reset":
            failures.append(f"{ending}: all bytes, then {how}")


class Endings(Case):
    def test_a_direct_connection_does_what_is_asked_of_the_tunnel(self):
        target = EndingTarget()
        self.addCleanup(target.close)
        self.run_all(target, target.port)

    def test_every_ending_delivers_what_came_before_it(self):
        for configuration in CONFIGURATIONS:
            with self.subTest(configuration=configuration):
                tunnel, target = self.start(configuration)
                self.run_all(target, tunnel.local_port)
                tunnel.wait_idle(10)

    def run_all(self, target, port):
        failures = []

        def one(side, ending, number):
            if side == "target":
                self.check(failures, f"target {number} {ending}", answered(port, ending), ANSWER)
            else:
                got = told(target, port, ending, f"{ending}-{number}")
                self.check(failures, f"application {number} {ending}", got, ANSWER)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = [pool.submit(one, side, ending, number) for number in range(SETTINGS.rounds)
                    for side in ("target", "application") for ending in ENDINGS]
            for run in runs:
                run.result()
        print(f"{len(runs)} connections, {len(failures)} failures", flush=True)
        self.assertFalse(failures, f"{len(failures)} of {len(runs)}: {failures[:5]}")

    def check(self, failures, name, got, size):
        before = len(failures)
        super().check(failures, name.split()[-1], got, size)
        failures[before:] = [f"{name}: {text}" for text in failures[before:]]


class Backlogs(Case):
    """The receiver does not read before the reset has come: what is on its way waits at the far end of the tunnel."""

    def test_a_reset_waits_for_an_application_that_reads_late(self):
        for configuration in CONFIGURATIONS[:2]:
            for ending in ("unread", "half-closed"):
                with self.subTest(configuration=configuration, ending=ending):
                    tunnel, _ = self.start(configuration)
                    failures = []
                    with connect(tunnel.local_port) as connection:
                        send_tolerantly(connection, f"answer {ending} {LARGE}\n".encode() + bytes(REQUEST))
                        t.wait_until(lambda: b"stream closed" in tunnel.server_program.log().encode(), LIMIT,
                                     "the server has let go of the target")
                        time.sleep(0.3)  # the reset arrives, and must do no harm to what waits
                        self.check(failures, ending, read_to_end(connection), LARGE)
                    self.assertFalse(failures)
                    tunnel.wait_idle(10)

    def test_a_reset_waits_for_a_target_that_reads_late(self):
        for configuration in CONFIGURATIONS[:2]:
            for ending in ("unread", "half-closed"):
                with self.subTest(configuration=configuration, ending=ending):
                    tunnel, target = self.start(configuration)
                    failures = []
                    got = told(target, tunnel.local_port, ending, "late", LARGE, wait=1)
                    self.check(failures, ending, got, LARGE)
                    self.assertFalse(failures)
                    tunnel.wait_idle(10)


class Iperf(t.TunnelCase):
    def test_iperf3_ends_without_an_error_both_ways(self):
        port = t.free_port()
        with subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL) as server:
            try:
                t.wait_until(lambda: t.can_listen_tcp(port), 10, "iperf3 listens")
                tunnel = self.tunnel(target_name=f"{t.HOST}:{port}")
                failed = [error for number in range(SETTINGS.iperf) for way in ([], ["-R"])
                          if (error := self.run_client(tunnel.local_port, [*way], number))]
            finally:
                server.kill()
        print(f"{2 * SETTINGS.iperf} runs of iperf3, {len(failed)} failures", flush=True)
        self.assertFalse(failed)

    def run_client(self, port, arguments, number):
        for _ in range(50):
            done = subprocess.run(["iperf3", "-c", t.HOST, "-p", str(port), "-n", "4M", *arguments],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            if b"server is busy" not in done.stdout:  # it has not noticed yet that the last run is over
                break
            time.sleep(0.1)
        return f"{number} {arguments}: {done.stdout[-200:]}" if done.returncode else None


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=SETTINGS.rounds)
    parser.add_argument("--iperf", type=int, default=SETTINGS.iperf)
    options, rest = parser.parse_known_args()
    vars(SETTINGS).update(vars(options))
    sys.argv[1:] = rest
    t.main()


if __name__ == "__main__":
    main()
