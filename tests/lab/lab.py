"""Emulated paths: our pair, mixed pairs, Debian's pair and plain TCP on the same link.

    lab.py [--row NAME ...] [--pair NAME ...] [--seconds S] [--rounds N] [--json F] [--markdown F --svg F] [--list]

Each row of rows.py (goodput) and each scenario of scenarios.py is measured for each pair in turn, `rounds` times; the
figures are medians. Each measurement has a path of its own with the same seed. Goodput is what iperf3's receiver
counted, over the whole run. A measurement during which packets were dropped beside the path is marked, for it says
nothing about the path. The JSON is written after each row.
Exit code: 0 measured (goals met or not), 1 a program failed, 2 usage, 77 no lab here.
"""

import argparse
import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time

import lab_report
import path as p
from path import t
from rows import PAIRS, ROWS, TCP, TUNNELS, Row
from runs import iperf_goodput, iperf_server, tunnel_of
from scenarios import SCENARIOS

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "bench"))
from compare import machine  # noqa: E402  (found by the line above)

WHOLE = [*ROWS, *SCENARIOS]


def sender_figures(row, pair, tunnel):
    """What our program says of the segments that it sent: percent sent again, and percent of parity in all packets."""
    sender, receiver = TUNNELS[pair]
    if sender != "ours":
        return {}
    ends = tunnel.programs if row.way == "up" else tunnel.programs[::-1]
    sent = ends[0].counters()
    taken = {"again": 100 * sent["RetransSegs"] / sent["OutSegs"]}
    if receiver == "ours":
        received = ends[1].counters()
        taken["parity"] = 100 * received["FECParityShards"] / received["InPkts"]
    return taken


def plain_tcp(path, pair, port, seconds, flags):
    """No figure where iperf3's own control connection, which is TCP as well, does not get through any more."""
    try:
        return {"goodput": iperf_goodput(path.client, p.SERVER, port, seconds, [*flags, "-C", TCP[pair]])}
    except t.Failure as failure:
        print(f"  no figure: {failure}")
        return {}


def measure_goodput(path, row, pair, options):
    """One run of a row: goodput in Mbit/s, and what our sender counted."""
    flags = ["-R"] if row.way == "down" else []
    with iperf_server(path.server) as port:
        if pair in TCP:
            return plain_tcp(path, pair, port, row.seconds, flags)
        with tunnel_of(path, pair, port, row.flags, options, row.way) as tunnel:
            goodput = iperf_goodput(path.client, t.HOST, tunnel.local_port, row.seconds, flags)
            return {"goodput": goodput, **sender_figures(row, pair, tunnel)}


def measure(row, pair, options):
    """One run of a row or a scenario on a path of its own: its metrics, and what the path counted."""
    with p.Path(options.emulator, options.seed) as path:
        path.set("both", **row.path)
        path.reset_counters()
        if isinstance(row, Row):
            metrics = measure_goodput(path, row, pair, options)
        else:
            metrics = row.measure(path, row, pair, options)
        queue = max(way["max_queue"] for way in path.counters().values())
        return {"metrics": metrics, "max_queue": queue, "device_drops": path.device_drops()}


def figures(metrics):
    return "  ".join(f"{name} {value:.1f}" for name, value in metrics.items())


def medians_of(taken):
    names = dict.fromkeys(name for metrics in taken for name in metrics)
    return {name: statistics.median(metrics[name] for metrics in taken if name in metrics) for name in names}


def measure_row(row, pairs, options):
    runs = {pair: [] for pair in pairs}
    for number in range(options.rounds):
        for pair in pairs:
            began = time.monotonic()
            run = measure(row, pair, options)
            runs[pair].append(run)
            beside = f"  ({run['device_drops']} packets dropped beside the path)" if run["device_drops"] else ""
            print(f"  {row.name:14} {number + 1}/{options.rounds}  {pair:15} {figures(run['metrics'])}"
                  f"   [{time.monotonic() - began:.0f} s]{beside}", flush=True)
    medians = {pair: medians_of([run["metrics"] for run in taken]) for pair, taken in runs.items()}
    goals = [{**dataclasses.asdict(goal), "met": goal.met(medians["ours"][goal.metric])}
             for goal in row.goals if "ours" in medians]
    return {"row": row.name, "text": row.text, "path": row.path, "flags": row.flags, "seconds": row.seconds,
            "goodput": isinstance(row, Row), "runs": runs, "medians": medians, "goals": goals}


def write_json(name, results):
    """The whole file or the one before: an interruption leaves no half."""
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(os.path.abspath(name)), delete=False) as out:
        json.dump(results, out, indent=1)
    os.replace(out.name, name)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", choices=[row.name for row in WHOLE], help="default: all")
    parser.add_argument("--pair", action="append", choices=PAIRS, help="default: all that this machine has")
    parser.add_argument("--seconds", type=int, help="of each run; default: the row's")
    parser.add_argument("--markdown", metavar="F", help="write the report here")
    parser.add_argument("--svg", metavar="F", help="and its plot here")
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
    if options.svg and not options.markdown:
        parser.error("--svg: needs --markdown, which shows it")
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
        print("\n".join(f"{row.name:14} {row.text}" for row in WHOLE))
        print("pairs:", ", ".join(PAIRS))
        return 0
    reason = p.machine.lacks("tun")
    if reason:
        print(f"lab.py: {reason}", file=sys.stderr)
        return p.machine.LEFT_OUT
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that everything is closed on the way out
    pairs = usable_pairs(options)
    results = {"machine": machine(), "time": time.strftime("%Y-%m-%d"), "seed": options.seed,
               "rounds": options.rounds, "pairs": pairs, "rows": []}
    try:
        for row in WHOLE:
            if options.row and row.name not in options.row:
                continue
            if options.seconds:
                row = dataclasses.replace(row, seconds=options.seconds)
            results["rows"].append(measure_row(row, [pair for pair in pairs if pair in row.pairs], options))
            if options.json:
                write_json(options.json, results)
    except t.Failure as failure:
        print(f"lab.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    lab_report.write(results, options.markdown, options.svg)
    print("\n" + lab_report.tables(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
