#!/usr/bin/env python3
"""Makes files/kcptun.options, the list of options that the init script reads, from the table of flags.

    options.py [FLAGS.md] > files/kcptun.options    FLAGS.md: the output of kcptun-client --help-markdown
                                                    (default: docs/reference/flags.md, which contains it)

Each line has the role (client, server, both), the kind of value (number, switch, list, text) and the JSON field.
"""

import pathlib
import re
import sys

ROW = re.compile(r"^\| `-[^`]*` \| `([^`]+)` \| (client|server|both) \| ([^|]*) \|", re.M)
LEFT_OUT = {"pprof"}  # the program rejects it; the init script ignores it, because old configurations set it
NUMBER = re.compile(r"-?\d+\.\.\d+( or \w+)?")


def kind(values):
    if NUMBER.fullmatch(values):
        return "number"
    return values if values in ("switch", "list") else "text"


def options(table):
    return "".join(f"{role} {kind(values.strip())} {field}\n"
                   for field, role, values in ROW.findall(table) if field not in LEFT_OUT)


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "reference" / "flags.md"
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    sys.stdout.write(options(path.read_text()))


if __name__ == "__main__":
    main()
