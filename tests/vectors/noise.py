#!/usr/bin/env python3
"""Writes noise.json: keys and packets of docs/develop/protocol.md section 15.

An implementation of its own, from RFC 7748, RFC 8439, RFC 7693, FIPS 197, NIST SP 800-38D and revision 34 of the Noise
framework. Before it writes anything it reproduces the published vectors in noise-cacophony.json.
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

import aes
from xchacha import padded, poly1305, chacha20_block

PRIME = 2**255 - 19
PATTERNS = {
    "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b": (("psk", "e"), ("e", "ee")),
    "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b": (("e", "es", "s", "ss"), ("e", "ee", "se", "psk")),
}
HERE = pathlib.Path(__file__)


def x25519(scalar, point=bytes([9]) + bytes(31)):
    k = int.from_bytes(scalar, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in range(254, -1, -1):
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        e = aa - bb
        x5, z5 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x4, z4 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
        x2, z2, x3, z3 = x4, z4, x5, z5
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def seal(key, number, associated, plain):
    nonce = bytes(4) + struct.pack("<Q", number)
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    lengths = struct.pack("<QQ", len(associated), len(cipher))
    return cipher + poly1305(chacha20_block(key, 0, nonce)[:32], padded(associated) + padded(cipher) + lengths)


def rekeyed(key):
    return seal(key, 2**64 - 1, b"", bytes(32))[:32]


def digest(data):
    return hashlib.blake2b(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.blake2b).digest()


def hkdf(chaining_key, data, count):
    extracted, out = mac(chaining_key, data), [b""]
    for number in range(1, count + 1):
        out.append(mac(extracted, out[-1] + bytes([number])))
    return out[1:]


class Symmetric:
    def __init__(self, name, prologue):
        self.h = self.ck = name.encode().ljust(64, b"\0")
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = digest(self.h + data)

    def mix_key(self, data):
        self.ck, key = hkdf(self.ck, data, 2)
        self.key, self.n = key[:32], 0

    def mix_key_and_hash(self, data):
        self.ck, extra, key = hkdf(self.ck, data, 3)
        self.mix_hash(extra)
        self.key, self.n = key[:32], 0

    def sealed(self, plain):
        out = seal(self.key, self.n, self.h, plain)
        self.n += 1
        self.mix_hash(out)
        return out


def handshake(name, prologue, psk, keys, payloads=(b"", b"")):
    """Both messages, the state after each of them, and the two keys. `keys`: private keys e, s of client and server."""
    public = {end: {letter: x25519(key) for letter, key in pairs.items()} for end, pairs in keys.items()}
    state = Symmetric(name, prologue)
    if "s" in keys["server"]:
        state.mix_hash(public["server"]["s"])
    messages, after = [], []
    for sender, tokens, payload in zip(("client", "server"), PATTERNS[name], payloads):
        message = b""
        for token in tokens:
            if token == "e":
                message += public[sender]["e"]
                state.mix_hash(public[sender]["e"])
                state.mix_key(public[sender]["e"])
            elif token == "s":
                message += state.sealed(public[sender]["s"])
            elif token == "psk":
                state.mix_key_and_hash(psk)
            else:
                state.mix_key(x25519(keys["client"][token[0]], public["server"][token[1]]))
        messages.append(message + state.sealed(payload))
        after.append((state.ck, state.h))
    return messages, after, [key[:32] for key in hkdf(state.ck, b"", 2)]


def keys_of(vector):
    names = {"client": "init", "server": "resp"}
    return {end: {letter: bytes.fromhex(vector[f"{name}_{field}"])
                  for letter, field in (("e", "ephemeral"), ("s", "static")) if f"{name}_{field}" in vector}
            for end, name in names.items()}


def check_published(vector):
    sent = [(bytes.fromhex(m["payload"]), m["ciphertext"]) for m in vector["messages"]]
    messages, after, keys = handshake(vector["protocol_name"], bytes.fromhex(vector["init_prologue"]),
                                      bytes.fromhex(vector["init_psks"][0]), keys_of(vector), [p for p, _ in sent[:2]])
    for i, (payload, expected) in enumerate(sent[2:]):
        messages.append(seal(keys[i % 2], i // 2, b"", payload))
    assert [m.hex() for m in messages] == [c for _, c in sent]
    assert after[1][1].hex() == vector["handshake_hash"]


def first_flight_key(after):
    chaining_key, seen = after
    return mac(chaining_key, b"kcptun-uv noise first flight" + seen)[:32]


def derived(vector):
    messages, after, keys = handshake(vector["protocol_name"], bytes.fromhex(vector["init_prologue"]),
                                      bytes.fromhex(vector["init_psks"][0]), keys_of(vector))
    return {"protocol_name": vector["protocol_name"], "messages": [m.hex() for m in messages],
            "first_flight_key": first_flight_key(after[0]).hex(), "keys": [k.hex() for k in keys],
            "rekeyed": rekeyed(keys[0]).hex(), "sealed_after_rekey": seal(rekeyed(keys[0]), 7, b"head", b"text").hex()}


def shared_keys(master, server):
    return {name: mac(master, b"kcptun-uv noise " + name.encode() + server)[:32] for name in ("psk", "mask", "mac", "cookie")}


def mask_stream(key, tag, size):
    """AES-256 of the tag, for each block with its number added to the last byte by XOR."""
    return b"".join(aes.encrypt(key, tag[:15] + bytes([tag[15] ^ i])) for i in range((size + 15) // 16))[:size]


def aes_seal(key, number, associated, plain):
    aes_key = mac(key, b"kcptun-uv noise aes-256-gcm")[:32]
    return aes.gcm_seal(aes_key, bytes(4) + struct.pack(">Q", number), associated, plain)


def packet(mask_key, key, head, part, body, with_aes):
    """A hello offers AES-256-GCM `with_aes`; the other kinds are sealed with it."""
    session, counter, epoch, kind = head
    front = struct.pack("<QQ", session, counter | epoch << 48 | kind << 56 | with_aes << 63) + part
    sealed = (aes_seal if with_aes and kind != 1 else seal)(key, counter, front, body)
    return bytes(a ^ b for a, b in zip(front, mask_stream(mask_key, sealed[-16:], len(front)))) + sealed


def hello_part(mac_key, session, time, message, cookie):
    covered = struct.pack("<QI", session, time) + message
    mac1 = hashlib.blake2b(covered, key=mac_key, digest_size=16).digest()
    mac2 = hashlib.blake2b(covered + mac1, key=cookie, digest_size=16).digest() if cookie else bytes(16)
    return struct.pack("<I", time) + message + mac1 + mac2


def session_packets(vector, cookie, with_aes):
    """A hello, an answer and a packet of data each way, in a session with the keys of a published vector."""
    name, keys, session, time = vector["protocol_name"], keys_of(vector), 0x1122334455667788, 1700000000
    server = x25519(keys["server"]["s"]) if "s" in keys["server"] else b""
    master = bytes(range(32))
    shared = shared_keys(master, server)
    messages, after, (client, answer) = handshake(name, b"kcptun-uv noise 1" + struct.pack("<Q", session), shared["psk"],
                                                  keys)
    hello = hello_part(shared["mac"], session, time, messages[0], cookie)
    body = bytes(range(40))
    packets = {"hello": packet(shared["mask"], first_flight_key(after[0]), (session, 0, 0, 1), hello, body, with_aes),
               "answer": packet(shared["mask"], answer, (session, 0, 0, 2), messages[1], body, with_aes),
               "client data": packet(shared["mask"], client, (session, 1, 0, 0), b"", body, with_aes),
               "server data": packet(shared["mask"], rekeyed(answer), (session, 2**48 - 1, 1, 0), b"", body, with_aes)}
    return {"protocol_name": name, "master": master.hex(), "session": session, "time": time, "cookie": cookie.hex(), "aes": with_aes,
            "shared": {k: v.hex() for k, v in shared.items()}, "body": body.hex(),
            "packets": {k: v.hex() for k, v in packets.items()}}


def main():
    published = json.loads(HERE.with_name("noise-cacophony.json").read_text())["vectors"]
    for vector in published:
        check_published(vector)
    aes.check_published()
    out = {"source": "tests/vectors/noise.py", "handshakes": [derived(vector) for vector in published],
           "sessions": [session_packets(vector, cookie, with_aes) for vector in published
                        for cookie in (b"", bytes(range(16))) for with_aes in (False, True)]}
    HERE.with_name("noise.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
