"""The wire format, spoken by hand: KCP segments and smux frames in plain datagrams (--crypt null, no FEC, --nocomp), for
peers that do what no real one does. docs/develop/protocol.md sections 5 and 6.
"""

import os
import random
import socket
import struct
import time

from tunnel import Deadline

PUSH, ACK, WASK, WINS = 81, 82, 83, 84
SYN, FIN, PSH, NOP, UPD = range(5)
PLAIN = ["--crypt", "null", "--nocomp", "--ds", "0", "--ps", "0"]  # what the programs need to be spoken to


def segment(conv, command, sn=0, una=0, window=1024, ts=0, data=b"", length=None):
    return struct.pack("<IBBHIIII", conv, command, 0, window & 0xffff, ts & 0xffffffff, sn & 0xffffffff,
                       una & 0xffffffff, len(data) if length is None else length) + data


def segments(datagram):
    """(conv, command, window, ts, sn, una, data) of each segment."""
    found = []
    while len(datagram) >= 24:
        conv, command, _, window, ts, sn, una, length = struct.unpack_from("<IBBHIIII", datagram)
        found.append((conv, command, window, ts, sn, una, datagram[24:24 + length]))
        datagram = datagram[24 + length:]
    return found


def frame(command, sid, payload=b"", version=2, length=None):
    return struct.pack("<BBHI", version, command, len(payload) if length is None else length, sid) + payload


def update(sid, consumed, window):
    return frame(UPD, sid, struct.pack("<II", consumed & 0xffffffff, window))


class Peer:
    """A client of the server at `port` that says what it is told to say. Keeps its own side of KCP only as far as a test
    asks: send() numbers segments, pump() acknowledges what arrives and gathers the stream in order."""

    def __init__(self, port, address="127.0.0.1", conv=None):
        self.conv = random.SystemRandom().randrange(1, 1 << 32) if conv is None else conv
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.sn = 0          # next segment that we send
        self.una = 0         # of ours, that the server has not
        self.rcv_nxt = 0     # next segment of the server
        self.window = 1024   # that we tell
        self.early = {}
        self.stream = bytearray()  # in order, as it came
        self.unacknowledged = {}

    def raw(self, datagram):
        try:
            self.socket.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            pass

    def tell(self, command, **fields):
        self.raw(segment(self.conv, command, **{"una": self.rcv_nxt, "window": self.window, **fields}))

    def send(self, data):
        """The bytes as the next segments of our stream; pump() sends them again until they are acknowledged."""
        for at in range(0, len(data), 1200):
            piece = data[at:at + 1200]
            self.unacknowledged[self.sn] = piece
            self.tell(PUSH, sn=self.sn, ts=self._ms(), data=piece)
            self.sn += 1

    def pump(self, acknowledge=True):
        """Takes in what has arrived; True if there was something."""
        seen = False
        while True:
            try:
                datagram = self.socket.recv(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return seen
            seen = True
            for conv, command, _, ts, sn, una, data in segments(datagram):
                if conv != self.conv:
                    continue
                self.una = max(self.una, una)
                if command == PUSH:
                    self._take(sn, data)
                    if acknowledge:
                        self.tell(ACK, sn=sn, ts=ts)
                elif command == ACK:
                    self.unacknowledged.pop(sn, None)
                elif command == WASK and acknowledge:
                    self.tell(WINS)
            for sn in [sn for sn in self.unacknowledged if sn < self.una]:
                del self.unacknowledged[sn]

    def repeat(self):
        for sn, piece in list(self.unacknowledged.items())[:32]:
            self.tell(PUSH, sn=sn, ts=self._ms(), data=piece)

    def pump_until(self, condition, seconds):
        """True once condition() is; sends again what is not acknowledged."""
        deadline = Deadline(seconds)
        repeat_at = time.monotonic() + 0.2
        while not deadline.is_over():
            if not self.pump():
                time.sleep(0.002)
            if time.monotonic() > repeat_at:
                self.repeat()
                repeat_at = time.monotonic() + 0.2
            if condition():
                return True
        return False

    def frames(self):
        """(version, command, sid, payload) of each whole frame that came."""
        found, at = [], 0
        while at + 8 <= len(self.stream):
            version, command, length, sid = struct.unpack_from("<BBHI", self.stream, at)
            if at + 8 + length > len(self.stream):
                break
            found.append((version, command, sid, bytes(self.stream[at + 8:at + 8 + length])))
            at += 8 + length
        return found

    def payload(self, sid):
        return b"".join(payload for _, command, stream, payload in self.frames() if command == PSH and stream == sid)

    def close(self):
        self.socket.close()

    def _take(self, sn, data):
        if sn >= self.rcv_nxt:
            self.early[sn] = data
        while self.rcv_nxt in self.early:
            self.stream += self.early.pop(self.rcv_nxt)
            self.rcv_nxt += 1

    @staticmethod
    def _ms():
        return int(time.monotonic() * 1000)


def random_bytes(count):
    return os.urandom(count)
