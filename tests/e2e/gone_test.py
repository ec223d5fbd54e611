"""Connections whose peer at one end of the tunnel is gone do not stay, though the other end says nothing and holds.

    gone_test.py --client PROGRAM --server PROGRAM [--count N] [--long] [unittest arguments]

--count: connections of each kind. --long: also those that take closewait (35 s) to be given up.
"""

import argparse
import os
import socket
import struct
import sys
import threading

import tunnel as t

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() resets
SETTINGS = argparse.Namespace(count=20, long=False)
SOON = 10       # seconds: a reset, or the end of a unix socket
PROBED = 40     # a close: the kernel forgets it, and the next keepalive (15 s) finds out
GIVEN_UP = 60


class HoldingTarget:
    """Accepts and neither writes nor reads nor closes, but for connections that begin with "e":

        e...   shuts down its writing side, and resets
    """

    def __init__(self, path=None):
        self.held = []
        self.port = None if path else t.free_port()
        self.name = path or f"{t.HOST}:{self.port}"
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(1024)
        else:
            self._listener = socket.create_server((t.HOST, self.port), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.held:
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.held.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        first = connection.recv(1, socket.MSG_PEEK)
        if first == b"e":
            connection.recv(1)
            connection.shutdown(socket.SHUT_WR)
            reset(connection)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    connection.close()


def fill(connection):
    """Sends until nothing is taken any more."""
    connection.settimeout(1)
    try:
        connection.sendall(bytes(64 << 20))
    except TimeoutError:
        pass


class Gone(t.TunnelCase):
    def start(self, version, local=None, target=None):
        target = target or HoldingTarget()
        self.addCleanup(target.close)
        return self.tunnel(["--smuxver", version, "--quiet"], target=target, local=local), target

    def connect(self, tunnel):
        if tunnel.local_port:
            return socket.create_connection((t.HOST, tunnel.local_port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(tunnel.local)
        return connection

    def nothing_stays(self, tunnel, target, begin, seconds):
        """begin() ends one connection; none may be left at either end."""
        before = [program.descriptors() for program in tunnel.programs]
        kept = [begin() for _ in range(SETTINGS.count)]
        t.wait_until(lambda: len(target.held) == SETTINGS.count, 10, "the target has accepted")
        now = lambda: [program.descriptors() for program in tunnel.programs]
        try:
            t.wait_until(lambda: now() <= before, seconds, "nothing is left", 0.05)
        except t.Failure:
            self.fail(f"descriptors {before} before, {now()} after {SETTINGS.count} connections and {seconds} s")
        finally:
            for connection in kept:
                if connection:
                    connection.close()

    def test_an_application_that_shut_down_and_reset(self):
        for version in (2, 1):
            with self.subTest(version=version):
                tunnel, target = self.start(version)

                def begin():
                    connection = self.connect(tunnel)
                    connection.sendall(b"x")
                    connection.shutdown(socket.SHUT_WR)
                    reset(connection)
                self.nothing_stays(tunnel, target, begin, SOON)

    def test_a_target_that_shut_down_and_reset(self):
        for version in (2, 1):
            with self.subTest(version=version):
                tunnel, target = self.start(version)

                def begin():
                    connection = self.connect(tunnel)
                    connection.sendall(b"e")
                    return connection  # held
                self.nothing_stays(tunnel, target, begin, SOON)

    def test_an_application_that_closed(self):
        tunnel, target = self.start(2)

        def begin():
            connection = self.connect(tunnel)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)  # the kernel's patience, of 60 s else
            connection.sendall(b"x")
            connection.close()
        self.nothing_stays(tunnel, target, begin, PROBED)

    def test_an_application_that_closed_a_unix_socket(self):
        path = os.path.join(self.directory, "target")
        tunnel, target = self.start(2, os.path.join(self.directory, "local"), HoldingTarget(path))

        def begin():
            connection = self.connect(tunnel)
            connection.sendall(b"x")
            connection.close()
        self.nothing_stays(tunnel, target, begin, SOON)

    def test_an_application_that_is_half_closed_and_waits_is_left_alone(self):
        for version in (2, 1):
            with self.subTest(version=version):
                tunnel, target = self.start(version)
                connection = self.connect(tunnel)
                self.addCleanup(connection.close)
                connection.sendall(b"x")
                connection.shutdown(socket.SHUT_WR)
                t.wait_until(lambda: target.held, 10, "the target has accepted")
                connection.settimeout(3)
                with self.assertRaises(TimeoutError):  # no end, and no error
                    connection.recv(1)
                target.held[0].sendall(b"late")
                self.assertEqual(connection.recv(10), b"late")

    def test_an_application_that_reset_while_the_target_does_not_read(self):
        if not SETTINGS.long:
            self.skipTest("takes a minute: --long")
        tunnel, target = self.start(2)

        def begin():
            connection = self.connect(tunnel)
            fill(connection)
            reset(connection)
        SETTINGS.count = 3
        self.nothing_stays(tunnel, target, begin, GIVEN_UP)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--count", type=int, default=SETTINGS.count)
    parser.add_argument("--long", action="store_true")
    options, rest = parser.parse_known_args()
    vars(SETTINGS).update(vars(options))
    sys.argv[1:] = rest
    t.main()


if __name__ == "__main__":
    main()
