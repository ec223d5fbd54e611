"""Bulk goodput and CPU per GB of our pair against Debian's, by iperf3 through each, interleaved A B A B in one run.

    compare.py --ours-client P --ours-server P [--rounds N] [--seconds S] [--case NAME ...] [--json F] [--markdown F]

Each row of CASES is measured `rounds` times for each pair of programs in turn; the figures are medians. CPU seconds are
those of client and server together, from /proc/PID/stat, per GB (10^9 bytes) that iperf3's receiver counted.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import tunnel as t  # noqa: E402  (found by the line above)

TUNED = ("--nocomp", "--mode", "fast3", "--sndwnd", "4096", "--rcvwnd", "4096", "--smuxver", "2")
FEC = ("--ds", "10", "--ps", "3")
NO_FEC = ("--ds", "0", "--ps", "0")


@dataclass(frozen=True)
class Case:
    name: str
    flags: tuple            # for both programs of either pair
    iperf: tuple = ()       # further iperf3 flags
    client_flags: tuple = ()
    goodput_goal: float = 0.0  # times Debian's, at least
    cpu_goal: float = 0.0      # share of Debian's CPU per GB, at most
    text: str = field(default="", compare=False)


CASES = (
    Case("aes-128-up", ("--crypt", "aes-128", *TUNED, *FEC), (), (), 14, 1 / 16, "aes-128, FEC 10/3, 1 stream up"),
    Case("aes-128-down", ("--crypt", "aes-128", *TUNED, *FEC), ("-R",), (), 14, 1 / 16,
         "aes-128, FEC 10/3, 1 stream down"),
    Case("salsa20", ("--crypt", "salsa20", *TUNED, *FEC), (), (), 10, 1 / 12, "salsa20, FEC 10/3"),
    Case("aes", ("--crypt", "aes", *TUNED, *FEC), (), (), 12, 1 / 14, "aes (the default), FEC 10/3"),
    Case("none-no-fec", ("--crypt", "none", *TUNED, *NO_FEC), (), (), 12, 1 / 14, "none, no FEC"),
    Case("parallel-8-conn-4", ("--crypt", "aes-128", *TUNED, *FEC), ("-P", "8"), ("--conn", "4"), 14, 1 / 14,
         "8 parallel streams, conn 4, aes-128, FEC 10/3"),
    Case("defaults", ("--smuxver", "2"), (), (), 60, 1 / 16, "every default but smuxver 2 (snappy on)"),
)


class IperfServer:
    """The target; iperf3 serves one test at a time, which is how this runs them."""

    def __init__(self):
        self.port = t.free_port()
        self._process = subprocess.Popen(["iperf3", "-s", "-B", t.HOST, "-p", str(self.port)], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         preexec_fn=t._die_with_parent)
        t.wait_until(lambda: t.can_listen_tcp(self.port), 10, "iperf3 listens")

    def close(self):
        self._process.kill()
        self._process.wait()


def iperf(port, seconds, flags):
    """Bits per second and bytes that arrived."""
    command = ["iperf3", "-J", "-c", t.HOST, "-p", str(port), "-t", str(seconds), *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 60,
                            preexec_fn=t._die_with_parent)
    report = json.loads(result.stdout or "{}")
    if result.returncode or "error" in report:
        raise t.Failure(f"{' '.join(command)}: {report.get('error') or result.stderr}")
    received = report["end"]["sum_received"]
    return received["bits_per_second"], received["bytes"]


def measure(case, client, server, seconds):
    """One run of one pair: {"goodput": Mbit/s, "cpu": CPU seconds per GB}."""
    target = IperfServer()
    try:
        with t.Tunnel(client, server, [*case.flags, "--quiet"], client_args=case.client_flags,
                      target_name=f"{t.HOST}:{target.port}") as tunnel:
            try:
                before = sum(program.cpu_seconds() for program in tunnel.programs)
                rate, count = iperf(tunnel.local_port, seconds, case.iperf)
                spent = sum(program.cpu_seconds() for program in tunnel.programs) - before
            except Exception:
                print(tunnel.logs(), file=sys.stderr)
                raise
        return {"goodput": rate / 1e6, "cpu": spent / (count / 1e9)}
    finally:
        target.close()


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def compare(case, pairs, rounds, seconds):
    """Measures the pairs in turn, `rounds` times; gives the row of the results."""
    runs = {name: [] for name in pairs}
    for number in range(rounds):
        for name, (client, server) in pairs.items():
            run = measure(case, client, server, seconds)
            runs[name].append(run)
            print(f"  {case.name:18} {number + 1}/{rounds}  {name:7} {run['goodput']:8.0f} Mbit/s "
                  f"{run['cpu']:7.2f} CPU s/GB", flush=True)
    row = {"case": case.name, "text": case.text, "flags": case.flags, "client_flags": case.client_flags,
           "iperf": case.iperf, "goodput_goal": case.goodput_goal, "cpu_goal": case.cpu_goal, "runs": runs}
    for name in pairs:
        row[name] = {key: median(runs[name], key) for key in ("goodput", "cpu")}
    row["goodput_ratio"] = row["ours"]["goodput"] / row["debian"]["goodput"]
    row["cpu_ratio"] = row["ours"]["cpu"] / row["debian"]["cpu"]
    return row


def version_of(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "?"


def machine():
    model = "?"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith(("model name", "Model")):
                model = line.split(":", 1)[1].strip()
                break

    def sysctl(name):
        try:
            with open("/proc/sys/" + name.replace(".", "/")) as value:
                return int(value.read())
        except OSError:
            return None
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "arch": platform.machine(),
            "rmem_max": sysctl("net.core.rmem_max"), "wmem_max": sysctl("net.core.wmem_max"),
            "iperf3": version_of(["iperf3", "--version"]),
            "debian": version_of(["dpkg-query", "-W", "kcptun"]).replace("\t", " ")}


def markdown(report):
    host = report["machine"]
    lines = [f"{host['cores']} cores of {host['cpu']}, Linux {host['kernel']} ({host['arch']}), net.core.rmem_max "
             f"{host['rmem_max']}, wmem_max {host['wmem_max']}, {host['iperf3']}; {host['debian']} against "
             f"{report['ours_version']}.",
             f"Medians of {report['rounds']} runs of {report['seconds']} s, pairs in turn.", "",
             "| case | Debian's Mbit/s | ours | times | Debian's CPU s/GB | ours | share |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for row in report["rows"]:
        lines.append(f"| {row['text']} | {row['debian']['goodput']:.0f} | {row['ours']['goodput']:.0f} "
                     f"| {row['goodput_ratio']:.2f} | {row['debian']['cpu']:.2f} | {row['ours']['cpu']:.2f} "
                     f"| 1/{1 / row['cpu_ratio']:.1f} |")
    return "\n".join(lines) + "\n"


def missed(row, goodput_least, cpu_most):
    """What this row falls short of, one sentence each."""
    faults = []
    if row["goodput_ratio"] < goodput_least:
        faults.append(f"{row['case']}: {row['goodput_ratio']:.2f} times the goodput, {goodput_least:.2f} wanted")
    if row["cpu_ratio"] > cpu_most:
        faults.append(f"{row['case']}: {row['cpu_ratio']:.3f} of the CPU per GB, {cpu_most:.3f} wanted")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours-client", required=True)
    parser.add_argument("--ours-server", required=True)
    parser.add_argument("--debian-client", default="/usr/bin/kcptun-client")
    parser.add_argument("--debian-server", default="/usr/bin/kcptun-server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES],
                        help="this case only (repeatable); default: all")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("--least-goodput", type=float, metavar="TIMES", help="fail below this many times Debian's")
    parser.add_argument("--most-cpu", type=float, metavar="SHARE", help="fail above this share of Debian's CPU per GB")
    parser.add_argument("--goals", action="store_true", help="fail where a case misses its own goals")
    options = parser.parse_args()

    pairs = {"debian": (options.debian_client, options.debian_server),
             "ours": (options.ours_client, options.ours_server)}
    for path in [program for pair in pairs.values() for program in pair]:
        if not os.access(path, os.X_OK):
            print(f"{path}: not there (Debian's: apt-get install kcptun)", file=sys.stderr)
            return 1
    chosen = [case for case in CASES if not options.case or case.name in options.case]
    report = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(),
              "ours_version": version_of([options.ours_client, "--version"]), "rounds": options.rounds,
              "seconds": options.seconds, "rows": []}
    faults = []
    for case in chosen:
        row = compare(case, pairs, options.rounds, options.seconds)
        report["rows"].append(row)
        if options.goals:
            faults += missed(row, case.goodput_goal, case.cpu_goal)
        else:
            faults += missed(row, options.least_goodput or 0, options.most_cpu or float("inf"))
    print("\n" + markdown(report))
    for path, text in ((options.json, json.dumps(report, indent=1) + "\n"), (options.markdown, markdown(report))):
        if path:
            with open(path, "w") as file:
                file.write(text)
    for fault in faults:
        print("MISSED " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except t.Failure as failure:
        sys.exit(f"compare.py: {failure}")
