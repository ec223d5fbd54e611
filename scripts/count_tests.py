#!/usr/bin/env python3
"""Counts what ctest ran: its JUnit files, and what the machine lacks (tests/e2e/machine.py).

    count_tests.py [--lacks FILE] [--failed N] [JUNIT-FILE ...]

Prints a line "left out: TEST: NEED: REASON" for each test that this machine does not allow, and at last "N passed,
N failed", with ", N skipped" behind it if there are such lines. A test that was left out for another reason than what
FILE says the machine lacks has failed, and so has one that ctest did not run. --failed counts what failed outside of
ctest. The exit code is 0 if some test passed and none failed.
"""

import argparse
import re
import sys
import xml.etree.ElementTree as xml

LINE = re.compile(r"^left out: (\S.*?): ([a-z0-9-]+): (.*)$", re.MULTILINE)


def needs_in(text):
    """The needs that the machine lacks, of lines "NEED: REASON"."""
    return {line.split(": ", 1)[0] for line in text.splitlines() if ": " in line}


class Count:
    def __init__(self, lacking):
        self.lacking = lacking
        self.passed = self.failed = 0
        self.left_out, self.wrong = [], []

    def add(self, case):
        """One test of ctest, an element `testcase`."""
        name, state = case.get("name"), case.get("status")
        found = list(dict.fromkeys(LINE.findall(case.findtext("system-out") or "")))
        unfounded = [(test, need) for test, need, _ in found if need not in self.lacking]
        if state not in ("run", "notrun"):
            self.failed += 1
        elif unfounded:
            self.fail(f"{name}: {unfounded[0][0]} was left out for want of {unfounded[0][1]}, which this machine has")
        elif state == "run":
            self.passed += 1
            self.left_out += [f"left out: {name} ({test.removeprefix('__main__.')}): {need}: {reason}"
                              for test, need, reason in found]
        elif found and case.find("skipped") is not None:
            self.left_out.append("left out: " + ": ".join((name, *found[0][1:])))
        else:
            self.fail(f"{name}: was not run, and gave no reason")

    def fail(self, why):
        self.failed += 1
        self.wrong.append("count_tests.py: " + why)

    def summary(self):
        skipped = f", {len(self.left_out)} skipped" if self.left_out else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lacks", type=argparse.FileType())
    parser.add_argument("--failed", type=int, default=0)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    count = Count(needs_in(options.lacks.read()) if options.lacks else set())
    count.failed = options.failed
    for path in options.files:
        for case in xml.parse(path).iter("testcase"):
            count.add(case)
    print(*count.left_out, *count.wrong, count.summary(), sep="\n")
    return 0 if count.passed and not count.failed else 1


if __name__ == "__main__":
    sys.exit(main())
