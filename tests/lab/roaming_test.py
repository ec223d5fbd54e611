"""Clients whose address changes keep their streams. Ends with 77 where there can be no lab.

    LINK_EMULATOR=... roaming_test.py --client PROGRAM --server PROGRAM
"""

import json
import os
import subprocess
import time

import path as p
import runs
from path import t
from runs import STEP, longest_gap

EMULATOR = os.environ.get("LINK_EMULATOR", "build/release/bin/link_emulator")
FLAGS = ["--mode", "fast3", "--nocomp", "--sndwnd", 2048, "--rcvwnd", 2048]
LONGEST_GAP = 2.0
MOVES = 6      # so that on four loops some come to one that does not have the conversation
ADDRESSES = (p.OTHER_CLIENT, p.CLIENT)


class RoamingTest(t.TunnelCase):
    def setUp(self):
        super().setUp()
        self.path = p.Path(EMULATOR, seed=23)
        self.addCleanup(self.path.close)
        self.path.set(delay_ms=15, rate=5_000_000, queue=200_000)

    def run_moving(self, flags, moves, udp_port=None, client_args=(), crypt="aes-128"):
        """iperf3's report, from the receiving end, of a run in which the client moves."""
        seconds = 2 + 2 * moves
        with runs.iperf_server(self.path.server, "-J", "-i", str(STEP)) as port, runs.Tunnel(
                self.path, t.OPTIONS.client, t.OPTIONS.server, [*FLAGS, "--crypt", crypt], target_name=f"{t.HOST}:{port}",
                listen_host="0.0.0.0", remote_host=p.SERVER, directory=self.directory,
                server_args=["--threads", 4], udp_port=udp_port, client_args=client_args) as tunnel:
            command = ["iperf3", "-c", t.HOST, "-p", str(tunnel.local_port), "-t", str(seconds), "-i", str(STEP), "-J",
                       "--get-server-output", *flags]
            with self.path.client.entered():
                run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=t._die_with_parent)
            try:
                # Under some suites a server that has just started takes its first session after some seconds.
                t.wait_until(lambda: tunnel.server_program.log().count("stream opened") >= 2, 40, "control and data")
                time.sleep(1.5)  # traffic flows; what is tested is its going on
                opened = tunnel.server_program.log().count("session opened")
                for number in range(moves):
                    self.path.move_client(ADDRESSES[number % 2])
                    time.sleep(2)
                report = json.loads(run.communicate(timeout=60)[0])
            finally:
                run.kill()
                run.wait()
            log = tunnel.server_program.log()
            self.client_log = tunnel.client_program.log()
            if "error" in report:
                print(tunnel.logs(), flush=True)
                raise t.Failure(f"iperf3: {report['error']}")
            self.assertGreaterEqual(log.count("session moved"), moves, tunnel.logs())
            if not client_args:
                self.assertEqual(log.count("session opened"), opened, tunnel.logs())
            return report

    def test_an_upload_goes_on_from_each_new_address(self):
        report = self.run_moving([], MOVES)
        gap = longest_gap(report["server_output_json"])
        print(f"    longest gap of an upload with {MOVES} moves: {gap:.1f} s")
        self.assertLess(gap, LONGEST_GAP * p.machine.busy())

    def test_a_download_goes_on_to_each_new_address(self):
        report = self.run_moving(["-R"], MOVES)
        gap = longest_gap(report)
        print(f"    longest gap of a download with {MOVES} moves: {gap:.1f} s")
        self.assertLess(gap, LONGEST_GAP * p.machine.busy())

    def test_sessions_with_a_handshake_go_on_from_each_new_address(self):
        report = self.run_moving([], MOVES, crypt="noise")
        self.assertLess(longest_gap(report["server_output_json"]), LONGEST_GAP * p.machine.busy())

    def test_one_of_several_servers_does_not_count_as_failed(self):
        port = t.free_port()
        silent = f"{p.SERVER}:{t.free_port()}"
        report = self.run_moving([], MOVES, port, ["--remoteaddr", f"{silent},{p.SERVER}:{port}"])
        self.assertLess(longest_gap(report["server_output_json"]), LONGEST_GAP * p.machine.busy())
        self.assertIn(f"server failed address={silent}", self.client_log)
        self.assertNotIn(f"server failed address={p.SERVER}:{port}", self.client_log)
        self.assertNotIn("session replaced", self.client_log)


if __name__ == "__main__":
    p.machine.leave_without("tun")
    t.main()
