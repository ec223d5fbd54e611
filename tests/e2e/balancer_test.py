"""Two servers behind nginx's stream module, as docs/deployment.md has it (docs/examples/nginx-stream.conf): sessions are
spread, each stays on its server, and one whose server dies is replaced at the other within 3 s.

    balancer_test.py --client PROGRAM --server PROGRAM     KCPTUN_NGINX and KCPTUN_NGINX_STREAM name another nginx, module
"""

import os
import re
import socket
import subprocess
import sys
import time
import unittest

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "docs", "examples",
                       "nginx-stream.conf")
COMMON = ("--key", "a secret for the balancer's test", "--crypt", "aes-128-gcm")
BALANCER = "10.0.0.1"
ADDRESSES = ("10.0.0.11", "10.0.0.12")  # as in the example
LEAVES_WITHIN = 3  # seconds, as docs/deployment.md says
# A target that names its machine and then echoes lines.
TARGET = """
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(sys.argv[1].encode() + b"\\n")
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 8080), Echo)
server.daemon_threads = True
print("ready", flush=True)
server.serve_forever()
"""


class Host:
    """A network namespace."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise t.Failure("no namespace")
        self.pid = self._holder.pid
        self.enter = ["nsenter", "--target", str(self.pid), "--net", "--"]

    def run(self, *command):
        subprocess.run([*self.enter, *command], check=True, capture_output=True, timeout=30)

    def close(self):
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


@machine.needs("namespaces", "nginx-stream")
class Balancer(TunnelCase):
    def setUp(self):
        super().setUp()
        self.balancer = self.host()
        self.balancer.run("ip", "link", "add", "bridge0", "type", "bridge")
        self.balancer.run("ip", "addr", "add", f"{BALANCER}/24", "dev", "bridge0")
        self.balancer.run("ip", "link", "set", "bridge0", "up")
        self.servers = dict(zip(ADDRESSES, map(self.server, ADDRESSES)))
        self.start_nginx()

    def host(self):
        host = Host()
        self.addCleanup(host.close)
        return host

    def start(self, host, name, *command):
        started = t.Program(host.enter[0], [*host.enter[1:], *command], os.path.join(self.directory, name + ".log"))
        self.addCleanup(started.end)
        return started

    def server(self, address):
        host, number = self.host(), address.rsplit(".", 1)[1]
        self.balancer.run("ip", "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        self.balancer.run("ip", "link", "set", f"to{number}", "master", "bridge0", "up")
        host.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        target = self.start(host, f"target-{number}", sys.executable, "-c", TARGET, address)
        target.wait_ready(lambda: "ready" in target.log())
        program = self.start(host, f"server-{number}", OPTIONS.server, *COMMON, "-l", ":29900", "-t", "127.0.0.1:8080")
        program.wait_ready(lambda: "tunnel started" in program.log())
        return program

    def start_nginx(self):
        with open(EXAMPLE) as example:
            stream = example.read()
        nginx, module = machine.nginx_with_stream()
        path = os.path.join(self.directory, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"load_module {module};\ndaemon off;\npid {self.directory}/nginx.pid;\nerror_log stderr info;\n"
                       f"worker_processes 2;\nevents {{ worker_connections 256; }}\n{stream}")
        self.nginx = self.start(self.balancer, "nginx", nginx, "-e", "stderr", "-p", self.directory, "-c", path)
        self.nginx.wait_ready(lambda: "start worker process" in self.nginx.log())

    def client(self, name):
        path = os.path.join(self.directory, name)  # a unix socket passes namespaces
        program = self.start(self.balancer, name + "-log", OPTIONS.client, *COMMON, "-r", f"{BALANCER}:29900", "-l", path)
        program.wait_ready(lambda: "tunnel started" in program.log())
        return path

    def connect(self, path, seconds=10):
        """A connection through the tunnel, and the server that it came out at."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(seconds * machine.busy())
        connection.connect(path)
        lines = connection.makefile("rwb", buffering=0)
        self.addCleanup(lines.close)
        return lines, lines.readline().decode().strip()

    def echo(self, lines, text):
        lines.write(text + b"\n")
        self.assertEqual(lines.readline(), text + b"\n")

    def test_sessions_stay_and_a_dead_server_is_left(self):
        first, second = self.client("first"), self.client("second")
        held, at_first = self.connect(first)
        kept, at_second = self.connect(second)
        self.assertEqual({at_first, at_second}, set(ADDRESSES))
        for number in range(200):
            self.echo(held, b"%d" % number)
            self.echo(kept, b"%d" % number)
        for path, place in ((first, at_first), (second, at_second)):
            self.assertEqual(self.connect(path)[1], place)
        for program in self.servers.values():
            self.assertEqual(len(re.findall("session opened", program.log())), 1, program.log())

        self.servers[at_first].kill()
        killed = time.monotonic()
        _, place = self.connect(first)
        took = time.monotonic() - killed
        self.assertEqual(place, at_second)
        self.assertLess(took, LEAVES_WITHIN * machine.busy())
        self.echo(kept, b"undisturbed")


if __name__ == "__main__":
    t.main()
