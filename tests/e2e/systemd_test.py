"""The systemd units, and what the programs tell a service manager.

    systemd_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import tunnel as t
from tunnel import OPTIONS, TunnelCase

UNITS = pathlib.Path(__file__).resolve().parents[2] / "systemd"


class Units(TunnelCase):
    def test_both_are_well_formed_and_shut_in(self):
        for role, program in (("client", OPTIONS.client), ("server", OPTIONS.server)):
            unit = f"kcptun-{role}@.service"
            text = (UNITS / unit).read_text()
            self.assertIn(f"/usr/local/bin/kcptun-{role}", text)
            with tempfile.TemporaryDirectory() as directory:
                path = pathlib.Path(directory, unit)
                path.write_text(text.replace(f"/usr/local/bin/kcptun-{role}", os.path.abspath(program)))
                environment = dict(os.environ, SYSTEMD_UNIT_PATH=directory + ":")
                verified = subprocess.run(["systemd-analyze", "verify", "--man=no", f"kcptun-{role}@home.service"],
                                          env=environment, capture_output=True, text=True, timeout=60)
                self.assertEqual((verified.returncode, verified.stderr), (0, ""))
                secure = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", str(path)],
                                        capture_output=True, text=True, timeout=60)
                self.assertEqual(secure.returncode, 0, secure.stdout[-2000:])


    def test_a_fault_of_the_configuration_ends_a_service_for_good_and_nothing_else_does(self):
        broken = os.path.join(self.directory, "broken.json")
        with open(broken, "w") as file:
            file.write("{")
        with socket.socket() as taken, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken_udp:
            taken.bind((t.HOST, 0))
            taken.listen()
            taken_udp.bind((t.HOST, 0))
            name, udp_name = ("%s:%d" % one.getsockname() for one in (taken, taken_udp))
            for role, program, listening in (("client", OPTIONS.client, name), ("server", OPTIONS.server, udp_name)):
                unit = (UNITS / f"kcptun-{role}@.service").read_text()
                self.assertIn("\nStartLimitIntervalSec=0\n", unit.split("[Service]")[0])
                self.assertIn("\nRestart=on-failure\n", unit)
                final = unit.split("\nRestartPreventExitStatus=")[1].split("\n")[0].split()
                for arguments, ends_for_good in ((["-c", broken], True), (["--user", "nobody-at-all"], True),
                                                 (["--mtu", "9"], True), (["-l", listening], False)):
                    done = subprocess.run([program, "--key", "k", *arguments], capture_output=True, text=True,
                                          timeout=30)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertEqual(str(done.returncode) in final, ends_for_good, (arguments, done.stderr))


class Notify(TunnelCase):
    def start(self, name, arguments=(), **variables):
        """A server that tells `name` what it does."""
        environment = dict(os.environ, NOTIFY_SOCKET=name, **variables)
        program = subprocess.Popen([OPTIONS.server, "-l", f"{t.HOST}:{t.free_port()}", "-t", f"{t.HOST}:1", *arguments],
                                   env=environment, stderr=subprocess.PIPE, text=True)
        self.addCleanup(program.stderr.close)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        return program

    def manager(self, name):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(10)
        return manager

    def next_but_status(self, manager):
        while (message := manager.recv(4096)).startswith(b"STATUS="):
            pass
        return message

    def test_a_reload_is_told_at_its_beginning_and_its_end(self):
        manager = self.manager(os.path.join(self.directory, "reload"))
        program = self.start(manager.getsockname())
        self.assertEqual(manager.recv(4096), b"READY=1")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        program.send_signal(signal.SIGHUP)
        first, second = self.next_but_status(manager).decode().split("\n")
        self.assertEqual(first, "RELOADING=1")
        name, usec = second.split("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertTrue(before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        self.assertEqual(self.next_but_status(manager), b"READY=1")
        self.assertIsNone(program.poll())

    def test_the_status_tells_sessions_streams_and_goodput_and_not_too_often(self):
        name = os.path.join(self.directory, "status")
        manager = self.manager(name)
        begun = time.monotonic()
        tunnel = self.tunnel(environment={"NOTIFY_SOCKET": name})
        texts = []

        def status():
            message = manager.recv(4096).decode()
            if message.startswith("STATUS="):
                texts.append(message)
            return message

        async def talk():
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, b"echo\n" + bytes(1 << 20))
                await t.receive_exactly(connection, 1 << 20)
                await asyncio.get_running_loop().run_in_executor(
                    None, lambda: t.wait_until(lambda: "1 session, 1 stream, " in status(), 20, "one stream"))
        t.run(talk(), 60)
        t.wait_until(lambda: status().endswith("0 streams, 0 B/s up, 0 B/s down"), 20, "no stream, no traffic")
        for text in texts:
            self.assertRegex(text, r"^STATUS=(connecting|connected), \d sessions?, \d streams?, [\d.]+ [kMG]?B/s up, [\d.]+ [kMG]?B/s down$")
        self.assertTrue(any(" MB/s" in text or " kB/s" in text for text in texts), texts)
        self.assertLess(len(texts), 2 + time.monotonic() - begun)  # one a second at most, however late they are read

    def test_an_idle_program_of_many_loops_sleeps(self):
        def switches(pid):
            total = 0
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/status") as status:
                    total += int(next(line for line in status if line.startswith("voluntary_ctxt_switches")).split()[1])
            return total
        name = os.path.join(self.directory, "idle")
        manager = self.manager(name)
        program = self.start(name, arguments=["--threads", "16"])
        self.assertEqual(manager.recv(4096), b"READY=1")
        while not manager.recv(4096).startswith(b"STATUS="):
            pass
        before, began = switches(program.pid), time.monotonic()
        time.sleep(5)  # nothing happens, which is what is measured
        a_second = (switches(program.pid) - before) / (time.monotonic() - began)
        print(f"    {a_second:.1f} wake-ups a second")
        self.assertLess(a_second, 2)

    def test_ready_alive_and_stopping_are_told(self):
        for name in (os.path.join(self.directory, "notify"), f"@kcptun-uv-notify-{os.getpid()}"):
            manager = self.manager(name)
            program = self.start(name, WATCHDOG_USEC="400000")
            self.assertEqual(manager.recv(4096), b"READY=1")
            for _ in range(3):
                self.assertEqual(self.next_but_status(manager), b"WATCHDOG=1")
            program.send_signal(signal.SIGTERM)
            last = self.next_but_status(manager)
            while last == b"WATCHDOG=1":
                last = self.next_but_status(manager)
            self.assertEqual(last, b"STOPPING=1")
            self.assertEqual(program.wait(10), 0)

    def test_a_watchdog_of_another_process_gets_nothing(self):
        name = os.path.join(self.directory, "other")
        manager = self.manager(name)
        program = self.start(name, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
        self.assertEqual(manager.recv(4096), b"READY=1")
        program.send_signal(signal.SIGTERM)
        self.assertEqual(manager.recv(4096), b"STOPPING=1")

    def test_what_is_wrong_in_the_environment_is_one_line(self):
        name = os.path.join(self.directory, "wrong")
        self.manager(name)
        for variables, word in (({"WATCHDOG_USEC": "soon"}, 'WATCHDOG_USEC: "soon"'),
                                ({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "-"}, 'WATCHDOG_PID: "-"')):
            program = self.start(name, **variables)
            self.assertEqual(program.wait(10), 1)
            self.assertIn(word, program.stderr.read())
        program = self.start("relative")
        self.assertEqual(program.wait(10), 1)
        self.assertIn('NOTIFY_SOCKET: "relative"', program.stderr.read())


if __name__ == "__main__":
    t.main()
