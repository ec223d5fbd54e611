"""Floods of first messages of the suite noise, as strangers, recorders and holders of the shared key can make them.

    hello_flood_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import base64
import hashlib
import pathlib
import random
import socket
import struct
import sys
import threading
import time

import machine
import tunnel as t
from hostile_test import FAST, IS_SANITIZED, MB, HostileCase, Recorder, download

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))
import noise  # noqa: E402  the suite's keys in Python

A_MINUTE = 1_000_000  # datagrams
RATE = 4 * MB         # of the transfer, bytes per second
SECONDS = 15


class Maker:
    """Hellos whose mac is right: from who has the shared key. Their handshake message is random."""

    def __init__(self, raw_key, rng):
        # libsodium's generic hash takes the salt as the message and the key's bytes as the key.
        master = hashlib.blake2b(b"kcptun-uv noise1", digest_size=32, key=raw_key).digest()
        self.keys = noise.shared_keys(master, b"")
        self.rng = rng

    def hello(self):
        session = self.rng.getrandbits(64)
        part = noise.hello_part(self.keys["mac"], session, int(time.time()), self.rng.randbytes(48), b"")
        front = struct.pack("<QQ", session, 1 << 56) + part
        sealed = self.rng.randbytes(60)
        stream = noise.mask_stream(self.keys["mask"], sealed[-16:], len(front))
        return bytes(a ^ b for a, b in zip(front, stream)) + sealed


class HelloFlood(HostileCase):
    def flood(self, port, datagrams, stop, counts):
        """From many addresses, A_MINUTE a minute, as far as this machine sends them."""
        rng = random.Random(self.seed)
        sockets = []
        for _ in range(50):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((f"127.{1 + rng.randrange(250)}.{rng.randrange(256)}.{1 + rng.randrange(250)}", 0))
            one.connect((t.HOST, port))
            one.setblocking(False)
            sockets.append(one)
        begun = time.monotonic()
        while not stop.is_set():
            due = (time.monotonic() - begun) * A_MINUTE / 60
            while counts["sent"] < due and not stop.is_set():
                try:
                    sockets[counts["sent"] % len(sockets)].send(datagrams[counts["sent"] % len(datagrams)])
                except OSError:
                    pass
                counts["sent"] += 1
            time.sleep(0.002)
        for one in sockets:
            try:
                while one.recv(2048):
                    counts["answers"] += 1
            except OSError:
                pass
            one.close()

    def test_a_transfer_keeps_its_goodput_beside_a_million_hellos_a_minute(self):
        rng = random.Random(self.seed)
        raw = rng.randbytes(32)
        key = "raw256:" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
        relays = []

        def relay(server_port):
            relays.append(Recorder(server_port))
            return relays[0]
        tunnel = self.tunnel(["--crypt", "noise", "--key", key, *FAST], relay=relay, keyless=True,
                             server_args=["--ratelimit", RATE, "--threads", 1], client_args=["--autoexpire", 0])
        t.run(t.echo_once(tunnel, self.seed, 256 << 10), 60)
        alone = t.run(download(tunnel, self.seed, 2 * RATE), 60)
        before = tunnel.server_program.counters()
        rss = tunnel.server_program.rss()
        maker = Maker(raw, rng)
        recorded = relays[0].recorded[:200]
        made = [maker.hello() for _ in range(200)]
        garbage = [rng.randbytes(rng.randrange(1500)) for _ in range(200)]
        datagrams = [one for three in zip(made, recorded, garbage) for one in three]
        stop, counts = threading.Event(), {"sent": 0, "answers": 0}
        flooder = threading.Thread(target=self.flood, args=(tunnel.udp_port, datagrams, stop, counts))
        flooder.start()
        begun = time.monotonic()
        try:
            beside = t.run(download(tunnel, self.seed + 1, SECONDS * RATE), 120)
        finally:
            took = time.monotonic() - begun
            stop.set()
            flooder.join()
        after = tunnel.server_program.counters()
        print(f"{counts['sent'] / took * 60:.0f} datagrams a minute, {counts['answers']} cookies; {alone / MB:.2f} MB/s "
              f"alone, {beside / MB:.2f} beside", flush=True)
        self.assertEqual(after["PassiveOpens"], before["PassiveOpens"])
        self.assertGreater(after["InPkts"] - before["InPkts"], counts["sent"] / 2)
        # Only hellos of who has the key get one, and only while more come than the server reads.
        self.assertLess(counts["answers"], counts["sent"] / 3 + 1)
        if not IS_SANITIZED:
            self.assertGreater(beside, 0.8 * alone / machine.busy())
        self.assert_alive(tunnel)
        self.assert_log_is_short(tunnel.server_program)
        self.assert_grew_less(tunnel.server_program, rss, 16 * MB)


if __name__ == "__main__":
    t.main()
