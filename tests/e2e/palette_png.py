"""Makes the browser's pictures small: 256 colours are enough for a page of text and lines."""

import struct
import zlib
from collections import Counter

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256
RGB = 2      # IHDR's colour type (PNG specification, section 11.2.1)
PALETTE = 3


def chunks(data):
    at = len(SIGNATURE)
    while at < len(data):
        size, = struct.unpack_from(">I", data, at)
        yield data[at + 4:at + 8], data[at + 8:at + 8 + size]
        at += 12 + size


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def unfiltered(raw, width, height):
    """The rows of a picture of 3 bytes a pixel without PNG's filters (section 9)."""
    stride, before = 3 * width, bytearray(3 * width)
    for y in range(height):
        begin = y * (stride + 1)
        kind, row = raw[begin], bytearray(raw[begin + 1:begin + 1 + stride])
        for i in range(stride if kind else 0):
            left, up, corner = (row[i - 3], before[i], before[i - 3]) if i >= 3 else (0, before[i], 0)
            if kind == 4:  # Paeth: the neighbour nearest to left + up - corner
                distances = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
                guess = (left, up, corner)[distances.index(min(distances))]
            else:
                guess = (0, left, up, (left + up) // 2)[kind]
            row[i] = (row[i] + guess) & 255
        yield row
        before = row


def shrink(path):
    """Replaces the RGB picture by one with the most frequent colours; others become the nearest of these."""
    with open(path, "rb") as file:
        parts = list(chunks(file.read()))
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", parts[0][1])
    assert (depth, colour) == (8, RGB), (depth, colour)
    raw = zlib.decompress(b"".join(body for name, body in parts if name == b"IDAT"))
    rows = [[bytes(row[i:i + 3]) for i in range(0, len(row), 3)] for row in unfiltered(raw, width, height)]
    frequent = [pixel for pixel, _ in Counter(pixel for row in rows for pixel in row).most_common()]
    palette = frequent[:COLOURS]
    index = {pixel: number for number, pixel in enumerate(palette)}
    for pixel in frequent[COLOURS:]:
        index[pixel] = min(range(COLOURS), key=lambda n: sum((a - b) ** 2 for a, b in zip(palette[n], pixel)))
    packed = zlib.compress(b"".join(b"\0" + bytes(index[pixel] for pixel in row) for row in rows), 9)
    with open(path, "wb") as file:
        file.write(SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)) +
                   chunk(b"PLTE", b"".join(palette)) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
