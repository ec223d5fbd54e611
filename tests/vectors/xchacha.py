#!/usr/bin/env python3
"""Writes xchacha.json: packets of the suite xchacha20-poly1305 (docs/develop/protocol.md section 11).

An implementation of its own, from RFC 8439 and draft-irtf-cfrg-xchacha-03, checked against the draft's vector (A.3.1)
before it writes anything. The keys are from the argon2 of the reference implementation (Debian package argon2):

    printf %s KEY | argon2 "kcptun-uv aead 1" -id -v 13 -t 2 -m 16 -p 1 -l 32 -r
"""

import hashlib
import json
import pathlib
import struct
import subprocess
import sys

MASK = 0xffffffff


def rotate(x, n):
    return (x << n | x >> 32 - n) & MASK


def rounds(state):
    def quarter(a, b, c, d):
        for first, second, moved, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = state[first] + state[second] & MASK
            state[moved] = rotate(state[moved] ^ state[first], by)
    for _ in range(10):
        for column in range(4):
            quarter(*(column + 4 * row for row in range(4)))
        for column in range(4):
            quarter(*((column + row) % 4 + 4 * row for row in range(4)))


def words(data):
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def initial(key, rest):
    return words(b"expand 32-byte k" + key + rest)


def hchacha20(key, nonce):
    state = initial(key, nonce)
    rounds(state)
    return struct.pack("<8I", *state[:4], *state[12:])


def chacha20_block(key, counter, nonce):
    start = initial(key, struct.pack("<I", counter) + nonce)
    state = list(start)
    rounds(state)
    return struct.pack("<16I", *((x + y) & MASK for x, y in zip(state, start)))


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return (total + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def padded(data):
    return data + bytes(-len(data) % 16)


def seal(key, nonce, associated, plain):
    """Ciphertext and tag."""
    key, nonce = hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    lengths = struct.pack("<QQ", len(associated), len(cipher))
    return cipher, poly1305(chacha20_block(key, 0, nonce)[:32], padded(associated) + padded(cipher) + lengths)


def check_draft():
    plain = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
             b"would be it.")
    cipher, tag = seal(bytes(range(0x80, 0xa0)), bytes(range(0x40, 0x58)),
                       bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), plain)
    assert tag.hex() == "c0875924c1c7987947deafd8780acf49", tag.hex()
    assert cipher.hex().startswith("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"), cipher.hex()


def derive(key):
    command = ["argon2", "kcptun-uv aead 1", "-id", "-v", "13", "-t", "2", "-m", "16", "-p", "1", "-l", "32", "-r"]
    return subprocess.run(command, input=key, capture_output=True, check=True).stdout.decode().strip()


def header(session, counter, from_server, made):
    return struct.pack("<QQI", session, counter | from_server << 63, made)


def main():
    check_draft()
    packets = []
    for number, key in enumerate((b"it's a secrect", b"k", b"a key of more than sixty-four bytes " * 3)):
        derived = derive(key)
        for size in (0, 1, 24, 43, 44, 45, 63, 64, 65, 500, 1290, 1440):
            seed = hashlib.shake_256(f"{number} {size}".encode())
            noise = seed.digest(24 + 16 + size)
            nonce, (session, counter) = noise[:24], struct.unpack("<QQ", noise[24:40])
            fields = {"session": session, "counter": counter >> 1, "from_server": size % 2, "time": 1700000000 + size}
            plain = header(session, counter >> 1, size % 2, 1700000000 + size) + noise[40:]
            cipher, tag = seal(bytes.fromhex(derived), nonce, b"", plain)
            packets.append({"key": key.decode(), "derived": derived, "nonce": nonce.hex(), **fields,
                            "body": noise[40:].hex(), "packet": (nonce + cipher + tag).hex()})
    path = pathlib.Path(__file__).with_name("xchacha.json")
    path.write_text(json.dumps({"source": "tests/vectors/xchacha.py", "packets": packets}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
