"""Watching a tunnel: /status.json, /metrics, /healthz and `top`, on real programs.

    status_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]

Page and Promtool need chromium-headless-shell and promtool (install-deps.sh watch); they run on request.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import urllib.error
import urllib.request

import palette_png
import tunnel as t
from lossy_relay import LossyRelay
from tunnel import HOST, OPTIONS, TunnelCase
from udp_test import Echo

SOL_UDP = 17  # socket.SOL_UDP is in newer Pythons only
TOKEN = "token-of-the-status-test"
SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def fetch(port, path, fields=None, host=HOST):
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers=fields or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def status_code(port, path, fields=None):
    try:
        fetch(port, path, fields)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def samples(text):
    """{(name, labels): value} of a page of metrics."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in found, key
            found[key] = float(value)
    return found


def metric(found, prefix, field, labels):
    """The sample of a field of status.json: counters end in _total."""
    for suffix in ("", "_total"):
        key = (prefix + field + suffix, tuple(sorted(labels.items())))
        if key in found:
            return found[key]
    return None


def differences(status, found):
    """Fields of tunnels and sessions in which a status and a page of metrics differ."""
    for tunnel in status["tunnels"]:
        labels = {"tunnel": tunnel["name"]}
        for field, value in tunnel.items():
            if isinstance(value, (int, float)) and metric(found, "kcptun_tunnel_", field, labels) != value:
                yield field
        for server in tunnel.get("servers", []):
            its_labels = {**labels, "server": server["server"]}
            for field, value in server.items():
                if field != "server" and metric(found, "kcptun_server_", field, its_labels) != value:
                    yield f"{server['server']} {field}"
        for forward in tunnel.get("forwards", []):
            its_labels = {**labels, "forward": forward["forward"]}
            for field, value in forward.items():
                if field != "forward" and metric(found, "kcptun_forward_", field, its_labels) != value:
                    yield f"{forward['forward']} {field}"
        for session in tunnel["open_sessions"]:
            its_labels = {**labels, "conv": session["conv"], "remote": session["remote"]}
            for field, value in session.items():
                if field in ("conv", "remote", "loop", "state", "hint", "open_streams", "streams_left_out"):
                    continue
                if metric(found, "kcptun_session_", field, its_labels) != value:
                    yield f"{session['conv']} {field}"


class Watched(TunnelCase):
    """A tunnel of which both ends are watched."""

    def watched(self, *client_args, **options):
        self.client_port, self.server_port = t.free_port(), t.free_port()
        common = [*options.pop("common", ["--mode", "fast3"])]
        return self.tunnel(common, client_args=["--status", f":{self.client_port}", *client_args],
                           server_args=["--status", f"{HOST}:{self.server_port}"], **options)

    def settled(self, port):
        """A status and metrics of one moment, when nothing moves any more."""
        def both():
            before = fetch(port, "/metrics")
            status = json.loads(fetch(port, "/status.json"))
            return (status, samples(before)) if not list(differences(status, samples(before))) else None
        return t.wait_until(both, 60, "metrics and status.json agree", 0.1)


def kernel_segments():
    """Whether the kernel has UDP_SEGMENT and UDP_GRO (Linux 5.0)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.getsockopt(SOL_UDP, 103)
            probe.setsockopt(SOL_UDP, 104, 1)
        except OSError:
            return False
        return True


class Offload(Watched):
    def test_the_status_shows_whether_the_kernel_cuts_and_joins_datagrams(self):
        for value, used in (("auto", int(kernel_segments())), ("off", 0)):
            with self.subTest(value=value):
                tunnel = self.watched(common=["--mode", "fast3", "--udp-offload", value])
                t.run(t.echo_once(tunnel, self.seed, 3_000_000), 180)
                for port in (self.client_port, self.server_port):
                    [one] = json.loads(fetch(port, "/status.json"))["tunnels"]
                    self.assertEqual((one["udp_gso"], one["udp_gro"]), (used, used))
                tunnel.close()


class Agreement(Watched):
    def test_all_views_agree_with_each_other_and_with_what_was_sent(self):
        tunnel = self.watched("--conn", 3)
        sizes = [1, 1000, 70_000, 500_000, 1_500_000, 300_000, 12_345]

        async def transfers():
            held = []
            for index, size in enumerate(sizes):
                connection = await tunnel.connect()
                held.append(connection)
                data = t.payload(self.seed + index, size)
                await t.send(connection, b"echo\n")
                writing = asyncio.ensure_future(t.send(connection, data))
                await t.receive_exactly(connection, size)
                await writing
            return held
        held = t.run(transfers(), 120)
        up, down = sum(sizes) + len(sizes) * len("echo\n"), sum(sizes)
        client, client_metrics = self.settled(self.client_port)
        server, server_metrics = self.settled(self.server_port)
        for status, metrics, program, sent, received in (
                (client, client_metrics, "kcptun-client", up, down), (server, server_metrics, "kcptun-server", down, up)):
            with self.subTest(program=program):
                self.assertEqual(status["program"], program)
                [one] = status["tunnels"]
                self.assertEqual((one["sent_bytes"], one["received_bytes"]), (sent, received))
                self.assertEqual((one["sessions"], one["streams"]), (3, len(sizes)))
                self.assertEqual(metric(metrics, "kcptun_tunnel_", "sent_bytes", {"tunnel": one["name"]}), sent)
                self.assertEqual(sum(s["sent_bytes"] for s in one["open_sessions"]), sent)
                streams = [s for session in one["open_sessions"] for s in session["open_streams"]]
                self.assertEqual(sum(s["received_bytes"] for s in streams), received)
                self.assertEqual(sorted(min(s["sent_bytes"], s["received_bytes"]) for s in streams), sorted(sizes))
        of_client = {s["conv"]: s for s in client["tunnels"][0]["open_sessions"]}
        of_server = {s["conv"]: s for s in server["tunnels"][0]["open_sessions"]}
        self.assertEqual(of_client.keys(), of_server.keys())
        for conv, session in of_client.items():
            self.assertEqual(session["sent_bytes"], of_server[conv]["received_bytes"])
            self.assertGreater(session["round_trip_seconds"], 0)
            self.assertTrue(0 <= session["loss_ratio"] <= 1)
            self.assertGreaterEqual(session["sent_packets"], of_server[conv]["received_packets"])
        self.check_top(OPTIONS.client, self.client_port, client)
        self.check_top(OPTIONS.server, self.server_port, server)
        for connection in held:
            connection.close()
        # Sessions stay, streams go, and the sums stand.
        ended = t.wait_until(lambda: next((s for s in [json.loads(fetch(self.client_port, "/status.json"))]
                                           if s["tunnels"][0]["streams"] == 0), None), 60, "all streams have ended", 0.1)
        self.assertEqual(ended["tunnels"][0]["sent_bytes"], up)

    def check_top(self, program, port, status):
        shown = subprocess.run([program, "top", "--once", f"{HOST}:{port}"], capture_output=True, text=True, timeout=60)
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        lines = shown.stdout.splitlines()
        [tunnel] = status["tunnels"]
        self.assertTrue(lines[0].startswith(f"{status['program']} {status['version']}  up "), lines[0])
        self.assertIn(f"sessions {tunnel['sessions']}  streams {tunnel['streams']} ", shown.stdout)
        for session in tunnel["open_sessions"]:
            rows = [line.split() for line in lines if line.startswith(session["remote"])]
            self.assertIn(session["streams"], [int(row[1]) for row in rows])
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn(f"({tunnel['sent_bytes'] / 1e6:.2f} MB)", shown.stdout)

    def test_a_lossy_path_shows_in_loss_and_recovery(self):
        # With fixed parity at this loss, some groups lose none, some as much as parity brings back, and some more.
        tunnel = self.watched(common=["--mode", "fast3", "--fec", "fixed"],
                              relay=lambda port: LossyRelay(port, t.free_port(), self.seed, loss=0.15))
        t.run(t.echo_once(tunnel, self.seed, 3_000_000), 180)
        for port in (self.client_port, self.server_port):
            status, _ = self.settled(port)
            [session] = status["tunnels"][0]["open_sessions"]
            self.assertGreater(session["fec_recovered_packets"], 0)
            self.assertGreater(session["fec_wasted_packets"], 0)
            self.assertLessEqual(session["fec_recovered_packets"] + session["fec_wasted_packets"],
                                 session["fec_parity_received_packets"])
            self.assertGreater(session["lost_segments"] + session["retransmitted_segments"], 0)
            for field in ("delivery_rate_bytes_per_second", "congestion_window_bytes", "loss_ratio"):
                self.assertGreater(session[field], 0, field)

    def test_many_sessions_and_streams_have_bounded_rows_and_are_counted(self):
        tunnel = self.watched("--conn", 130)
        count = 150

        async def open_all():
            held = []
            for _ in range(count):
                connection = await tunnel.connect()
                held.append(connection)
                await t.send(connection, b"echo\n!")
                await t.receive_exactly(connection, 1)
            return held
        held = t.run(open_all(), 180)
        status, metrics = self.settled(self.client_port)
        [one] = status["tunnels"]
        self.assertEqual((one["sessions"], one["streams"], one["sessions_left_out"]), (130, count, 30))
        self.assertEqual(len(one["open_sessions"]), 100)
        self.assertEqual(len([key for key in metrics if key[0] == "kcptun_session_streams"]), 100)
        for connection in held:
            connection.close()

    def test_every_metric_stands_in_the_documentation(self):
        port = t.free_port()
        # Several servers have more, and so have forwards.
        self.watched("--remoteaddr", f"{HOST}:{port},{HOST}:{t.free_port()}", "--forward",
                     f"tcp://{HOST}:{t.free_port()}=tcp://{HOST}:1", "--reverse", f"tcp://{HOST}:1=tcp://{HOST}:1",
                     udp_port=port)
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "docs",
                               "observability.md")) as page:
            documented = set(re.findall(r"`((?:kcptun|process)_\w+)`", page.read()))
        with_users = t.free_port()
        server = t.Program(OPTIONS.server, [
            "-l", f"{HOST}:{t.free_port()}", "--key", "k", "--crypt", "noise", "--private-key", "A" * 43, "--users",
            "anna=" + "B" * 42 + "A", "--status", f"{HOST}:{with_users}"], os.path.join(self.directory, "users.log"))
        self.addCleanup(server.end)
        server.wait_ready(lambda: t.can_listen_tcp(with_users))
        names = {name for port in (self.client_port, with_users)
                 for name in re.findall("^# TYPE ([a-z_]+) ", fetch(port, "/metrics"), re.MULTILINE)}
        self.assertGreater(len(names), 50)
        self.assertEqual(names - documented, set())
        self.assertEqual({name for name in documented if name not in names and not name.endswith("left_out")}, set())


class Forwards(Watched):
    def test_each_forward_shows_what_it_has_done(self):
        target, echo = self.target(), Echo(self)
        tcp, dead, udp, denied, reverse, lost = (t.free_port() for _ in range(6))
        forwards = {f"tcp://{HOST}:{tcp}": f"tcp://{target.name}", f"tcp://{HOST}:{dead}": f"tcp://{HOST}:{t.free_port()}",
                    f"udp://{HOST}:{udp}": f"udp://{HOST}:{echo.port}"}
        reverses = {f"tcp://{HOST}:{reverse}": f"tcp://{target.name}", f"tcp://{HOST}:{lost}": f"tcp://{target.name}"}
        self.client_port, self.server_port = t.free_port(), t.free_port()
        self.tunnel((), client_args=["--status", f":{self.client_port}",
                                     *(word for pair in forwards.items() for word in ("--forward", "=".join(pair))),
                                     *(word for pair in reverses.items() for word in ("--reverse", "=".join(pair)))],
                    server_args=["--status", f"{HOST}:{self.server_port}", "--allow", f"tcp/{HOST}", "--allow",
                                 f"udp/{HOST}:{echo.port}", "--allow-listen", f"{HOST}:{reverse}"])
        t.wait_until(lambda: t.can_listen_tcp(reverse), 30, "the reverse forward")
        for port in (tcp, tcp, reverse):
            with socket.create_connection((HOST, port), 30) as connection:
                connection.sendall(b"echo\nhello")
                self.assertEqual(t.read_exactly(connection, 5), b"hello")
        with self.assertRaises(ConnectionResetError), socket.create_connection((HOST, dead), 30) as connection:
            connection.recv(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
            source.settimeout(30)
            source.connect((HOST, udp))
            source.send(b"datagram")
            self.assertEqual(source.recv(100), b"datagram")
        status, _ = self.settled(self.client_port)
        rows = {row.pop("forward"): row for row in status["tunnels"][0]["forwards"]}
        none = {"connections": 0, "refused": 0, "flows": 0, "refused_flows": 0, "sent_bytes": 0, "received_bytes": 0,
                "listening": None}
        self.assertEqual(rows, {
            f"tcp://{HOST}:{tcp}": {**none, "connections": 2, "sent_bytes": 20, "received_bytes": 10},
            f"tcp://{HOST}:{dead}": {**none, "connections": 1, "refused": 1},
            f"udp://{HOST}:{udp}": {**none, "flows": 1, "sent_bytes": 8, "received_bytes": 8},
            f"reverse tcp://{HOST}:{reverse}": {**none, "connections": 1, "sent_bytes": 5, "received_bytes": 10,
                                                "listening": 1},
            f"reverse tcp://{HOST}:{lost}": {**none, "listening": 0}})
        status, _ = self.settled(self.server_port)
        shown = {name: status["tunnels"][0][name] for name in ("flows", "refused_flows", "denied_datagrams", "listeners",
                                                               "accepted_connections", "refused_connections")}
        self.assertEqual(shown, {"flows": 1, "refused_flows": 0, "denied_datagrams": 0, "listeners": 1,
                                 "accepted_connections": 1, "refused_connections": 0})
        self.assertGreaterEqual(status["tunnels"][0]["denied_requests"], 1)
        top = subprocess.run([OPTIONS.client, "top", "--once", f"{HOST}:{self.client_port}"], capture_output=True, text=True,
                             timeout=60).stdout
        for words in (f"tcp://{HOST}:{tcp}", f"reverse tcp://{HOST}:{lost}", "does not listen", "listens"):
            self.assertIn(words, top)


class States(Watched):
    """What is shown of a server that answers, is killed, comes back, and of one that no packet reaches."""

    def state(self):
        [tunnel] = json.loads(fetch(self.client_port, "/status.json"))["tunnels"]
        return tunnel

    def wait_state(self, *states, seconds=60):
        return t.wait_until(lambda: next((s for s in [self.state()] if s["state"] in states), None), seconds, states, 0.1)

    def top(self):
        return subprocess.run([OPTIONS.client, "top", "--once", f"{HOST}:{self.client_port}"], capture_output=True, text=True,
                              timeout=60).stdout

    def test_a_server_that_is_killed_and_comes_back(self):
        tunnel = self.watched()
        self.wait_state("connected", seconds=10)  # before any connection: the client asks by itself
        self.assertEqual(fetch(self.client_port, "/healthz?peer=1"), "ok\n")
        t.run(t.echo_once(tunnel, self.seed, 100_000), 30)
        self.assertEqual(status_code(self.server_port, "/healthz?peer=1"), 200)
        t.wait_logged(tunnel.client_program, "server answers rtt_ms=", times=1)
        tunnel.server_program.kill()
        failed = self.wait_state("refused", "no answer")
        self.assertAlmostEqual(failed["unanswered_since_seconds"], time.time(), delta=30)
        self.assertIn("remoteaddr", failed["hint"])
        self.assertEqual(failed["connected"], 0)
        self.assertEqual(status_code(self.client_port, "/healthz?peer=1"), 503)
        self.assertEqual(status_code(self.client_port, "/healthz"), 200)
        self.assertRegex(self.top(), r"(refused|no answer) since \d\d:\d\d:\d\d")
        tunnel.start_server()
        self.wait_state("connected")  # though no connection came
        self.assertEqual(fetch(self.client_port, "/healthz?peer=1"), "ok\n")

    def test_a_server_that_no_packet_reaches(self):
        relays = []
        tunnel = self.watched(relay=lambda port: relays.append(LossyRelay(port, t.free_port(), self.seed, loss=1.0)) or relays[0])
        silent = self.wait_state("no answer", seconds=30)
        self.assertIn("firewalls", silent["hint"])
        self.assertEqual([s["state"] for s in silent["open_sessions"]], ["no answer"])
        self.assertNotIn("server answers", tunnel.client_program.log())
        relays[0].loss = 0.0
        self.wait_state("connected")
        self.assertIsNone(self.state()["hint"])

    def test_a_server_without_clients_waits(self):
        port = t.free_port()
        server = t.Program(OPTIONS.server, ["--key", "k", "-l", f"{HOST}:{t.free_port()}", "--status", f":{port}"],
                           os.path.join(self.directory, "server.log"))
        self.addCleanup(server.end)
        t.wait_until(lambda: t.can_listen_tcp(port), 30, "the status is served")
        [tunnel] = json.loads(fetch(port, "/status.json"))["tunnels"]
        self.assertEqual((tunnel["state"], tunnel["hint"]), ("waiting", None))
        self.assertEqual(status_code(port, "/healthz?peer=1"), 503)

    def test_loss_in_one_direction_shows_there(self):
        tunnel = self.watched(relay=lambda port: LossyRelay(port, t.free_port(), self.seed, loss=0.0, loss_back=0.1))
        t.run(t.echo_once(tunnel, self.seed, 3_000_000), 180)
        client = self.state()["open_sessions"][0]
        [server] = json.loads(fetch(self.server_port, "/status.json"))["tunnels"][0]["open_sessions"]
        missing = {name: one["missing_packets"] / (one["missing_packets"] + one["received_packets"])
                   for name, one in (("client", client), ("server", server))}
        self.assertGreater(missing["client"], 0.02)
        self.assertLess(missing["server"], 0.01)


class Access(Watched):
    def test_a_foreign_host_name_is_refused_on_loopback(self):
        self.watched()
        self.assertEqual(status_code(self.client_port, "/"), 200)
        self.assertEqual(status_code(self.client_port, "/healthz", {"Host": f"localhost:{self.client_port}"}), 200)
        for path in ("/", "/status.json", "/metrics", "/healthz"):
            self.assertEqual(status_code(self.client_port, path, {"Host": "attacker.example"}), 421)

    def test_elsewhere_a_token_is_needed(self):
        port = t.free_port()
        refused = subprocess.run([OPTIONS.server, "--key", "k", "--status", f"0.0.0.0:{port}"], capture_output=True,
                                 text=True, timeout=30)
        self.assertEqual(refused.returncode, 2)
        self.assertIn(f"--status 0.0.0.0:{port}: not loopback, so it needs a status-token", refused.stderr)
        self.tunnel(server_args=["--status", f"0.0.0.0:{port}", "--status-token", TOKEN])
        for path in ("/", "/metrics", "/status.json", "/healthz", "/nothing"):
            self.assertEqual(status_code(port, path), 401)
            self.assertEqual(status_code(port, f"{path}?token={TOKEN}x"), 401)
        self.assertEqual(fetch(port, "/healthz", {"Authorization": "Bearer " + TOKEN}), "ok\n")
        self.assertEqual(fetch(port, "/healthz?token=" + TOKEN), "ok\n")

    def test_top_says_the_token_and_reads_a_profile(self):
        port = t.free_port()
        self.tunnel(client_args=["--status", f":{port}", "--status-token", TOKEN])
        top = [OPTIONS.client, "top", "--once"]
        environment = {**os.environ, "KCPTUN_STATUS_TOKEN": TOKEN}
        profile = os.path.join(self.directory, "profile.json")
        with open(profile, "w") as file:
            json.dump({"key": "k", "status": f":{port}", "status-token": TOKEN}, file)
        for arguments, variables, code in (([f":{port}"], os.environ, 1), ([f":{port}"], environment, 0),
                                           (["-c", profile], os.environ, 0), ([], os.environ, 2),
                                           (["--status-token", TOKEN, "--status", f":{port}"], os.environ, 0)):
            done = subprocess.run([*top, *arguments], capture_output=True, text=True, timeout=60, env=variables)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertNotIn(TOKEN, done.stdout + done.stderr)
        self.assertIn("401", subprocess.run([*top, f":{port}"], capture_output=True, text=True, timeout=60).stderr)

    def test_connections_without_a_token_starve_nobody(self):
        port = t.free_port()
        self.tunnel(server_args=["--status", f"{HOST}:{port}", "--status-token", TOKEN])
        idle = []
        answered = 0
        for _ in range(50):
            while len(idle) % 33 < 32:
                idle.append(socket.create_connection((HOST, port)))
            idle.append(None)
            try:
                answered += fetch(port, "/healthz", {"Authorization": "Bearer " + TOKEN}) == "ok\n"
            except OSError:
                pass
        for connection in filter(None, idle):
            connection.close()
        self.assertEqual(answered, 50)

    def test_what_a_hostile_server_says_reaches_the_terminal_as_printable_characters(self):
        said = "\x1b]0;owned\x07\x1b[2J\u009b31m"
        status = {"time": 1, "started": 0, "program": said, "version": said, "tunnels": [
            {"name": said, "local": said, "open_sessions": [{"remote": said, "conv": said, "sent_bytes": 1e308}]}]}
        listener = socket.create_server((HOST, 0))
        self.addCleanup(listener.close)
        for answer in ("HTTP/1.1 401 No\r\n\r\n" + said, "HTTP/1.1 200 OK\r\n\r\n" + json.dumps(status), said):
            top = subprocess.Popen([OPTIONS.client, "top", "--once", f"{HOST}:{listener.getsockname()[1]}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            connection = listener.accept()[0]
            with connection:
                connection.recv(4096)
                connection.sendall(answer.encode())
            shown = b"".join(top.communicate(timeout=30))
            self.assertNotRegex(shown, rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
            self.assertTrue(shown)

    def test_a_unix_socket_serves_and_is_gone_afterwards(self):
        path = os.path.join(self.directory, "status.sock")
        tunnel = self.tunnel(client_args=["--status", path])
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(connection.makefile("rb").read().endswith(b"\r\n\r\nok\n"))
        shown = subprocess.run([OPTIONS.client, "top", "--once", path], capture_output=True, text=True, timeout=60)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        tunnel.client_program.signal(signal.SIGTERM)
        self.assertEqual(tunnel.client_program.wait_exit(30), 0)
        self.assertFalse(os.path.exists(path))

    def test_a_port_in_use_ends_the_start_with_one_line(self):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = subprocess.run([OPTIONS.server, "--key", "k", "-l", f"{HOST}:{t.free_port()}", "--status", f":{port}"],
                                  capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"status: cannot listen on TCP {HOST}:{port}", done.stderr.splitlines()[-1])

    def test_hostile_requests_do_not_disturb_the_tunnel(self):
        tunnel = self.watched()
        hostile = [b"", b"\0" * 9000, b"GET /" + b"a" * 100_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
                   b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
                   b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
                   b"\r\n" * 5000, os.urandom(20_000)]
        slow = []
        for data in hostile * 4:
            connection = socket.create_connection((HOST, self.client_port))
            connection.setblocking(False)
            try:
                connection.send(data)
            except OSError:
                pass
            slow.append(connection)
        t.run(t.echo_many(tunnel, self.seed, 5, 100_000), 60)
        for connection in slow:
            connection.close()
        t.wait_until(lambda: self._answers(), 30, "the status is served again")

    def _answers(self):
        try:
            return status_code(self.client_port, "/healthz") == 200
        except OSError:
            return False


class TopInTerminal(Watched):
    """`top` in a pseudo terminal: draws, follows the size, ends with q."""

    def setUp(self):
        super().setUp()
        self.watched()
        self.screen, other = pty.openpty()
        self.addCleanup(os.close, self.screen)
        self.resize(24, 80)
        self.program = subprocess.Popen([OPTIONS.client, "top", f":{self.client_port}"], stdin=other, stdout=other,
                                        stderr=other, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        self.addCleanup(self.end)
        self.shown = b""

    def end(self):
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()

    def resize(self, rows, columns):
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, condition, what):
        def more():
            if select.select([self.screen], [], [], 0)[0]:
                try:
                    self.shown += os.read(self.screen, 65536)
                except OSError:  # the other side is closed
                    pass
            return condition(self.shown)
        t.wait_until(more, 30, what)

    def test_it_draws_resizes_and_ends(self):
        self.read_until(lambda shown: b"kcptun-client" in shown and b"CONV" not in shown and b"q quits" in shown,
                        "a frame that fits 80 columns, with its keys")
        self.resize(24, 200)
        self.read_until(lambda shown: b"CONV" in shown, "a frame for 200 columns")
        os.write(self.screen, b"q")
        self.read_until(lambda shown: shown.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), "the screen is given back")
        self.assertEqual(self.program.wait(30), 0)

    def test_a_signal_gives_the_terminal_back(self):
        self.read_until(lambda shown: b"kcptun-client" in shown, "a frame")
        self.program.send_signal(signal.SIGTERM)
        self.read_until(lambda shown: shown.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), "the screen is given back")
        self.assertEqual(self.program.wait(30), 0)


def thread_seconds(pid, name=None):
    """CPU seconds of a process's threads, or of the one with that name, in nanoseconds' resolution."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as file:
            if name and file.read().strip() != name:
                continue
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Cost(Watched):
    """What watching costs while data moves: the status thread's own time, which all rendering and HTTP is on."""

    LIMIT = 0.01  # of a core
    SECONDS = 8

    def test_watching_costs_less_than_a_hundredth_of_a_core(self):
        tunnel = self.watched("--conn", 4)
        pids = [program.pid for program in tunnel.programs]

        async def flow(index, until):
            connection = await tunnel.connect()
            with connection:
                data = t.payload(self.seed + index, t.CHUNK)
                await t.send(connection, b"echo\n")
                while time.monotonic() < until:
                    writing = asyncio.ensure_future(t.send(connection, data))
                    await t.receive_exactly(connection, len(data))
                    await writing

        async def look(until):
            looks = 0
            while time.monotonic() < until:
                for port in (self.client_port, self.server_port):
                    for path in ("/status.json", "/metrics"):
                        await asyncio.to_thread(fetch, port, path)
                looks += 1
                await asyncio.sleep(1)  # the pace of one who watches
            return looks

        async def both():
            until = time.monotonic() + self.SECONDS
            return (await asyncio.gather(look(until), *(flow(i, until) for i in range(8))))[0]
        before = [thread_seconds(pid, "status") for pid in pids]
        started = time.monotonic()
        looks = t.run(both(), 120)
        seconds = time.monotonic() - started
        for name, pid, cpu in zip(("client", "server"), pids, before):
            share = (thread_seconds(pid, "status") - cpu) / seconds
            moved = json.loads(fetch(self.client_port, "/status.json"))["tunnels"][0]["sent_bytes"]
            print(f"{name}: {looks} looks in {seconds:.1f} s cost {100 * share:.3f} % of a core, {moved / 1e6:.0f} MB moved")
            self.assertLess(share, self.LIMIT)

    HISTORY_LIMIT = 0.002  # of a core: what the history costs while nobody watches

    def test_the_history_costs_little_while_nobody_watches(self):
        tunnel = self.watched()
        pid = tunnel.client_program.pid
        t.run(t.echo_once(tunnel, self.seed, 2_000_000), 60)
        before, started = thread_seconds(pid, "status"), time.monotonic()
        t.wait_until(lambda: thread_seconds(pid, "status") > before, 30, "the first point", 0.2)
        t.wait_until(lambda: time.monotonic() - started > 16, 30, "three steps", 0.2)
        self.assertLess((thread_seconds(pid, "status") - before) / (time.monotonic() - started), self.HISTORY_LIMIT)
        history = json.loads(fetch(self.client_port, "/history.json"))
        self.assertGreaterEqual(len(history["total"]), 2)


class Promtool(Watched):
    def test_the_metrics_are_what_prometheus_wants(self):
        tunnel = self.watched("--conn", 2)
        t.run(t.echo_many(tunnel, self.seed, 4, 50_000), 60)
        for port in (self.client_port, self.server_port):
            checked = subprocess.run(["promtool", "check", "metrics"], input=fetch(port, "/metrics"), capture_output=True,
                                     text=True, timeout=60)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))


class Page(Watched):
    """The page in headless Chromium. The pictures in docs/ are made with

        KCPTUN_TEST_PICTURES=docs KCPTUN_TEST_PICTURE_SECONDS=420 status_test.py ... Page.test_it_fits_desktop_and_phone_in_light_and_dark
    """

    MAX_PICTURE = 150_000  # bytes, for docs/

    def pictures(self):
        return os.environ.get("KCPTUN_TEST_PICTURES") or self.directory

    def open(self, browser, port=None):
        browser.open(f"http://{HOST}:{port or self.client_port}/")
        self.wait_looks(browser, 1)

    def wait_looks(self, browser, looks):
        t.wait_until(lambda: int(browser.value("document.body?.dataset.looks || 0")) >= looks, 60, f"{looks} looks", 0.1)

    def rows(self, browser, table):
        head = browser.value(f"[...document.querySelectorAll('#{table} th')].map(c => c.textContent)")
        rows = browser.value(f"[...document.querySelectorAll('#{table} tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
        return [dict(zip(head, row)) for row in rows]

    def text(self, browser, selector):
        return browser.value(f"[...document.querySelectorAll('{selector}')].map(e => e.textContent).join('|')")

    @contextlib.contextmanager
    def traffic(self, tunnel):
        """Downloads beside a little that goes both ways, until the block ends."""
        ended = threading.Event()

        async def downloads(index):
            while not ended.is_set():
                await t.ask(tunnel, self.seed + index, 2000, 150_000 * (1 + int(time.monotonic() / 7) % 4))
                await asyncio.sleep(0.1)

        async def echoes():
            while not ended.is_set():
                await t.echo_once(tunnel, self.seed, 20_000)
                await asyncio.sleep(0.1)

        async def both():
            await asyncio.gather(downloads(1), downloads(2), echoes())
        thread = threading.Thread(target=lambda: asyncio.run(both()))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(60)

    def test_it_fits_desktop_and_phone_in_light_and_dark(self):
        from chromium import Browser
        tunnel = self.watched("--conn", 2, relay=lambda port: LossyRelay(port, t.free_port(), self.seed, loss=0.01, loss_back=0.03))
        with self.traffic(tunnel):
            since, seconds = time.monotonic(), float(os.environ.get("KCPTUN_TEST_PICTURE_SECONDS", "12"))
            t.wait_until(lambda: time.monotonic() - since > seconds, seconds + 60, "some history", 0.5)
            for name, width, dark in (("status-page", 1280, False), ("status-page-dark", 1280, True),
                                      ("status-page-phone", 390, False), ("status-page-phone-dark", 390, True)):
                with self.subTest(name=name), Browser(width=width, height=844, dark=dark) as browser:
                    self.open(browser)
                    # The history is there before the page has looked twice.
                    self.assertGreater(browser.value("document.querySelectorAll('.chart path.line[d^=M]').length"), 5)
                    self.wait_looks(browser, 4)
                    self.check_layout(browser, width, dark)
                    picture = os.path.join(self.pictures(), name + ".png")
                    browser.screenshot(picture)
                    self.assertGreater(os.path.getsize(picture), 10_000)
                    if os.environ.get("KCPTUN_TEST_PICTURES"):  # takes a while
                        palette_png.shrink(picture)
                        self.assertLess(os.path.getsize(picture), self.MAX_PICTURE)
                    self.assertEqual(browser.messages, [])

    def check_layout(self, browser, width, dark):
        self.assertEqual(self.text(browser, ".peer .state"), "connected")
        self.assertEqual(browser.value("getComputedStyle(document.body).backgroundColor"),
                         "rgb(16, 21, 28)" if dark else "rgb(246, 247, 249)")
        for element in ("document.documentElement", *(f"document.getElementById('{table}').parentElement"
                                                      for table in ("sessions", "streams"))):
            self.assertLessEqual(browser.value(element + ".scrollWidth"), width, element)
            self.assertLessEqual(browser.value(f"{element}.scrollWidth - {element}.clientWidth"), 0, element)
        tops = self.text(browser, ".session .chart:first-child .most").split("|")
        self.assertEqual(len(set(tops)), 1, "one scale for all graphs of a kind")
        self.assertIn("10 min ago", self.text(browser, ".axis span"))

    def test_it_shows_what_status_json_says_and_complains_of_nothing(self):
        from chromium import Browser
        tunnel = self.watched("--conn", 2, relay=lambda port: LossyRelay(port, t.free_port(), self.seed, loss=0.02))
        t.run(t.echo_many(tunnel, self.seed, 4, 200_000), 120)

        async def hold():
            held = [await tunnel.connect() for _ in range(3)]
            for connection in held:
                await t.send(connection, b"echo\n" + b"x" * 5000)
                await t.receive_exactly(connection, 5000)
            return held
        held = t.run(hold(), 60)
        with Browser() as browser:
            self.open(browser)
            self.wait_looks(browser, 4)
            self.check_numbers(browser)
            self.assertEqual(browser.messages, [])
        for connection in held:
            connection.close()

    def test_it_shows_a_server_that_is_gone_and_a_program_that_is(self):
        from chromium import Browser
        tunnel = self.watched()
        t.run(t.echo_once(tunnel, self.seed, 100_000), 60)
        with Browser() as browser:
            self.open(browser)
            t.wait_until(lambda: self.text(browser, ".peer .state") == "connected", 30, "connected", 0.1)
            self.assertEqual(browser.value("document.querySelectorAll('.peer.failed').length"), 0)
            tunnel.server_program.kill()
            t.wait_until(lambda: re.match(r"(refused|no answer) since \d\d:\d\d:\d\d", self.text(browser, ".peer .state")), 60,
                         "the server is gone", 0.1)
            self.assertIn("remoteaddr", self.text(browser, ".peer .hint"))
            self.assertEqual(browser.value("document.querySelectorAll('.peer.failed').length"), 1)
            self.assertRegex(browser.value("document.title"), "^(refused|no answer) · ")
            self.assertEqual(browser.messages, [])
            tunnel.start_server()
            t.wait_until(lambda: self.text(browser, ".peer .state") == "connected", 90, "the server is back", 0.1)
            tunnel.client_program.kill()
            t.wait_until(lambda: "does not answer" in self.text(browser, "#live"), 30, "the program is gone", 0.1)
            self.assertTrue(browser.value("document.body.classList.contains('stale')"))

    def test_it_shows_loss_in_one_direction_there(self):
        from chromium import Browser
        tunnel = self.watched(relay=lambda port: LossyRelay(port, t.free_port(), self.seed, loss=0.0, loss_back=0.1))
        with Browser() as browser:
            self.open(browser)
            t.run(t.echo_once(tunnel, self.seed, 3_000_000), 180)

            def loss():
                points = browser.value("[...sessions.values()][0].track.points.map(p => [p.lossIn, p.lossOut])")
                return max((p[0] or 0 for p in points), default=0) > 0.02 and points
            points = t.wait_until(loss, 60, "loss in", 0.1)
            self.assertLess(sum(p[1] or 0 for p in points) / len(points), 0.02)
            self.assertEqual(browser.messages, [])

    def test_idle_sessions_fold(self):
        from chromium import Browser
        self.watched("--conn", 3)
        with Browser() as browser:
            self.open(browser)
            t.wait_until(lambda: self.text(browser, "#idle") == "Show 3 idle sessions", 30, "all are idle", 0.1)
            self.assertEqual(self.rows(browser, "sessions"), [])
            self.assertEqual(browser.value("document.querySelectorAll('.session[open]').length"), 0)
            browser.value("document.getElementById('idle').click()")
            self.assertEqual(len(self.rows(browser, "sessions")), 3)
            self.assertEqual(self.text(browser, "#idle"), "Hide 3 idle sessions")

    def test_it_shows_the_states_of_several_servers(self):
        from chromium import Browser
        port, silent = t.free_port(), t.free_port()
        tunnel = self.watched("--remoteaddr", f"{HOST}:{silent},{HOST}:{port}", udp_port=port)
        t.run(t.echo_many(tunnel, self.seed, 1, 1000), 60)
        with Browser() as browser:
            self.open(browser)
            t.wait_until(lambda: [(row["Server"], row["State"]) for row in self.rows(browser, "servers")] ==
                         [(f"{HOST}:{silent}", "does not answer"), (f"{HOST}:{port}", "in use")], 60, "both states", 0.1)
            self.assertFalse(browser.value("document.getElementById('servers-part').hidden"))
            self.assertEqual(browser.messages, [])
            self.open(browser, self.server_port)  # which has none
            t.wait_until(lambda: browser.value("document.getElementById('servers-part').hidden"), 30, "no servers", 0.1)
        self.settled(self.client_port)

    def check_numbers(self, browser):
        """What the page shows is what it was told, and what it was told is what status.json says."""
        told = json.loads(browser.value("latestStatus"))
        [tunnel] = told["tunnels"]
        columns = {"Streams": lambda s: f"count({s['streams']})", "Repaired": lambda s: f"count({s['fec_recovered_packets']})",
                   "Round trip": lambda s: f"time({s['round_trip_seconds']})",
                   "Total out": lambda s: f"bytes({s['sent_bytes']})", "Total in": lambda s: f"bytes({s['received_bytes']})"}
        rows = self.rows(browser, "sessions")
        shown = sorted([row["Peer"], row["State"], *(row[column] for column in columns)] for row in rows)
        expected = sorted([s["remote"], s["state"], *(browser.value(text(s)) for text in columns.values())]
                          for s in tunnel["open_sessions"])
        self.assertEqual(shown, expected)
        now = json.loads(fetch(self.client_port, "/status.json"))["tunnels"][0]
        for field in ("sent_bytes", "received_bytes", "sessions", "streams", "local", "remote"):
            self.assertEqual(tunnel[field], now[field])
        streams = sorted(row["Out"] for row in self.rows(browser, "streams"))
        self.assertEqual(streams, sorted(browser.value(f"bytes({s['sent_bytes']})") for one in tunnel["open_sessions"]
                                         for s in one["open_streams"]))

    def test_it_works_with_a_token_and_says_so_without(self):
        from chromium import Browser
        port = t.free_port()
        self.tunnel(client_args=["--status", f":{port}", "--status-token", TOKEN])
        with Browser() as browser:
            browser.open(f"http://{HOST}:{port}/?token={TOKEN}")
            t.wait_until(lambda: int(browser.value("document.body?.dataset.looks || 0")) >= 1, 60, "a look", 0.1)
            t.wait_until(lambda: self.text(browser, ".peer .state") == "connected", 30, "connected", 0.1)
            self.assertEqual(browser.messages, [])


if __name__ == "__main__":
    t.main()
