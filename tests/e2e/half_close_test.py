"""The FIN behind the peer's: newer Go peers throw away what they have not read once both sides have finished.

A stand-in for them, by hand: it keeps what came of a stream until its slow reader takes it, tells of its first read
(smux 2), and forgets the stream, unread bytes and all, as soon as FINs have gone both ways. As a client of our server
and as a server of our client, smux 1 and 2, with and without QPP.

    half_close_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import socket
import threading
import time

import tunnel as t
import wire as w

READS_AFTER = 0.15  # seconds: the reader is so late
SIZES = (1, 9_000, 20_000, 300_000)  # a request of so many bytes is answered by the size of that number
LIMIT = 40
FIN_WITHIN = 8  # seconds: it waits for about one, and for no keepalive, which comes every ten


class GoStream:
    """One stream at the stand-in: what has come, what of it was read, and what was thrown away."""

    def __init__(self):
        self.unread = bytearray()
        self.read = bytearray()
        self.thrown_away = 0
        self.sent_fin = self.got_fin = self.over = False
        self.reads_at = None
        self.told = False


class GoPeer:
    """Streams over a wire.Peer."""

    def __init__(self, peer, version):
        self.peer = peer
        self.version = version
        self.streams = {}
        self.seen = 0

    def send(self, sid, data=b"", fin=False, syn=False):
        stream = self.streams.setdefault(sid, GoStream())
        frames = w.frame(w.SYN, sid, version=self.version) if syn else b""
        for at in range(0, len(data), 4096):
            frames += w.frame(w.PSH, sid, data[at:at + 4096], version=self.version)
        if fin:
            frames += w.frame(w.FIN, sid, version=self.version)
        self.peer.send(frames)
        if fin:
            stream.sent_fin = True
            self._forget_if_over(stream)

    def step(self):
        frames = self.peer.frames()
        for _, command, sid, payload in frames[self.seen:]:
            stream = self.streams.setdefault(sid, GoStream())
            if command == w.PSH and not stream.over:
                stream.unread += payload
                stream.reads_at = stream.reads_at or time.monotonic() + READS_AFTER
            if command == w.FIN:
                stream.got_fin = True
                self._forget_if_over(stream)
        self.seen = len(frames)
        for sid, stream in self.streams.items():
            self._read_if_due(sid, stream)

    def _read_if_due(self, sid, stream):
        if stream.over or not stream.unread or time.monotonic() < stream.reads_at:
            return
        stream.read += stream.unread
        stream.unread.clear()
        stream.reads_at = time.monotonic() + READS_AFTER
        if self.version == 2 and not stream.told:
            stream.told = True
            self.peer.send(w.update(sid, len(stream.read), 2 << 20))

    def _forget_if_over(self, stream):
        if stream.sent_fin and stream.got_fin and not stream.over:
            stream.over = True
            stream.thrown_away = len(stream.unread)
            stream.unread.clear()

    def run_until(self, condition, seconds=LIMIT):
        def check():
            self.step()
            return condition()
        return self.peer.pump_until(check, seconds)


class Server(w.Peer):
    """A wire.Peer that a client dials."""

    def __init__(self):
        self.listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listening.bind((t.HOST, 0))
        self.port = self.listening.getsockname()[1]

    def wait_for_client(self):
        self.listening.settimeout(10)
        datagram, address = self.listening.recvfrom(2048)
        super().__init__(self.port, conv=w.segments(datagram)[0][0])
        self.socket.close()
        self.socket = self.listening
        self.socket.connect(address)
        self.socket.setblocking(False)
        # What was taken out comes again, by retransmission.


class FinBehindThePeers(t.TunnelCase):
    def configurations(self):
        return [(version, qpp) for version in (1, 2) for qpp in ([], ["--QPP"])]

    def common(self, version, qpp):
        return [*w.PLAIN, "--smuxver", version, *qpp]

    def test_a_client_that_finished_first_gets_the_whole_answer(self):
        for version, qpp in self.configurations():
            with self.subTest(version=version, qpp=qpp):
                self.ask_as_client(version, qpp)

    def ask_as_client(self, version, qpp):
        target = AnsweringTarget()
        self.addCleanup(target.close)
        tunnel = self.tunnel(self.common(version, qpp), target=target)
        peer = w.Peer(tunnel.udp_port)
        self.addCleanup(peer.close)
        go = GoPeer(peer, version)
        for number in range(len(SIZES)):  # at once
            go.send(3 + 2 * number, bytes(number + 1), fin=True, syn=True)
        for number, size in enumerate(SIZES):
            self.check(go, go.streams[3 + 2 * number], size)
        self.assertTrue(go.run_until(lambda: not peer.unacknowledged, 10))

    def test_a_client_that_finishes_while_the_answer_is_unread_gets_the_whole_answer(self):
        """The target has finished too: the two FINs cross."""
        for version, qpp in self.configurations():
            with self.subTest(version=version, qpp=qpp):
                target = FinishingTarget()
                self.addCleanup(target.close)
                tunnel = self.tunnel(self.common(version, qpp), target=target)
                peer = w.Peer(tunnel.udp_port)
                self.addCleanup(peer.close)
                go = GoPeer(peer, version)
                sids = range(3, 11, 2)
                for sid in sids:
                    go.send(sid, b"?", syn=True)
                for sid in sids:
                    stream = go.streams[sid]
                    self.assertTrue(go.run_until(lambda s=stream: s.unread or s.read))
                    go.send(sid, fin=True)
                for sid in sids:
                    self.check(go, go.streams[sid], FinishingTarget.SIZE)

    def check(self, go, stream, size):
        self.assertTrue(go.run_until(lambda: stream.over or len(stream.read) == size), f"{len(stream.read)} of {size} bytes")
        self.assertTrue(go.run_until(lambda: stream.over, FIN_WITHIN), f"{size} bytes: no FIN within {FIN_WITHIN} s")
        self.assertEqual((len(stream.read), stream.thrown_away), (size, 0))

    def test_a_server_whose_target_finished_first_gets_the_whole_upload(self):
        for version, qpp in self.configurations():
            with self.subTest(version=version, qpp=qpp):
                self.take_as_server(version, qpp)

    def take_as_server(self, version, qpp):
        server = Server()
        self.addCleanup(server.listening.close)
        local = t.free_port()
        program = self.start_client(local, server.port, self.common(version, qpp))
        self.addCleanup(program.end)
        go = None
        for number, size in enumerate((9_000, 300_000)):
            with socket.create_connection((t.HOST, local)) as application:
                application.sendall(b"!")
                if not go:
                    server.wait_for_client()
                    go = GoPeer(server, version)
                sid = 3 + 2 * number
                self.assertTrue(go.run_until(lambda: sid in go.streams and go.streams[sid].read))
                stream = go.streams[sid]
                go.send(sid, b"that is all", fin=True)
                ended = threading.Event()
                threading.Thread(target=upload, args=(application, size, ended), daemon=True).start()
                self.check(go, stream, 1 + size)
                self.assertTrue(ended.wait(10))

    def start_client(self, local, port, common):
        program = t.Program(t.OPTIONS.client, ["--localaddr", f"{t.HOST}:{local}", "--remoteaddr", f"{t.HOST}:{port}",
                                               "--key", "kcptun-uv test key", *common], f"{self.directory}/client.log")
        program.wait_ready(lambda: t.can_listen_tcp(local))
        return program

    def test_between_our_own_programs_the_fin_waits_for_nothing(self):
        for version in (1, 2):
            with self.subTest(version=version):
                target = AnsweringTarget()
                self.addCleanup(target.close)
                tunnel = self.tunnel(["--smuxver", version], target=target)
                waited = []
                for _ in range(5):
                    with socket.create_connection((t.HOST, tunnel.local_port)) as application:
                        application.settimeout(LIMIT)
                        application.sendall(b"???")
                        application.shutdown(socket.SHUT_WR)
                        received = 0
                        while data := application.recv(1 << 20):
                            received += len(data)
                            last = time.monotonic()
                        waited.append(time.monotonic() - last)
                    self.assertEqual(received, 20_000)
                self.assertLess(min(waited), 0.5, waited)  # else all waited for a second


class AnsweringTarget(t.ThreadedTarget):
    """Reads to the end of file, answers with the size that the number of bytes stands for, and closes."""

    def serve(self, connection):
        with connection:
            asked = 0
            while data := connection.recv(4096):
                asked += len(data)
            connection.sendall(t.payload(1, SIZES[asked - 1]))


class FinishingTarget(t.ThreadedTarget):
    """Answers the first byte, finishes at once, and then reads to the end of file."""

    SIZE = 100_000

    def serve(self, connection):
        with connection:
            connection.recv(1)
            connection.sendall(t.payload(1, self.SIZE))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def upload(connection, size, ended):
    """Sends, ends, and reads to the end of file."""
    connection.sendall(t.payload(1, size))
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
    ended.set()


if __name__ == "__main__":
    t.main()
