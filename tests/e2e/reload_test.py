"""SIGHUP, several tunnels in one process, and what becomes of a log, with the real programs.

    reload_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import time

import machine
import tunnel as t
from tunnel import HOST, OPTIONS, TunnelCase
from udp_test import Echo
from user_test import WatchingRelay

MB = 1 << 20
QUICK = {"key": "kcptun-uv test key", "mode": "fast3", "nocomp": True, "sndwnd": 1024, "rcvwnd": 1024}
PATIENCE = 30


class Configured(t.Program):
    """A program with a file of its own, that reads it again."""

    def __init__(self, directory, name, program, fields):
        self.path = os.path.join(directory, name + ".json")
        self.write(fields)
        super().__init__(program, ["-c", self.path], os.path.join(directory, name + ".log"))

    def write(self, fields):
        with open(self.path, "w") as file:
            file.write(fields if isinstance(fields, str) else json.dumps(fields))

    def count(self, words):
        return self.log().count(words)

    def reload(self, fields=None, says="reloaded changes=", where=None):
        """Writes the file and waits until the program has read it: `where` gives the text in which it says so."""
        where = where or self.log
        before = where().count(says)
        if fields is not None:
            self.write(fields)
        self.signal(signal.SIGHUP)
        t.wait_until(lambda: where().count(says) > before or self.exit_code() is not None, PATIENCE, f"it says {says}")
        if self.exit_code() is not None:
            raise t.Failure(f"ended with {self.exit_code()}: {self.log()}")


def text_of(path):
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        return file.read()
    return ""


class ReloadCase(TunnelCase):
    def setUp(self):
        super().setUp()
        self.programs = []

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except BaseException:
            for program in self.programs:
                print(f"--- {program.path}\n{program.log()[-6000:]}", flush=True)
            raise

    def start(self, name, program, fields, ready):
        started = Configured(self.directory, name, program, fields)
        self.programs.append(started)
        self.addCleanup(started.end)
        started.wait_ready(ready)
        return started

    def start_server(self, fields, port, name="server"):
        return self.start(name, OPTIONS.server, fields, lambda: t.udp_bound(port))

    def start_client(self, fields, port, name="client"):
        return self.start(name, OPTIONS.client, fields, lambda: t.can_listen_tcp(port))

    def pair(self, target, client=None, server=None):
        """Both programs, by files: (client, its fields, server, its fields, the client's TCP port)."""
        udp, tcp = t.free_port(), t.free_port()
        theirs = {**QUICK, "listen": f"{HOST}:{udp}", "target": target.name, **(server or {})}
        ours = {**QUICK, "localaddr": f"{HOST}:{tcp}", "remoteaddr": f"{HOST}:{udp}", **(client or {})}
        server_program = self.start_server(theirs, udp)
        return self.start_client(ours, tcp), ours, server_program, theirs, tcp


async def connect(port):
    connection = socket.socket()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
    return connection


async def echo(port, seed, size=100_000):
    connection = await connect(port)
    with connection:
        await t.send(connection, b"echo\n")
        await echo_on(connection, t.payload(seed, size))


async def echo_on(connection, data):
    writing = asyncio.ensure_future(t.send(connection, data))
    try:
        got = await t.receive_exactly(connection, len(data))
        await writing
    finally:
        writing.cancel()
    if got != data:
        raise t.Failure(f"the echo differs: {t.first_difference(got, data)}")


class Traffic:
    """A connection that moves data until it is told to end, each round checked byte for byte."""

    def __init__(self, port, seed):
        self._port, self._data = port, t.payload(seed, 256 << 10)
        self.rounds = 0
        self._ends = False

    async def run(self):
        connection = await connect(self._port)
        with connection:
            await t.send(connection, b"echo\n")
            while not self._ends:
                await echo_on(connection, self._data)
                self.rounds += 1

    async def during(self, work):
        """Runs the blocking `work` in a thread while data moves, and at least a round before and after it."""
        moving = asyncio.ensure_future(self.run())
        try:
            await self._another_round(moving)
            await asyncio.get_running_loop().run_in_executor(None, work)
            await self._another_round(moving)
            await self._another_round(moving)
        finally:
            self._ends = True
        await moving

    async def _another_round(self, moving):
        goal = self.rounds + 1
        while self.rounds < goal:
            if moving.done():
                moving.result()
            await asyncio.sleep(0.01)


class Reload(ReloadCase):
    def test_a_connection_survives_and_everything_that_may_change_does(self):
        old, new = self.target(), self.target()
        client, ours, server, theirs, port = self.pair(old, client={"conn": 2})
        logs = {program: os.path.join(self.directory, f"new-{name}.log")
                for name, program in (("client", client), ("server", server))}
        lively = {"quiet": True, "ratelimit": 20 * MB, "dscp": 12, "sndwnd": 512, "rcvwnd": 512, "mode": "fast",
                  "closewait": 50}

        def change():
            for program, fields in ((server, {**theirs, **lively, "target": new.name}),
                                    (client, {**ours, **lively, "autoexpire": 600})):
                program.reload({**fields, "log": logs[program]}, where=lambda p=program: text_of(logs[p]))
        traffic = Traffic(port, self.seed)
        t.run(traffic.during(change), 90)
        self.assertEqual([record["role"] for record in old.finished if record["error"]], [])
        self.assertEqual(new.finished, [])
        t.run(echo(port, self.seed), PATIENCE)
        t.run(echo(port, self.seed), PATIENCE)
        self.assertEqual(len(old.finished), 1)
        t.wait_until(lambda: len(new.finished) == 2, PATIENCE, "the new target has the next connections")
        text = text_of(logs[server])
        for change in ("option=target", "option=quiet before=false after=true effect=\"at once\"", "option=dscp",
                       "option=ratelimit before=0 after=20971520 effect=\"at once\"", "option=mode", "option=sndwnd"):
            self.assertIn(change, text)
        self.assertNotIn("stream opened", text)  # quiet since
        self.assertNotIn("session closed", text + server.log())
        self.assertEqual(client.count("session dialled"), 2)

    def test_the_rate_limit_reaches_open_sessions(self):
        target = self.target()
        _, _, server, theirs, port = self.pair(target)

        async def download(size):
            connection = await connect(port)
            with connection:
                await t.send(connection, f"source {size} {self.seed}\n".encode())
                await t.receive_exactly(connection, size)
        t.run(download(MB), PATIENCE)
        server.reload({**theirs, "ratelimit": MB})
        begun = time.monotonic()
        t.run(download(2 * MB), PATIENCE)
        self.assertGreater(time.monotonic() - begun, 1.9)
        server.reload(theirs)
        begun = time.monotonic()
        t.run(download(8 * MB), PATIENCE)
        self.assertLess(time.monotonic() - begun, 6 * machine.busy())  # 8 s at the limit
        self.assertEqual(server.count("session opened"), 1)

    def test_dscp_reaches_open_sessions_and_goes_back_to_0(self):
        target = self.target()
        udp, tcp = t.free_port(), t.free_port()
        theirs = {**QUICK, "listen": f"{HOST}:{udp}", "target": target.name}
        server = self.start_server(theirs, udp)
        relay = WatchingRelay(HOST, udp)
        self.addCleanup(relay.close)
        ours = {**QUICK, "localaddr": f"{HOST}:{tcp}", "remoteaddr": f"{HOST}:{relay.port}"}
        client = self.start_client(ours, tcp)
        for dscp in (0, 46, 0):
            client.reload({**ours, "dscp": dscp})
            server.reload({**theirs, "dscp": dscp})
            t.run(echo(tcp, self.seed, 10_000), PATIENCE)  # what was under way before has arrived
            for way in relay.seen.values():
                way.clear()
            t.run(echo(tcp, self.seed), PATIENCE)
            for way in ("up", "down"):
                self.assertEqual({tos for _, tos in relay.seen[way]}, {dscp << 2}, way)
        self.assertEqual(client.count("session dialled"), 1)

    def test_fec_and_mtu_wait_for_new_sessions_and_the_key_for_a_restart(self):
        target = self.target()
        client, ours, server, theirs, port = self.pair(target)
        waiting = {"datashard": 4, "parityshard": 2, "mtu": 1000, "smuxbuf": 8 * MB, "nc": 1}
        traffic = Traffic(port, self.seed)
        t.run(traffic.during(lambda: [client.reload({**ours, **waiting, "key": "another"}),
                                      server.reload({**theirs, **waiting})]), 90)
        text = client.log()
        self.assertIn('option=mtu before=1350 after=1000 effect="new sessions"', text)
        self.assertIn('option=key before=(hidden) after=(hidden) effect="needs a restart"', text)
        self.assertNotIn("another", text)
        t.run(echo(port, self.seed), PATIENCE)
        self.assertEqual(client.count("session dialled"), 1)
        client.reload({**ours, **waiting})
        t.wait_logged(client, "reloaded changes=0")

    def test_a_broken_file_changes_nothing_and_is_one_line(self):
        target = self.target()
        _, _, server, theirs, port = self.pair(target)
        nowhere = os.path.join(self.directory, "no", "such", "file.log")
        refused = "reload failed, configuration unchanged"

        def break_it():
            for broken, word in (('{"key": "kcptun-uv test key", "target": ', "server.json"),
                                 ({**theirs, "mtu": 99999}, "128..1500"),
                                 ({**theirs, "target": "nowhere.invalid:80"}, "nowhere.invalid"),
                                 ({**theirs, "target": f"{HOST}:1", "log": nowhere}, "there is no folder"),
                                 ({**theirs, "quiet": "yes"}, "true or false")):
                before = server.log().count("\n")
                server.reload(broken, says=refused)
                lines = server.log().splitlines()[before:]
                lines = [line for line in lines if "stream" not in line]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(word, lines[0])
            os.unlink(server.path)
            server.reload(says=refused)
        traffic = Traffic(port, self.seed)
        t.run(traffic.during(break_it), 90)
        t.run(echo(port, self.seed), PATIENCE)
        server.reload(theirs)
        t.wait_logged(server, "reloaded changes=0")

    def test_a_log_that_was_moved_away_is_opened_anew(self):
        target = self.target()
        log = os.path.join(self.directory, "rotated.log")
        _, _, server, _, port = self.pair(target, server={"log": log})
        t.run(echo(port, self.seed), PATIENCE)
        t.wait_until(lambda: "stream closed" in text_of(log), PATIENCE, "the stream's end is logged")
        os.rename(log, log + ".1")
        server.reload(where=lambda: text_of(log))
        t.run(echo(port, self.seed), PATIENCE)
        t.wait_until(lambda: "stream closed" in text_of(log), PATIENCE, "the new file has the next stream")
        self.assertEqual(text_of(log + ".1").count("stream opened"), 1)

    def test_many_signals_at_once_are_answered(self):
        target = self.target()
        _, _, server, theirs, port = self.pair(target, server={"target": f"localhost:{target.port}"})
        for number in range(50):
            server.write({**theirs, "target": f"localhost:{target.port}", "closewait": 31 + number})
            server.signal(signal.SIGHUP)
        t.wait_until(lambda: "after=80" in server.log(), PATIENCE, "the last file counts")
        t.run(echo(port, self.seed), PATIENCE)

    def test_a_program_without_a_file_lives_on(self):
        tunnel = self.tunnel()
        for program in tunnel.programs:
            program.signal(signal.SIGHUP)
            t.wait_until(lambda p=program: "reloaded changes=0" in p.log(), PATIENCE, "it says so")
        t.run(t.echo_once(tunnel, self.seed, 1000), PATIENCE)


class Several(ReloadCase):
    def several(self, names):
        """A client and a server with a tunnel for each name, each with a target of its own."""
        self.targets = {name: self.target() for name in names}
        self.udp = {name: t.free_port() for name in names}
        self.tcp = {name: t.free_port() for name in names}
        server = self.start_server(self.server_fields(names), self.udp[names[-1]])
        client = self.start_client(self.client_fields(names), self.tcp[names[-1]])
        return client, server

    def server_fields(self, names, **more):
        return {**QUICK, **more, "tunnels": [
            {"name": name, "listen": f"{HOST}:{self.udp[name]}", "target": self.targets[name].name,
             "key": "of " + name} for name in names]}

    def client_fields(self, names, **more):
        return {**QUICK, **more, "tunnels": [
            {"name": name, "localaddr": f"{HOST}:{self.tcp[name]}", "remoteaddr": f"{HOST}:{self.udp[name]}",
             "key": "of " + name} for name in names]}

    def add_tunnel(self, name):
        self.targets[name], self.udp[name], self.tcp[name] = self.target(), t.free_port(), t.free_port()

    async def use(self, names, size=MB):
        await asyncio.gather(*(echo(self.tcp[name], self.seed + i, size) for i, name in enumerate(names)))

    def test_each_tunnel_goes_to_its_target_with_its_key_and_says_its_name(self):
        names = ["home", "office", "lab", "yard"]
        client, server = self.several(names)
        t.run(self.use(names), 60)
        for name in names:
            t.wait_until(lambda n=name: len(self.targets[n].finished) == 1, PATIENCE, f"{name}'s target was used")
            self.assertEqual(client.count(f"tunnel started tunnel={name} "), 1)
            for program in (client, server):
                t.wait_logged(program, re.compile(rf"session (dialled|opened) tunnel={name} conv="))
                t.wait_logged(program, re.compile(rf"stream closed tunnel={name} conv="))
        for program in (client, server):
            program.signal(signal.SIGUSR1)
            for name in names:
                found = t.wait_until(lambda p=program, n=name: re.search(rf"counters tunnel={n} BytesSent=(\d+)",
                                                                         p.log()), PATIENCE, "its counters")
                self.assertGreaterEqual(int(found[1]), MB)
                self.assertLess(int(found[1]), 2 * MB)
        program = client
        program.signal(signal.SIGTERM)
        self.assertEqual(program.wait_exit(10), 0)

    def test_many_tunnels_share_the_threads(self):
        names = [f"t{number}" for number in range(40)]
        client, server = self.several(names)
        t.run(self.use(names, 50_000), 60)
        for program in (client, server):
            threads = len(os.listdir(f"/proc/{program.pid}/task"))
            self.assertLessEqual(threads, (os.cpu_count() or 1) + 4)  # libuv's pool has four

    def test_tunnels_come_and_go_while_another_moves_data(self):
        client, server = self.several(["home", "office"])
        self.add_tunnel("lab")

        def change():
            for program, fields in ((server, self.server_fields), (client, self.client_fields)):
                program.reload(fields(["lab", "home"], closewait=40))
        traffic = Traffic(self.tcp["home"], self.seed)
        t.run(traffic.during(change), 90)
        t.run(self.use(["home", "lab"]), PATIENCE)
        self.assertTrue(client.count("tunnel started tunnel=lab") == client.count("tunnel stopped tunnel=office") == 1)
        self.assertFalse(t.can_listen_tcp(self.tcp["office"]))
        self.assertFalse(t.udp_bound(self.udp["office"]))
        with self.assertRaises(OSError):
            t.run(connect(self.tcp["office"]), PATIENCE)
        client.reload(self.client_fields(["office", "home", "lab"], closewait=40))
        server.reload(self.server_fields(["office", "home", "lab"], closewait=40))
        t.run(self.use(["home", "lab", "office"]), PATIENCE)
        self.assertEqual(client.count("session closed tunnel=home"), 0)

    def test_a_tunnel_is_renamed_and_ports_move_between_tunnels(self):
        client, server = self.several(["home", "office"])
        t.run(self.use(["home", "office"]), PATIENCE)
        with socket.create_connection((HOST, self.tcp["home"])) as open_all_the_while:
            open_all_the_while.sendall(b"echo\n!")
            self.assertEqual(open_all_the_while.recv(1), b"!")
            for places in (self.targets, self.udp, self.tcp):
                places["lab"] = places.pop("office")
            server.reload(self.server_fields(["home", "lab"]))
            client.reload(self.client_fields(["home", "lab"]))
            t.run(self.use(["home", "lab"]), PATIENCE)
            open_all_the_while.sendall(b"?")
            self.assertEqual(open_all_the_while.recv(1), b"?")
        for ports in (self.udp, self.tcp):
            ports["home"], ports["lab"] = ports["lab"], ports["home"]
        server.reload(self.server_fields(["home", "lab"]))
        client.reload(self.client_fields(["home", "lab"]))
        t.run(self.use(["home", "lab"]), PATIENCE)
        for name, connections in (("home", 4), ("lab", 3)):
            t.wait_until(lambda n=name, c=connections: len(self.targets[n].finished) == c, PATIENCE, f"{name}'s target")
        for program in (client, server):
            self.assertEqual(program.count("reload failed"), 0)

    def test_a_renamed_tunnel_keeps_its_unix_socket(self):
        self.targets, self.udp, self.tcp = {"home": self.target()}, {"home": t.free_port()}, {"home": t.free_port()}
        self.start_server(self.server_fields(["home"]), self.udp["home"])
        path = os.path.join(self.directory, "local.sock")
        fields = self.client_fields(["home"])
        fields["tunnels"][0]["localaddr"] = path
        client = self.start("client", OPTIONS.client, fields, lambda: t.unix_listening(path))
        fields["tunnels"][0]["name"] = "lab"
        client.reload(fields)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            connection.sendall(b"echo\n!")
            self.assertEqual(connection.recv(1), b"!")
        client.signal(signal.SIGTERM)
        self.assertEqual(client.wait_exit(10), 0)
        self.assertFalse(os.path.exists(path))

    def test_a_renamed_tunnel_keeps_its_udp_entrance_and_what_waits_there(self):
        echo, entrance = Echo(self), t.free_port()
        self.targets, self.udp, self.tcp = {"home": self.target()}, {"home": t.free_port()}, {"home": t.free_port()}
        fields = self.server_fields(["home"])
        fields["tunnels"][0]["allow"] = [f"udp/{HOST}:{echo.port}"]
        self.start_server(fields, self.udp["home"])
        fields = self.client_fields(["home"])
        fields["tunnels"][0]["forwards"] = [{"listen": f"udp://{HOST}:{entrance}", "target": f"udp://{HOST}:{echo.port}"}]
        client = self.start("client", OPTIONS.client, fields, lambda: t.udp_bound(entrance))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as application:
            application.settimeout(PATIENCE)
            application.connect((HOST, entrance))
            for name in ("lab", "home"):
                application.send(name.encode())
                self.assertEqual(application.recv(100), name.encode())
                fields["tunnels"][0]["name"] = name
                client.reload(fields)
        self.assertEqual(client.count("tunnel started tunnel=lab"), 1)
        self.assertEqual(client.count("reload failed"), 0)

    def test_a_tunnel_that_cannot_listen_changes_nothing(self):
        client, _ = self.several(["home"])
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            fields = self.client_fields(["home"])
            fields["tunnels"][0]["quiet"] = True
            for name, port in (("new", t.free_port()), ("bad", taken.getsockname()[1])):
                fields["tunnels"].append({"name": name, "localaddr": f"{HOST}:{port}", "remoteaddr": f"{HOST}:9"})
            client.reload(fields, says="reload failed, configuration unchanged")
        t.wait_logged(client, re.compile(r"tunnel bad: cannot listen on TCP"))
        self.assertFalse(t.can_listen_tcp(int(fields["tunnels"][1]["localaddr"].split(":")[1])))
        before = client.count("stream opened tunnel=home")
        t.run(self.use(["home"]), PATIENCE)
        t.wait_until(lambda: client.count("stream opened tunnel=home") > before, PATIENCE, "not quiet")

    def test_json_lines_are_objects_and_have_no_secret(self):
        self.targets = {"home": self.target()}
        self.udp, self.tcp = {"home": t.free_port()}, {"home": t.free_port()}
        style = {"log-format": "json", "log-utc": True}
        server = self.start_server(self.server_fields(["home"], **style), self.udp["home"])
        client = self.start_client(self.client_fields(["home"], **style), self.tcp["home"])
        t.run(self.use(["home"]), PATIENCE)
        for program in (client, server):
            t.wait_until(lambda p=program: "stream closed" in p.log(), PATIENCE, "the stream's end is logged")
            program.reload(says='"event":"reloaded"')
            events = [json.loads(line) for line in program.log().splitlines()]
            self.assertTrue(all({"time", "level", "event"} <= set(event) for event in events))
            of_tunnel = [event for event in events if event["event"].startswith(("session", "stream", "tunnel"))]
            self.assertTrue(of_tunnel and all(event["tunnel"] == "home" for event in of_tunnel))
            self.assertNotIn("of home", program.log())


if __name__ == "__main__":
    t.main()
