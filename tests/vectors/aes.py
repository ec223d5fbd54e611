"""AES-256 and AES-256-GCM from FIPS 197 and NIST SP 800-38D, for noise.py. Slow, and not for secrets."""

POLYNOMIAL = 0x11b


def times(a, b):
    """In GF(2^8)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
        if a & 0x100:
            a ^= POLYNOMIAL
    return product


def substitute(byte):
    """The S-box: an inverse and an affine map (FIPS 197, section 5.1.1)."""
    inverse = 1
    for _ in range(254):
        inverse = times(inverse, byte)
    out = 0x63
    for turn in range(5):
        out ^= (inverse << turn | inverse >> 8 - turn) & 0xff
    return out


SBOX = bytes(substitute(byte) for byte in range(256))


def round_keys(key):
    """Fifteen of 16 bytes, from a key of 32."""
    words, constant = [key[i:i + 4] for i in range(0, 32, 4)], 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = times(constant, 2)
        elif len(words) % 8 == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return [b"".join(words[i:i + 4]) for i in range(0, 60, 4)]


def encrypt(key, block):
    keys = round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, round_key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]  # bytes and rows
        if number < 14:
            columns = [state[i:i + 4] for i in range(0, 16, 4)]
            state = [times(2, c[i]) ^ times(3, c[(i + 1) % 4]) ^ c[(i + 2) % 4] ^ c[(i + 3) % 4]
                     for c in columns for i in range(4)]
        state = [a ^ b for a, b in zip(state, round_key)]
    return bytes(state)


def field_product(x, y):
    """In GF(2^128) as GCM orders its bits."""
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = x >> 1 ^ (0xe1 << 120 if x & 1 else 0)
    return product


def ghash(subkey, data):
    total = 0
    for at in range(0, len(data), 16):
        total = field_product(total ^ int.from_bytes(data[at:at + 16], "big"), subkey)
    return total.to_bytes(16, "big")


def whole_blocks(data):
    return data + bytes(-len(data) % 16)


def gcm_seal(key, nonce, associated, plain):
    """Ciphertext and tag; the nonce has 12 bytes."""
    def stream(count):
        return encrypt(key, nonce + count.to_bytes(4, "big"))
    blocks = b"".join(stream(2 + i) for i in range((len(plain) + 15) // 16))
    cipher = bytes(a ^ b for a, b in zip(plain, blocks))
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(cipher)).to_bytes(8, "big")
    subkey = int.from_bytes(encrypt(key, bytes(16)), "big")
    hashed = ghash(subkey, whole_blocks(associated) + whole_blocks(cipher) + lengths)
    return cipher + bytes(a ^ b for a, b in zip(hashed, stream(1)))


def check_published():
    """FIPS 197, appendix C.3; test case 16 of McGrew and Viega's paper on GCM."""
    assert encrypt(bytes(range(32)), bytes.fromhex("00112233445566778899aabbccddeeff")).hex() == \
        "8ea2b7ca516745bfeafc49904b496089"
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = bytes.fromhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                          "b16aedf5aa0de657ba637b39")
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    assert gcm_seal(key, bytes.fromhex("cafebabefacedbaddecaf888"), associated, plain)[-16:].hex() == \
        "76fc6ece0f4e1768cddf8853bb2d551b"
