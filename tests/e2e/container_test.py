"""The programs in the root that docs/docker/Dockerfile.static makes, as a container runtime starts them: first process of
a PID namespace, read-only root, a user without rights, no capability. Programs that are not static get their libraries.

    container_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import machine
import tunnel as t
from tunnel import OPTIONS, Program, Target, TunnelCase

ROOTFS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "docker" / "rootfs.sh"
USER = 65532
# The runtime's part: the root is mounted read-only, and the last exec keeps process number 1.
RUNTIME = r"""
mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit
exec setpriv --bounding-set=-all,+setuid,+setgid,+sys_chroot --no-new-privs chroot --userspec=65532:65532 "$0" "$@"
"""


def copy_libraries(program, root):
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


@machine.needs("namespaces", "another-user")
class Container(TunnelCase):
    def setUp(self):
        super().setUp()
        self.started = 0
        home = pathlib.Path(self.directory)
        os.chmod(home, 0o755)
        (home / "programs").mkdir()
        for role in ("client", "server"):
            shutil.copy(getattr(OPTIONS, role), home / "programs" / f"kcptun-{role}")
        self.root = home / "root"
        subprocess.run([ROOTFS, home / "programs", self.root], check=True)
        for role in ("client", "server"):
            copy_libraries(getattr(OPTIONS, role), self.root)

    def start(self, name, *command):
        """Starts a command as process 1. The Program is unshare, which ends as its child does."""
        self.started += 1
        program = Program("unshare", ["--fork", "--kill-child", "--pid", "--mount", "sh", "-c", RUNTIME, self.root, *command],
                          os.path.join(self.directory, f"{self.started}-{name}.log"), {"KCPTUN_KEY": "the key", "PATH": os.environ["PATH"]})
        self.addCleanup(program.end)
        return program

    def first_process(self, program):
        """The host's number of the process that is number 1 inside."""
        with open(f"/proc/{program.pid}/task/{program.pid}/children") as children:
            return int(children.read().split()[0])

    def start_pair(self, client, server):
        target = Target()
        self.addCleanup(target.close)
        local, remote, self.status = t.free_port(), t.free_port(), t.free_port()
        common = ["--crypt", "salsa20", "--nocomp"]
        programs = [
            self.start("server", server, "-l", f"{t.HOST}:{remote}", "-t", f"{t.HOST}:{target.port}",
                       "--status", f"{t.HOST}:{self.status}", *common),
            self.start("client", client, "-l", f"{t.HOST}:{local}", "-r", f"{t.HOST}:{remote}", *common)]
        for program in programs:
            program.wait_ready(lambda: "tunnel started" in program.log())
        return local, programs

    def carries(self, local):
        data = t.payload(self.seed, 300_000)
        with socket.create_connection((t.HOST, local), timeout=20) as connection:
            connection.sendall(b"echo\n" + data)
            self.assertEqual(t.sha(t.read_exactly(connection, len(data))), t.sha(data))

    def test_the_names_of_kcptuns_image(self):
        local, programs = self.start_pair("/bin/client", "/bin/server")
        self.carries(local)
        for program in programs:
            with open(f"/proc/{self.first_process(program)}/status") as file:
                status = file.read()
            self.assertRegex(status, rf"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n")
            self.assertRegex(status, r"NSpid:\t\d+\t1\n")
            self.assertRegex(status, r"CapEff:\t0+\n")
            self.assertRegex(status, r"NoNewPrivs:\t1\n")

    def test_signals_reach_the_first_process(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            _, programs = self.start_pair("/usr/bin/kcptun-client", "kcptun-server")
            for program in programs:
                os.kill(self.first_process(program), number)
                self.assertEqual(program.wait_exit(10), 0, program.log())

    def test_the_health_check_of_the_composition(self):
        self.start_pair("client", "server")
        for port, code in ((self.status, 0), (t.free_port(), 1)):
            check = self.start("check", "kcptun-server", "top", "--once", f"{t.HOST}:{port}")
            self.assertEqual(check.wait_exit(10), code, check.log())


if __name__ == "__main__":
    t.main()
