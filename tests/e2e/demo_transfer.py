"""Moves a file through a tunnel on loopback both ways and reports: the engine of scripts/demo.sh.

    demo_transfer.py --client PROGRAM --server PROGRAM [--size MB] [-- flags for both programs]
"""

import argparse
import hashlib
import mmap
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

import tunnel as t

MB = 1_000_000
DEFAULT_FLAGS = ["--crypt", "aes-128-gcm", "--nocomp", "--mode", "fast3"]
COUNTERS_PATTERN = re.compile(r"\b([A-Z][A-Za-z]+)[=:](-?\d+)")
STALL_SECONDS = 30  # without one byte of progress


def scratch_directory(size):
    """Memory if it has room for the file and its copy, so that no disk takes part; else the usual place."""
    shm = "/dev/shm"
    roomy = os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2.2 * size
    return tempfile.TemporaryDirectory(prefix="kcptun-demo-", dir=shm if roomy else None)


def make_file(path, size):
    with open(path, "wb") as file:
        left = size
        while left:
            block = os.urandom(min(left, 4 << 20))
            file.write(block)
            left -= len(block)


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def send_file(connection, path):
    with open(path, "rb") as file:
        left, offset = os.fstat(file.fileno()).st_size, 0
        while left:
            sent = os.sendfile(connection.fileno(), file.fileno(), offset, min(left, 8 << 20))
            left -= sent
            offset += sent


def receive_file(connection, path, size, progress):
    """Straight into the page cache of `path`; progress(bytes so far) after each piece."""
    with open(path, "w+b") as file:
        file.truncate(size)
        with mmap.mmap(file.fileno(), size) as view, memoryview(view) as room:
            received = 0
            while received < size:
                count = connection.recv_into(room[received:received + (1 << 20)])
                if count == 0:
                    raise ConnectionError(f"end of file after {received} of {size} bytes")
                received += count
                progress(received)


class FileTarget:
    """The server's target, in a process of its own: 'U' and a size stores what comes, 'D' sends the file."""

    def __init__(self, source, copy):
        self._shared = mmap.mmap(-1, 8)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = t.free_port()
        listener.bind((t.HOST, self.port))
        listener.listen()
        self._pid = os.fork()
        if self._pid == 0:
            t._die_with_parent()
            try:
                while True:
                    self._serve(listener.accept()[0], source, copy)
            finally:
                os._exit(1)
        listener.close()

    def _serve(self, connection, source, copy):
        with connection:
            try:
                word, size = struct.unpack("<cQ", connection.recv(9, socket.MSG_WAITALL))
                if word == b"U":
                    receive_file(connection, copy, size, self._note)
                    connection.sendall(b"!")
                else:
                    send_file(connection, source)
                connection.recv(1)  # until the application is done
            except (OSError, struct.error):
                pass

    def _note(self, received):
        self._shared[:] = struct.pack("<Q", received)

    def received(self):
        return struct.unpack("<Q", self._shared[:])[0]

    def close(self):
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


class Progress:
    """A bar that follows on a terminal; a line for each quarter elsewhere."""

    WIDTH = 32

    def __init__(self, label, size):
        self._label, self._size = label, size
        self._live = sys.stdout.isatty()
        self._started = time.monotonic()
        self._quarter = 0
        self._recent = [(self._started, 0)]

    def show(self, done):
        now = time.monotonic()
        self._recent = [(at, n) for at, n in self._recent if now - at < 1.0] or self._recent[-1:]
        since, before = self._recent[0]
        rate = (done - before) / max(now - since, 1e-3) / MB
        self._recent.append((now, done))
        if self._live:
            full = self.WIDTH * done // self._size
            bar = "█" * full + "░" * (self.WIDTH - full)
            print(f"\r  {self._label:10} {bar} {done / MB:7.0f} MB {rate:7.1f} MB/s ", end="", flush=True)
        elif 4 * done // self._size > self._quarter:
            self._quarter = 4 * done // self._size
            overall = done / max(now - self._started, 1e-3) / MB
            print(f"  {self._label:10} {25 * self._quarter:3} %  {done / MB:7.0f} MB  {overall:7.1f} MB/s", flush=True)

    def end(self):
        if self._live:
            print()


def move(label, size, work, done):
    """Runs work() in a thread, shows done() meanwhile; gives the seconds it took."""
    outcome = {}

    def body():
        try:
            work()
        except BaseException as error:
            outcome["error"] = error
        outcome["ended"] = time.monotonic()
    progress = Progress(label, size)
    started = moved_at = time.monotonic()
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    last = 0
    while thread.is_alive():
        thread.join(0.1)
        now = done()
        if now != last:
            last, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > STALL_SECONDS:
            raise t.Failure(f"{label}: stopped after {now} of {size} bytes")
        progress.show(now)
    progress.end()
    if "error" in outcome:
        raise t.Failure(f"{label}: {outcome['error']}")
    return outcome["ended"] - started


def upload(tunnel, source, size):
    with socket.create_connection((t.HOST, tunnel.local_port)) as connection:
        connection.sendall(struct.pack("<cQ", b"U", size))
        send_file(connection, source)
        if connection.recv(1) != b"!":
            raise ConnectionError("the target did not get everything")


def download(tunnel, copy, size, progress):
    with socket.create_connection((t.HOST, tunnel.local_port)) as connection:
        connection.sendall(struct.pack("<cQ", b"D", size))
        receive_file(connection, copy, size, progress)


def counters_of(program):
    """Asks with SIGUSR1; gives name -> value from the log line that answers."""
    def found():
        lines = [line for line in program.log().splitlines() if "counters" in line or "KCP SNMP" in line]
        return dict(COUNTERS_PATTERN.findall(lines[-1])) if lines else None
    program.signal(signal.SIGUSR1)
    try:
        return t.wait_until(found, 3, "counters")
    except t.Failure:
        return {}


def print_counters(tunnel):
    client, server = (counters_of(program) for program in tunnel.programs)
    names = [name for name in dict.fromkeys([*client, *server])
             if int(client.get(name, 0)) or int(server.get(name, 0))]
    if not names:
        print("\n  No counters came.")
        return
    print(f"\n  {'Counters':20} {'client':>15} {'server':>15}")
    for name in names:
        print(f"  {name:20} {int(client.get(name, 0)):15,} {int(server.get(name, 0)):15,}")


def demo(options, flags, directory):
    size = options.size * MB
    source, copy = os.path.join(directory, "file"), os.path.join(directory, "copy")
    print(f"  Making a file of {options.size} MB", flush=True)
    make_file(source, size)
    wanted = digest_of(source)
    target = FileTarget(source, copy)
    failed = False
    try:
        with t.Tunnel(options.client, options.server, ["--key", secrets.token_hex(16), *flags], keyless=True,
                      target_name=f"{t.HOST}:{target.port}", directory=directory) as tunnel:
            print(f"  client :{tunnel.local_port}/tcp -> server :{tunnel.udp_port}/udp -> target :{target.port}/tcp")
            print(f"  {' '.join(flags)}\n", flush=True)
            rows = []
            received = [0]
            directions = [("upload", lambda: upload(tunnel, source, size), target.received),
                          ("download", lambda: download(tunnel, copy, size, lambda n: received.__setitem__(0, n)),
                           lambda: received[0])]
            try:
                for label, work, done in directions:
                    before = sum(p.cpu_seconds() for p in tunnel.programs)
                    seconds = move(label, size, work, done)
                    spent = sum(p.cpu_seconds() for p in tunnel.programs) - before
                    correct = digest_of(copy) == wanted
                    failed |= not correct
                    os.unlink(copy)
                    rows.append((label, seconds, spent, correct))
            except Exception:
                print(tunnel.logs())
                raise
            print(f"\n  {'':10} {'seconds':>8} {'goodput':>14} {'CPU s/GB':>9}   SHA-256")
            for label, seconds, spent, correct in rows:
                goodput = size * 8 / seconds / 1e6
                print(f"  {label:10} {seconds:8.2f} {goodput:7.0f} Mbit/s {spent / (size / 1e9):9.2f}   "
                      f"{'correct' if correct else 'WRONG'}")
            print("  (CPU seconds of client and server together, per GB of payload)")
            print_counters(tunnel)
    finally:
        target.close()
    return 1 if failed else 0


def main():
    arguments = sys.argv[1:]
    flags = DEFAULT_FLAGS
    if "--" in arguments:
        at = arguments.index("--")
        arguments, flags = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--size", type=int, default=512, metavar="MB", help="size of the file (default 512)")
    options = parser.parse_args(arguments)
    if options.size < 1:
        parser.error("--size must be at least 1")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    try:
        with scratch_directory(options.size * MB) as directory:
            return demo(options, flags, directory)
    except t.Failure as failure:
        print(f"\n  {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n  stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
