"""An emulated IP path: two network namespaces, a TUN device in each, and link_emulator between them.

Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and /dev/net/tun. The namespaces have no names: they live as long as this
process or a program in them, so nothing is left behind whatever ends this process.

    with Path("build/release/link_emulator", seed=1) as path:
        path.set("both", delay_ms=25, rate=12_500_000, queue=524_288)
        with path.client.entered():        # sockets made and programs started here are in the client's namespace
            ...
        print(path.counters()["up"]["lost"])
"""

import contextlib
import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import machine  # noqa: E402  (found by the line above)
import tunnel as t  # noqa: E402

CLIENT, SERVER = "10.77.0.1", "10.77.0.2"
CLIENT6, SERVER6 = "fd77::1", "fd77::2"
OTHER_CLIENT = "10.77.0.9"  # where the client is after its address has changed
TUN = "lab0"
MTU = 1500
# Packets that wait for the emulator; it looks each 0.2 ms. The device drops more, which device_drops() tells.
DEVICE_QUEUE = 10000

# Without DF, and with it (linux/in.h; Python's socket has no names for them).
IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 0, 3
_IP_MTU_DISCOVER = 10

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(code, what):
    if code < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class NameSpace:
    """A network namespace with nothing but lo, which is up."""

    def __init__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns")
            os.close(home)
        self.ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def entered(self):
        """This thread is inside: its new sockets, and the processes that it starts."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _check(_libc.setns(self.descriptor, _CLONE_NEWNET), "setns")
            yield self
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns")
            os.close(home)

    def ip(self, *words):
        with self.entered():
            done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            raise t.Failure(f"ip {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def connect(self, address, port, seconds=10):
        """A TCP connection from inside, without Nagle's delay."""
        with self.entered():
            connection = socket.create_connection((address, port), seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def listen(self, address, port, backlog=64):
        with self.entered():
            listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(backlog)
        return listener

    def close(self):
        os.close(self.descriptor)


class Path:
    """Client's and server's namespace and what is between them. Up is from client to server."""

    def __init__(self, emulator, seed=1):
        self.client = self.server = self._process = None
        try:
            self.client, self.server = NameSpace(), NameSpace()
            self._start(emulator, seed)
            self._address(self.client, CLIENT, CLIENT6)
            self._address(self.server, SERVER, SERVER6)
            self._drops_before = self._drops_at_devices()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, emulator, seed):
        inside = [space.descriptor for space in (self.client, self.server)]
        self._process = subprocess.Popen(
            [emulator, *(f"/proc/self/fd/{descriptor}" for descriptor in inside), "--seed", str(seed), "--tun", TUN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=inside, preexec_fn=t._die_with_parent)
        self.scheduling = self._answer()["scheduling"]

    @staticmethod
    def _address(space, address, address6):
        space.ip("link", "set", TUN, "addrgenmode", "none")  # nothing but the measurement's packets
        space.ip("link", "set", TUN, "up", "mtu", str(MTU), "txqueuelen", str(DEVICE_QUEUE))
        space.ip("address", "add", address + "/24", "dev", TUN)
        space.ip("address", "add", address6 + "/64", "dev", TUN, "nodad")
        space.ip("route", "add", "default", "dev", TUN)

    def _answer(self):
        if not select.select([self._process.stdout], [], [], 5)[0]:
            raise t.Failure("link_emulator gives no answer")
        line = self._process.stdout.readline()
        if not line:
            raise t.Failure(f"link_emulator ended with code {self._process.wait(5)}")
        answer = json.loads(line)
        if "error" in answer:
            raise t.Failure(f"link_emulator: {answer['error']}")
        return answer

    def command(self, line):
        """The answer to one line (tests/lab/README.md)."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def set(self, way="both", **settings):
        """Changes settings of `way` (up, down, both), at once: path.set("up", loss=0.1, mtu=1400)."""
        self.command(f"set {way} " + " ".join(f"{name} {value:.12g}" for name, value in settings.items()))

    def black_hole(self, on, way="both"):
        self.set(way, blackhole=int(on))

    def counters(self):
        """{"up": {...}, "down": {...}}: packets and bytes by what became of them, max_queue in bytes."""
        return self.command("counters")

    def reset_counters(self):
        self.command("reset")
        self._drops_before = self._drops_at_devices()

    def move_client(self, address=OTHER_CLIENT):
        """The client's old address is gone, its routes with it; then it has another one."""
        self.client.ip("address", "flush", "dev", TUN)
        self.client.ip("address", "add", address + "/24", "dev", TUN)
        self.client.ip("route", "replace", "default", "dev", TUN)

    def device_drops(self):
        """Packets since reset_counters() that never reached the path or left it: a measurement wants 0."""
        inside = sum(way["overflow"] + way["refused"] for way in self.counters().values())
        return inside + self._drops_at_devices() - self._drops_before

    def _drops_at_devices(self):
        drops = 0
        for space in (self.client, self.server):
            link = json.loads(space.ip("-j", "-s", "link", "show", "dev", TUN))[0]["stats64"]
            drops += link["tx"]["dropped"] + link["rx"]["dropped"]
        return drops

    def close(self):
        if self._process:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # which ends it
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
        for space in (self.client, self.server):
            if space:
                space.close()


# ---------------------------------------------------------------------------------------------------------------------
# Ping, so that the lab needs no program for it

def _checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(space, address, count=10, interval=0.02, patience=2.0, size=56, discover=None):
    """Round-trip times in seconds of ICMP echoes that came back within `patience`; lost ones are left out."""
    with space.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    if discover is not None:
        raw.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, discover)
    times = []
    identifier = os.getpid() & 0xFFFF
    with raw:
        raw.connect((address, 0))
        sent = {}
        begin = time.monotonic()
        while len(times) < count:
            now = time.monotonic()
            if len(sent) < count and now >= begin + len(sent) * interval:
                header = struct.pack("!BBHHH", 8, 0, 0, identifier, len(sent))
                body = bytes(size)
                packet = struct.pack("!BBHHH", 8, 0, _checksum(header + body), identifier, len(sent)) + body
                sent[len(sent)] = time.monotonic()
                raw.send(packet)
                continue
            if now > begin + count * interval + patience:
                break
            wait = begin + len(sent) * interval - now if len(sent) < count else patience
            if select.select([raw], [], [], max(0.0, min(wait, 0.1)))[0]:
                packet = raw.recv(2048)
                kind, _, _, who, number = struct.unpack("!BBHHH", packet[20:28])
                if kind == 0 and who == identifier and number in sent:
                    times.append(time.monotonic() - sent[number])
    return times
