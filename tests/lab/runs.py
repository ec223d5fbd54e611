"""What measurements in the lab are made of: a tunnel across the path, iperf3 and its report."""

import contextlib
import json
import subprocess

import path as p
from path import t
from rows import TUNNELS, WITH_DEBIAN

STEP = 0.1     # seconds of one of iperf3's intervals, where gaps count
PATIENCE = 30  # seconds that iperf3 may take beyond its own time, for its start and for draining


class Tunnel(t.Tunnel):
    """A tunnel whose server program is at one end of the path and whose client program at the other."""

    def __init__(self, path, *arguments, **options):
        self._path = path
        super().__init__(*arguments, **options)

    def start_server(self):
        with self._path.server.entered():
            super().start_server()

    def start_client(self):
        with self._path.client.entered():
            super().start_client()


@contextlib.contextmanager
def iperf_server(space, *flags):
    """The port of an iperf3 server inside."""
    port = t.free_port()
    with space.entered():
        server = subprocess.Popen(["iperf3", "-s", "-p", str(port), *flags], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, preexec_fn=t._die_with_parent)
        try:
            t.wait_until(lambda: t.can_listen_tcp(port), 10, "iperf3 listens")
        except BaseException:
            server.kill()
            server.wait()
            raise
    try:
        yield port
    finally:
        server.kill()
        server.wait()


def iperf_goodput(space, address, port, seconds, flags):
    """Mbit/s that arrived at the receiving application."""
    command = ["iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J", *flags]
    with space.entered():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE,
                                  preexec_fn=t._die_with_parent)
        except subprocess.TimeoutExpired:
            raise t.Failure(f"{' '.join(command)}: still runs {PATIENCE} s after its time") from None
    try:
        answer = json.loads(done.stdout)
        if "error" in answer:
            raise t.Failure(f"{' '.join(command)}: {answer['error']}")
        return answer["end"]["sum_received"]["bits_per_second"] / 1e6
    except (ValueError, KeyError):
        raise t.Failure(f"{' '.join(command)}: code {done.returncode}, no report: {done.stderr.strip()}") from None


def longest_gap(report):
    """Seconds in which nothing arrived, at most."""
    longest = gap = 0.0
    for interval in report["intervals"]:
        spent = interval["sum"]
        gap = gap + spent["seconds"] if spent["bytes"] == 0 else 0.0
        longest = max(longest, gap)
    return longest


@contextlib.contextmanager
def tunnel_of(path, pair, port, flags, options, way="up", **further):
    """The pair's tunnel to `port` in the server's namespace, for data that go `way`; a failure inside shows its logs."""
    sender, receiver = TUNNELS[pair]
    client, server = (sender, receiver) if way == "up" else (receiver, sender)
    common = flags + (WITH_DEBIAN if "debian" in (client, server) else ())
    with Tunnel(path, getattr(options, client + "_client"), getattr(options, server + "_server"), common,
                target_name=f"{t.HOST}:{port}", listen_host="0.0.0.0", remote_host=p.SERVER, **further) as tunnel:
        try:
            yield tunnel
        except t.Failure as failure:
            raise t.Failure(f"{failure}\n{tunnel.logs()}") from None
