"""What the system refuses and what nobody reads: threads, watches, standard error. One clear line, or the one connection.

    refusals_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

FAST = ["--mode", "fast3", "--threads", "1"]
PIPE_BYTES = 4096


class StuckReader(TunnelCase):
    """Standard error is a small pipe that nobody reads for now."""

    def setUp(self):
        super().setUp()
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.addCleanup(os.close, self.reader)

    def close_writer(self):
        os.close(self.writer)
        self.writer = None

    def fill(self):
        """The pipe takes no byte more."""
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b".")
        os.set_blocking(self.writer, True)

    def start(self, program, *arguments):
        started = subprocess.Popen([program, "--key", "k", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stderr=self.writer, stdout=subprocess.DEVNULL, preexec_fn=t._die_with_parent)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        return started

    def rest(self):
        """All that comes until the last writer is gone."""
        text = b""
        while piece := os.read(self.reader, 65536):
            text += piece
        return text.decode(errors="replace")

    def ask(self, port, number):
        with socket.create_connection((t.HOST, port), timeout=20) as connection:
            connection.sendall(b"echo\n%d" % number)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            return answer

    def test_the_tunnel_goes_on_and_ends_and_says_what_was_lost(self):
        target = self.target()
        udp, tcp = t.free_port(), t.free_port()
        server = self.start(OPTIONS.server, "-l", f"{t.HOST}:{udp}", "-t", target.name, *FAST)
        client = self.start(OPTIONS.client, "-l", f"{t.HOST}:{tcp}", "-r", f"{t.HOST}:{udp}", *FAST)
        t.wait_until(lambda: t.can_listen_tcp(tcp), 15, "the client listens")
        for number in range(100):  # two lines each at either end, which no pipe of 4 KiB holds
            self.assertEqual(self.ask(tcp, number), b"%d" % number)
        for program in (client, server):
            program.send_signal(signal.SIGUSR1)  # still taken
        self.assertIsNone(server.poll())
        started = time.monotonic()
        for program in (client, server):
            program.send_signal(signal.SIGTERM)
        for program in (client, server):
            self.assertEqual(program.wait(20), 0)
        print(f"    ended after {time.monotonic() - started:.1f} s")

    def test_a_reader_that_comes_back_finds_the_lines_in_order_and_the_last_ones(self):
        server = self.start(OPTIONS.server, "-l", f"{t.HOST}:{t.free_port()}", "-t", f"{t.HOST}:1", *FAST)
        self.close_writer()
        first = os.read(self.reader, 4096).decode()
        while "tunnel started" not in first:
            first += os.read(self.reader, 4096).decode()
        asked = 40
        for _ in range(asked):  # nobody reads meanwhile: 40 lines of 700 bytes
            server.send_signal(signal.SIGUSR1)
            time.sleep(0.005)
        server.send_signal(signal.SIGTERM)
        text = self.rest()
        self.assertEqual(server.wait(20), 0)
        self.assertGreater(text.count("counters BytesSent="), 1)
        self.assertTrue(text.endswith("stopping\n"), text[-200:])
        self.assertTrue(all(line[:2] == "20" for line in text.splitlines()), text)

    def test_an_error_at_the_start_ends_in_time_and_comes_out_when_it_is_read(self):
        taken = socket.create_server((t.HOST, 0))
        self.addCleanup(taken.close)
        wrong = ["-l", f"{t.HOST}:{taken.getsockname()[1]}", "-r", f"{t.HOST}:1"]
        self.fill()
        for arguments in (wrong, ["--mtu", "no"]):
            started = time.monotonic()
            client = self.start(OPTIONS.client, *arguments)
            self.assertIn(client.wait(20), (1, 2))
            self.assertLess(time.monotonic() - started, 15)
        client = self.start(OPTIONS.client, *wrong)
        self.close_writer()
        time.sleep(0.3)  # the reader wakes up late, but in time
        self.assertIn("cannot listen on TCP", self.rest())
        self.assertEqual(client.wait(20), 1)


@machine.needs("processes")
class Held(TunnelCase):
    def test_an_end_that_is_held_up_is_over_in_time(self):
        """Its first loop waits for the rest of its profile, which a pipe does not give, whatever else it is asked."""
        profile = os.path.join(self.directory, "profile.json")
        with open(profile, "w") as file:
            json.dump({"key": "k", "listen": f"{t.HOST}:{t.free_port()}", "target": f"{t.HOST}:1"}, file)
        server = t.Program(OPTIONS.server, ["-c", profile, *FAST], os.path.join(self.directory, "server.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: "tunnel started" in server.log())
        os.unlink(profile)
        os.mkfifo(profile)
        writer = os.open(profile, os.O_RDWR)
        self.addCleanup(os.close, writer)
        os.write(writer, b"{")
        server.signal(signal.SIGHUP)

        def waits():
            with open(f"/proc/{server.pid}/syscall") as call:
                return call.read().split()[0] == "0"  # read
        t.wait_until(waits, 20, "the loop waits for the rest")
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait_exit(20), 1)
        print(f"    ended after {time.monotonic() - started:.1f} s")
        t.wait_logged(server, "not ended after 8 s, given up")


class Refused(TunnelCase):
    """Watches of epoll and threads."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="kcptun-e2e-", dir="/tmp")
        cls.library = os.path.join(cls.folder, "few_watches.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "few_watches.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", cls.library, source], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def environment(self):
        self.switch = os.path.join(self.directory, "no-watches")
        return {"LD_PRELOAD": self.library, "FEW_WATCHES": self.switch,
                "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def check_refusals(self, role):
        """Without watches new connections are reset, one by one; the others go on, and so do later ones."""
        async def talk():
            before = await tunnel.connect()
            with before:
                await t.send(before, b"echo\nhello")
                await t.receive_exactly(before, 5)
                open(self.switch, "w").close()
                for _ in range(3):
                    with self.assertRaises((ConnectionError, t.Failure)):
                        with await tunnel.connect() as refused:
                            await t.send(refused, b"echo\nhello")
                            await asyncio.wait_for(t.receive_exactly(refused, 5), 10)
                await t.send(before, b"again")
                await t.receive_exactly(before, 5)
                os.unlink(self.switch)
                await t.echo_once(tunnel, self.seed, 10000)
        tunnel = self.tunnel(FAST, **{"environment" if role == "client" else "server_environment": self.environment()})
        t.run(talk(), 60)
        for program in tunnel.programs:
            self.assertIsNone(program.exit_code())
        log = (tunnel.client_program if role == "client" else tunnel.server_program).log()
        self.assertRegex(log, "cannot watch (a|the) connection")

    def test_a_connection_that_the_client_cannot_watch_is_reset_and_the_others_stay(self):
        self.check_refusals("client")

    def test_a_connection_that_the_server_cannot_watch_is_reset_and_the_others_stay(self):
        self.check_refusals("server")

    def test_a_start_without_watches_is_one_line(self):
        environment = {**os.environ, **self.environment()}
        open(self.switch, "w").close()
        for program, place in ((OPTIONS.client, "-r"), (OPTIONS.server, "-t")):
            done = subprocess.run([program, "--key", "a key of the test", "-l", f"{t.HOST}:{t.free_port()}", place, f"{t.HOST}:1"],
                                  capture_output=True, text=True, timeout=30, env=environment)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn("cannot create an event loop: no space left on device", done.stderr)

    @machine.needs("another-user")
    def test_a_start_without_threads_is_one_line(self):
        alone = 61234  # a user that nobody else is, so that its limit counts us alone

        def become():
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            os.setgid(alone)
            os.setuid(alone)
        os.chmod(self.folder, 0o755)
        for limit in (1, 2, 3):
            for path, place in ((OPTIONS.client, "-r"), (OPTIONS.server, "-t")):
                program = shutil.copy(path, self.folder)
                done = subprocess.run(
                    [program, "--key", "a key of the test", "-l", f"{t.HOST}:{t.free_port()}", place, f"{t.HOST}:1", "--threads", "4",
                     "--conn" if place == "-r" else "--max-sessions", "4"],
                    capture_output=True, text=True, timeout=30, preexec_fn=become)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr.splitlines()[-1],
                                 r'cannot start the thread "(log|loop \d)": Resource temporarily unavailable')


class Start(TunnelCase):
    """What a shell or a supervisor may hand over."""

    def test_closed_standard_streams_do_not_matter(self):
        for path, place in ((OPTIONS.client, "-r"), (OPTIONS.server, "-t")):
            for closed in ((0,), (1,), (2,), (0, 2), (0, 1, 2)):
                with self.subTest(path=path, closed=closed):
                    log, port = os.path.join(self.directory, "log"), t.free_port()
                    listens = (lambda: t.can_listen_tcp(port)) if place == "-r" else (lambda: t.udp_bound(port))
                    arguments = [path, "--key", "a key of the test", "-l", f"{t.HOST}:{port}", place, f"{t.HOST}:1", "--log", log]
                    program = subprocess.Popen(arguments, preexec_fn=lambda: [os.close(fd) for fd in closed])
                    self.addCleanup(program.kill)
                    t.wait_until(listens, 20, "the program listens")
                    for fd in (0, 1, 2):
                        self.assertNotRegex(os.readlink(f"/proc/{program.pid}/fd/{fd}"), "^(socket|anon_inode)")
                    program.terminate()
                    self.assertEqual(program.wait(20), 0)

    def test_too_few_descriptors_are_one_line(self):
        for limit in range(3, 12):
            program = [OPTIONS.server, "--key", "a key of the test", "-l", f"{t.HOST}:{t.free_port()}", "-t", f"{t.HOST}:1"]
            done = subprocess.run(["prlimit", f"--nofile={limit}", *program], capture_output=True, text=True, timeout=30)
            if "loading shared libraries" in done.stderr:  # the loader was refused, not the program
                continue
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), (limit, done.stderr))

    def test_a_pipe_is_read_and_one_that_nobody_writes_to_is_an_error(self):
        pipe = os.path.join(self.directory, "pipe")
        os.mkfifo(pipe, 0o600)
        for flag, code, words in (("--key-file", 2, "pipe that nobody writes to"), ("-c", 78, "pipe that nobody writes to")):
            done = subprocess.run([OPTIONS.server, "--check", flag, pipe], capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (code, 1), done.stderr)
            self.assertIn(words, done.stderr)
        reading = subprocess.Popen([OPTIONS.server, "--check", "--key-file", pipe], stdout=subprocess.PIPE, text=True)
        with open(pipe, "w") as writing:
            writing.write("a key from a pipe\n")
        self.assertIn('"key-file"', reading.communicate(timeout=30)[0])
        self.assertEqual(reading.returncode, 0)


if __name__ == "__main__":
    t.main()
