"""Writes what lab.py measured as Markdown and as an SVG plot."""

import textwrap
from xml.sax.saxutils import escape

# metric -> (what it is, digits)
METRICS = {
    "goodput": ("goodput, Mbit/s", 1),
    "again": ("segments sent again, %", 2),
    "parity": ("parity packets, %", 2),
    "one_way_p50": ("one way p50, ms", 1),
    "one_way_p99": ("one way p99, ms", 1),
    "echo_p50": ("echo p50, ms", 1),
    "echo_p99": ("echo p99, ms", 1),
    "echo_p999": ("echo p99.9, ms", 1),
    "wire_bytes": ("bytes on the wire per message and its echo", 0),
    "above_p50": ("above the path's RTT, p50, ms", 1),
    "above_p99": ("above the path's RTT, p99, ms", 1),
    "bulk": ("the bulk stream, Mbit/s", 1),
    "back_after": ("first bytes after the path is back, ms", 0),
    "mine": ("goodput, Mbit/s", 1),
    "other": ("the rival's, Mbit/s", 1),
    "share": ("share of the link, %", 0),
}


def figure(metrics, name):
    return f"{metrics[name]:,.{METRICS[name][1]}f}" if name in metrics else "-"


def goal_text(row, name):
    texts = [f"{goal['relation']} {goal['limit']:g} {'met' if goal['met'] else '**missed**'}"
             for goal in row["goals"] if goal["metric"] == name]
    return ", ".join(texts)


def goodput_table(rows, pairs):
    lines = ["| path | " + " | ".join(pairs) + " | goal of ours | sent again | parity |",
             "|---|" + "--:|" * len(pairs) + "---|--:|--:|"]
    for row in rows:
        ours = row["medians"].get("ours", {})
        cells = [figure(row["medians"].get(pair, {}), "goodput") for pair in pairs]
        extra = [figure(ours, name) + " %" if name in ours else "" for name in ("again", "parity")]
        lines.append(f"| {row['text']} | " + " | ".join([*cells, goal_text(row, "goodput"), *extra]) + " |")
    return lines


def scenario_table(rows, pairs):
    names = [pair for pair in pairs if any(pair in row["medians"] for row in rows)]
    lines = ["| scenario | figure | " + " | ".join(names) + " | goal of ours |", "|---|---|" + "--:|" * len(names) + "---|"]
    for row in rows:
        metrics = dict.fromkeys(name for taken in row["medians"].values() for name in taken)
        for name in metrics:
            cells = [figure(row["medians"].get(pair, {}), name) for pair in names]
            lines.append(f"| {row['text']} | {METRICS[name][0]} | " + " | ".join([*cells, goal_text(row, name)]) + " |")
    return lines


def tables(results):
    goodput = [row for row in results["rows"] if row["goodput"]]
    others = [row for row in results["rows"] if not row["goodput"]]
    parts = []
    if goodput:
        parts += ["Goodput in Mbit/s of application data, over the whole run, its start included:", "",
                  *goodput_table(goodput, results["pairs"]), ""]
    if others:
        parts += ["Beside goodput:", "", *scenario_table(others, results["pairs"]), ""]
    return "\n".join(parts)


def markdown(results, svg_name):
    host = results["machine"]
    lines = ["# On bad networks", "", "Written by `scripts/lab.sh`; do not edit.", "",
             f"* Machine: {host['cores']} cores of {host['cpu']}, Linux {host['kernel']}; {results['time']}; medians of "
             f"{results['rounds']}",
             f"* Debian's kcptun: {host['debian']}; {host['iperf3']}",
             "* An emulated IP path between two network namespaces (`tests/lab`), with a queue of 512 KB; both ways have "
             "the path's loss. Both programs: aes-128, fast3, nocomp, FEC 10/3, windows 2048, unless said.",
             "* \"ours-to-debian\": our program sends, Debian's receives. \"tcp-…\": iperf3 on the path with no tunnel. A "
             "tunnel cannot fill the link as plain TCP does: its headers take 5.8 % of a packet of 1378 bytes. \"-\": not "
             "measured, or iperf3 hung with its own control connection, which is TCP on the same path.", ""]
    if svg_name:
        lines += [f"![Goodput on emulated paths]({svg_name})", ""]
    return "\n".join(lines) + "\n" + tables(results)


STYLE = """
  .title { font: 600 15px sans-serif; } .name { font: 12px sans-serif; } .small { font: 11px sans-serif; }
  text { fill: #24292f; } .goal { stroke: #cf222e; stroke-width: 2; }
  .ours { fill: #2f81f7; } .debian { fill: #d2822b; } .tcp-bbr { fill: #2da44e; } .tcp-cubic { fill: #8c959f; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .goal { stroke: #ff7b72; } }
"""
PLOTTED = ("ours", "debian", "tcp-bbr", "tcp-cubic")


def svg(results):
    """Each path's bars as shares of its link's rate."""
    rows = [row for row in results["rows"] if row["goodput"]]
    pairs = [pair for pair in PLOTTED if pair in results["pairs"]]
    bar, left, wide, top = 13, 330, 480, 74
    step = bar * len(pairs) + 16
    height = top + step * len(rows) + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" width="900" height="{height}" '
             f'role="img" aria-label="Goodput on emulated paths">', f"<style>{STYLE}</style>",
             '<text class="title" x="12" y="24">Goodput as a share of the link</text>']
    x = 12
    for pair in pairs:
        parts.append(f'<rect class="{pair}" x="{x}" y="40" width="12" height="12" rx="2"/>'
                     f'<text class="name" x="{x + 18}" y="50">{pair}</text>')
        x += 44 + 8 * len(pair)
    parts.append(f'<line class="goal" x1="{x + 6}" x2="{x + 6}" y1="39" y2="53"/>'
                 f'<text class="name" x="{x + 18}" y="50">goal of ours</text>')
    for number, row in enumerate(rows):
        y = top + number * step
        rate = row["path"]["rate"] * 8 / 1e6
        for line, words in enumerate(textwrap.wrap(row["text"], 48)):
            parts.append(f'<text class="name" x="12" y="{y + bar * (line + 1)}">{escape(words)}</text>')
        for line, pair in enumerate(pairs):
            value = row["medians"].get(pair, {}).get("goodput")
            if value is None:
                continue
            width = wide * value / rate
            parts.append(f'<rect class="{pair}" x="{left}" y="{y + line * bar}" width="{width:.1f}" height="{bar - 2}"/>'
                         f'<text class="small" x="{left + width + 5:.1f}" y="{y + line * bar + bar - 3}">{value:.0f}</text>')
        for goal in row["goals"]:
            at = left + wide * goal["limit"] / rate
            parts.append(f'<line class="goal" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 2}" y2="{y + bar}"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def write(results, markdown_name, svg_name):
    if markdown_name:
        with open(markdown_name, "w") as file:
            file.write(markdown(results, svg_name.rsplit("/", 1)[-1] if svg_name else None))
    if svg_name:
        with open(svg_name, "w") as file:
            file.write(svg(results))
