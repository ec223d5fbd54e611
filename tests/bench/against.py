"""Two builds of our own programs, measured in turn: ratios now / before of each case and of each row of core_bench.

    against.py --before FOLDER --now FOLDER [--case NAME ...] [--rounds N] [--seconds S] [--core FILTER] [--json F]

A FOLDER is a release build with kcptun-client, kcptun-server and bench/core_bench. The ratio of a figure is the median of
the ratios of its rounds, each of one run before and one run now that follow each other; beside it stand the least and
the greatest. A figure is worse if even its best round is on the wrong side of 1. Exit code 1: at least one is worse.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import cases
from cases import t
from goals import METRICS
from report import CoreBench, figure

DEFAULT_CASES = ("aes-128-up", "aes-128-down", "none-no-fec", "parallel-8-conn-4", "defaults", "latency-idle",
                 "latency-loaded", "connections")
CORE = "Echo|Flush|link/|smux/|kcp/"  # not the ciphers, which are other people's code


class Series:
    """The pairs (before, now) of one figure, one pair a round."""

    def __init__(self, name, text, more_is_better):
        self.name, self.text, self.more_is_better = name, text, more_is_better
        self.pairs = []

    def ratios(self):
        return [now / before for before, now in self.pairs if before]

    def is_worse(self):
        ratios = self.ratios()
        return bool(ratios) and (max(ratios) < 1 if self.more_is_better else min(ratios) > 1)

    def row(self):
        ratios = self.ratios()
        before, now = (statistics.median(values) for values in zip(*self.pairs))
        if not ratios:
            return {"name": self.name, "before": before, "now": now}
        return {"name": self.name, "before": before, "now": now, "ratio": statistics.median(ratios), "least": min(ratios),
                "greatest": max(ratios), "worse": self.is_worse()}

    def line(self):
        row = self.row()
        shown = f"{self.name:48} {self.text(row['before']):>16} {self.text(row['now']):>16}"
        if "ratio" in row:
            shown += (f"  {row['ratio']:.3f} ({row['least']:.3f} to {row['greatest']:.3f})"
                      + ("  worse" if row["worse"] else ""))
        return shown


def both(number):
    """Which build is first changes from round to round, so that a machine that slows down favours none."""
    return ("before", "now") if number % 2 == 0 else ("now", "before")


def measure_case(case, folders, rounds, setting):
    series = {}
    for number in range(rounds):
        taken = {}
        for name in both(number):
            programs = tuple(os.path.join(folders[name], program) for program in ("kcptun-client", "kcptun-server"))
            taken[name] = case.measure(setting, programs)
        for metric, before in taken["before"].items():
            one = series.setdefault(metric, Series(f"{case.name}, {METRICS[metric].title}",
                                                   lambda value, metric=metric: figure(metric, value),
                                                   METRICS[metric].more_is_better))
            one.pairs.append((before, taken["now"][metric]))
        print(f"  {case.name} {number + 1}/{rounds}", flush=True)
    return list(series.values())


def core_rows(folder, rows):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([os.path.join(folder, "bench", "core_bench"), f"--benchmark_filter={rows}", "--benchmark_min_time=0.1",
                        f"--benchmark_out={out.name}", "--benchmark_out_format=json"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return CoreBench(json.load(out))


def measure_core(folders, rounds, rows):
    series = {}
    for number in range(rounds):
        taken = {name: core_rows(folders[name], rows) for name in both(number)}
        for row in taken["before"].rows:
            if row in taken["now"].rows:
                one = series.setdefault(row, Series(row, lambda value: f"{value * 1e6:,.2f} us", False))
                one.pairs.append((taken["before"].seconds(row), taken["now"].seconds(row)))
        print(f"  core_bench {number + 1}/{rounds}", flush=True)
    return list(series.values())


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", required=True, metavar="FOLDER")
    parser.add_argument("--now", required=True, metavar="FOLDER")
    parser.add_argument("--case", action="append", choices=[case.name for case in cases.CASES],
                        help="this case only (repeatable); default: " + ", ".join(DEFAULT_CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each timed measurement")
    parser.add_argument("--core", default=CORE, metavar="FILTER", help="rows of core_bench, a regular expression; '' for none")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    options = parse()
    folders = {"before": options.before, "now": options.now}
    ours = tuple(os.path.join(folder, program) for folder in folders.values()
                 for program in ("kcptun-client", "kcptun-server"))
    setting = cases.Setting(options.seconds, 10, 10, os.path.join(options.now, "bench", "pingpong"), ours)
    series = measure_core(folders, options.rounds, options.core) if options.core else []
    for case in cases.CASES:
        if case.name in (options.case or DEFAULT_CASES):
            series += measure_case(case, folders, options.rounds, setting)
    print(f"\n{'':48} {'before':>16} {'now':>16}  now / before, median of {options.rounds} rounds (least to greatest)")
    for one in series:
        print(one.line())
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"rounds": options.rounds, "seconds": options.seconds, "rows": [one.row() for one in series]}, file,
                      indent=1)
    worse = [one for one in series if one.is_worse()]
    print(f"{len(series)} figures, {len(worse)} worse in every round")
    return 1 if worse else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except t.Failure as failure:
        sys.exit(f"against.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
