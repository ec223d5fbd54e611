"""The users of a server with crypt noise: each has a key, and what it may do; a reload adds and revokes them.

    users_test.py --client PROGRAM --server PROGRAM [unittest arguments]
"""

import datetime
import json
import os
import signal
import socket
import subprocess
import time
import unittest

import machine
import tunnel as t
from status_test import fetch
from tunnel import HOST, OPTIONS, TunnelCase

START = 60     # seconds; a server takes its first session 6 to 7 s after its start
PATIENCE = 20
KEY = "kcptun-uv test key"
MB = 1_000_000


def printed(*arguments):
    return subprocess.run([OPTIONS.server, *arguments], capture_output=True, text=True, check=True,
                          timeout=PATIENCE).stdout.strip()


class Keys:
    """A key pair."""

    def __init__(self):
        self.private = printed("--genkey")
        self.public = printed("--pubkey", "--private-key", self.private)


class UsersCase(t.BlockingStreams, TunnelCase):
    threads = 1

    def setUp(self):
        super().setUp()
        self.near = self.target()
        self.udp, self.status = t.free_port(), t.free_port()
        self.keys = {name: Keys() for name in ("server", "anna", "bob")}
        self.entries = {}
        self.ports = {}
        self.users = os.path.join(self.directory, "users.json")
        self.file = os.path.join(self.directory, "server.json")

    def start(self, name, path, arguments):
        program = t.Program(path, arguments, os.path.join(self.directory, name + ".log"))
        self.addCleanup(program.end)
        return program

    def write_users(self, **users):
        """Each with its fields besides name and key."""
        self.entries = {name: {"name": name, "key": self.keys[name].public, **fields} for name, fields in users.items()}
        with open(self.users, "w") as file:
            json.dump({"users": list(self.entries.values())}, file)

    def start_server(self, **fields):
        with open(self.file, "w") as file:
            json.dump({"listen": f"{HOST}:{self.udp}", "target": self.near.name, "key": KEY, "crypt": "noise",
                       "mode": "fast3", "private-key": self.keys["server"].private, "users-file": self.users,
                       "status": f"{HOST}:{self.status}", "threads": self.threads, **fields}, file)
        os.chmod(self.file, 0o600)
        self.server = self.start("server", OPTIONS.server, ["-c", self.file])
        self.server.wait_ready(lambda: t.udp_bound(self.udp))

    def start_client(self, name, *more, server_key=None):
        self.ports[name] = t.free_port()
        return self.start(name, OPTIONS.client, [
            "-r", f"{HOST}:{self.udp}", "-l", f"{HOST}:{self.ports[name]}", "--key", KEY, "--crypt", "noise", "--mode", "fast3",
            "--private-key", self.keys[name].private, "--server-key", server_key or self.keys["server"].public, *more])

    def connect(self, name, patience=START):
        def attempt():
            try:
                connection = socket.create_connection((HOST, self.ports[name]))
            except ConnectionRefusedError:
                return None
            self.addCleanup(connection.close)
            return connection
        connection = t.wait_until(attempt, PATIENCE, f"{name}'s client listens")
        connection.settimeout(patience)
        return connection

    def reload(self):
        before = self.server.log().count("reloaded")
        self.server.signal(signal.SIGHUP)
        t.wait_until(lambda: self.server.log().count("reloaded") > before, PATIENCE, "the reload")

    def rows(self):
        [tunnel] = json.loads(fetch(self.status, "/status.json"))["tunnels"]
        return {row["user"]: row for row in tunnel.get("users", [])}, tunnel

    def echo_parts(self, connection, count=3):
        for number in range(count):
            connection.sendall(b"%06d" % number)
            self.assertEqual(t.read_exactly(connection, 6), b"%06d" % number)

    def open_echo(self, name):
        connection = self.connect(name)
        connection.sendall(b"echo\n")
        self.echo_parts(connection)
        return connection

    def ends(self, connection):
        """Waits for the end of the connection, and returns how long that took."""
        started = time.monotonic()
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return time.monotonic() - started

    def served(self, name):
        try:
            with self.connect(name, 5) as connection:
                connection.sendall(b"echo\nhello")
                return t.read_exactly(connection, 5) == b"hello"
        except (OSError, t.Failure):
            return False


class Users(UsersCase):
    def test_a_reload_ends_the_sessions_of_a_revoked_user_and_nobody_elses(self):
        self.write_users(anna={}, bob={})
        self.start_server()
        self.start_client("anna")
        self.start_client("bob")
        annas, bobs = self.open_echo("anna"), self.open_echo("bob")
        self.write_users(bob={})
        self.reload()
        self.assertLess(self.ends(annas), 10 * machine.busy())
        t.wait_logged(self.server, "user may connect no more")
        self.echo_parts(bobs)
        self.echo(self.connect("bob"), 2 * MB)
        log = self.server.log()
        [closed] = [line for line in log.splitlines() if "session closed" in line]
        self.assertIn("user=anna", closed)
        # The revoked client dials again, and gets no answer.
        again = self.connect("anna", 3)
        again.sendall(b"echo\nhello")
        with self.assertRaises((TimeoutError, ConnectionResetError)):
            if again.recv(1) == b"":
                raise ConnectionResetError
        t.wait_logged(self.server, "client refused", seconds=START)
        line = next(line for line in self.server.log().splitlines() if "client refused" in line)
        self.assertIn(f"key={self.keys['anna'].public}", line)
        self.assertIn("no user has this key", line)
        # Back in the file, she is served again.
        self.write_users(anna={}, bob={})
        self.reload()
        t.wait_until(lambda: self.served("anna"), START, "anna is served again")
        self.echo_parts(bobs)
        t.wait_until(lambda: set(self.rows()[0]) == {"anna", "bob"}, PATIENCE, "a row for each")  # a second's snapshot
        self.assertGreater(self.rows()[1]["refused_clients"], 0)

    def test_the_status_counts_sessions_and_bytes_of_each_user(self):
        self.write_users(anna={}, bob={})
        self.start_server()
        self.start_client("anna", "--conn", "3")
        self.start_client("bob")
        for _ in range(3):
            self.echo(self.connect("anna"), MB)
        held = self.open_echo("bob")
        received = 3 * (MB + len("echo\n"))
        t.wait_until(lambda: self.rows()[0]["anna"]["received_bytes"] == received, PATIENCE, "what anna has sent")
        rows, tunnel = self.rows()
        self.assertEqual(rows["anna"]["sent_bytes"], 3 * MB)
        # More than the clients have now: some were dialled while the server took none yet.
        of_sessions = [session["user"] for session in tunnel["open_sessions"]]
        for name, least in (("anna", 3), ("bob", 1)):
            self.assertGreaterEqual(rows[name]["sessions"], least)
            self.assertEqual(of_sessions.count(name), rows[name]["sessions"])
        self.assertRegex(fetch(self.status, "/metrics"), r'kcptun_user_sessions\{tunnel="default",user="anna"\} \d+\n')
        t.wait_until(lambda: self.server.log().count("user=anna") >= 3, PATIENCE, "anna's sessions in the log")
        held.close()

    def test_a_last_day_that_is_over_ends_it(self):
        today = datetime.datetime.now(datetime.timezone.utc).date()
        self.write_users(anna={"expires": str(today - datetime.timedelta(days=1))}, bob={"expires": str(today)})
        self.start_server()
        self.start_client("anna")
        self.start_client("bob")
        self.open_echo("bob")
        connection = self.connect("anna", 1)
        connection.sendall(b"echo\nhello")
        t.wait_logged(self.server, "the user's last day is over", seconds=START)
        self.assertEqual(self.rows()[0]["anna"]["sessions"], 0)

    def test_each_user_may_name_its_own_targets(self):
        self.write_users(anna={"allow": [self.near.name]}, bob={})
        self.start_server(target="socks5", allow=["192.0.2.1:1"])
        for name in ("anna", "bob"):
            self.start_client(name)
        replies = {}
        for name in ("anna", "bob"):
            host, port = self.near.name.split(":")
            connection = self.connect(name)
            connection.sendall(b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton(host) + int(port).to_bytes(2, "big"))
            replies[name] = t.read_exactly(connection, 12)[3]
            if name == "anna":
                connection.sendall(b"echo\nhello")
                self.assertEqual(t.read_exactly(connection, 5), b"hello")
        self.assertEqual(replies, {"anna": 0, "bob": 2})

    def test_a_rate_limit_holds_for_its_user_only(self):
        self.write_users(anna={"ratelimit": 200_000}, bob={})
        self.start_server()
        self.start_client("anna")
        self.start_client("bob")
        seconds = {}
        for name in ("bob", "anna"):
            connection = self.open_echo(name)
            connection.close()
            connection = self.connect(name)
            started = time.monotonic()
            self.source(connection, 600_000)
            seconds[name] = time.monotonic() - started
        self.assertGreater(seconds["anna"], 1.5)
        self.assertLess(seconds["bob"], seconds["anna"])

    def test_all_sessions_of_a_user_share_its_rate_limit(self):
        self.write_users(anna={"ratelimit": 400_000})
        self.start_server(nocomp=True)
        self.start_client("anna", "--conn", "4", "--nocomp")
        connections = [self.connect("anna") for _ in range(8)]
        for connection in connections:
            connection.sendall(b"echo\n")
        t.wait_until(lambda: self.rows()[0]["anna"]["sessions"] >= 4, PATIENCE, "four sessions")
        started = time.monotonic()
        for connection in connections:
            connection.sendall(t.payload(self.seed, 100_000))
        for connection in connections:
            self.assertEqual(t.read_exactly(connection, 100_000), t.payload(self.seed, 100_000))
        # 800 kB and what the packets add; each session for itself would need half a second.
        self.assertGreater(time.monotonic() - started, 1.5)


class Quotas(UsersCase):
    threads = 2

    def pours(self, name):
        """Whether the client still gets data after all that the user may transfer."""
        try:
            self.source(self.connect(name, 5), 8 * MB)
        except (OSError, t.Failure):
            return False
        return True

    def test_a_tunnel_with_another_name_keeps_what_its_users_have_transferred(self):
        self.write_users(anna={"quota": "6MB/month"})
        self.start_server(name="before", **{"quota-file": os.path.join(self.directory, "quota.json")})
        self.start_client("anna")
        self.source(self.connect("anna"), 2 * MB)
        t.wait_until(lambda: self.rows()[0]["anna"]["quota_left_bytes"] < 4.1 * MB, PATIENCE, "what is left")
        with open(self.file) as file:
            profile = json.load(file)
        with open(self.file, "w") as file:  # within the seconds in which the quota-file is older than the accounts
            json.dump({**profile, "name": "after"}, file)
        self.reload()
        self.assertLess(self.rows()[0]["anna"]["quota_left_bytes"], 4.1 * MB)

    def test_a_quota_that_is_used_up_ends_its_user_and_lasts_over_a_restart(self):
        kept = os.path.join(self.directory, "quota.json")
        self.write_users(anna={"quota": "6MB/month"}, bob={"quota": "1GB"})
        self.start_server(**{"quota-file": kept})
        for name in ("anna", "bob"):
            self.start_client(name)
            self.source(self.connect(name), 2 * MB)
        t.wait_until(lambda: self.rows()[0]["anna"]["quota_left_bytes"] < 4.1 * MB, PATIENCE, "what is left")
        rows = self.rows()[0]
        self.assertEqual((rows["anna"]["quota_bytes"], rows["bob"]["quota_bytes"]), (6 * MB, 1000 * MB))
        bobs = self.open_echo("bob")
        t.wait_until(lambda: not self.pours("anna"), START, "the quota is used up")
        t.wait_logged(self.server, "the user's quota is used up", seconds=START)
        self.echo_parts(bobs)
        self.server.end()
        with open(kept) as file:
            saved = json.load(file)
        self.assertGreater(saved["anna"]["bytes"], 6 * MB)
        self.assertEqual(saved["bob"]["period"], "")
        self.start_server(**{"quota-file": kept})
        self.connect("anna", 1).sendall(b"echo\nhello")
        t.wait_logged(self.server, "the user's quota is used up", seconds=START)
        self.source(self.connect("bob"), MB)
        # A larger quota holds at once.
        self.write_users(anna={"quota": "1GB/month"}, bob={"quota": "1GB"})
        self.reload()
        t.wait_until(lambda: self.served("anna"), START, "anna is served again")

    def test_a_file_that_is_none_ends_the_start_with_one_line(self):
        self.write_users(anna={"quota": "1GB"})
        kept = os.path.join(self.directory, "quota.json")
        with open(kept, "w") as file:
            file.write('{"anna": 1}')
        with open(self.file, "w") as file:
            json.dump({"key": KEY, "crypt": "noise", "private-key": self.keys["server"].private, "users-file": self.users,
                       "quota-file": kept}, file)
        os.chmod(self.file, 0o600)
        ended = subprocess.run([OPTIONS.server, "-c", self.file, "-l", f"{HOST}:{self.udp}"], capture_output=True, text=True,
                               timeout=PATIENCE)
        self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended.stderr)
        self.assertIn(f'quota-file {kept} has no "period" and "bytes" of the user "anna"', ended.stderr)


class Command(UsersCase):
    """kcptun-server user."""

    def user(self, *words, code=0):
        ran = subprocess.run([OPTIONS.server, "user", *words, "-c", self.file], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(ran.returncode, code, ran.stderr)
        return ran.stdout if code == 0 else ran.stderr

    def test_a_user_is_added_connects_with_its_string_and_is_removed(self):
        self.write_users()
        os.remove(self.users)
        with open(self.file, "w") as file:
            json.dump({"listen": f"{HOST}:{self.udp}", "target": self.near.name, "key": KEY, "crypt": "noise", "mode": "fast3",
                       "private-key": self.keys["server"].private, "users-file": self.users}, file)
        os.chmod(self.file, 0o600)
        printed_to_admin = self.user("add", "anna;ratelimit=5000000")
        self.assertEqual(os.stat(self.users).st_mode & 0o777, 0o600)
        os.chmod(self.users, 0o640)
        string = "".join(line.strip() for line in printed_to_admin.splitlines() if line.startswith("    "))
        string = string.removeprefix("kcptun-client -c '").removesuffix("'")
        self.assertTrue(string.startswith("kcptun://v1/"), printed_to_admin)
        [line] = self.user("list").splitlines()
        self.assertRegex(line, r"^anna=[\w-]{43};ratelimit=5000000$")
        self.server = self.start("server", OPTIONS.server, ["-c", self.file])
        self.server.wait_ready(lambda: t.udp_bound(self.udp))
        self.ports["anna"] = t.free_port()
        self.start("anna", OPTIONS.client, ["-c", string, "-l", f"{HOST}:{self.ports['anna']}"])
        held = self.open_echo("anna")
        # One with a key of its own; the text of the other one stays.
        self.assertNotIn("kcptun://", self.user("add", f"bob={self.keys['bob'].public}"))
        self.assertEqual(os.stat(self.users).st_mode & 0o777, 0o640)
        self.reload()
        self.echo_parts(held)
        self.start_client("bob")
        self.open_echo("bob")
        self.user("remove", "anna")
        self.reload()
        self.ends(held)
        self.assertEqual([line.split("=")[0] for line in self.user("list").splitlines()], ["bob"])
        self.assertEqual(os.listdir(self.directory).count("users.json"), 1)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("users.json.")], [])

    def test_each_mistake_has_one_line_and_changes_nothing(self):
        self.write_users(anna={})
        with open(self.file, "w") as file:
            json.dump({"key": KEY, "crypt": "noise", "private-key": self.keys["server"].private, "users-file": self.users}, file)
        os.chmod(self.file, 0o600)
        before = open(self.users).read()
        for words, code, text in ((("add",), 2, "usage:"), (("add", "a", "b"), 2, "usage:"), (("change", "a"), 2, "usage:"),
                                  (("add", "anna"), 78, "has the name of another user"),
                                  (("add", "an na"), 78, "has the name"), (("add", "x;quota"), 78, "without a value"),
                                  (("remove", "bob"), 78, 'has no user "bob"')):
            line = self.user(*words, code=code)
            self.assertEqual(line.count("\n"), 1, line)
            self.assertIn(text, line)
        self.assertEqual(open(self.users).read(), before)

    def test_many_at_once_lose_nobody(self):
        self.write_users()
        with open(self.file, "w") as file:
            json.dump({"key": KEY, "crypt": "noise", "private-key": self.keys["server"].private, "users-file": self.users}, file)
        os.chmod(self.file, 0o600)
        key = self.keys["anna"].public
        running = [subprocess.Popen([OPTIONS.server, "user", "add", f"user{number}={number:02}{key[2:]}", "-c", self.file],
                                    stdout=subprocess.DEVNULL) for number in range(20)]
        self.assertEqual([one.wait(PATIENCE) for one in running], [0] * 20)
        self.assertEqual(len(self.user("list").splitlines()), 20)


class Loops(Users):
    """The same on several threads, where a packet may reach another one than its session's."""

    threads = 3


class Strangers(UsersCase):
    def test_who_has_no_key_gets_no_answer_and_leaves_no_state(self):
        """With the shared key and nothing else, with the key of another server, and without any key."""
        self.write_users(anna={})
        self.start_server()
        anna = self.start_client("anna")
        self.open_echo("anna")
        self.ports["shared"] = t.free_port()
        self.start("shared", OPTIONS.client, ["-r", f"{HOST}:{self.udp}", "-l", f"{HOST}:{self.ports['shared']}", "--key", KEY,
                                              "--crypt", "noise", "--mode", "fast3"])
        self.keys["elsewhere"] = Keys()
        self.start_client("bob", server_key=self.keys["elsewhere"].public)
        for name in ("shared", "bob"):
            connection = self.connect(name, 2)
            connection.sendall(b"echo\nhello")
            with self.assertRaises((TimeoutError, ConnectionResetError)):
                if connection.recv(1) == b"":
                    raise ConnectionResetError
        # All sessions are anna's, whose client dials more than one while the server is new.
        self.assertLessEqual(self.server.counters()["PassiveOpens"], anna.counters()["ActiveOpens"])
        users, tunnel = self.rows()
        self.assertEqual(tunnel["sessions"], users["anna"]["sessions"])
        self.assertNotIn("client refused", self.server.log())

    def test_keys_that_do_not_fit_end_the_start_with_one_line(self):
        small_order = "A" * 43
        for arguments, words in (
                (["--private-key", self.keys["anna"].private, "--server-key", small_order], "no public key of a server"),
                (["--private-key", self.keys["anna"].private], "needs server-key beside it")):
            ran = subprocess.run([OPTIONS.client, "-r", f"{HOST}:{self.udp}", "--key", KEY, "--crypt", "noise", *arguments],
                                 capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
            self.assertIn(words, ran.stderr)
            self.assertNotIn(self.keys["anna"].private, ran.stderr)
            self.assertNotEqual(ran.returncode, 0)


if __name__ == "__main__":
    t.main()
