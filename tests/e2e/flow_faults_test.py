"""UDP flows and forwards among faults and hostile peers: garbage, foreign senders, more sources than there is room for,
a server without descriptors, one that is stopped, killed or restarted.

    flow_faults_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import os
import random
import resource
import signal
import socket
import time

import machine
import tunnel as t
from tunnel import OPTIONS
from udp_test import LARGEST, REFUSED, UdpCase

FLOWS_PER_IP = 4096  # UdpEntrance::kMaxFlowsPerIp
SERVED = 8  # seconds in which an application that asks again and again is answered


class FlowCase(UdpCase):
    """An entrance for UDP, one for TCP by a forward, and one to the server's own target."""

    def setUp(self):
        super().setUp()
        self.far = self.target()
        self.local, self.forwarded = t.free_port(), t.free_port()

    def start_pair(self, *common):
        self.start_server("-t", self.far.name, "--allow", f"udp/{t.HOST}:{self.echo.port}", "--allow",
                          f"tcp/{t.HOST}:{self.far.port}", *common)
        self.start_client("-l", f"{t.HOST}:{self.local}", "--forward",
                          f"tcp://{t.HOST}:{self.forwarded}=tcp://{t.HOST}:{self.far.port}", *common)
        t.wait_until(lambda: t.can_listen_tcp(self.local), 10, "the client listens")

    def connect(self, port):
        connection = socket.create_connection((t.HOST, port))
        self.addCleanup(connection.close)
        connection.settimeout(60)
        connection.sendall(b"echo\n")
        return connection

    def echo_stream(self, connection, size=20_000):
        data = t.payload(self.seed, size)
        connection.sendall(data)
        self.assertIsNone(t.first_difference(t.read_exactly(connection, size), data))

    def served(self, connection, what, seconds=SERVED):
        """Until an answer to one of many requests is there; others may be lost."""
        deadline, number, patience = t.Deadline(seconds), 0, connection.gettimeout()
        connection.settimeout(0.2)
        try:
            while not deadline.is_over():
                number += 1
                request = b"%s %d" % (what.encode(), number)
                connection.send(request)
                try:
                    while connection.recv(LARGEST) != request:
                        pass
                    return
                except OSError:
                    continue
            raise t.Failure(f"{what}: no answer in {seconds} s")
        finally:
            connection.settimeout(patience)

    def assert_all_served(self):
        self.served(self.application(), "a new source")
        for port in (self.local, self.forwarded):
            self.echo_stream(self.connect(port))
        for program in (self.client, self.server):
            self.assertIsNone(program.exit_code(), program.log()[-2000:])


class Hostile(FlowCase):
    def test_garbage_at_every_port_disturbs_no_flow(self):
        self.start_pair("--crypt", "aes-128-gcm")
        application = self.application()
        self.served(application, "before")
        flow_port = next(iter(self.echo.senders))[1]
        rng = random.Random(self.seed)
        before = len(self.echo.senders)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((t.HOST, 0))
            client_port = next(local for local, remote, *_ in t.kernel_sockets("udp") if remote == self.tunnel_port)
            for number in range(20_000):
                port = (self.tunnel_port, flow_port, client_port)[number % 3]
                stranger.sendto(rng.randbytes(rng.choice((0, 1, 20, 24, 100, 1350, 1472))), (t.HOST, port))
                if number % 1000 == 0:  # the kernel drops what a full buffer cannot take
                    self.served(application, "datagram %d" % number)
        self.served(application, "after")
        self.assertEqual(len(self.echo.senders), before, "the flow is the same")
        self.assert_all_served()

    def test_sources_beyond_their_number_leave_other_addresses_theirs(self):
        self.start_pair()
        application = self.application()
        self.served(application, "before")
        sent = 0
        deadline = t.Deadline(60)
        while sent < FLOWS_PER_IP + 1000:
            self.assertFalse(deadline.is_over())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                source.bind(("127.0.0.2", 0))
                source.sendto(b"once", (t.HOST, self.entrance))
            sent += 1
            if sent % 500 == 0:
                self.served(application, "source %d" % sent)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.3", 0))
            other.connect((t.HOST, self.entrance))
            self.served(other, "another address")
        self.served(application, "after")
        self.assert_all_served()
        self.assertLessEqual(len(self.echo.senders), FLOWS_PER_IP + 10)


class Faults(FlowCase):
    def test_a_server_without_descriptors_refuses_flows_and_keeps_those_that_it_has(self):
        self.start_pair()
        application, stream = self.application(), self.connect(self.local)
        self.served(application, "before")
        self.echo_stream(stream)
        usual = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (self.server.descriptors(), usual[1]))
        late = self.application()
        self.wait_for_line(lambda: late.send(b"no descriptor"), self.client, REFUSED)
        self.exchange(application, b"during")
        self.echo_stream(stream)
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, usual)
        self.served(late, "afterwards")
        self.assert_all_served()
        if machine.busy() < 2:  # a server that answers late is given up for another session
            t.wait_logged(self.server, "session opened", times=1)

    def test_a_server_that_stands_still_delays_streams_and_loses_datagrams_of_that_time(self):
        self.start_pair()
        application, stream = self.application(), self.connect(self.forwarded)
        self.served(application, "before")
        self.echo_stream(stream)
        self.server.signal(signal.SIGSTOP)
        try:
            for number in range(100):
                application.send(b"lost %d" % number)
                time.sleep(0.01)
        finally:
            self.server.signal(signal.SIGCONT)
        self.served(application, "afterwards")
        self.echo_stream(stream)
        self.assert_all_served()

    def test_flows_and_forwards_come_back_after_a_server_was_killed(self):
        self.start_pair()
        application = self.application()
        self.served(application, "before")
        self.server.kill()
        for _ in range(20):
            application.send(b"nobody")
        self.start_server("-t", self.far.name, "--allow", f"udp/{t.HOST}:{self.echo.port}", "--allow",
                          f"tcp/{t.HOST}:{self.far.port}")
        self.served(application, "the same source", 30)
        self.assert_all_served()

    def test_a_destination_that_is_gone_for_a_while_ends_no_flow(self):
        self.start_pair()
        application = self.application()
        self.served(application, "before")
        port = self.echo.port
        self.echo.end()
        for number in range(50):
            application.send(b"refused %d" % number)
            time.sleep(0.005)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind((t.HOST, port))
            back.settimeout(20)
            application.send(b"again")
            data, sender = back.recvfrom(100)
            self.assertIn(sender, self.echo.senders, "the flow has its port")
            back.sendto(data, sender)
            self.assertEqual(application.recv(100), data)
        self.assertIsNone(self.client.exit_code())
        self.assertIsNone(self.server.exit_code())


if __name__ == "__main__":
    t.main()
