"""A tunnel on loopback for tests: target, server program, client program, and the application in front of them.

Everything here waits for a condition with a deadline, never for a fixed time. Programs are ended by the process id that
started them. Ports are reserved across test processes, so that any number of these tests may run side by side.
"""

import argparse
import asyncio
import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import machine

HOST = "127.0.0.1"
CHUNK = 64 * 1024
TCP_STATES = {"01": "ESTABLISHED", "02": "SYN-SENT", "03": "SYN-RECV", "04": "FIN-WAIT-1", "05": "FIN-WAIT-2",
              "06": "TIME-WAIT", "07": "CLOSE", "08": "CLOSE-WAIT", "09": "LAST-ACK", "0A": "LISTEN", "0B": "CLOSING"}


class Failure(AssertionError):
    """What the programs did is not what they must do."""


class Deadline:
    """`seconds` of a machine that has nothing else to do; on one that has, as many times longer as it is busy."""

    def __init__(self, seconds):
        self._begun = time.monotonic()
        self._seconds = seconds
        self._busy = 1.0

    def left(self):
        """Seconds; none when it is over."""
        passed = time.monotonic() - self._begun
        if passed >= self._seconds * self._busy:
            self._busy = max(self._busy, machine.busy())
        return self._seconds * self._busy - passed

    def is_over(self):
        return self.left() <= 0


def wait_until(condition, seconds, what, step=0.01):
    """Returns the first true value of condition(); raises Failure naming `what` after `seconds` (see Deadline)."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if deadline.is_over():
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(step)


def wait_logged(program, what, times=None, seconds=10):
    """Until the program's log, which a thread of its own writes, has `what`, a text or a pattern; `times` is exact."""
    def count():
        log = program.log()
        return log.count(what) if isinstance(what, str) else len(what.findall(log))
    wait_until(lambda: count() >= (times or 1), seconds, f"{what!r} in the log")
    if times is not None and count() > times:
        raise Failure(f"{what!r} is {count()} times in the log, not {times}")


# ---------------------------------------------------------------------------------------------------------------------
# Ports

_reserved = {}  # port: the abstract unix socket that reserves it for this process


def free_port():
    """A port free for TCP and UDP on all addresses, reserved among test processes until this one ends.

    Below the ephemeral range, so that no outgoing connection can take it meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0kcptun-uv-test-port-{port}")
        except OSError:
            lock.close()
            continue
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET6, kind) as probe:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                    probe.bind(("::", port))
        except OSError:
            lock.close()
            continue
        _reserved[port] = lock
        return port


def kernel_sockets(protocol):
    """Rows of /proc/net/{tcp,udp} and their IPv6 twins: (local port, remote port, state name, inode)."""
    rows = []
    for name in (protocol, protocol + "6"):
        try:
            with open(f"/proc/net/{name}") as table:
                lines = table.readlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            rows.append((int(fields[1].rsplit(":", 1)[1], 16), int(fields[2].rsplit(":", 1)[1], 16),
                         TCP_STATES.get(fields[3], fields[3]), fields[9]))
    return rows


def tcp_states(ports):
    """States of all TCP sockets at either end of these ports, but listening and TIME-WAIT ones."""
    ports = set(ports)
    return [state for local, remote, state, _ in kernel_sockets("tcp")
            if (local in ports or remote in ports) and state not in ("LISTEN", "TIME-WAIT")]


def wait_no_sockets(ports, seconds, what="after everything was closed"):
    """Nothing may stay open, half-closed or closing: CLOSE-WAIT and FIN-WAIT-2 are the ones that leak."""
    try:
        wait_until(lambda: not tcp_states(ports), seconds, what, 0.02)
    except Failure:
        states = tcp_states(ports)
        raise Failure(f"TCP sockets left {what}, {seconds} s: "
                      + ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))) from None


def can_listen_tcp(port):
    return any(local == port and state == "LISTEN" for local, _, state, _ in kernel_sockets("tcp"))


def udp_bound(port):
    return any(local == port for local, _, _, _ in kernel_sockets("udp"))


def unix_listening(path):
    with open("/proc/net/unix") as table:  # the row is there once bound; the flag __SO_ACCEPTCON once it listens
        return any(line.split()[-1] == path and line.split()[3] == "00010000" for line in table)


# ---------------------------------------------------------------------------------------------------------------------
# Data

def payload(seed, size):
    """`size` bytes that the seed decides: blocks that snappy can and cannot shrink take turns."""
    rng = random.Random(seed)
    parts = []
    left = size
    squeezable = False
    while left > 0:
        block = min(left, 16384)
        if squeezable:
            pattern = rng.randbytes(48) + b"kcptun-uv kcptun"
            parts.append((pattern * (block // 64 + 1))[:block])
        else:
            parts.append(rng.randbytes(block))
        squeezable = not squeezable
        left -= block
    return b"".join(parts)


def sha(data):
    return hashlib.sha256(data).digest()


def new_seed():
    seed = os.environ.get("KCPTUN_TEST_SEED")
    return int(seed) if seed else random.SystemRandom().randrange(1 << 32)


# ---------------------------------------------------------------------------------------------------------------------
# Target

class Target:
    """What the server connects to. One line from the application chooses what each connection does:

        echo            sends back what comes; ends after the application's end of file
        answer N SEED   reads to the end of file, answers with length u64, SHA-256 and payload(SEED, N), then closes
        hold            as `answer 0 0`, but reads nothing until release() was called
        source N SEED   sends payload(SEED, N), shuts down its writing side, then reads to the end of file

    `finished` holds one record per ended connection: role, received, sha, error.
    """

    def __init__(self, family=socket.AF_INET, address=None, port=None):
        self.finished = []
        self.active = 0
        self.most_active = 0
        self._family = family
        self._address = address
        self.port = port
        self._released = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._listener = None
        self._tasks = set()
        self.listen()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def name(self):
        """The address as the server's --target takes it."""
        if self._family == socket.AF_UNIX:
            return self._address
        return f"[{self._address or '::1'}]:{self.port}" if self._family == socket.AF_INET6 else f"{HOST}:{self.port}"

    def listen(self):
        self._listener = socket.socket(self._family, socket.SOCK_STREAM)
        if self._family == socket.AF_UNIX:
            self._listener.bind(self._address)
        else:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port = self.port or free_port()
            self._listener.bind(("::1" if self._family == socket.AF_INET6 else HOST, self.port))
        self._listener.listen(4096)
        self._listener.setblocking(False)
        self._loop.call_soon_threadsafe(lambda: self._loop.add_reader(self._listener, self._accept))

    def refuse(self):
        """Stops listening; connections that are open stay."""
        done = threading.Event()

        def stop():
            self._loop.remove_reader(self._listener)
            self._listener.close()
            done.set()
        self._loop.call_soon_threadsafe(stop)
        done.wait()

    def release(self):
        self._released.set()

    def wait_finished(self, role, seconds):
        """The record of the first ended connection that played `role`."""
        return wait_until(lambda: next((r for r in self.finished if r["role"] == role), None), seconds,
                          f"the target's `{role}` connection has ended")

    def close(self):
        def stop():
            for task in self._tasks:
                task.cancel()
            self._loop.call_later(0.05, self._loop.stop)
        self.release()
        self._loop.call_soon_threadsafe(stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()
        if self._listener.fileno() >= 0:
            self._listener.close()

    def _accept(self):
        for _ in range(256):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection):
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        record = {"role": "?", "received": 0, "sha": None, "error": None}
        try:
            await self._play(connection, record)
        except (OSError, ValueError) as error:
            record["error"] = error
        finally:
            connection.close()
            self.active -= 1
            self.finished.append(record)

    async def _play(self, connection, record):
        head = b""
        while b"\n" not in head:
            more = await self._loop.sock_recv(connection, CHUNK)
            if not more:
                return
            head += more
        line, rest = head.split(b"\n", 1)
        role, *numbers = line.decode().split()
        record["role"] = role
        await self._play_role(connection, role, numbers, rest, record)

    async def _play_role(self, connection, role, numbers, rest, record):
        if role == "echo":
            await self._echo(connection, rest, record)
        elif role == "source":
            await self._loop.sock_sendall(connection, payload(int(numbers[1]), int(numbers[0])))
            connection.shutdown(socket.SHUT_WR)
            await self._drain(connection, rest, record)
        elif role in ("answer", "hold"):
            if role == "hold":
                await self._loop.run_in_executor(None, self._released.wait)
            await self._drain(connection, rest, record)
            size, seed = (int(numbers[0]), int(numbers[1])) if role == "answer" else (0, 0)
            await self._loop.sock_sendall(
                connection, struct.pack("<Q", record["received"]) + record["sha"] + payload(seed, size))

    async def _echo(self, connection, rest, record):
        while True:
            if rest:
                record["received"] += len(rest)
                await self._loop.sock_sendall(connection, rest)
            rest = await self._loop.sock_recv(connection, CHUNK)
            if not rest:
                return

    async def _drain(self, connection, rest, record):
        digest = hashlib.sha256()
        while True:
            digest.update(rest)
            record["received"] += len(rest)
            record["sha"] = digest.digest()
            rest = await self._loop.sock_recv(connection, CHUNK)
            if not rest:
                return


@contextlib.contextmanager
def black_hole(port):
    """A listener whose backlog is full: further connection attempts get no answer at all."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(0)
    fillers = []
    try:
        while True:
            filler = socket.socket()
            fillers.append(filler)
            filler.settimeout(0.3)
            try:
                filler.connect((HOST, port))
            except TimeoutError:
                break
        yield
    finally:
        for opened in [*fillers, listener]:
            opened.close()


# ---------------------------------------------------------------------------------------------------------------------
# Programs

_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no program outlives a test that ctest killed


@functools.cache
def _variables():
    """Further variables of each program: where the machine does not let us look into an undumpable one, it stays dumpable."""
    if not machine.lacks("processes"):
        return {}
    directory = tempfile.TemporaryDirectory(prefix="kcptun-e2e-")
    atexit.register(directory.cleanup)
    os.chmod(directory.name, 0o755)
    library = os.path.join(directory.name, "dumpable.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library,
                    os.path.join(os.path.dirname(os.path.abspath(__file__)), "dumpable.c")], check=True)
    return {"LD_PRELOAD": library, "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


def _environment(more):
    merged = {**os.environ, **_variables(), **(more or {})}
    libraries = [variables["LD_PRELOAD"] for variables in (_variables(), more or {}) if "LD_PRELOAD" in variables]
    return {**merged, "LD_PRELOAD": ":".join(libraries)} if libraries else merged


class Program:
    """One started client or server, its log and what /proc knows about it."""

    def __init__(self, path, arguments, log_path, environment=None):
        self.arguments = [str(path), *map(str, arguments)]
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self._process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent,
                env=_environment(environment))
        self.pid = self._process.pid

    def exit_code(self):
        return self._process.poll()

    def wait_ready(self, condition, seconds=15):
        def check():
            if self.exit_code() is not None:
                raise Failure(f"{name} ended with code {self.exit_code()}:\n{self.log()}")
            return condition()
        name = os.path.basename(self.arguments[0])
        wait_until(check, seconds, f"{name} is ready")

    def signal(self, number):
        self._process.send_signal(number)

    def is_stopped(self):
        """By SIGSTOP, which a thread that runs on another core notices a little later: all of its threads."""
        states = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/stat", encoding="utf-8") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        return set(states) == {"T"}

    def wait_exit(self, seconds):
        deadline = Deadline(seconds)
        while not deadline.is_over():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(max(0.01, deadline.left()))
        raise Failure(f"{self.arguments[0]} still runs after {seconds} s")

    def end(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self):
        self._process.kill()
        self._process.wait()

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def counters(self):
        """What our program, asked with SIGUSR1, logs of its one tunnel: name -> value."""
        before = len(self._counter_lines())
        self.signal(signal.SIGUSR1)
        line = wait_until(lambda: self._counter_lines()[before:], 10, "the counters in the log")[0]
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}

    def _counter_lines(self):
        return re.findall(r"counters (BytesSent=.*)\n", self.log())

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _socket_inodes(self):
        inodes = set()
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                link = os.readlink(f"/proc/{self.pid}/fd/{name}")
                if link.startswith("socket:["):
                    inodes.add(link[8:-1])
        return inodes

    def udp_ports(self):
        inodes = self._socket_inodes()
        return sorted(local for local, _, _, inode in kernel_sockets("udp") if inode in inodes)

    def udp_drops(self):
        """Datagrams that the kernel dropped because the buffer of one of the program's sockets was full."""
        inodes, drops = self._socket_inodes(), 0
        for name in ("udp", "udp6"):
            with contextlib.suppress(FileNotFoundError), open(f"/proc/net/{name}") as table:
                drops += sum(int(fields[12]) for fields in map(str.split, table.readlines()[1:]) if fields[9] in inodes)
        return drops

    def rss(self):
        """Resident bytes now."""
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Tunnel:
    """Target, server and client, ready for connections. Use as a context manager.

    client and server are program paths; common, client_args and server_args their further flags.
    """

    def __init__(self, client, server, common=(), client_args=(), server_args=(), target=None, relay=None,
                 listen_host=HOST, remote_host=None, local=None, directory=None, target_name=None, keyless=False,
                 udp_port=None, environment=None, server_environment=None):
        self.client_path, self.server_path = client, server
        self.common = [*([] if keyless else ["--key", "kcptun-uv test key"]), *common]
        self.client_args, self.server_args = list(client_args), list(server_args)
        self._temporary = tempfile.TemporaryDirectory(prefix="kcptun-e2e-") if directory is None else None
        self.directory = directory or self._temporary.name
        self._own_target = target is None and target_name is None
        self.target = Target() if self._own_target else target
        self.target_name = target_name or self.target.name
        self.udp_port = udp_port or free_port()
        self.environment = environment  # further variables of the client
        self.server_environment = server_environment
        self.local = local  # a unix socket path, "[::1]", a host name, or None for 127.0.0.1
        self.local_port = None if local and local.startswith("/") else free_port()
        self.listen_host = listen_host
        self.remote_host = remote_host or listen_host
        self.relay = relay  # called with the server's port, gives an object with .port and .close()
        self._relay_object = None
        self._closed = False
        self.client_program = self.server_program = None

    def __enter__(self):
        try:
            self.start_server()
            self.start_client()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start_server(self):
        self.server_program = Program(
            self.server_path, ["--listen", f"{self.listen_host}:{self.udp_port}", "--target", self.target_name,
                               *self.common, *self.server_args], os.path.join(self.directory, "server.log"),
            self.server_environment)
        self.server_program.wait_ready(lambda: udp_bound(self.udp_port))

    def start_client(self):
        port = self.udp_port
        if self.relay:
            self._relay_object = self.relay(self.udp_port)
            port = self._relay_object.port
        if self.local_port is None:
            local = self.local
        else:
            local = f"{self.local or HOST}:{self.local_port}"
        self.client_program = Program(
            self.client_path, ["--localaddr", local, "--remoteaddr", f"{self.remote_host}:{port}",
                               *self.common, *self.client_args], os.path.join(self.directory, "client.log"), self.environment)
        self.client_program.wait_ready(
            lambda: unix_listening(self.local) if self.local_port is None else can_listen_tcp(self.local_port))

    def close(self):
        if self._closed:
            return
        self._closed = True
        for program in (self.client_program, self.server_program):
            if program:
                program.end()
        if self._relay_object:
            self._relay_object.close()
        if self._own_target:
            self.target.close()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def programs(self):
        return [self.client_program, self.server_program]

    def tcp_ports(self):
        ports = [self.local_port] if self.local_port else []
        if self.target and self.target.port:
            ports.append(self.target.port)
        return ports

    def wait_idle(self, seconds=10):
        """All application sockets are closed: then so must be all of the tunnel's, soon."""
        wait_no_sockets(self.tcp_ports(), seconds)

    def logs(self, lines=40):
        parts = []
        for name, program in (("client", self.client_program), ("server", self.server_program)):
            if program:
                tail = program.log().splitlines()[-lines:]
                state = f"pid {program.pid}, exit {program.exit_code()}"
                parts.append(f"--- {name} ({state}): {' '.join(program.arguments)}")
                parts += ["    " + line for line in tail]
        return "\n".join(parts)

    async def connect(self):
        """A non-blocking application socket, connected to the client program."""
        loop = asyncio.get_running_loop()
        if self.local_port is None:
            connection, address = socket.socket(socket.AF_UNIX), self.local
        elif self.local == "[::1]":
            connection, address = socket.socket(socket.AF_INET6), ("::1", self.local_port)
        else:
            connection, address = socket.socket(), (HOST, self.local_port)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except BaseException:
            connection.close()
            raise
        return connection


# ---------------------------------------------------------------------------------------------------------------------
# The application's side. All are coroutines; run() drives one with a deadline.

async def within(awaitable, seconds):
    """What `awaitable` gives, or asyncio.TimeoutError after `seconds` (see Deadline)."""
    task, deadline = asyncio.ensure_future(awaitable), Deadline(seconds)
    try:
        while not task.done():
            left = deadline.left()
            if left <= 0:
                raise asyncio.TimeoutError
            await asyncio.wait([task], timeout=left)
        return task.result()
    finally:
        task.cancel()


def run(coroutine, seconds):
    async def bounded():
        return await within(coroutine, seconds)
    try:
        return asyncio.run(bounded())
    except (asyncio.TimeoutError, TimeoutError):
        raise Failure(f"{coroutine.__name__}: not done within {seconds} s") from None


async def send(connection, data):
    await asyncio.get_running_loop().sock_sendall(connection, data)


async def receive(connection, size=CHUNK):
    """Up to `size` bytes, b"" at the end of file."""
    return await asyncio.get_running_loop().sock_recv(connection, size)


def read_all(connection):
    """All bytes of a blocking socket, up to the end of file."""
    data = b""
    while more := connection.recv(CHUNK):
        data += more
    return data


def read_exactly(connection, size):
    """`size` bytes of a blocking socket."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise Failure(f"end of file after {len(data)} of {size} bytes: {data[:100]!r}")
        data += more
    return data


async def receive_exactly(connection, size, digest=None):
    """`size` bytes, or Failure when the end comes first. Gives them only without a digest."""
    parts, left = [], size
    while left:
        data = await receive(connection, min(left, 4 * CHUNK))
        if not data:
            raise Failure(f"end of file after {size - left} of {size} bytes")
        left -= len(data)
        if digest:
            digest.update(data)
        else:
            parts.append(data)
    return b"".join(parts)


async def receive_all(connection):
    parts = []
    while data := await receive(connection, 4 * CHUNK):
        parts.append(data)
    return b"".join(parts)


def first_difference(a, b):
    if a == b:
        return None
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{len(a)} against {len(b)} bytes, first difference at {at}"


async def echo_once(tunnel, seed, size, gate=None):
    """Sends `size` bytes and checks that exactly they come back, then ends the connection from this side."""
    connection = await tunnel.connect()
    with connection:
        data = payload(seed, size)
        await send(connection, b"echo\n")
        if gate:
            await gate(connection)
        digest = hashlib.sha256()
        writing = asyncio.ensure_future(send(connection, data))
        try:
            await receive_exactly(connection, size, digest)
            await writing
        finally:
            writing.cancel()
        if digest.digest() != sha(data):
            raise Failure(f"the echo of {size} bytes (seed {seed}) differs")


async def echo_many(tunnel, seed, count, size):
    """`count` streams at once: none sends its data before all of them have had one byte echoed."""
    barrier = asyncio.Barrier(count)

    async def gate(connection):
        await send(connection, b"!")
        await receive_exactly(connection, 1)
        await barrier.wait()
    tasks = [asyncio.ensure_future(echo_once(tunnel, seed + i, size, gate)) for i in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def ask(tunnel, seed, request_size, answer_size):
    """Sends a request, shuts down the writing side, reads to the end. Gives (request, answer bytes as received)."""
    connection = await tunnel.connect()
    with connection:
        request = payload(seed, request_size)
        await send(connection, f"answer {answer_size} {seed + 1}\n".encode() + request)
        connection.shutdown(socket.SHUT_WR)
        return request, await receive_all(connection)


def expected_answer(request, seed, answer_size):
    return struct.pack("<Q", len(request)) + sha(request) + payload(seed + 1, answer_size)


# ---------------------------------------------------------------------------------------------------------------------
# unittest glue

OPTIONS = argparse.Namespace()


class BlockingStreams:
    """For test cases whose connections block: what the target's roles give."""

    def echo(self, connection, size):
        """`size` bytes there and back. Go's kcptun knows no half-closed streams, so the end is this side's close."""
        data = payload(self.seed, size)
        sending = threading.Thread(target=connection.sendall, args=(b"echo\n" + data,))
        sending.start()
        answer = read_exactly(connection, size)
        sending.join()
        self.assertIsNone(first_difference(answer, data))

    def source(self, connection, size):
        """`size` bytes, and the target's end of file behind them."""
        connection.sendall(f"source {size} {self.seed}\n".encode())
        self.assertIsNone(first_difference(read_all(connection), payload(self.seed, size)))


class TunnelCase(unittest.TestCase):
    """A test that may start tunnels; when it fails their logs are printed."""

    def setUp(self):
        self.seed = new_seed()
        print(f"{self.id()}: seed {self.seed} (KCPTUN_TEST_SEED)", flush=True)
        temporary = tempfile.TemporaryDirectory(prefix="kcptun-e2e-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self._tunnels = []
        self._count = 0

    def tunnel(self, common=(), **options):
        self._count += 1
        directory = os.path.join(self.directory, str(self._count))
        os.mkdir(directory)
        tunnel = Tunnel(OPTIONS.client, OPTIONS.server, common, directory=directory, **options)
        self._tunnels.append(tunnel)
        self.addCleanup(tunnel.close)
        tunnel.__enter__()
        return tunnel

    def target(self, *arguments, **options):
        target = Target(*arguments, **options)
        self.addCleanup(target.close)
        return target

    @contextlib.contextmanager
    def subTest(self, *arguments, **parameters):
        """As unittest's, and tunnels started inside are closed at its end, with their logs printed if it failed."""
        before = len(self._tunnels)
        with super().subTest(*arguments, **parameters):
            try:
                yield
            except BaseException:
                self._print_logs(before, f"{self.id()} {parameters}")
                raise
            finally:
                for tunnel in self._tunnels[before:]:
                    tunnel.close()
                del self._tunnels[before:]

    def _print_logs(self, first, title):
        if self._tunnels[first:]:
            print(f"\n=== {title}", flush=True)
        for tunnel in self._tunnels[first:]:
            print(tunnel.logs(), flush=True)

    def _callTestMethod(self, method):
        started = time.monotonic()
        try:
            super()._callTestMethod(method)
        except BaseException:
            self._print_logs(0, self.id())
            raise
        print(f"{self.id()}: {time.monotonic() - started:.1f} s", flush=True)


class ThreadedTarget:
    """A TCP target with a thread for each connection, which calls serve(connection). Subclasses give it."""

    def __init__(self, backlog=64):
        self.port = free_port()
        self.name = f"{HOST}:{self.port}"
        self._listener = socket.create_server((HOST, self.port), backlog=backlog)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass  # closed already
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--client", default=os.environ.get("KCPTUN_CLIENT"))
    parser.add_argument("--server", default=os.environ.get("KCPTUN_SERVER"))
    options, rest = parser.parse_known_args()
    if not options.client or not options.server:
        sys.exit("usage: --client PROGRAM --server PROGRAM [unittest arguments]")
    vars(OPTIONS).update(vars(options))
    machine.end(unittest.main(module="__main__", argv=[sys.argv[0], *rest], verbosity=2, exit=False).result)
