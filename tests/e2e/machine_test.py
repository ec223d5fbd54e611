"""A test is left out only where the machine lacks what it needs, and is counted.

    machine_test.py [CLASS[.test] ...]
"""

import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest
import xml.etree.ElementTree as xml

import machine

HERE = pathlib.Path(__file__).resolve().parent
COUNT = HERE.parents[1] / "scripts" / "count_tests.py"
# Capabilities that each need takes.
CAPABILITIES = {"namespaces": {"sys_admin", "net_admin"}, "tun": {"sys_admin", "net_admin"},
                "tcp-mode": {"sys_admin", "net_admin", "net_raw"}, "shaping": {"sys_admin", "net_admin"},
                "another-user": {"setuid", "setgid"}, "low-port": {"net_bind_service"}, "processes": {"sys_ptrace"}}
BITS = {"setgid": 6, "setuid": 7, "net_bind_service": 10, "net_admin": 12, "net_raw": 13, "sys_ptrace": 19,
        "sys_admin": 21}


def held():
    with open("/proc/self/status") as status:
        mask = int(next(line.split()[1] for line in status if line.startswith("CapEff")), 16)
    return {name for name, bit in BITS.items() if mask >> bit & 1}


def lacking(*command):
    """The needs that a process started by `command` says that it lacks."""
    done = subprocess.run([*command, sys.executable, str(HERE / "machine.py")], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr)
    return {line.split(": ", 1)[0] for line in done.stdout.splitlines()}


class Probes(unittest.TestCase):
    def test_nothing_is_lacking_for_want_of_a_capability_that_is_there(self):
        for need in lacking():
            reason = machine.lacks(need)
            with self.subTest(need=need, reason=reason):
                self.assertFalse("not permitted" in reason and CAPABILITIES.get(need, set()) <= held())

    @machine.needs("namespaces", "another-user")
    def test_each_capability_that_is_missing_is_missed_by_what_takes_it(self):
        here = lacking()
        for dropped in ({"net_raw", "sys_ptrace"}, {"net_admin", "setuid"}, {"sys_admin", "net_bind_service"}):
            with self.subTest(dropped=dropped):
                words = ",".join("-" + name for name in sorted(dropped & held()))
                there = lacking(*(["setpriv", "--bounding-set", words, "--inh-caps", words] if words else []))
                self.assertEqual(there - here, {need for need, taken in CAPABILITIES.items() if dropped & taken} - here)


class Decorated(unittest.TestCase):
    """Test programs that need what there is, and what there never is."""

    def run_program(self, body):
        head = "import unittest\nimport machine\nmachine.NEEDS['moon'] = lambda: open('/moon')\n"
        tail = "machine.end(unittest.main(exit=False).result)\n"
        done = subprocess.run([sys.executable, "-c", head + textwrap.dedent(body) + tail], capture_output=True, text=True,
                              cwd=HERE, timeout=60)
        return done.returncode, done.stdout

    def test_all_or_some_or_none_is_left_out(self):
        said = "left out: __main__.Case.test_there: moon: No such file or directory: '/moon'\n"
        here = "    def test_here(self): pass\n"
        there = "    @machine.needs('moon')\n    def test_there(self): pass\n"
        for tests, expected in ((here, (0, "")), (here + there, (0, said)), (there, (machine.LEFT_OUT, said))):
            self.assertEqual(self.run_program("class Case(unittest.TestCase):\n" + tests), expected)

    def test_a_class_and_a_program_are_left_out(self):
        code, said = self.run_program("""
            @machine.needs("moon")
            class Case(unittest.TestCase):
                def test_one(self): pass
                def test_two(self): pass
            """)
        self.assertEqual((code, said.count("left out: ")), (machine.LEFT_OUT, 2))
        self.assertEqual(self.run_program("machine.leave_without('moon')\nraise Exception\n")[0], machine.LEFT_OUT)

    def test_what_fails_is_not_left_out(self):
        code, _ = self.run_program("""
            class Case(unittest.TestCase):
                def test_here(self): self.fail()
                @machine.needs("moon")
                def test_there(self): pass
            """)
        self.assertEqual(code, 1)


class Counting(unittest.TestCase):
    def count(self, *cases, lacks="tun: no /dev/net/tun\n", more=()):
        """What count_tests.py says of (name, status, output) of tests: exit code and lines."""
        suite = xml.Element("testsuite")
        for name, status, output in cases:
            case = xml.SubElement(suite, "testcase", name=name, status=status)
            if status == "notrun":
                xml.SubElement(case, "skipped")
            xml.SubElement(case, "system-out").text = output
        with tempfile.TemporaryDirectory() as directory:
            report, lacking_file = (pathlib.Path(directory, name) for name in ("report.xml", "lacks"))
            xml.ElementTree(suite).write(report)
            lacking_file.write_text(lacks)
            done = subprocess.run([sys.executable, COUNT, "--lacks", lacking_file, *more, report], capture_output=True,
                                  text=True, timeout=60)
        return done.returncode, done.stdout.splitlines()

    def test_what_ran_is_counted(self):
        self.assertEqual(self.count(("a", "run", "ok"), ("b", "run", "")), (0, ["2 passed, 0 failed"]))
        self.assertEqual(self.count(("a", "run", "ok"), ("b", "fail", "")), (1, ["1 passed, 1 failed"]))
        self.assertEqual(self.count(("a", "run", "ok"), more=["--failed", "1"]), (1, ["1 passed, 1 failed"]))
        self.assertEqual(self.count(), (1, ["0 passed, 0 failed"]))

    def test_what_the_machine_does_not_allow_is_a_line_and_counted(self):
        self.assertEqual(
            self.count(("a", "run", ""), ("b", "notrun", "left out: b_test.py: tun: no /dev/net/tun\n"),
                       ("c", "run", "left out: __main__.C.test: tun: no /dev/net/tun\n")),
            (0, ["left out: b: tun: no /dev/net/tun", "left out: c (C.test): tun: no /dev/net/tun",
                 "2 passed, 0 failed, 2 skipped"]))

    def test_nothing_else_is_left_out(self):
        for status, output, why in (
                ("notrun", "left out: b: ipv6: no ::1\n", "b: b was left out for want of ipv6, which this machine has"),
                ("run", "left out: B.test: ipv6: no ::1\n", "b: B.test was left out for want of ipv6, which this machine has"),
                ("notrun", "no word\n", "b: was not run, and gave no reason")):
            self.assertEqual(self.count(("a", "run", ""), ("b", status, output)),
                             (1, ["count_tests.py: " + why, "1 passed, 1 failed"]))


if __name__ == "__main__":
    machine.end(unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2, exit=False).result)
