"""Every kind of forward through one pair of programs at once, by real programs: curl over SOCKS5, HTTP CONNECT, a TCP
forward, TPROXY and a reverse forward, iperf3 over TCP and UDP, and name queries over UDP. SHA-256 of what moved.

    together_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import unittest

import machine
import tunnel as t
from reach_test import Space
from tunnel import OPTIONS, TunnelCase

PATIENCE = 60  # seconds
KEY = ["--key", "kcptun-uv test key"]
SIZE = 3_000_000
APPLICATION = 65534  # the user whose packets to 198.51.100.0/24 are led to the client
LINE = 5_000_000  # bits per second of iperf3's datagrams
MAX_LOST = 1  # per cent, on a machine that is busy with other tests

WEB = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.log_message = lambda *_: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), handler)
print("ready", flush=True)
server.serve_forever()
"""

# Answers each question with its own bytes, as a resolver with one record would, and asks as one.
NAMES = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    question, source = server.recvfrom(512)
    server.sendto(question[:2] + b"\\x81\\x80" + question[4:], source)
"""
ASK = """
import os, socket, struct
for number in range(50):
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.settimeout(5)
    question = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + b"\\7example\\3net\\0\\0\\1\\0\\1"
    for attempt in range(4):
        asked.sendto(question, ("127.0.0.1", 5353))
        try:
            answer = asked.recv(512)
            break
        except TimeoutError:
            continue
    assert answer[:2] == question[:2] and answer[12:] == question[12:], answer
print("ok")
"""


@unittest.skipUnless(shutil.which("curl") and shutil.which("iperf3"), "needs curl and iperf3")
@machine.needs("tcp-mode")  # namespaces and nftables
class Together(TunnelCase):
    def setUp(self):
        super().setUp()
        self.space = Space(self.directory)
        self.addCleanup(self.space.close)
        self.space.connect_network()
        for name in ("far", "near"):
            os.mkdir(os.path.join(self.directory, name))
        self.sums = {}
        for name in ("far/file", "near/file"):
            data = t.payload(self.seed + len(self.sums), SIZE)
            with open(os.path.join(self.directory, name), "wb") as file:
                file.write(data)
            self.sums[name] = hashlib.sha256(data).hexdigest()
        os.chmod(self.directory, 0o755)
        self.redirect_packets()

    def redirect_packets(self):
        """Of APPLICATION to the client; the server's to the web server behind it."""
        owner = ["-m", "owner", "--uid-owner", str(APPLICATION)]
        net = ["-p", "tcp", "-d", "198.51.100.0/24"]
        for rule in (["-t", "mangle", "-A", "OUTPUT", *net, *owner, "-j", "MARK", "--set-mark", "1"],
                     ["-t", "mangle", "-A", "PREROUTING", "-p", "tcp", "-m", "mark", "--mark", "1", "-j", "TPROXY",
                      "--on-ip", "127.0.0.1", "--on-port", "1081", "--tproxy-mark", "1"],
                     ["-t", "nat", "-A", "OUTPUT", *net, "-m", "owner", "!", *owner[2:], "-j", "DNAT", "--to-destination",
                      "127.0.0.1:8000"]):
            self.inside("iptables", *rule)
        self.inside("ip", "route", "add", "198.51.100.0/24", "dev", "lo", "src", "192.0.2.2")
        self.inside("ip", "rule", "add", "fwmark", "1", "lookup", "100")
        self.inside("ip", "route", "add", "local", "default", "dev", "lo", "table", "100")

    def start(self, name, path, arguments, words):
        started = t.Program(self.space.enter[0], [*self.space.enter[1:], path, *arguments],
                            os.path.join(self.directory, name + ".log"))
        self.addCleanup(started.end)
        started.wait_ready(lambda: words in started.log(), PATIENCE)
        return started

    def inside(self, *command):
        done = subprocess.run([*self.space.enter, *command], capture_output=True, text=True, timeout=2 * PATIENCE)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_all(self):
        self.start("web", sys.executable, ["-c", WEB, os.path.join(self.directory, "far"), "8000"], "ready")
        self.start("home", sys.executable, ["-c", WEB, os.path.join(self.directory, "near"), "9000"], "ready")
        self.start("names", sys.executable, ["-c", NAMES], "ready")
        self.start("iperf", shutil.which("iperf3"), ["-s", "-p", "5201", "--forceflush"], "Server listening")
        self.server = self.start("server", OPTIONS.server, [
            "-l", "127.0.0.1:29900", "-t", "socks5", "--allow", "127.0.0.0/8,198.51.100.0/24", "--allow-listen",
            "127.0.0.1:18080", *KEY], "tunnel started")
        self.client = self.start("client", OPTIONS.client, [
            "-r", "127.0.0.1:29900", *KEY, *(word for forward in (
                "tcp://127.0.0.1:8001=tcp://127.0.0.1:8000", "tcp://127.0.0.1:15201=tcp://127.0.0.1:5201",
                "udp://127.0.0.1:15201=udp://127.0.0.1:5201", "udp://127.0.0.1:5353=udp://127.0.0.1:53",
                "socks5://127.0.0.1:1080", "http://127.0.0.1:3128", "tproxy://127.0.0.1:1081") for word in (
                    "--forward", forward)), "--reverse", "tcp://127.0.0.1:18080=tcp://127.0.0.1:9000"],
            "the server listens for this client")

    def fetch(self, name, of, *arguments, user=0):
        """A transfer by curl."""
        path = os.path.join(self.directory, "got-" + name)
        with open(path, "w", encoding="ascii"):
            os.chmod(path, 0o666)
        self.inside("setpriv", "--reuid", str(user), "--clear-groups", "curl", "-sS", "--max-time", "60", "-o", path,
                    *arguments)
        with open(path, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), self.sums[of], name)

    def measure(self, *arguments):
        return json.loads(self.inside("iperf3", "-c", "127.0.0.1", "-p", "15201", "-J", *arguments))["end"]

    def iperf(self):
        """One test after another: the server takes one at a time."""
        # For a time: of a number of bytes, those under way when the sender ends are not counted as received.
        self.assertGreater(self.measure("-t", "3")["sum_received"]["bytes"], 500_000)
        datagrams = self.measure("-u", "-b", str(LINE), "-t", "3", "-l", "1200")["sum"]
        self.assertGreater(datagrams["packets"], 1000)
        self.assertLess(datagrams["lost_percent"], MAX_LOST)

    def test_all_at_once(self):
        self.start_all()
        faults = []

        def run(work, *arguments, **options):
            try:
                work(*arguments, **options)
            except BaseException as fault:  # shown by the main thread
                faults.append(fault)

        works = [
            (self.fetch, ("socks", "far/file", "--socks5-hostname", "127.0.0.1:1080", "http://127.0.0.1:8000/file"), {}),
            (self.fetch, ("connect", "far/file", "--proxytunnel", "--proxy", "http://127.0.0.1:3128",
                          "http://127.0.0.1:8000/file"), {}),
            (self.fetch, ("forward", "far/file", "http://127.0.0.1:8001/file"), {}),
            (self.fetch, ("tproxy", "far/file", "http://198.51.100.7/file"), {"user": APPLICATION}),
            (self.fetch, ("reverse", "near/file", "http://127.0.0.1:18080/file"), {}),
            (self.iperf, (), {}),
            (lambda: self.assertEqual(self.inside(sys.executable, "-c", ASK), "ok\n"), (), {}),
        ]
        threads = [threading.Thread(target=run, args=(work, *arguments), kwargs=options) for work, arguments, options in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        for program in (self.client, self.server):
            self.assertIsNone(program.exit_code(), program.log())


if __name__ == "__main__":
    t.main()
