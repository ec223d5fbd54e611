"""Lines of core/ that were reached, from gcov's counters.

    coverage.py PERCENT FILE    FILE lists the .gcno files; exits with 1 below PERCENT

Headers are compiled into many objects: a line counts as reached if it was in one of them.
"""

import json
import os
import subprocess
import sys


def reports(names):
    """gcov's JSON of each object, one document a line."""
    for name in names:
        done = subprocess.run(["gcov", "--json-format", "--stdout", name], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"coverage.py: gcov {name}: {done.stderr.strip()}")
        for line in done.stdout.splitlines():
            if line.strip():
                yield json.loads(line)


def reached_lines(names, root):
    """file: {line: times reached}, of files below core/."""
    files = {}
    for report in reports(names):
        for entry in report["files"]:
            path = os.path.normpath(os.path.join(report["current_working_directory"], entry["file"]))
            relative = os.path.relpath(path, root)
            if not relative.startswith("core" + os.sep):
                continue
            lines = files.setdefault(relative, {})
            for line in entry["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, 0) + line["count"]
    return files


def main():
    goal, listing = float(sys.argv[1]), sys.argv[2]
    with open(listing) as names:
        objects = [name.strip() for name in names if name.strip()]
    root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
    files = reached_lines([os.path.abspath(name) for name in objects], root)
    rows = sorted(((sum(not count for count in lines.values()), len(lines), name) for name, lines in files.items() if lines),
                  key=lambda row: (-row[0], row[2]))
    if not rows:
        sys.exit("coverage.py: nothing of core/ was counted")
    print(f"{'file':<40} {'lines':>6} {'left out':>9} {'reached':>8}")
    for missed, lines, name in rows:
        print(f"{name:<40} {lines:>6} {missed:>9} {100 * (lines - missed) / lines:>7.1f}%")
    total, missed = sum(row[1] for row in rows), sum(row[0] for row in rows)
    percent = 100 * (total - missed) / total
    print(f"{'core':<40} {total:>6} {missed:>9} {percent:>7.1f}%")
    if percent < goal:
        sys.exit(f"coverage.py: {percent:.1f} % is below the goal of {goal:g} %")


if __name__ == "__main__":
    main()
