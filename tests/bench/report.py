"""Writes what compare.py and core_bench measured as Markdown and as an SVG plot.

    report.py --results compare.json [--core core_bench.json] --markdown F --svg F
"""

import argparse
import json
import math
import sys
from xml.sax.saxutils import escape

from goals import CORE_GOALS, GOALS, METRICS, TIMES


def number(value, digits):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}"


def figure(metric, value):
    known = METRICS[metric]
    return f"{number(value, known.digits)} {known.unit}".strip()


def share(value):
    """A ratio; below 1 as a fraction, which is how the goals are given."""
    if value is None:
        return "-"
    return f"1/{1 / value:.1f}" if 0 < value < 0.25 else f"{value:.2f}"


def verdict_value(verdict):
    if verdict["value"] is None:
        return "not measured"
    if verdict["basis"] == TIMES:
        return share(verdict["value"]) + " of Debian's"
    return figure(verdict["metric"], verdict["value"])


def verdict_goal(verdict):
    limit = (share(verdict["limit"]) if verdict["basis"] == TIMES else figure(verdict["metric"], verdict["limit"]))
    return f"{verdict['relation']} {limit}"


def goal_of(results, row, metric, subject):
    for verdict in results["verdicts"]:
        if (verdict["case"], verdict["metric"], verdict["subject"]) == (row["case"], metric, subject):
            return verdict
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Markdown

def host_lines(results):
    host = results["machine"]
    return [f"* Machine: {host['cores']} cores of {host['cpu']} ({host['arch']}), Linux {host['kernel']}, load "
            f"{host['load']:.1f} at the start",
            f"* Socket buffers: net.core.rmem_max {host['rmem_max']}, net.core.wmem_max {host['wmem_max']}",
            f"* Ours: {results['ours_version']}; Debian's: {host['debian']}",
            f"* {host['iperf3']}; {host['wrk']}; {host['nginx']}",
            f"* {results['time']}: medians of {results['rounds']} runs of {results['seconds']} s "
            f"({results['idle_seconds']} s for idle CPU), programs in turn; {results['total_seconds']:.0f} s in all"]


def tunnel_table(results):
    lines = ["| case | metric | Debian's | ours | direct | relays | ratio | goal | verdict |",
             "|---|---|---:|---:|---:|---:|---:|---:|---|"]
    for row in results["rows"]:
        for subject in [name for name in row["subjects"] if name in row["ratios"]]:
            for metric, value in row["medians"][subject].items():
                verdict = goal_of(results, row, metric, subject)
                title = METRICS[metric].title + ("" if subject == "ours" else f", {subject}")
                beside = [row["medians"].get(name, {}).get(metric) for name in ("direct", "relays")]
                beside = " | ".join("" if other is None else figure(metric, other) for other in beside)
                lines.append(
                    f"| {row['text']} | {title} | {figure(metric, row['medians']['debian'][metric])} "
                    f"| {figure(metric, value)} | {beside} "
                    f"| {share(row['ratios'][subject][metric])} "
                    + (f"| {verdict_goal(verdict)} | {'pass' if verdict['met'] else '**miss**'} |" if verdict
                       else "| | |"))
    measured = {row["case"] for row in results["rows"]}
    lines += [f"| {verdict['case']} | {METRICS[verdict['metric']].title}, {verdict['subject']} | | not measured | | | "
              f"| {verdict_goal(verdict)} | **miss** |" for verdict in results["verdicts"]
              if verdict["case"] not in measured]
    return lines


def tunnel_markdown(results):
    return "\n".join([*host_lines(results), "", *tunnel_table(results)]) + "\n"


class CoreBench:
    """The rows of a Google Benchmark report: medians where there are repetitions."""

    SCALE = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

    def __init__(self, data):
        self.failed = {}
        self.rows = {}
        for row in data["benchmarks"]:
            if row.get("error_occurred"):
                self.failed[row["name"]] = row["error_message"]
            elif row.get("aggregate_name", "median") == "median":
                self.rows[row["run_name"]] = row

    def seconds(self, name):
        """CPU time, which a busy machine changes least; of rows timed by hand, theirs."""
        row = self.rows[name]
        key = "real_time" if "manual_time" in name else "cpu_time"
        return row[key] * self.SCALE[row["time_unit"]]

    def value(self, name, seconds):
        return self.seconds(name) if seconds else self.rows[name]["bytes_per_second"]


def amount(value, seconds):
    if seconds:
        return f"{value * 1e6:,.2f} us"
    return f"{value / 1e9:,.2f} GB/s" if value >= 1e9 else f"{value / 1e6:,.0f} MB/s"


def core_verdicts(core):
    """(goal, ours or None, times as good, met) for each row that kcp-go has too."""
    for goal in CORE_GOALS:
        if goal.row not in core.rows:
            yield goal, None, None, False
            continue
        value = core.value(goal.row, goal.seconds)
        times = goal.kcp_go / value if goal.seconds else value / goal.kcp_go
        yield goal, value, times, times >= goal.times


def core_tables(core):
    lines = ["| core_bench row | what | kcp-go v5.6.72 | ours | times as good | goal | verdict |",
             "|---|---|---:|---:|---:|---:|---|"]
    for goal, value, times, met in core_verdicts(core):
        lines.append(f"| {goal.row} | {goal.text} | {amount(goal.kcp_go, goal.seconds)} "
                     f"| {'not measured' if value is None else amount(value, goal.seconds)} "
                     f"| {'-' if times is None else f'{times:.2f}'} | >= {goal.times:g} "
                     f"| {'pass' if met else '**miss**'} |")
    lines += ["", "Every row:", "", "| core_bench row | time | rate |", "|---|---:|---:|"]
    for name, row in core.rows.items():
        rate = ""
        if "bytes_per_second" in row:
            rate = amount(row["bytes_per_second"], False)
        elif "items_per_second" in row:
            rate = f"{row['items_per_second'] / 1e6:,.2f} M/s"
        lines.append(f"| {name} | {core.seconds(name) * 1e6:,.2f} us | {rate} |")
    lines += [f"| {name} | {why} | |" for name, why in core.failed.items()]
    return lines


def whole_markdown(results, core):
    lines = ["# Benchmarks", "",
             "Written by `scripts/bench.sh`; do not edit. Every ratio is of one run on one machine.", "",
             *host_lines(results), "", "![Goodput and CPU, times as good as Debian's](benchmarks.svg)", "",
             "## Tunnels", "",
             "`--nocomp --mode fast3 --sndwnd 4096 --rcvwnd 4096 --smuxver 2` unless said; latency, HTTP and idle "
             "cases with aes-128 and FEC 10/3.",
             "CPU is that of client and server together, per 10^9 bytes that arrived. \"Direct\" is the application on "
             "its target with no tunnel between; \"relays\" are two haproxy, one behind the other, that only pass TCP on: as many "
             "sockets as a tunnel has, and nothing else to do.", "", *tunnel_table(results), ""]
    if core:
        lines += ["## Core", "",
                  "`build/release/bench/core_bench`, one thread, no system calls; beside what kcp-go's own benchmark "
                  "of the same name gives on a machine of this kind. kcp-go's echo goes through sockets, ours through "
                  "memory.", "", *core_tables(core), ""]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------------------------
# SVG

STYLE = """
  .title { font: 600 15px sans-serif; } .name { font: 12px sans-serif; } .small { font: 11px sans-serif; }
  text { fill: #24292f; } .grid { stroke: #8c959f; stroke-opacity: .35; } .one { stroke: #57606a; }
  .goodput { fill: #2f81f7; } .cpu { fill: #d2822b; } .goal { stroke: #cf222e; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .one { stroke: #b1bac4; } .goal { stroke: #ff7b72; }
  }
"""


def plot_rows(results):
    """(text, goodput times, its goal, CPU as times less, its goal) of each case that has both."""
    limits = {(goal.case, goal.metric): goal.limit for goal in GOALS if goal.subject == "ours"}
    for row in results["rows"]:
        ratios = row["ratios"].get("ours", {})
        if ratios.get("goodput") and ratios.get("cpu"):
            cpu_goal = limits.get((row["case"], "cpu"))
            yield (row["text"], ratios["goodput"], limits.get((row["case"], "goodput")), 1 / ratios["cpu"],
                   1 / cpu_goal if cpu_goal else None)


def svg(results):
    rows = list(plot_rows(results))
    left, right, top, step, bar = 300, 70, 86, 46, 15
    width = 900
    height = top + step * len(rows) + 34
    most = max([4.0, *(value for row in rows for value in row[1:] if value)])
    doublings = math.ceil(math.log2(most) + 0.2)

    def x(value):
        return left + (width - left - right) * max(0.0, (math.log2(value) + 1) / (doublings + 1))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" role="img" aria-label="kcptun-uv against Debian\'s kcptun">',
             f"<style>{STYLE}</style>",
             '<text class="title" x="12" y="24">kcptun-uv, times as good as Debian\'s kcptun (log scale)</text>']
    host = results["machine"]
    parts.append(f'<text class="small" x="12" y="43">{escape(host["cpu"])}, {host["cores"]} cores, Linux '
                 f'{escape(host["kernel"])}; medians of {results["rounds"]}; {escape(results["time"][:10])}</text>')
    key_x = 12
    for kind, label in (("goodput", "goodput"), ("cpu", "less CPU per GB")):
        parts.append(f'<rect class="{kind}" x="{key_x}" y="55" width="12" height="12" rx="2"/>'
                     f'<text class="name" x="{key_x + 18}" y="65">{label}</text>')
        key_x += 40 + 8 * len(label)
    parts.append(f'<line class="goal" x1="{key_x + 6}" x2="{key_x + 6}" y1="54" y2="68"/>'
                 f'<text class="name" x="{key_x + 18}" y="65">goal</text>')
    bottom = top + step * len(rows)
    for power in range(-1, doublings + 1):
        at = x(2.0 ** power)
        label = "1/2" if power < 0 else str(2 ** power)
        parts.append(f'<line class="{"one" if power == 0 else "grid"}" x1="{at:.1f}" x2="{at:.1f}" y1="{top - 6}" '
                     f'y2="{bottom}"/><text class="small" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">'
                     f'{label}</text>')
    for i, (text, goodput, goodput_goal, cpu, cpu_goal) in enumerate(rows):
        y = top + i * step
        parts.append(f'<text class="name" x="{left - 8}" y="{y + bar + 4}" text-anchor="end">{escape(text)}</text>')
        for line, (kind, value, goal) in enumerate((("goodput", goodput, goodput_goal), ("cpu", cpu, cpu_goal))):
            low, high = sorted((x(1), x(value)))
            bar_y = y + line * (bar + 2)
            parts.append(f'<rect class="{kind}" x="{low:.1f}" y="{bar_y}" width="{max(high - low, 1):.1f}" '
                         f'height="{bar}" rx="2"/>')
            if goal:
                parts.append(f'<line class="goal" x1="{x(goal):.1f}" x2="{x(goal):.1f}" y1="{bar_y - 1}" '
                             f'y2="{bar_y + bar + 1}"/>')
            label_x = max(high, x(goal) if goal else 0) + 6
            parts.append(f'<text class="small" x="{label_x:.1f}" y="{bar_y + bar - 3}">{value:.1f}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True)
    parser.add_argument("--core")
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--svg", required=True)
    options = parser.parse_args()
    with open(options.results) as file:
        results = json.load(file)
    core = None
    if options.core:
        with open(options.core) as file:
            core = CoreBench(json.load(file))
    with open(options.markdown, "w") as file:
        file.write(whole_markdown(results, core))
    with open(options.svg, "w") as file:
        file.write(svg(results))
    if core:
        for goal, value, times, met in core_verdicts(core):
            print(f"{'pass' if met else 'MISS'}  {goal.row:26} "
                  + ("not measured" if value is None else f"{amount(value, goal.seconds)}, {times:.2f} times kcp-go's")
                  + f" (goal >= {goal.times:g})")
        for name, message in core.failed.items():
            print(f"FAIL  {name}: {message}", file=sys.stderr)
        return 2 if core.failed else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
