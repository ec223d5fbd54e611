"""The real path: does link_emulator between two namespaces do what it was told? Ends with 77 where there can be none."""

import json
import os
import subprocess
import time
import unittest

import path as p
from path import t

EMULATOR = os.environ.get("LINK_EMULATOR", "build/release/bin/link_emulator")


def iperf(path, *flags):
    """iperf3's report of one run from client to server."""
    port = t.free_port()
    with path.server.entered():
        server = subprocess.Popen(["iperf3", "-s", "-1", "-p", str(port)], stdout=subprocess.DEVNULL,
                                  preexec_fn=t._die_with_parent)
    try:
        with path.server.entered():
            t.wait_until(lambda: t.can_listen_tcp(port), 10, "iperf3 listens")
        with path.client.entered():
            done = subprocess.run(["iperf3", "-c", p.SERVER, "-p", str(port), "-J", *flags], capture_output=True,
                                  text=True, timeout=60, preexec_fn=t._die_with_parent)
        return json.loads(done.stdout)["end"]
    finally:
        server.kill()
        server.wait()


class PathTest(unittest.TestCase):
    def setUp(self):
        self.path = p.Path(EMULATOR, seed=17)
        self.addCleanup(self.path.close)

    def test_a_ping_takes_both_delays(self):
        self.path.set("up", delay_ms=30)
        self.path.set("down", delay_ms=10)
        times = p.ping(self.path.client, p.SERVER, 20)
        self.assertEqual(len(times), 20)
        self.assertGreaterEqual(min(times), 0.040)  # never early
        self.assertLess(min(times), 0.045)          # of twenty, one at least met no busy machine

    def test_udp_above_the_rate_gets_the_rate(self):
        self.path.set(delay_ms=5, rate=2_500_000, queue=100_000)
        self.path.reset_counters()
        seconds = 2
        iperf(self.path, "-u", "-b", "40M", "-l", "1200", "-t", str(seconds))
        up = self.path.counters()["up"]
        # What was carried left within the time of the test and of draining the queue; all of that time it was busy.
        most = 2_500_000 * seconds + 100_000
        self.assertLess(up["carried_bytes"], most * 1.15)  # iperf3's own run is not exact
        self.assertGreater(up["carried_bytes"], 2_500_000 * seconds * 0.9)
        self.assertGreater(up["queue_drops"], 0.3 * up["offered"])
        self.assertGreater(up["max_queue"], 100_000 - 1500)
        self.assertLessEqual(up["max_queue"], 100_000)
        self.assertEqual(self.path.device_drops(), 0)

    def test_the_receiver_misses_what_the_path_lost(self):
        self.path.set(delay_ms=5, loss=0.1)
        self.path.reset_counters()
        report = iperf(self.path, "-u", "-b", "10M", "-l", "1000", "-t", "2", "-w", "2M")
        up = self.path.counters()["up"]
        self.assertGreater(up["offered"], 2000)
        share = up["lost"] / up["offered"]
        self.assertLess(abs(share - 0.1), 5 * (0.1 * 0.9 / up["offered"]) ** 0.5)
        self.assertLess(abs(report["sum_received"]["lost_percent"] / 100 - share), 0.02)
        self.assertEqual(self.path.device_drops(), 0)

    def test_a_black_hole_swallows_and_lets_go(self):
        self.path.set(delay_ms=1)
        self.assertEqual(len(p.ping(self.path.client, p.SERVER, 3)), 3)
        self.path.black_hole(True)
        self.assertEqual(p.ping(self.path.client, p.SERVER, 3, patience=0.2), [])
        self.assertGreaterEqual(self.path.counters()["up"]["black_holed"], 3)
        self.path.black_hole(False)
        self.assertEqual(len(p.ping(self.path.client, p.SERVER, 3)), 3)

    def test_the_mtu_stops_large_packets_only(self):
        self.path.set(mtu=1000)
        self.assertEqual(len(p.ping(self.path.client, p.SERVER, 2, size=1000 - 28)), 2)
        self.assertEqual(p.ping(self.path.client, p.SERVER, 2, size=1001 - 28, patience=0.2), [])

    def test_routers_cut_packets_that_allow_it_and_drop_the_others(self):
        def echoes(size, discover):
            return p.ping(self.path.client, p.SERVER, 2, size=size - 28, patience=0.2, discover=discover)

        self.path.set(mtu=1000, fragments=1)
        self.assertEqual(len(echoes(1400, p.IP_PMTUDISC_DONT)), 2)
        self.assertGreaterEqual(self.path.counters()["up"]["cut"], 2)
        self.assertEqual(echoes(1400, p.IP_PMTUDISC_PROBE), [])
        self.assertEqual(len(echoes(1000, p.IP_PMTUDISC_PROBE)), 2)

    def test_a_moved_client_is_reached_at_its_new_address(self):
        self.path.move_client()
        self.assertEqual(len(p.ping(self.path.server, p.OTHER_CLIENT, 2)), 2)
        self.assertEqual(p.ping(self.path.server, p.CLIENT, 2, patience=0.2), [])

    def test_a_wrong_command_is_refused_and_changes_nothing(self):
        self.path.set("up", delay_ms=20)
        with self.assertRaisesRegex(t.Failure, "loss '2' is not a number from 0 to 1"):
            self.path.set(delay_ms=0, loss=2)
        self.assertGreaterEqual(min(p.ping(self.path.client, p.SERVER, 2)), 0.020)

    def test_the_end_of_input_ends_the_emulator(self):
        process = self.path._process
        process.stdin.close()
        began = time.monotonic()
        self.assertEqual(process.wait(5), 0)
        self.assertLess(time.monotonic() - began, 5)


if __name__ == "__main__":
    p.machine.leave_without("tun")
    p.machine.end(unittest.main(verbosity=2, exit=False).result)
