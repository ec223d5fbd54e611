#!/usr/bin/env python3
"""core as a library: docs/examples/echo builds against an installed copy, found by CMake and by pkg-config, and works."""
import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/echo"
BUILD = None  # the build tree that is installed


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class CoreLibrary(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.prefix = cls.folder / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "development")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def check_echo(self, program):
        port = free_udp_port()
        with subprocess.Popen([program, "server", str(port)]) as server:
            try:
                # KCP sends again what the server was too late for.
                self.assertEqual(run(program, "client", port, "said through core"), "said through core\n")
                self.assertEqual(server.wait(30), 0)
            finally:
                server.kill()

    def test_the_example_builds_with_find_package(self):
        build = self.folder / "cmake"
        run("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        self.check_echo(build / "echo")

    def test_the_example_builds_with_pkg_config(self):
        [folder] = [file.parent for file in self.prefix.rglob("kcptun-core.pc")]
        environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
        flags = run("pkg-config", "--cflags", "--libs", "kcptun-core", env=environment).split()
        program = self.folder / "echo"
        run("g++", EXAMPLE / "echo.cc", *flags, "-o", program)
        self.check_echo(program)

    def test_the_example_is_short(self):
        self.assertLessEqual(len((EXAMPLE / "echo.cc").read_text().splitlines()), 120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    known, rest = parser.parse_known_args()
    BUILD = known.build
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
