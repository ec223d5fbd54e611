"""Our pair of programs against Debian's, case by case, interleaved A B A B in one run.

    compare.py --ours-client P --ours-server P [--all | --case NAME ...] [--quick] [--rounds N] [--seconds S]
               [--json F] [--markdown F]

Each case of cases.py is measured `rounds` times for each of its subjects in turn; the figures are medians. CPU seconds
are those of client and server together, from /proc/PID/stat, per GB (10^9 bytes) that iperf3's receiver counted.
The goals are those of goals.py; each is printed with its verdict. Without a case: all.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import cases
import report
from cases import t
from goals import GOALS, METRICS, TIMES


def compare(case, pairs, rounds, setting):
    """Measures the case's subjects in turn, `rounds` times; gives its part of the results."""
    runs = {name: [] for name in case.subjects}
    for number in range(rounds):
        for name in case.subjects:
            began = time.monotonic()
            metrics = case.measure(setting, pairs[name])
            runs[name].append(metrics)
            figures = "  ".join(f"{key} {report.figure(key, value)}" for key, value in metrics.items())
            print(f"  {case.name:18} {number + 1}/{rounds}  {name:10} {figures}   [{time.monotonic() - began:.0f} s]",
                  flush=True)
    medians = {name: {key: statistics.median(run[key] for run in taken) for key in taken[0]}
               for name, taken in runs.items()}
    ratios = {name: {key: ratio(values[key], medians["debian"][key]) for key in values}
              for name, values in medians.items() if name != "debian" and name not in cases.UNTUNNELLED}
    return {"case": case.name, "text": case.text, "flags": case.flags, "client_flags": case.client_flags,
            "subjects": case.subjects, "runs": runs, "medians": medians, "ratios": ratios}


def ratio(value, base):
    if base:
        return value / base
    return 1.0 if value == base else None


def judge(row, goals):
    """The verdicts on one case's goals."""
    verdicts = []
    for goal in goals:
        if goal.case != row["case"]:
            continue
        table = row["ratios"] if goal.basis == TIMES else row["medians"]
        value = table[goal.subject][goal.metric]
        met = value is not None and goal.met(value)
        verdicts.append({"case": goal.case, "metric": goal.metric, "subject": goal.subject, "basis": goal.basis,
                         "relation": goal.relation, "limit": goal.limit, "value": value, "met": met})
    return verdicts


def print_verdicts(verdicts):
    print()
    for verdict in verdicts:
        print(f"{'pass' if verdict['met'] else 'MISS'}  {verdict['case']:18} {METRICS[verdict['metric']].title}, "
              f"{verdict['subject']}: {report.verdict_value(verdict)} (goal {report.verdict_goal(verdict)})")


def version_of(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return (done.stdout or done.stderr).strip().splitlines()[0]
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
            "load": os.getloadavg()[0], "iperf3": version_of(["iperf3", "--version"]),
            "wrk": version_of(["dpkg-query", "-W", "wrk"]).replace("\t", " "),
            "nginx": version_of(["nginx", "-v"]),
            "debian": version_of(["dpkg-query", "-W", "kcptun"]).replace("\t", " ")}


def yardstick(row, goodput_least, cpu_most):
    """What this row falls short of when the caller gives the limits, one sentence each."""
    faults = []
    ratios = row["ratios"].get("ours", {})
    if goodput_least and ratios.get("goodput", goodput_least) < goodput_least:
        faults.append(f"{row['case']}: {ratios['goodput']:.2f} times the goodput, {goodput_least:.2f} wanted")
    if cpu_most and ratios.get("cpu", cpu_most) > cpu_most:
        faults.append(f"{row['case']}: {ratios['cpu']:.3f} of the CPU per GB, {cpu_most:.3f} wanted")
    return faults


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours-client", required=True)
    parser.add_argument("--ours-server", required=True)
    parser.add_argument("--debian-client", default="/usr/bin/kcptun-client")
    parser.add_argument("--debian-server", default="/usr/bin/kcptun-server")
    parser.add_argument("--pingpong", help="default: bench/pingpong beside our client")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="every case: the default")
    which.add_argument("--case", action="append", choices=[case.name for case in cases.CASES],
                       help="this case only (repeatable)")
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=int, help="of each timed measurement, default: 5")
    parser.add_argument("--quick", action="store_true", help="1 round of 2 s: shows that all works")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("--least-goodput", type=float, metavar="TIMES", help="fail below this many times Debian's")
    parser.add_argument("--most-cpu", type=float, metavar="SHARE", help="fail above this share of Debian's CPU per GB")
    parser.add_argument("--goals", action="store_true", help="fail where a goal is missed")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 5)
    options.pingpong = options.pingpong or os.path.join(os.path.dirname(options.ours_client), "bench", "pingpong")
    return options


def missing_programs(chosen, pairs, options):
    wanted = {program for case in chosen for name in case.subjects if name not in cases.UNTUNNELLED
              for program in pairs[name]}
    if any(not isinstance(case, (cases.Bulk, cases.Http)) for case in chosen):
        wanted.add(options.pingpong)
    return sorted(path for path in wanted if not os.access(path, os.X_OK))


def main():
    options = parse()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours = (options.ours_client, options.ours_server)
    debian = (options.debian_client, options.debian_server)
    pairs = {"debian": debian, "ours": ours, "our client": (ours[0], debian[1]), "our server": (debian[0], ours[1]),
             **cases.UNTUNNELLED}
    chosen = [case for case in cases.CASES if not options.case or case.name in options.case]
    missing = missing_programs(chosen, pairs, options)
    if missing:
        print("not there: " + ", ".join(missing) + " (Debian's: apt-get install kcptun; ours and pingpong: "
              "scripts/bench.sh builds them)", file=sys.stderr)
        return 1
    setting = cases.Setting(options.seconds, 10 if options.quick else 20, 10 if options.quick else 30, options.pingpong, ours)
    began = time.monotonic()
    results = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(),
               "ours_version": version_of([options.ours_client, "--version"]), "rounds": options.rounds,
               "seconds": options.seconds, "idle_seconds": setting.idle_seconds, "rows": [], "verdicts": []}
    faults = []
    for number, case in enumerate(chosen):
        print(f"[{number + 1}/{len(chosen)}, {time.monotonic() - began:.0f} s] {case.text}", flush=True)
        try:
            row = compare(case, pairs, options.rounds, setting)
        except (t.Failure, OSError, subprocess.SubprocessError) as failure:  # the other cases still count
            faults.append(f"{case.name}: not measured: {failure}")
            print("FAILED " + faults[-1], flush=True)
            results["verdicts"] += [{"case": goal.case, "metric": goal.metric, "subject": goal.subject,
                                     "basis": goal.basis, "relation": goal.relation, "limit": goal.limit,
                                     "value": None, "met": False} for goal in GOALS if goal.case == case.name]
            continue
        results["rows"].append(row)
        results["verdicts"] += judge(row, GOALS)
        faults += yardstick(row, options.least_goodput, options.most_cpu)
    results["total_seconds"] = time.monotonic() - began
    print_verdicts(results["verdicts"])
    missed = [verdict for verdict in results["verdicts"] if not verdict["met"]]
    print(f"{len(results['verdicts']) - len(missed)} goals met, {len(missed)} missed, "
          f"{results['total_seconds']:.0f} s in all")
    for path, text in ((options.json, json.dumps(results, indent=1) + "\n"),
                       (options.markdown, report.tunnel_markdown(results))):
        if path:
            with open(path, "w") as file:
                file.write(text)
    for fault in faults:
        print("MISSED " + fault)
    return 1 if faults or (options.goals and missed) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
