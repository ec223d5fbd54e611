"""The programs as plugins (SIP003) of Debian's shadowsocks-libev.

    plugin_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import os
import signal
import socket
import struct
import threading

import tunnel as t
from tunnel import OPTIONS, Program, Target, TunnelCase

KEY = r"key=a\;b\=c\\d"  # a;b=c\d
ECHO_SIZE = 300_000


def children(pid):
    """Process ids whose parent is `pid`."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def through_proxy(proxy_port, target_port):
    """A connection to the target on loopback, by way of the SOCKS5 proxy (RFC 1928)."""
    connection = socket.create_connection((t.HOST, proxy_port), timeout=20)
    connection.sendall(b"\x05\x01\x00")
    if t.read_exactly(connection, 2) != b"\x05\x00":
        raise t.Failure("the proxy wants a method of authentication")
    connection.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(t.HOST) + struct.pack(">H", target_port))
    if t.read_exactly(connection, 10)[:2] != b"\x05\x00":
        raise t.Failure("the proxy refuses to connect")
    return connection


class Shadowsocks(TunnelCase):
    def start(self, name, arguments):
        program = Program(name, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def start_pair(self, host, client_options):
        remote, proxy = t.free_port(), t.free_port()
        common = ["-s", host, "-p", remote, "-k", "secret", "-m", "aes-256-gcm", "--plugin-opts"]
        server = self.start("ss-server", [*common, KEY + ";mode=fast3;nocomp", "--plugin",
                                          os.path.abspath(OPTIONS.server)])
        client = self.start("ss-local", [*common, client_options, "-b", t.HOST, "-l", proxy, "--plugin",
                                         os.path.abspath(OPTIONS.client)])
        return remote, proxy, server, client

    def carries(self, host):
        target = Target()
        self.addCleanup(target.close)
        remote, proxy, server, client = self.start_pair(host, KEY + ";mode=fast3;nocomp")
        server.wait_ready(lambda: t.udp_bound(remote))
        client.wait_ready(lambda: t.can_listen_tcp(proxy) and children(client.pid))
        plugins = [pid for host_program in (server, client) for pid in children(host_program.pid)]
        self.assertGreaterEqual(len(plugins), 2)
        data = t.payload(7, ECHO_SIZE)

        def exchanged():
            # ss-local accepts before its plugin listens, so the first connection may be lost.
            try:
                with through_proxy(proxy, target.port) as connection:
                    # No half-close: shadowsocks-libev takes one for the end of both ways.
                    sender = threading.Thread(target=connection.sendall, args=(b"echo\n" + data,), daemon=True)
                    sender.start()
                    echoed = t.read_exactly(connection, ECHO_SIZE)
                    sender.join(10)
                    return echoed
            except (t.Failure, OSError):
                return None
        answer = t.wait_until(exchanged, 20, "an exchange through the proxy", 0.1)
        self.assertEqual(t.sha(answer), t.sha(data))
        for host_program in (client, server):
            host_program.signal(signal.SIGTERM)
            host_program.wait_exit(10)
        t.wait_until(lambda: not any(map(is_running, plugins)), 10, "the plugins end with their hosts")
        self.assertFalse(t.udp_bound(remote))

    def test_ipv4(self):
        self.carries("127.0.0.1")

    def test_ipv6(self):
        self.carries("::1")

    def test_a_refused_option_ends_the_host_program(self):
        _, _, _, client = self.start_pair("127.0.0.1", "mtu=127")
        client.wait_exit(10)
        t.wait_logged(client, "SS_PLUGIN_OPTIONS: mtu: out of range 128..1500")


if __name__ == "__main__":
    t.main()
