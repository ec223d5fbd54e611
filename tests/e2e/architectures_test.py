"""Transfers between programs of two architectures, in each cipher: scripts/test-arch.sh runs it.

    architectures_test.py --client PROGRAM --server PROGRAM

A program in a folder "debian" is Go's kcptun: it gets no flags of ours, and the ciphers that it lacks are left out.
"""

import pathlib
import time

import tunnel as t
from tunnel import OPTIONS, TunnelCase

KCPTUN = ("aes", "aes-128", "aes-192", "sm4", "twofish", "blowfish", "cast5", "3des", "tea", "xtea", "salsa20", "xor", "none")
OURS = ("aes-128-gcm", "null", "xchacha20-poly1305")
SIZE = 1_000_000
# An emulated 3des moves less than 1 MB/s; a server takes its first session of xchacha20-poly1305 after some seconds.
LIMIT = 240


def is_ours(program):
    return pathlib.Path(program).parent.name != "debian"


class Ciphers(TunnelCase):
    def test_each_cipher_carries_a_megabyte_both_ways(self):
        both_ours = is_ours(OPTIONS.client) and is_ours(OPTIONS.server)
        args = {f"{role}_args": ["--udp-offload", "off"] if is_ours(program) else []
                for role, program in (("client", OPTIONS.client), ("server", OPTIONS.server))}
        for number, cipher in enumerate([*KCPTUN, *(OURS if both_ours else ())]):
            with self.subTest(cipher=cipher):
                started = time.monotonic()
                # Snappy's frames have CRC-32C, QPP is in smux 2 streams: each runs in every other cipher.
                common = ["--mode", "fast3", "--crypt", cipher, "--smuxver", 2 - number % 2]
                common += ["--nocomp"] if number % 3 == 2 else []
                common += ["--QPP"] if both_ours and number % 2 else []
                tunnel = self.tunnel(common, **args)
                t.run(t.echo_once(tunnel, self.seed + number, SIZE), LIMIT)
                print(f"{cipher}: {2 * SIZE} bytes, {time.monotonic() - started:.1f} s with the start", flush=True)


if __name__ == "__main__":
    t.main()
