"""A UDP relay that loses, duplicates and reorders datagrams, as its seed decides."""

import heapq
import random
import select
import socket
import threading
import time


class LossyRelay:
    """Stands between client and server on loopback. Rates are shares of the datagrams in each direction.

    `loss_back`: the rate of what comes from the server, where it is another than `loss`.
    A reordered datagram is held back for up to `hold` seconds. One socket to the server for each client address, as the
    server keys sessions by address.
    """

    def __init__(self, server_port, port, seed, loss=0.0, loss_back=None, duplicate=0.0, reorder=0.0, hold=0.02, largest=65535):
        self.port = port
        self.counts = {"seen": 0, "lost": 0, "duplicated": 0, "reordered": 0}
        self._server = ("127.0.0.1", server_port)
        self._rng = random.Random(seed)
        self.loss = loss  # may be changed while it runs
        self.loss_back = loss_back
        self._duplicate, self._reorder, self._hold = duplicate, reorder, hold
        self._largest = largest  # bytes of a datagram; larger ones vanish, as on a path with a smaller MTU and no ICMP
        self._front = self._socket()
        self._front.bind(("127.0.0.1", port))
        self._back = {}     # client address: socket to the server
        self._clients = {}  # that socket: client address
        self._held = []     # heap of (due, number, socket, address, datagram)
        self._number = 0
        self._stopped = threading.Event()
        self._forget = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def forget_clients(self):
        """As a NAT does: the next datagram of each client goes out from another port, and the old one is deaf."""
        self._forget.set()

    def close(self):
        self._stopped.set()
        self._thread.join(5)
        for opened in [self._front, *self._clients]:
            opened.close()

    @staticmethod
    def _socket():
        created = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            created.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        created.setblocking(False)
        return created

    def _run(self):
        while not self._stopped.is_set():
            if self._forget.is_set():
                self._forget.clear()
                self._held = [held for held in self._held if held[2] is self._front]
                for back in self._clients:
                    back.close()
                self._back, self._clients = {}, {}
            wait = max(0.0, min(0.1, self._held[0][0] - time.monotonic())) if self._held else 0.1
            readable, _, _ = select.select([self._front, *self._clients], [], [], wait)
            for source in readable:
                self._drain(source)
            while self._held and self._held[0][0] <= time.monotonic():
                self._pass(*heapq.heappop(self._held)[2:])

    def _drain(self, source):
        for _ in range(64):
            try:
                datagram, sender = source.recvfrom(2048)
            except ConnectionRefusedError:
                continue  # nobody listens at the server's port for now
            except BlockingIOError:
                return
            if source is self._front:
                if sender not in self._back:
                    back = self._socket()
                    back.bind(("127.0.0.1", 0))
                    self._back[sender] = back
                    self._clients[back] = sender
                self._decide(self._back[sender], self._server, datagram)
            else:
                self._decide(self._front, self._clients[source], datagram)

    def _decide(self, out, address, datagram):
        self.counts["seen"] += 1
        loss = self.loss if out is not self._front or self.loss_back is None else self.loss_back
        if self._rng.random() < loss or len(datagram) > self._largest:
            self.counts["lost"] += 1
            return
        copies = 1
        if self._rng.random() < self._duplicate:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            if self._rng.random() < self._reorder:
                self.counts["reordered"] += 1
                self._number += 1
                due = time.monotonic() + self._rng.random() * self._hold
                heapq.heappush(self._held, (due, self._number, out, address, datagram))
            else:
                self._pass(out, address, datagram)

    @staticmethod
    def _pass(out, address, datagram):
        try:
            out.sendto(datagram, address)
        except OSError:
            pass  # a full buffer or a closed port: one more loss
