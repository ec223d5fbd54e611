"""docs/compatibility.md has one row for each option of the programs, and tells what is refused as it is.
docs/reference/flags.md has the table that the programs print.

    compatibility_test.py --client PROGRAM --server PROGRAM [--update]

--update: writes the programs' table into docs/reference/flags.md before the tests.
"""

import argparse
import os
import re
import subprocess
import sys
import unittest

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "docs")
PAGE = os.path.join(DOCS, "compatibility.md")
FLAGS = os.path.join(DOCS, "reference", "flags.md")
TABLE = re.compile(r"^\| flag \| JSON field \|.*?(?=^$|\Z)", re.MULTILINE | re.DOTALL)
VERDICTS = {"same", "better", "refused", "not yet", "ours"}


def first_names(text):
    """The flag without its alias in each row whose first cell is one."""
    return re.findall(r"^\| `(--?[A-Za-z-]+)(?:, [^`]*)?` \|", text, re.MULTILINE)


def printed_table():
    return subprocess.run([PROGRAMS.client, "--help-markdown"], capture_output=True, text=True, check=True, timeout=10).stdout


def update_flags():
    with open(FLAGS) as page:
        text = page.read()
    with open(FLAGS, "w") as page:
        page.write(TABLE.sub(lambda _: printed_table(), text, count=1))


class Flags(unittest.TestCase):
    def test_the_page_has_the_table_that_the_programs_print(self):
        with open(FLAGS) as page:
            self.assertEqual(TABLE.search(page.read())[0], printed_table(), "compatibility_test.py --update writes it")


class Compatibility(unittest.TestCase):
    def setUp(self):
        with open(PAGE) as page:
            self.page = page.read()
        self.rows = {name: (verdict, why) for name, verdict, why in
                     re.findall(r"^\| `(--?[A-Za-z-]+)` \| ([^|]*) \| ?(.*)\|$", self.page, re.MULTILINE)}

    def test_every_option_has_one_row(self):
        options = first_names(printed_table())
        self.assertGreater(len(options), 40)
        self.assertEqual(first_names(self.page), options)  # in its order, none twice, none too many

    def test_every_row_has_a_verdict_and_a_reason(self):
        for name, (verdict, why) in self.rows.items():
            with self.subTest(flag=name):
                self.assertIn(verdict, VERDICTS)
                self.assertTrue(why.strip() or name in ("--help", "--version"))

    def test_what_is_refused_ends_the_start_with_one_line(self):
        refused = [name for name, (verdict, _) in self.rows.items() if verdict == "refused"]
        self.assertIn("--pprof", refused)
        for name in refused:
            for program in (PROGRAMS.client, PROGRAMS.server):
                done = subprocess.run([program, "--key", "k", name], capture_output=True, text=True, timeout=10)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
                self.assertIn(name, done.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--update", action="store_true")
    PROGRAMS, rest = parser.parse_known_args()
    if PROGRAMS.update:
        update_flags()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
