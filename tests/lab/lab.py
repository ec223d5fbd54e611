"""Goodput over emulated paths: our pair, mixed pairs, Debian's pair and plain TCP on the same link.

    lab.py [--row NAME ...] [--pair NAME ...] [--seconds S] [--rounds N] [--json F] [--list]

Each row of rows.py is measured for each pair in turn, `rounds` times; the figures are medians. Each measurement has a
path of its own with the same seed. Goodput is what iperf3's receiver counted, over the whole run. A measurement during
which packets were dropped beside the path is marked, for it says nothing about the path. The JSON is written after
each row. Exit code: 0 measured (goals met or not), 1 a program failed, 2 usage, 77 no lab here.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import path as p
from path import t
from rows import PAIRS, ROWS, TCP, TUNNELS, WITH_DEBIAN

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "bench"))
from compare import machine  # noqa: E402  (found by the line above)

SKIPPED = 77
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


def measure(row, pair, seconds, options):
    """One run: goodput in Mbit/s, and what the path counted."""
    flags = ["-R"] if row.way == "down" else []
    with p.Path(options.emulator, options.seed) as path, iperf_server(path.server) as port:
        path.set("both", **row.path)
        path.reset_counters()
        if pair in TCP:
            goodput = iperf_goodput(path.client, p.SERVER, port, seconds, [*flags, "-C", TCP[pair]])
        else:
            sender, receiver = TUNNELS[pair]
            client, server = (sender, receiver) if row.way == "up" else (receiver, sender)
            common = row.flags + (WITH_DEBIAN if "debian" in (client, server) else ())
            with Tunnel(path, getattr(options, client + "_client"), getattr(options, server + "_server"), common,
                        target_name=f"{t.HOST}:{port}", listen_host="0.0.0.0", remote_host=p.SERVER) as tunnel:
                try:
                    goodput = iperf_goodput(path.client, t.HOST, tunnel.local_port, seconds, flags)
                except t.Failure as failure:
                    raise t.Failure(f"{failure}\n{tunnel.logs()}") from None
        counters = path.counters()
        return {"goodput": goodput, "sent_bytes": counters[row.way]["carried_bytes"],
                "max_queue": counters[row.way]["max_queue"], "device_drops": path.device_drops()}


def measure_row(row, pairs, options):
    seconds = options.seconds or row.seconds
    runs = {pair: [] for pair in pairs}
    for number in range(options.rounds):
        for pair in pairs:
            began = time.monotonic()
            run = measure(row, pair, seconds, options)
            runs[pair].append(run)
            beside = f"  ({run['device_drops']} packets dropped beside the path)" if run["device_drops"] else ""
            print(f"  {row.name:14} {number + 1}/{options.rounds}  {pair:15} {run['goodput']:7.1f} Mbit/s"
                  f"   [{time.monotonic() - began:.0f} s]{beside}", flush=True)
    goodput = {pair: statistics.median(run["goodput"] for run in taken) for pair, taken in runs.items()}
    return {"row": row.name, "text": row.text, "path": row.path, "flags": row.flags, "way": row.way,
            "seconds": seconds, "least": row.least, "runs": runs, "goodput": goodput}


def table(measured, pairs):
    """The rows as Markdown."""
    lines = ["| path | " + " | ".join(pairs) + " | goal |", "|---|" + "--:|" * (len(pairs) + 1)]
    for row in measured:
        figures = [f"{row['goodput'][pair]:.1f}" for pair in pairs]
        lines.append(f"| {row['text']} | " + " | ".join(figures) + f" | {row['least']} |")
    return "\n".join(lines)


def write_json(name, results):
    """The whole file or the one before: an interruption leaves no half."""
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(os.path.abspath(name)), delete=False) as out:
        json.dump(results, out, indent=1)
    os.replace(out.name, name)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--pair", action="append", choices=PAIRS, help="default: all that this machine has")
    parser.add_argument("--seconds", type=int, help="of each run; default: the row's")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the path's decisions")
    parser.add_argument("--json", metavar="F", help="write results here")
    parser.add_argument("--list", action="store_true", help="show rows and pairs")
    parser.add_argument("--emulator", default="build/release/bin/link_emulator")
    parser.add_argument("--ours-client", default="build/release/kcptun-client")
    parser.add_argument("--ours-server", default="build/release/kcptun-server")
    parser.add_argument("--debian-client", default="/usr/bin/kcptun-client")
    parser.add_argument("--debian-server", default="/usr/bin/kcptun-server")
    options = parser.parse_args()
    for name in ("seconds", "rounds"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name}: must be at least 1")
    return options


def lacking(pair, options):
    """What this machine lacks for the pair, or None."""
    if pair in TCP:
        with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as available:
            return None if TCP[pair] in available.read().split() else f"no TCP {TCP[pair]} in this kernel"
    programs = [getattr(options, f"{who}_{end}") for who in TUNNELS[pair] for end in ("client", "server")]
    return next((f"no {name}" for name in programs if not os.access(name, os.X_OK)), None)


def usable_pairs(options):
    """The pairs to measure. One that was asked for and cannot be ends the program; others are left out, and said so."""
    pairs = []
    for pair in options.pair or PAIRS:
        lack = lacking(pair, options)
        if lack and options.pair:
            sys.exit(f"lab.py: {pair}: {lack}")
        if lack:
            print(f"left out: {pair} ({lack})")
        else:
            pairs.append(pair)
    return pairs


def main():
    options = parse()
    if options.list:
        print("\n".join(f"{row.name:14} {row.text}" for row in ROWS))
        print("pairs:", ", ".join(PAIRS))
        return 0
    reason = p.missing()
    if reason:
        print(f"lab.py: {reason}", file=sys.stderr)
        return SKIPPED
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that everything is closed on the way out
    pairs = usable_pairs(options)
    results = {"machine": machine(), "seed": options.seed, "rounds": options.rounds, "pairs": pairs, "rows": []}
    try:
        for row in ROWS:
            if options.row and row.name not in options.row:
                continue
            results["rows"].append(measure_row(row, pairs, options))
            if options.json:
                write_json(options.json, results)
    except t.Failure as failure:
        print(f"lab.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\nGoodput in Mbit/s; the goal is for our pair.\n\n" + table(results["rows"], pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
