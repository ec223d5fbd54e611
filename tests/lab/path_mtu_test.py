"""With mtu auto the path's MTU is found exactly, and followed when it shrinks, with our peer and Debian's. Ends with 77
where there can be no lab.

    LINK_EMULATOR=... path_mtu_test.py --client PROGRAM --server PROGRAM
"""

import json
import os
import re
import subprocess

import path as p
import runs
from path import t
from rows import WITH_DEBIAN
from runs import STEP, longest_gap

EMULATOR = os.environ.get("LINK_EMULATOR", "build/release/bin/link_emulator")
DEBIAN_SERVER = "/usr/bin/kcptun-server"
HEADERS, HEADERS6, HEADERS_TCP = 28, 48, 40  # IPv4 and IPv6 with UDP, IPv4 with the disguise's TCP
FLAGS = ["--mode", "fast3", "--crypt", "aes-128", "--nocomp", "--sndwnd", 1024, "--rcvwnd", 1024]
PATIENCE = 30       # seconds that a search may take on a busy machine; on a quiet one it is below 10
LONGEST_GAP = 5.0   # seconds without a byte at the receiver when the path shrinks
LONG_RUN = 35       # seconds of the transfer during which the path shrinks
MANY = 300          # packets of a transfer that is well under way

with_debian = p.machine.needs("debian-kcptun")


def found(program):
    """The sizes that were found, in order."""
    return [int(size) for size in re.findall(r"session mtu found conv=\w+ mtu=(\d+)", program.log())]


def wait_found(program, mtu, headers=HEADERS):
    t.wait_until(lambda: found(program)[-1:] == [mtu - headers], PATIENCE,
                 f"a path of {mtu} bytes is found, not {found(program)}")


class PathMtuTest(t.TunnelCase):
    def setUp(self):
        super().setUp()
        self.path = p.Path(EMULATOR, seed=29)
        self.addCleanup(self.path.close)
        self.path.set(delay_ms=20, rate=5_000_000, queue=200_000, fragments=1)

    def tunnel_in_path(self, server, common, **options):
        options = {"listen_host": "0.0.0.0", "remote_host": p.SERVER, **options}
        if "target_name" not in options:
            with self.path.server.entered():
                options["target"] = self.target()
        tunnel = runs.Tunnel(self.path, t.OPTIONS.client, server, [*FLAGS, *common], directory=self.directory, **options)
        self._tunnels.append(tunnel)
        self.addCleanup(tunnel.close)
        return tunnel.__enter__()

    def transfer(self, tunnel, size=4_000_000):
        with self.path.client.entered():
            t.run(t.echo_once(tunnel, self.seed, size), 60)

    def wait_packets(self, way, count):
        """So many more come through."""
        carried = self.path.counters()[way]["carried"]
        t.wait_until(lambda: self.path.counters()[way]["carried"] >= carried + count, PATIENCE, "packets come through")

    # --- a path that stays as it is ---

    def test_both_ends_of_our_pair_find_it(self):
        self.path.set(mtu=1400)
        tunnel = self.tunnel_in_path(t.OPTIONS.server, ["--mtu", "auto"])
        self.transfer(tunnel)
        for program in tunnel.programs:
            wait_found(program, 1400)
            self.assertEqual(found(program), [1400 - HEADERS])
        self.path.reset_counters()
        self.transfer(tunnel)
        self.assertEqual([way["cut"] for way in self.path.counters().values()], [0, 0])

    def test_both_ends_find_it_over_ipv6(self):
        self.path.set(mtu=1420)
        tunnel = self.tunnel_in_path(t.OPTIONS.server, ["--mtu", "auto"], listen_host="[::]",
                                     remote_host=f"[{p.SERVER6}]")
        self.transfer(tunnel)
        for program in tunnel.programs:
            wait_found(program, 1420, HEADERS6)
            self.assertEqual(found(program), [1420 - HEADERS6])
        self.transfer(tunnel)

    @p.machine.needs("tcp-mode")
    def test_both_ends_find_it_in_disguise(self):
        self.path.set(mtu=1400)
        tunnel = self.tunnel_in_path(t.OPTIONS.server, ["--mtu", "auto", "--tcp"])
        self.transfer(tunnel)
        for program in tunnel.programs:
            wait_found(program, 1400, HEADERS_TCP)
            self.assertEqual(found(program), [1400 - HEADERS_TCP])
        self.transfer(tunnel)

    @with_debian
    def test_our_client_finds_it_with_a_server_of_debian(self):
        self.path.set(mtu=1400)
        tunnel = self.tunnel_in_path(DEBIAN_SERVER, WITH_DEBIAN, client_args=["--mtu", "auto"])
        self.transfer(tunnel)
        wait_found(tunnel.client_program, 1400)
        self.assertEqual(found(tunnel.client_program), [1400 - HEADERS])
        self.transfer(tunnel)

    # --- one that shrinks while data flows: packets with DF vanish, routers cut the others ---

    def shrink(self, server, common, way, sender, flags=(), **options):
        """In mid transfer, from 1500 to 1300 bytes; `sender` is the program whose packets are too large then."""
        with runs.iperf_server(self.path.server, "-J", "-i", str(STEP)) as port:
            tunnel = self.tunnel_in_path(server, common, target_name=f"{t.HOST}:{port}", **options)
            command = ["iperf3", "-c", t.HOST, "-p", str(tunnel.local_port), "-t", str(LONG_RUN), "-i", str(STEP), "-J",
                       "--get-server-output", *flags]
            with self.path.client.entered():
                run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=t._die_with_parent)
            try:
                report = self.watch_shrink(tunnel, way, sender(tunnel), run)
            finally:
                run.kill()
                run.wait()
                run.stdout.close()
        return report

    def watch_shrink(self, tunnel, way, program, run):
        wait_found(program, 1500)
        self.assertEqual(found(program), [1500 - HEADERS])
        self.path.reset_counters()
        self.wait_packets(way, MANY)
        self.assertEqual(self.path.counters()[way]["cut"], 0)
        self.path.set(mtu=1300)
        wait_found(program, 1300)
        self.assertEqual(found(program), [1500 - HEADERS, 1300 - HEADERS])
        self.assertGreater(self.path.counters()[way]["cut"], 0)
        self.assertGreater(self.path.counters()[way]["too_big"], 0)  # what must stay whole
        self.wait_packets(way, MANY)
        self.path.reset_counters()
        self.wait_packets(way, MANY)
        self.assertEqual(self.path.counters()[way]["cut"], 0)
        self.assertNotIn("session closed", tunnel.client_program.log())
        report = json.loads(run.communicate(timeout=LONG_RUN + PATIENCE)[0])
        return report if way == "down" else report["server_output_json"]  # of the receiving end

    def check_gap(self, report, what):
        self.assertGreater(len(report["intervals"]), 2 / STEP)
        gap = longest_gap(report)
        print(f"    longest gap of {what} whose path shrinks: {gap:.1f} s")
        self.assertLess(gap, LONGEST_GAP * p.machine.busy())

    def test_a_download_goes_on_when_the_path_shrinks(self):
        report = self.shrink(t.OPTIONS.server, ["--mtu", "auto"], "down", lambda tunnel: tunnel.server_program, ["-R"])
        self.check_gap(report, "a download")

    def test_an_upload_goes_on_when_the_path_shrinks(self):
        report = self.shrink(t.OPTIONS.server, ["--mtu", "auto"], "up", lambda tunnel: tunnel.client_program)
        self.check_gap(report, "an upload")

    @with_debian
    def test_an_upload_to_a_server_of_debian_goes_on_when_the_path_shrinks(self):
        report = self.shrink(DEBIAN_SERVER, WITH_DEBIAN, "up", lambda tunnel: tunnel.client_program,
                             client_args=["--mtu", "auto"], server_args=["--mtu", "1200"])
        self.check_gap(report, "an upload to Debian's server")

    # --- and one where fragments vanish, too ---

    def test_where_nothing_large_passes_any_more_the_session_ends_and_the_next_one_fits(self):
        tunnel = self.tunnel_in_path(t.OPTIONS.server, ["--mtu", "auto"])
        self.transfer(tunnel)
        wait_found(tunnel.client_program, 1500)
        self.path.set(mtu=1300, fragments=0)
        with self.assertRaises((OSError, EOFError, t.Failure)):
            self.transfer(tunnel)
        self.assertIn("neither whole nor in fragments", tunnel.client_program.log() + tunnel.server_program.log())
        self.transfer(tunnel)
        wait_found(tunnel.client_program, 1300)


if __name__ == "__main__":
    p.machine.leave_without("tun")
    t.main()
