"""Hostile peers and networks against real programs on loopback.

    hostile_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

KCPTUN_HOSTILE_DATAGRAMS sets how many bad datagrams arrive (default: a million).
"""

import hashlib
import os
import random
import resource
import signal
import socket
import threading
import time

import machine
import tunnel as t
import wire as w
from lossy_relay import LossyRelay
from tunnel import TunnelCase

MB = 1 << 20
FAST = ["--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024]
IS_SANITIZED = "KCPTUN_SANITIZED" in os.environ  # a dev build: its figures of memory and speed mean nothing
DATAGRAMS = int(os.environ.get("KCPTUN_HOSTILE_DATAGRAMS", "1000000"))


async def download(tunnel, seed, size):
    """Checks every byte; gives bytes per second."""
    begun = time.monotonic()
    connection = await tunnel.connect()
    with connection:
        await t.send(connection, f"source {size} {seed}\n".encode())
        digest = hashlib.sha256()
        await t.receive_exactly(connection, size, digest)
        if digest.digest() != t.sha(t.payload(seed, size)):
            raise t.Failure("what came differs from what was sent")
    return size / (time.monotonic() - begun)


class HostileCase(TunnelCase):
    def peer(self, tunnel, **options):
        peer = w.Peer(tunnel.udp_port, **options)
        self.addCleanup(peer.close)
        return peer

    def assert_alive(self, tunnel):
        for program in tunnel.programs:
            self.assertIsNone(program.exit_code(), program.log()[-2000:])
        t.run(t.echo_once(tunnel, self.seed, 256 << 10), 60)

    def assert_log_is_short(self, program, lines=200):
        self.assertLess(len(program.log().splitlines()), lines)

    def assert_grew_less(self, program, before, most):
        if not IS_SANITIZED:
            self.assertLess(program.rss() - before, most)


class Recorder(LossyRelay):
    """A relay that loses nothing and keeps what the client sent."""

    def __init__(self, server_port):
        self.recorded = []
        super().__init__(server_port, t.free_port(), 1)

    def _decide(self, out, address, datagram):
        if address == self._server and len(self.recorded) < 4000:
            self.recorded.append(datagram)
        super()._decide(out, address, datagram)


class Garbage(HostileCase):
    """Random, truncated, bit-flipped and replayed datagrams, from strangers, while a client goes on."""

    def variants(self, rng, recorded):
        for _ in range(1500):
            yield rng.randbytes(rng.choice([0, 1, 11, 12, 19, 20, 31, 32, 43, 44, 100, 1349, 1350, 1500, 1501, 9000]))
        for datagram in rng.choices(recorded, k=1500):
            yield datagram[:rng.randrange(len(datagram))]
        for datagram in rng.choices(recorded, k=1500):
            flipped = bytearray(datagram)
            for _ in range(rng.randrange(1, 4)):
                flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            yield bytes(flipped)
        yield from rng.choices(recorded, k=1500)

    def check(self, common, count):
        rng = random.Random(self.seed)
        recorders = []
        tunnel = self.tunnel([*FAST, *common], relay=lambda port: recorders.append(Recorder(port)) or recorders[-1])
        t.run(t.echo_once(tunnel, self.seed, 1 * MB), 60)
        # What is recorded is of a client that is gone: without encryption, a packet that is changed a little is as good as
        # the client's own, and could only be expected to end its session.
        tunnel.client_program.kill()
        recorders[0].close()
        tunnel.start_client()
        t.run(t.echo_once(tunnel, self.seed, 1 * MB), 60)
        variants = list(self.variants(rng, recorders[0].recorded))
        rng.shuffle(variants)
        rss, descriptors = tunnel.server_program.rss(), tunnel.server_program.descriptors()
        strangers = []
        for number in range(50):
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(stranger.close)
            stranger.bind((f"127.66.{number}.1", 0))
            stranger.connect((t.HOST, tunnel.udp_port))
            stranger.setblocking(False)
            strangers.append(stranger)

        def attack():
            for number in range(count):
                try:
                    strangers[number % 50].send(variants[number % len(variants)])
                except OSError:  # the buffer is full, or nobody listens any more, which the end will tell
                    time.sleep(0.0005)
        attacker = threading.Thread(target=attack)
        attacker.start()
        transfers = 0
        try:
            while attacker.is_alive() or transfers == 0:
                t.run(t.echo_once(tunnel, self.seed + transfers, 256 << 10), 60)
                transfers += 1
        finally:
            attacker.join()
        self.assert_alive(tunnel)
        self.assert_log_is_short(tunnel.server_program, 400 + 4 * transfers)
        self.assert_grew_less(tunnel.server_program, rss, 96 * MB)
        print(f"{' '.join(map(str, common))}: {count} datagrams, {transfers} transfers beside them", flush=True)
        return tunnel, descriptors

    def test_a_million_bad_datagrams(self):
        attacked = [self.check(["--crypt", "aes-128"], DATAGRAMS // 2),
                    self.check(["--crypt", "aes-128-gcm"], DATAGRAMS // 4),
                    self.check(["--crypt", "null", "--ds", 0, "--ps", 0], DATAGRAMS // 4)]
        for tunnel, descriptors in attacked:  # sessions that were replayed whole end after 30 s of silence
            tunnel.wait_idle(90)
            t.wait_until(lambda: tunnel.server_program.descriptors() <= descriptors + 4, 60, "no descriptor is left over")


class SessionFlood(HostileCase):
    MOST = 256
    RATE = 4 * MB

    def flood(self, tunnel, stop, counts):
        rng = random.Random(self.seed)
        sockets = []
        for number in range(200):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((f"127.{1 + rng.randrange(250)}.{rng.randrange(256)}.{1 + rng.randrange(250)}", 0))
            one.connect((t.HOST, tunnel.udp_port))
            one.setblocking(False)
            sockets.append(one)
        while not stop.is_set():
            for one in sockets:
                try:
                    one.send(w.segment(rng.randrange(1, 1 << 32), w.PUSH, data=b"flood"))
                    counts["sent"] += 1
                except OSError:
                    pass
            # 5,000 a second, so that a busy machine reads them all: what counts is what is let in. Beyond that the
            # kernel drops the session's packets with the others.
            time.sleep(0.04)
        for one in sockets:
            one.close()

    def test_an_established_session_keeps_its_goodput(self):
        tunnel = self.tunnel([*w.PLAIN, *FAST], server_args=["--max-sessions", self.MOST, "--ratelimit", self.RATE],
                             client_args=["--autoexpire", 0])
        alone = t.run(download(tunnel, self.seed, 8 * MB), 60)
        rss = tunnel.server_program.rss()
        stop, counts = threading.Event(), {"sent": 0}
        flooder = threading.Thread(target=self.flood, args=(tunnel, stop, counts))
        flooder.start()
        try:
            t.wait_until(lambda: counts["sent"] > 4 * self.MOST, 20, "the flood has begun")
            beside = t.run(download(tunnel, self.seed + 1, 8 * MB), 120)
            # Someone new gets in, too.
            newcomer = self.peer(tunnel, address="127.0.0.9")
            newcomer.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, b"echo\nhello"))
            self.assertTrue(newcomer.pump_until(lambda: newcomer.payload(3) == b"hello", 30))
        finally:
            stop.set()
            flooder.join()
        print(f"{counts['sent']} opening packets; {alone / MB:.2f} MB/s alone, {beside / MB:.2f} beside", flush=True)
        if not IS_SANITIZED:  # such a server has no time for so many packets, whatever it does with them
            self.assertGreater(beside, alone / 2 / machine.busy())
        self.assert_alive(tunnel)
        self.assert_log_is_short(tunnel.server_program)
        self.assert_grew_less(tunnel.server_program, rss, 64 * MB)

    def test_places_taken_by_sessions_with_streams_are_kept(self):
        tunnel = self.tunnel(w.PLAIN, server_args=["--max-sessions", 8, "--threads", 1])
        peers = [self.peer(tunnel, address=f"127.0.{i}.5") for i in range(8)]
        for peer in peers:
            peer.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, b"echo\nfirst"))
        for peer in peers:
            self.assertTrue(peer.pump_until(lambda p=peer: p.payload(3) == b"first", 20))
        late = self.peer(tunnel, address="127.0.99.5")
        late.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, b"echo\nlate"))
        self.assertFalse(late.pump_until(lambda: late.stream, 1.5))
        for peer in peers:
            peer.send(w.frame(w.PSH, 3, b" second"))
        for peer in peers:
            self.assertTrue(peer.pump_until(lambda p=peer: p.payload(3) == b"first second", 20))


    @machine.needs("many-files")
    def test_one_address_alone_has_thousands_of_sessions_and_leaves_the_last_quarter_to_others(self):
        most, alone = 6000, 4500
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        tunnel = self.tunnel(w.PLAIN, server_args=["--max-sessions", most, "--threads", 1])

        def opened():
            return tunnel.server_program.counters()["PassiveOpens"]
        t.wait_until(lambda: opened() == 1, 20, "the client's session, which counts as one of this address")
        # Stopped and not killed: a peer that got its port would take its session's place.
        tunnel.client_program.signal(signal.SIGSTOP)
        self.addCleanup(tunnel.client_program.kill)
        peers = []
        for count in range(100, alone + 1, 100):  # no more at once than the server's socket holds
            for _ in range(count - 1 - len(peers)):
                peers.append(self.peer(tunnel))
                peers[-1].tell(w.WASK)
            if count % 500 == 0:
                t.wait_until(lambda n=count: opened() == n, 60, f"{count} sessions of one address are open")
        self.assertEqual(tunnel.server_program.counters()["CurrEstab"], alone)
        first, beyond, other = peers[0], self.peer(tunnel), self.peer(tunnel, address="127.0.0.9")
        for peer in (first, beyond, other):
            peer.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, b"echo\nhello"))
            self.assertTrue(peer.pump_until(lambda p=peer: p.payload(3) == b"hello", 30))
        # The one beyond took the place of one of its own, and not of the first, which was heard later.
        counters = tunnel.server_program.counters()
        self.assertEqual((counters["PassiveOpens"], counters["CurrEstab"]), (alone + 2, alone + 1))


class StreamFlood(HostileCase):
    def test_syns_beyond_max_streams_are_refused_and_others_go_on(self):
        most = 64
        tunnel = self.tunnel(w.PLAIN, server_args=["--max-streams", most])
        flooder = self.peer(tunnel)
        flooder.send(b"".join(w.frame(w.SYN, 3 + 2 * i) for i in range(5000)))
        def refused():
            return sum(command == w.FIN for _, command, _, _ in flooder.frames())
        self.assertTrue(flooder.pump_until(lambda: refused() >= most, 30))
        t.run(t.echo_once(tunnel, self.seed, 1 * MB), 60)
        self.assertLessEqual(tunnel.target.most_active, most + 1)
        # The streams that were let in work, too.
        flooder.send(w.frame(w.PSH, 3, b"echo\nstill here"))
        self.assertTrue(flooder.pump_until(lambda: flooder.payload(3) == b"still here", 30))
        self.assert_alive(tunnel)


class Lies(HostileCase):
    """One session says what no real peer says; the server drops it or that stream, and others go on."""

    def setUp(self):
        super().setUp()
        self.pair = self.tunnel(w.PLAIN)
        t.run(t.echo_once(self.pair, self.seed, 1000), 30)

    def connected(self, text=b"one"):
        peer = self.peer(self.pair)
        peer.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, b"echo\n" + text))
        self.assertTrue(peer.pump_until(lambda: peer.payload(3) == text, 20))
        return peer

    def echoes(self, peer, text, sid=3):
        before = peer.payload(sid)
        peer.send(w.frame(w.PSH, sid, text))
        return peer.pump_until(lambda: peer.payload(sid) == before + text, 20)

    def test_una_from_the_future(self):
        peer = self.connected()
        for una in (peer.rcv_nxt + 1, peer.rcv_nxt + 1000, 0x7fffffff, 0x80000000, 0xffffffff):
            for command in (w.ACK, w.WASK, w.WINS):
                peer.tell(command, una=una, sn=una)
            peer.tell(w.PUSH, sn=peer.sn + 5000, una=una, data=b"x")
        self.assertTrue(self.echoes(peer, b"two"))
        self.assert_alive(self.pair)

    def test_window_lies(self):
        peer = self.connected()
        for window in (0, 1, 65535, 0, 65535):
            peer.window = window
            peer.tell(w.WINS)
        peer.window = 1024
        peer.tell(w.WINS)
        self.assertTrue(self.echoes(peer, b"two"))
        for sn in (peer.sn + 1023, peer.sn + 1024, peer.sn + 65536, (peer.sn - 1) & 0xffffffff, 0x80000000):
            peer.tell(w.PUSH, sn=sn, data=b"")
        self.assert_alive(self.pair)

    def test_a_peer_that_claims_to_have_consumed_more_than_was_sent_loses_that_stream_alone(self):
        peer = self.connected()
        peer.send(w.frame(w.SYN, 5) + w.frame(w.PSH, 5, b"echo\nother"))
        self.assertTrue(peer.pump_until(lambda: peer.payload(5) == b"other", 20))
        peer.send(w.update(3, 4000, 262144))
        self.assertTrue(peer.pump_until(lambda: any(c == w.FIN and s == 3 for _, c, s, _ in peer.frames()), 20))
        self.assertTrue(self.echoes(peer, b" goes on", 5))
        t.wait_until(lambda: self.pair.target.active == 1, 20, "the broken stream's connection is gone")
        self.assert_alive(self.pair)

    def test_a_window_of_4_gib_is_taken_without_memory_for_it(self):
        peer = self.connected()
        peer.send(w.update(3, 3, 0xffffffff))
        self.assertTrue(self.echoes(peer, b"two"))
        self.assert_alive(self.pair)

    def test_frames_for_streams_that_are_closed_or_never_were(self):
        peer = self.connected()
        peer.send(b"".join(w.frame(command, sid, payload) for sid in (0, 1, 2, 4, 77, 0xffffffff)
                           for command, payload in ((w.PSH, b"lost"), (w.FIN, b""), (w.UPD, bytes(8)))))
        peer.send(w.frame(w.FIN, 3))
        peer.send(w.frame(w.PSH, 3, b"after the end") + w.update(3, 1, 1) + w.frame(w.FIN, 3) + w.frame(w.NOP, 0))
        peer.send(w.frame(w.SYN, 9) + w.frame(w.SYN, 9) + w.frame(w.PSH, 9, b"echo\nnine"))
        self.assertTrue(peer.pump_until(lambda: peer.payload(9) == b"nine", 20))
        self.assert_alive(self.pair)

    def test_segment_lengths_at_every_boundary(self):
        peer = self.connected()
        for size in (0, 1, 23, 24, 25, 47, 48, 1000, 1476):
            for length in (0, 1, size - 1, size, size + 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff):
                peer.raw(w.segment(peer.conv, w.PUSH, peer.sn + 3000, peer.rcv_nxt, data=bytes(size),
                                   length=length & 0xffffffff))
        for cut in range(0, 60):
            peer.raw((w.segment(peer.conv, w.WASK, una=peer.rcv_nxt) * 3)[:cut])
        self.assertTrue(self.echoes(peer, b"two"))
        self.assert_alive(self.pair)

    def test_frames_of_impossible_kind_end_that_session_alone(self):
        for bad in (w.frame(w.SYN, 5, length=1), w.frame(w.FIN, 3, length=65535), w.frame(w.NOP, 0, length=1),
                    w.frame(w.UPD, 3, bytes(7)), w.frame(w.UPD, 3, bytes(9)), w.frame(5, 3), w.frame(255, 3),
                    w.frame(w.PSH, 3, b"x", version=1), w.frame(w.PSH, 3, b"x", version=0)):
            with self.subTest(frame=bad.hex()):
                peer = self.connected()
                active = self.pair.target.active
                peer.send(bad)
                peer.pump()
                t.wait_until(lambda: self.pair.target.active < active, 20, "its connections are gone")
                self.assert_alive(self.pair)

    def test_the_largest_frame_is_taken(self):
        peer = self.connected()
        data = t.payload(self.seed, 65535)
        peer.send(w.frame(w.PSH, 3, data))
        self.assertTrue(peer.pump_until(lambda: peer.payload(3) == b"one" + data, 30))

    def test_a_peer_that_never_reads(self):
        size = 64 * MB
        rss = self.pair.server_program.rss()
        peer = self.peer(self.pair)
        peer.window = 0
        peer.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, f"source {size} 1\n".encode()))
        deaf = self.peer(self.pair)
        deaf.send(w.frame(w.SYN, 3) + w.frame(w.PSH, 3, f"source {size} 1\n".encode()))
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            peer.pump()                    # it acknowledges, and says that it has no window
            deaf.pump(acknowledge=False)   # it takes, and never acknowledges
            time.sleep(0.01)
        t.run(t.echo_once(self.pair, self.seed, 4 * MB), 60)
        self.assert_grew_less(self.pair.server_program, rss, 24 * MB)
        self.assert_alive(self.pair)


class StalledStream(HostileCase):
    def test_a_stream_that_never_reads_beside_one_that_does(self):
        tunnel = self.tunnel([*FAST, "--smuxver", 2])

        async def both():
            stalled = await tunnel.connect()
            with stalled:
                await t.send(stalled, f"source {32 * MB} {self.seed}\n".encode())
                await t.receive_exactly(stalled, 1000)
                for number in range(3):
                    await t.echo_once(tunnel, self.seed + number, 4 * MB)
        t.run(both(), 90)
        self.assert_alive(tunnel)


if __name__ == "__main__":
    t.main()
