"""kcptun-client probe and bench over emulated paths, to Debian's kcptun-server and to ours.

    probe_test.py --client PROGRAM --server PROGRAM     LINK_EMULATOR names the emulator; 77: there can be no lab
"""

import contextlib
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lab"))
import path as lab  # noqa: E402  (found by the line above)
import machine  # noqa: E402
import tunnel as t  # noqa: E402
from tunnel import OPTIONS, TunnelCase  # noqa: E402

DEBIAN_SERVER = "/usr/bin/kcptun-server"
PORT = 29900


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise t.Failure(f"no {pattern!r} in {text}")
    return float(found.group(1))


class Probe(TunnelCase):
    def setUp(self):
        super().setUp()
        self.path = lab.Path(os.environ["LINK_EMULATOR"], seed=self.seed)
        self.addCleanup(self.path.close)

    def serve(self, program, *flags):
        with self.path.server.entered():
            server = t.Program(program, ["-l", f":{PORT}", "-t", "127.0.0.1:9", "--key", "k", *flags],
                               os.path.join(self.directory, "server.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: self.is_open(server))
        return server

    @staticmethod
    def is_open(server):
        for table in ("udp", "udp6"):
            with open(f"/proc/{server.pid}/net/{table}") as rows:
                if f":{PORT:04X} " in rows.read():
                    return True
        return False

    def probe(self, *flags, key="k", port=PORT, seconds=170):
        with self.path.client.entered():
            done = subprocess.run([OPTIONS.client, "probe", "-r", f"{lab.SERVER}:{port}", "--key", key, *map(str, flags)],
                                  capture_output=True, text=True, timeout=seconds)
        print(done.stdout[:700], done.stderr, flush=True)
        return done

    def dropped_share(self, direction):
        counters = self.path.counters()[direction]
        return 100 * counters["lost"] / (counters["lost"] + counters["carried"])

    def check_path(self, text, tells_twice=False):
        """What the emulator does, within 10 %; the MTU exactly."""
        self.assertAlmostEqual(number(r"min ([\d.]+) ms", text), 40, delta=4 * machine.busy())
        self.assertAlmostEqual(number(r"median ([\d.]+) ms", text), 40, delta=4 * machine.busy())
        up, down = number(r"to the server ([\d.]+) %", text), number(r"back (?:at least )?([\d.]+) %", text)
        self.assertEqual("back at least" in text, tells_twice)
        # The emulator draws at random: what it did drop is the truth, and that is about 2 %. On a busy machine full socket
        # buffers drop some more.
        near = 0.2 * machine.busy()
        self.assertAlmostEqual(up, self.dropped_share("up"), delta=near)
        if tells_twice:  # our server's acknowledgements leave twice, and it leaves out parity: little of the loss shows
            self.assertLess(down, self.dropped_share("down") + near)
        else:
            self.assertAlmostEqual(down, self.dropped_share("down"), delta=near)
        self.assertEqual(number(r"path MTU +([\d.]+) bytes", text), 1400)

    @machine.needs("debian-kcptun")
    def test_debians_server_over_40_ms_with_2_percent_loss_and_an_mtu_of_1400(self):
        self.path.set("both", delay_ms=20, loss=0.02, mtu=1400)
        self.serve(DEBIAN_SERVER)
        done = self.probe("--duration", 20, "--smuxver", 1)
        self.assertEqual(done.returncode, 0)
        self.check_path(done.stdout)
        self.assertIn("forward error correction 10/3", done.stdout)
        self.assertIn("compression on, smux version 1\n", done.stdout)
        self.check_profile(done.stdout, '"mtu": 1372', '"datashard": 10', '"smuxver": 1', '"nocomp": false',
                           '"sndwnd": 1024,\n', '"localaddr": "127.0.0.1:12948"')

    def test_our_server_over_the_same_path(self):
        self.path.set("both", delay_ms=20, loss=0.02, mtu=1400)
        self.serve(OPTIONS.server, "--nocomp")
        done = self.probe("--duration", 10)
        self.check_path(done.stdout, tells_twice=True)
        self.assertIn("compression off, smux version 2, kcptun-uv; yours differs: nocomp must be true", done.stdout)
        # Two of ours fit windows and redundancy to the path by themselves.
        self.check_profile(done.stdout, '"mtu": 1372', '"sndwnd": "auto",  // default', '"datashard": 10,  // default',
                           '"localaddr": "127.0.0.1:12948"')

    def test_a_server_without_forward_error_correction(self):
        self.path.set("both", delay_ms=20, loss=0.02, mtu=1400)
        self.serve(OPTIONS.server, "--ds", "0")
        done = self.probe("--duration", 10)
        self.check_path(done.stdout, tells_twice=True)
        self.assertIn("forward error correction off", done.stdout)
        self.assertNotIn('"datashard": 0', done.stdout)

    def test_the_bandwidth_of_a_bottleneck_and_of_a_wide_path(self):
        self.path.set("both", delay_ms=10, rate=2_500_000, queue=200_000)
        self.serve(OPTIONS.server)
        narrow = self.probe("--duration", 1, "--bandwidth", 200).stdout
        self.assertAlmostEqual(number(r"to the server about ([\d.]+) Mbit/s", narrow), 20, delta=2 * machine.busy())
        self.path.set("both", rate=0)
        wide = self.probe("--duration", 1, "--bandwidth", 20).stdout
        self.assertAlmostEqual(number(r"to the server at least ([\d.]+) Mbit/s", wide), 20, delta=2 * machine.busy())

    def check_profile(self, text, *fields):
        profile = os.path.join(self.directory, "client.json")
        with open(profile, "w") as file:
            file.write(text[text.index("// One side of a tunnel"):])
        os.chmod(profile, 0o600)
        done = subprocess.run([OPTIONS.client, "-c", profile, "--check"], capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"\A(warning: the key has 1 bytes[^\n]*\n)?\Z")
        for field in fields:
            self.assertIn(field, done.stdout)

    def test_silence_is_explained(self):
        self.path.set("both", delay_ms=5)
        self.serve(OPTIONS.server)
        done = self.probe(key="another")
        self.assertEqual(done.returncode, 1)
        places = [done.stdout.index(word) for word in ("trying the other ciphers", "1. address", "2. firewall", "3. --key")]
        self.assertEqual(places, sorted(places))
        done = self.probe(port=PORT + 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("The network refuses it (ICMP)", done.stdout)
        self.assertIn("1. server", done.stdout)

    def test_another_cipher_is_found_by_trying(self):
        self.path.set("both", delay_ms=5)
        for crypt in ("aes-128-gcm", "salsa20", "none"):
            with self.subTest(crypt=crypt):
                server = self.serve(OPTIONS.server, "--crypt", crypt)
                done = self.probe()
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"answers with crypt {crypt}, and not with aes", done.stdout)
                server.end()

    def test_suites_of_our_own_are_measured_like_others(self):
        self.path.set("both", delay_ms=20)
        for crypt in ("xchacha20-poly1305", "noise"):
            with self.subTest(crypt=crypt):
                server = self.serve(OPTIONS.server, "--crypt", crypt)
                done = self.probe("--crypt", crypt, "--duration", 2)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertGreaterEqual(number(r"median ([\d.]+) ms", done.stdout), 40)
                self.assertIn("smux version 2, kcptun-uv\n", done.stdout)
                self.assertGreater(number(r"UDP payload (\d+)", done.stdout), 1400)
                server.end()

    def test_after_init_a_probe_with_the_profile_or_the_string_fits(self):
        self.path.set("both", delay_ms=5)
        made = os.path.join(self.directory, "server.json")
        with self.path.server.entered():
            shown = subprocess.run([OPTIONS.server, "--init", "server", "-c", made, "-l", f":{PORT}"], capture_output=True,
                                   text=True, timeout=20).stdout
            server = t.Program(OPTIONS.server, ["-c", made], os.path.join(self.directory, "server.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: self.is_open(server))
        string = re.search(r"kcptun-client -c '([^']*)'", shown).group(1)
        file = os.path.join(self.directory, "home.pair")
        with open(file, "w") as pair:
            pair.write(string)
        os.chmod(file, 0o600)
        for word in (string, file):
            with self.path.client.entered():
                done = subprocess.run([OPTIONS.client, "probe", "-c", word, "--duration", "1"], capture_output=True,
                                      text=True, timeout=170)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("smux version 2, kcptun-uv\n", done.stdout)

    def test_a_probe_leaves_no_hint_behind_and_uses_none_up(self):
        self.path.set("both", delay_ms=5)
        for flags in ([], ["--nocomp"], ["--smuxver", 1]):
            with self.subTest(flags=flags):
                server = self.serve(OPTIONS.server, *flags)
                self.assertEqual(self.probe("--duration", 1).returncode, 0)
                self.assertNotIn("hint", server.log())
                server.end()

    def test_each_of_several_servers_has_a_report_and_a_profile(self):
        self.path.set("both", delay_ms=5)
        self.serve(OPTIONS.server)
        with self.path.client.entered():
            done = subprocess.run([OPTIONS.client, "probe", "-r", f"{lab.SERVER}:{PORT + 1},{lab.SERVER}:{PORT}",
                                   "--key", "k", "--duration", "1"], capture_output=True, text=True, timeout=170)
        self.assertEqual(done.returncode, 1, done.stderr)  # one of them does not answer
        silent, answers = done.stdout.split(f"--- {lab.SERVER}:{PORT} ---")
        self.assertTrue(silent.startswith(f"--- {lab.SERVER}:{PORT + 1} ---"), silent)
        self.assertIn("The network refuses it (ICMP)", silent)
        self.assertAlmostEqual(number(r"min ([\d.]+) ms", answers), 10, delta=2 * machine.busy())
        self.check_profile(answers, f'"remoteaddr": "{lab.SERVER}:{PORT}"')

    def echo(self, port):
        """A target in the server's name space that sends back what it gets."""
        listener = self.path.server.listen("127.0.0.1", port)
        self.addCleanup(listener.close)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        def answer(connection):
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    connection.sendall(data)
        threading.Thread(target=serve, daemon=True).start()

    def bench(self, *flags):
        with self.path.client.entered():
            done = subprocess.run([OPTIONS.client, "bench", "-r", f"{lab.SERVER}:{PORT}", "--key", "k", "--nocomp",
                                   *map(str, flags)], capture_output=True, text=True, timeout=170)
        print(done.stdout, done.stderr, flush=True)
        return done

    def test_bench_moves_data_to_an_echo_and_back(self):
        self.path.set("both", delay_ms=10, rate=2_500_000, queue=100_000)
        self.serve(OPTIONS.server, "--nocomp", "-t", "127.0.0.1:7")
        self.echo(7)
        done = self.bench("--duration", 5, "--ds", 0)
        self.assertEqual(done.returncode, 0)
        self.assertAlmostEqual(number(r"round trip +min ([\d.]+) ms", done.stdout), 20, delta=4 * machine.busy())
        goodput = number(r"goodput +([\d.]+) Mbit/s", done.stdout)
        self.assertTrue(4 / machine.busy() < goodput < 20, goodput)  # of 20 Mbit/s each way, which echo and acknowledgements share

    def test_bench_tells_of_a_target_that_is_not_there(self):
        self.path.set("both", delay_ms=5)
        self.serve(OPTIONS.server, "--nocomp")
        done = self.bench("--duration", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("does the server's target run, and echo?", done.stderr)

    def test_the_server_has_no_probe(self):
        done = subprocess.run([OPTIONS.server, "probe"], capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    machine.leave_without("tun")
    t.main()
