"""What the lab measures beside goodput: small messages, a ping beside a bulk stream, a shared link, a black hole.

Each scenario runs one pair over one path and gives its metrics by name; times are milliseconds, rates Mbit/s. Its
goals are those of our pair.
"""

import concurrent.futures
import contextlib
import dataclasses
import socket
import statistics
import threading
import time

import path as p
import rows
from path import t
from rows import Goal
from runs import iperf_goodput, iperf_server, tunnel_of

MESSAGE, GAP = 100, 0.02   # bytes, seconds between two
PING, PING_GAP = 64, 0.05
WARM_UP = 3                # seconds before the figures count
BULK_RUNS = 4_000_000      # bytes that have arrived of a bulk stream that runs
FLOWS = 10                 # of messages, in one session
DARK = 10                  # seconds of the black hole
SLACK = 10                 # seconds that the last bytes may take
CHUNK = 65536


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    text: str
    measure: object            # called with the path, the scenario, a pair and the options; gives {metric: value}
    path: dict                 # as in rows.Row
    goals: tuple
    pairs: tuple = ("ours", "debian")
    seconds: int = 20
    flags: tuple = rows.USUAL
    rival: str = ""            # who shares the link: a pair, or one of rows.TCP


# ---------------------------------------------------------------------------------------------------------------------
# Applications

class Target:
    """A TCP server in the server's namespace: connections that begin with b"E" echo what follows, the others drain it.

    `arrivals` holds when each whole message of the echoes had come, `drained` the time and size of each piece.
    """

    def __init__(self, space, size):
        self.size, self.arrivals, self.drained = size, [], []
        self._listener, self._connections = space.listen(t.HOST, 0), []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            serve = self._echo if connection.recv(1) == b"E" else self._drain
            serve(connection)

    def _echo(self, connection):
        received = 0
        while data := connection.recv(CHUNK):
            whole = received // self.size
            received += len(data)
            self.arrivals.extend([time.monotonic()] * (received // self.size - whole))
            connection.sendall(data)

    def _drain(self, connection):
        while data := connection.recv(CHUNK):
            self.drained.append((time.monotonic(), len(data)))


def exchange(connection, size, gap, seconds):
    """Sends a message of `size` each `gap`; gives when each was sent and when its echo had come back whole."""
    count = round(seconds / gap)
    sent, back = [], []

    def read():
        received = 0
        while len(back) < count and (data := connection.recv(CHUNK)):
            received += len(data)
            back.extend([time.monotonic()] * (received // size - len(back)))

    connection.settimeout(seconds + SLACK)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        begin = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, begin + number * gap - time.monotonic()))  # the rhythm is the load
            sent.append(time.monotonic())
            connection.sendall(bytes(size))
        try:
            reader.result()
        except TimeoutError:
            raise t.Failure(f"{count - len(back)} of {count} messages did not come back") from None
    return sent, back


@contextlib.contextmanager
def bulk(path, port):
    """A stream that takes all it can, until the end."""
    stop = threading.Event()
    connection = path.client.connect(t.HOST, port)
    connection.settimeout(DARK + SLACK)

    def fill():
        with contextlib.suppress(OSError):
            while not stop.is_set():
                connection.sendall(bytes(CHUNK))

    connection.sendall(b"B")
    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join()
        connection.close()


@contextlib.contextmanager
def echo(path, port):
    """A connection that is echoed."""
    with path.client.connect(t.HOST, port) as connection:
        connection.sendall(b"E")
        yield connection


def delays(begins, ends):
    return [1000 * (end - begin) for begin, end in zip(begins, ends)]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# ---------------------------------------------------------------------------------------------------------------------
# Measurements

def messages(path, scenario, pair, options):
    with Target(path.server, MESSAGE) as target, tunnel_of(
            path, pair, target.port, scenario.flags, options) as tunnel, echo(path, tunnel.local_port) as connection:
        path.reset_counters()
        sent, back = exchange(connection, MESSAGE, GAP, scenario.seconds)  # from the session's first message on
        wire = sum(way["carried_bytes"] for way in path.counters().values())
    one_way, both = delays(sent, target.arrivals), delays(sent, back)
    return {"one_way_p50": statistics.median(one_way), "one_way_p99": percentile(one_way, 0.99),
            "echo_p50": statistics.median(both), "echo_p99": percentile(both, 0.99), "echo_p999": percentile(both, 0.999),
            "wire_bytes": wire / len(sent)}


def ten_flows(path, scenario, pair, options):
    """The same on ten connections of one session, which begin one after the other within a gap."""
    with Target(path.server, MESSAGE) as target, tunnel_of(
            path, pair, target.port, scenario.flags, options) as tunnel, contextlib.ExitStack() as stack:
        flows = [stack.enter_context(echo(path, tunnel.local_port)) for _ in range(FLOWS)]

        def one(number):
            time.sleep(number * GAP / FLOWS)
            return exchange(flows[number], MESSAGE, GAP, scenario.seconds)

        with concurrent.futures.ThreadPoolExecutor(FLOWS) as pool:
            both = [delay for sent, back in pool.map(one, range(FLOWS)) for delay in delays(sent, back)]
    return {"echo_p50": statistics.median(both), "echo_p99": percentile(both, 0.99),
            "echo_p999": percentile(both, 0.999)}


def ping_beside_bulk(path, scenario, pair, options):
    """The connection of the ping is opened in the middle of the transfer, as by somebody who works meanwhile."""
    with Target(path.server, PING) as target, tunnel_of(
            path, pair, target.port, scenario.flags, options) as tunnel, bulk(path, tunnel.local_port):
        t.wait_until(lambda: sum(size for _, size in target.drained) > BULK_RUNS, 20, "the bulk stream's first bytes")
        with echo(path, tunnel.local_port) as connection:
            exchange(connection, PING, PING_GAP, WARM_UP)  # meanwhile the bulk stream gets up to its speed
            target.drained.clear()
            began = time.monotonic()
            sent, back = exchange(connection, PING, PING_GAP, scenario.seconds)
            spent = time.monotonic() - began
            received = sum(size for _, size in target.drained)
    rtt = 2 * scenario.path["delay_ms"]
    above = [delay - rtt for delay in delays(sent, back)]
    return {"above_p50": statistics.median(above), "above_p99": percentile(above, 0.99),
            "bulk": received * 8 / spent / 1e6}


def black_hole(path, scenario, pair, options):
    """How long after the path is back the first bytes of a bulk stream arrive."""
    with Target(path.server, MESSAGE) as target, tunnel_of(
            path, pair, target.port, scenario.flags, options) as tunnel, bulk(path, tunnel.local_port):
        t.wait_until(lambda: sum(size for _, size in target.drained) > 8_000_000, 20, "the stream's first 8 MB")
        path.black_hole(True)
        time.sleep(DARK)
        path.black_hole(False)
        again = time.monotonic()
        t.wait_until(lambda: target.drained[-1][0] > again, 60, "bytes after the black hole")
        first = next(when for when, _ in target.drained if when > again)
    return {"back_after": 1000 * (first - again)}


def sharing(path, scenario, pair, options):
    """Two senders on one link from the same moment: what part of it the pair gets beside its rival."""
    with contextlib.ExitStack() as stack:
        ends = []  # address, port and flags of iperf3 for each
        for one in (pair, scenario.rival):
            port = stack.enter_context(iperf_server(path.server))
            if one in rows.TCP:
                ends.append((p.SERVER, port, ["-C", rows.TCP[one]]))
            else:
                tunnel = stack.enter_context(tunnel_of(path, one, port, scenario.flags, options))
                ends.append((t.HOST, tunnel.local_port, []))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            mine, other = pool.map(lambda end: iperf_goodput(path.client, end[0], end[1], scenario.seconds, end[2]),
                                   ends)
    return {"mine": mine, "other": other, "share": 100 * mine / (mine + other)}


_LINK = rows.path_of(50, 100)
_LOSSY = rows.path_of(50, 100, loss=0.02)
_NOT_STARVED = (Goal("share", ">=", 20), Goal("share", "<=", 80))

_NOTHING_SET = ("--crypt", "aes-128", "--mode", "fast3")  # but the key
_MESSAGE_PAIRS = ("ours", "ours-to-debian", "debian")

SCENARIOS = [
    Scenario("messages-2", "a 100-byte message each 20 ms and its echo, RTT 50 ms, 2 % loss", messages, _LOSSY,
             (Goal("echo_p99", "<=", 60), Goal("echo_p999", "<=", 80)), _MESSAGE_PAIRS, flags=_NOTHING_SET),
    Scenario("messages-10", "a 100-byte message each 20 ms and its echo, RTT 50 ms, 10 % loss", messages,
             rows.path_of(50, 100, loss=0.1), (Goal("echo_p99", "<=", 65), Goal("echo_p999", "<=", 100)),
             _MESSAGE_PAIRS, flags=_NOTHING_SET),
    Scenario("ten-flows-2", "ten such flows in one session, RTT 50 ms, 2 % loss", ten_flows, _LOSSY,
             (Goal("echo_p99", "<=", 60), Goal("echo_p999", "<=", 80)), flags=_NOTHING_SET),
    Scenario("ten-flows-10", "ten such flows in one session, RTT 50 ms, 10 % loss", ten_flows,
             rows.path_of(50, 100, loss=0.1), (Goal("echo_p99", "<=", 65), Goal("echo_p999", "<=", 100)),
             flags=_NOTHING_SET),
    Scenario("ping-bulk", "a 64-byte ping beside a bulk stream, RTT 50 ms", ping_beside_bulk, _LINK,
             (Goal("above_p99", "<=", 40),), seconds=10),
    Scenario("ping-bulk-2", "a 64-byte ping beside a bulk stream, nothing set but mode, crypt and key, RTT 50 ms, 2 % loss",
             ping_beside_bulk, _LOSSY, (Goal("above_p99", "<=", 20), Goal("bulk", ">=", 84)), flags=rows.PROFILE),
    Scenario("black-hole", "a path that is dark for 10 s, RTT 50 ms", black_hole, _LINK,
             (Goal("back_after", "<=", 1000),), pairs=("ours",)),
    Scenario("two-flows", "two tunnels on one link, RTT 50 ms", sharing, _LINK,
             (Goal("share", ">=", 40), Goal("share", "<=", 60)), pairs=("ours",), rival="ours"),
    Scenario("beside-cubic", "a tunnel beside a TCP CUBIC flow, RTT 50 ms", sharing, _LINK, _NOT_STARVED,
             rival="tcp-cubic"),
    Scenario("beside-bbr", "a tunnel beside a TCP BBR flow, RTT 50 ms", sharing, _LINK, _NOT_STARVED, rival="tcp-bbr"),
]
