"""What an attacker on the path gets out of real programs, and what the programs give away of themselves.

    security_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import base64
import grp
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import machine
import tunnel as t
from lossy_relay import LossyRelay
from tunnel import OPTIONS, TunnelCase

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))
import xchacha  # noqa: E402  an implementation of the suite in Python

MB = 1 << 20
OURS = ["--crypt", "xchacha20-poly1305", "--mode", "fast3"]
START = 30  # a new server takes its first session after some seconds, the client asks again within some more


class Recorder(LossyRelay):
    """Keeps all datagrams: to the server, and to the client."""

    def __init__(self, server_port, port, seed):
        self.to_server, self.to_client = [], []
        super().__init__(server_port, port, seed)

    def _decide(self, out, address, datagram):
        (self.to_client if out is self._front else self.to_server).append(datagram)
        super()._decide(out, address, datagram)

    def inject_to_client(self, datagrams):
        """From the server's address, as the client sees it."""
        for address in list(self._back):
            for datagram in datagrams:
                self._pass(self._front, address, datagram)


class Stranger:
    """Sends datagrams to the server from an address of its own, and hears what comes back."""

    def __init__(self, case, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.bind((t.HOST, 0))
        self.socket.connect((t.HOST, port))
        self.socket.setblocking(False)

    def send(self, datagrams):
        for datagram in datagrams:
            for _ in range(100):
                try:
                    self.socket.send(datagram)
                    break
                except BlockingIOError:
                    time.sleep(0.001)

    def heard(self):
        try:
            return self.socket.recv(2048)
        except BlockingIOError:
            return None


class Sessions(TunnelCase):
    """The suite xchacha20-poly1305 between our own programs."""

    ours = OURS

    def recorded_tunnel(self, common=(), **options):
        relays = []

        def relay(server_port):
            relays.append(Recorder(server_port, t.free_port(), self.seed))
            return relays[0]
        return self.tunnel([*self.ours, *common], relay=relay, **options), relays

    def test_it_carries_bytes_on_several_loops_and_sessions(self):
        tunnel = self.tunnel([*self.ours, "--threads", 2], client_args=["--conn", 4])
        t.run(t.echo_many(tunnel, self.seed, 20, 256 << 10), START + 30)
        t.run(t.echo_once(tunnel, self.seed, 16 * MB), 60)
        tunnel.wait_idle(20)

    def test_a_key_of_256_random_bits_opens_the_tunnel_and_its_text_without_the_prefix_does_not(self):
        digits = subprocess.run([OPTIONS.client, "--genkey"], capture_output=True, text=True, check=True).stdout.strip()
        raw = ["--key", "raw256:" + digits, *self.ours]
        tunnel = self.tunnel(raw, keyless=True)
        t.run(t.echo_once(tunnel, self.seed, MB), START + 30)
        tunnel.close()
        other = self.tunnel(self.ours, keyless=True, client_args=["--key", digits], server_args=["--key", "raw256:" + digits])
        with self.assertRaises((t.Failure, ConnectionError)):
            t.run(t.echo_once(other, self.seed, 1000), 5)

    def test_it_carries_bytes_through_loss_duplication_and_reordering(self):
        for shards in (["--ds", 10, "--ps", 3], ["--ds", 0, "--ps", 0]):
            with self.subTest(shards=shards):
                tunnel = self.tunnel([*self.ours, *shards], relay=lambda port: LossyRelay(
                    port, t.free_port(), self.seed, 0.05, duplicate=0.05, reorder=0.05))
                t.run(t.echo_once(tunnel, self.seed, 2 * MB), START + 60)
                t.run(t.echo_many(tunnel, self.seed + 2, 10, 32 << 10), 60)
                tunnel.wait_idle(20)

    def test_other_keys_and_other_suites_get_no_answer(self):
        tunnel = self.tunnel(self.ours)
        t.run(t.echo_once(tunnel, self.seed, 1000), START)
        for arguments in (["--key", "another", *self.ours], ["--key", "kcptun-uv test key", "--crypt", "aes-128-gcm"]):
            port = t.free_port()
            log = os.path.join(self.directory, "stranger.log")
            other = t.Program(OPTIONS.client, ["-l", f"{t.HOST}:{port}", "-r", f"{t.HOST}:{tunnel.udp_port}", *arguments],
                              log)
            self.addCleanup(other.end)
            other.wait_ready(lambda: t.can_listen_tcp(port))
            before = tunnel.server_program.counters()
            with socket.create_connection((t.HOST, port)) as connection:
                connection.sendall(b"echo\nhello")
                t.wait_until(lambda: other.counters()["OutPkts"] > 3, 20,
                             "the stranger has sent packets")
                self.assertEqual(other.counters()["InPkts"], 0)
            after = tunnel.server_program.counters()
            self.assertGreater(after["InCsumErrors"], before["InCsumErrors"])
            # On a machine that stalls, the pair's own client dials again while the server is new.
            self.assertLessEqual(after["PassiveOpens"], tunnel.client_program.counters()["ActiveOpens"])

    def test_nothing_that_was_recorded_or_forged_does_anything_to_a_live_pair(self):
        tunnel, (relay,) = self.recorded_tunnel()
        t.run(t.echo_once(tunnel, self.seed, 2 * MB), START + 30)
        tunnel.wait_idle()
        to_server, to_client = list(relay.to_server), list(relay.to_client)
        self.assertGreater(min(len(to_server), len(to_client)), 500)
        rng = random.Random(self.seed)

        def forged(datagram):
            changed = bytearray(datagram)
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            return bytes(changed)
        before = tunnel.server_program.counters()
        stranger = Stranger(self, tunnel.udp_port)
        stranger.send(to_server)                                        # played again
        stranger.send(to_client)                                        # sent back
        stranger.send(forged(datagram) for datagram in to_server)       # changed
        stranger.send(rng.randbytes(rng.randrange(1500)) for _ in range(2000))
        relay.inject_to_client(to_client)
        relay.inject_to_client(to_server)
        relay.inject_to_client(map(forged, to_client))
        t.run(t.echo_once(tunnel, self.seed + 1, 2 * MB), 30)
        tunnel.wait_idle()
        self.assertIsNone(stranger.heard(), "the server answered")
        after = tunnel.server_program.counters()
        self.assertEqual(after["PassiveOpens"], before["PassiveOpens"])
        self.assertEqual(after["MaxConn"], before["MaxConn"])
        self.assertGreater(after["InPkts"], before["InPkts"])
        self.assertEqual(tunnel.client_program.log().count("session closed"), 0)
        self.assertEqual(tunnel.server_program.log().count("session closed"), 0)

    def test_a_recorded_session_is_refused_after_a_restart_and_the_client_comes_back(self):
        tunnel, (relay,) = self.recorded_tunnel(["--threads", 2, "--keepalive", 1])
        t.run(t.echo_once(tunnel, self.seed, MB), START)
        tunnel.wait_idle()
        recorded = list(relay.to_server)
        tunnel.client_program.end()
        tunnel.server_program.kill()
        connections = len(tunnel.target.finished)
        tunnel.start_server()
        started = time.monotonic()
        strangers = [Stranger(self, tunnel.udp_port) for _ in range(4)]  # that is, to either loop
        rounds = 0
        while time.monotonic() - started < 15:  # over the time in which the server takes none, and beyond
            for stranger in strangers:
                stranger.send(recorded)
            rounds += 1
        self.assertGreater(rounds, 3)
        seen = t.wait_until(lambda: tunnel.server_program.counters()
                            .get("InPkts", 0), 10, "the server reads them")
        self.assertGreater(seen, len(recorded))
        for stranger in strangers:
            self.assertIsNone(stranger.heard(), "the server answered")
        log = tunnel.server_program.log()[-20000:]
        self.assertEqual(re.findall(r"PassiveOpens=(\d+)", log)[-1], "0")
        self.assertEqual(len(tunnel.target.finished), connections)
        tunnel.start_client()
        t.run(t.echo_once(tunnel, self.seed, MB), START)

    def test_a_live_client_is_served_by_a_restarted_server(self):
        tunnel = self.tunnel([*self.ours, "--keepalive", 1])
        t.run(t.echo_once(tunnel, self.seed, 1000), START)
        tunnel.server_program.kill()
        tunnel.start_server()
        deadline = time.monotonic() + 90
        while True:
            try:
                t.run(t.echo_once(tunnel, self.seed, 1000), 10)
                break
            except (t.Failure, OSError):
                self.assertLess(time.monotonic(), deadline, "the restarted server is not reached")
        tunnel.wait_idle(40)


class NoiseSessions(Sessions):
    """The suite noise does the same."""

    ours = ["--crypt", "noise", "--mode", "fast3"]

    def test_the_largest_datagrams_are_as_large_as_the_mtu(self):
        tunnel, (relay,) = self.recorded_tunnel(["--mtu", 1000])
        t.run(t.echo_once(tunnel, self.seed, MB), START)
        tunnel.wait_idle()
        self.assertEqual(max(map(len, relay.to_server)), 1000)
        self.assertEqual(max(map(len, relay.to_client)), 1000)


class Clocks(TunnelCase):
    """Packets made by hand, with the date that we want."""

    def packet(self, session, counter, made):
        key = next(p["derived"] for p in json.loads((VECTORS / "xchacha.json").read_text())["packets"] if p["key"] == "k")
        segment = struct.pack("<IBBHIIII", 7, 81, 0, 128, 0, 0, 0, 0)  # an empty PUSH
        nonce = os.urandom(24)
        plain = xchacha.header(session, counter, 0, made) + segment
        cipher, tag = xchacha.seal(bytes.fromhex(key), nonce, b"", plain)
        return nonce + cipher + tag

    def test_a_clock_that_is_wrong_is_told_once_and_gets_no_answer(self):
        tunnel = self.tunnel(["--key", "k", *OURS], keyless=True)
        log = tunnel.server_program.log
        stranger = Stranger(self, tunnel.udp_port)
        made = int(time.time())
        for session, skew in ((1, -3600), (2, -130), (3, 10), (4, 3600)):
            stranger.send([self.packet(session, 0, int(time.time()) + skew)] * 3)
        t.wait_until(lambda: "session rejected" in log(), 10, "the refusal in the log")
        late = int(time.time()) - made  # the server looks at its clock when the packet is there
        ahead = int(re.search(r"session rejected.*clock_ahead_seconds=(-?\d+)", log()).group(1))
        self.assertTrue(-3600 - late <= ahead <= -3600, ahead)
        opened = self.packet

        def answered():
            stranger.send([opened(5, int(time.monotonic() * 1000), int(time.time()))])
            return stranger.heard()
        t.wait_until(answered, START, "a packet with the right date is answered", 0.2)
        self.assertEqual(log().count("session rejected"), 1)
        dialled = tunnel.client_program.counters()["ActiveOpens"]  # some are refused: the server has just started
        self.assertIn(tunnel.server_program.counters()["PassiveOpens"] - 1, range(dialled + 1))


NET_BIND_SERVICE, DAC_OVERRIDE = 1 << 10, 1 << 1
ANOTHER = "nobody"


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def capabilities(pid):
    fields = status(pid)
    return {name: int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")}


@machine.needs("another-user")
class Privileges(TunnelCase):
    def check_user(self, program, uid, gid, groups):
        for thread in os.listdir(f"/proc/{program.pid}/task"):
            fields = status(f"{program.pid}/task/{thread}")
            self.assertEqual(fields["Uid"].split(), [str(uid)] * 4)
            self.assertEqual(fields["Gid"].split(), [str(gid)] * 4)
            self.assertEqual(fields["Groups"].split(), groups)
            self.assertEqual(fields["NoNewPrivs"], "1")
            self.assertEqual(capabilities(f"{program.pid}/task/{thread}"), dict.fromkeys(
                ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"), 0))

    def test_user_gives_up_everything_and_the_tunnel_works_and_dials_again(self):
        user = pwd.getpwnam(ANOTHER)
        tunnel = self.tunnel(["--user", ANOTHER, "--threads", 2, "--keepalive", 1, "--mode", "fast3"])
        t.run(t.echo_once(tunnel, self.seed, MB), 20)
        for program in tunnel.programs:
            self.check_user(program, user.pw_uid, user.pw_gid,
                            [str(g) for g in sorted(os.getgrouplist(ANOTHER, user.pw_gid))])
        tunnel.server_program.kill()
        tunnel.start_server()
        deadline = time.monotonic() + 60
        while True:
            try:
                t.run(t.echo_once(tunnel, self.seed, 1000), 5)
                break
            except (t.Failure, OSError):
                self.assertLess(time.monotonic(), deadline, "the restarted server is not reached")
        self.check_user(tunnel.client_program, user.pw_uid, user.pw_gid,
                        [str(g) for g in sorted(os.getgrouplist(ANOTHER, user.pw_gid))])

    def test_a_unix_socket_is_shared_as_asked_and_the_user_removes_its_file(self):
        user, group = pwd.getpwnam(ANOTHER), grp.getgrnam("daemon")
        folder = tempfile.mkdtemp(prefix="kcptun-", dir="/tmp")  # self.directory may be in one that only root can enter
        self.addCleanup(shutil.rmtree, folder)
        os.chown(folder, user.pw_uid, user.pw_gid)
        path = os.path.join(folder, "local.sock")
        tunnel = self.tunnel(["--mode", "fast3"], local=path, client_args=[
            "--user", ANOTHER, "--localaddr-mode", "0660", "--localaddr-group", group.gr_name])
        t.run(t.echo_once(tunnel, self.seed, 1000), 20)
        info = os.stat(path)
        self.assertEqual((info.st_mode & 0o777, info.st_uid, info.st_gid), (0o660, user.pw_uid, group.gr_gid))
        tunnel.client_program.signal(signal.SIGTERM)
        self.assertEqual(tunnel.client_program.wait_exit(5), 0)
        self.assertFalse(os.path.exists(path), "the socket's file was left")
        self.assertNotIn("will stay behind", tunnel.client_program.log())

    def test_a_unix_socket_that_the_user_cannot_remove_is_announced(self):
        tunnel = self.tunnel(["--mode", "fast3"], local=os.path.join(self.directory, "local.sock"),
                             client_args=["--user", ANOTHER])
        t.wait_logged(tunnel.client_program, "the socket file cannot be removed at exit")

    def test_user_with_a_group_has_that_group_alone(self):
        group = grp.getgrnam("daemon")
        tunnel = self.tunnel(["--user", f"{ANOTHER}:{group.gr_name}", "--mode", "fast3"])
        t.run(t.echo_once(tunnel, self.seed, 1000), 20)
        for program in tunnel.programs:
            self.check_user(program, pwd.getpwnam(ANOTHER).pw_uid, group.gr_gid, [str(group.gr_gid)])

    def test_root_that_stays_root_keeps_one_capability(self):
        tunnel = self.tunnel(["--mode", "fast3"])
        t.run(t.echo_once(tunnel, self.seed, 1000), 20)
        for program in tunnel.programs:
            caps = capabilities(program.pid)
            self.assertEqual((caps["CapPrm"], caps["CapEff"], caps["CapBnd"]), (DAC_OVERRIDE,) * 3)

    @machine.needs("low-port")
    def test_a_port_below_1024_keeps_the_capability_to_bind_it_again(self):
        port = next(port for port in range(600, 1000) if not t.udp_bound(port) and not t.can_listen_tcp(port))
        tunnel = self.tunnel(["--user", ANOTHER, "--mode", "fast3"], udp_port=port)
        t.run(t.echo_once(tunnel, self.seed, 1000), 20)
        caps = capabilities(tunnel.server_program.pid)
        self.assertEqual((caps["CapPrm"], caps["CapEff"], caps["CapBnd"]), (NET_BIND_SERVICE,) * 3)
        self.assertEqual(capabilities(tunnel.client_program.pid)["CapPrm"], 0)

    def program_for_all(self, path=None):
        """Our client, or another, where any user can start it: this tree may be in a folder that only its owner may enter."""
        folder = tempfile.TemporaryDirectory(prefix="kcptun-e2e-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        return shutil.copy(path or OPTIONS.client, folder.name)

    @machine.needs("another-user", "low-port", "tcp-mode")
    def test_a_user_started_with_ambient_capabilities_keeps_what_is_needed(self):
        user = pwd.getpwnam(ANOTHER)
        program = self.program_for_all(OPTIONS.server)
        wanted = "+net_raw,+net_admin,+net_bind_service"
        low = next(port for port in range(600, 1000) if not t.udp_bound(port) and not t.can_listen_tcp(port))
        for port, kept in ((t.free_port(), 0), (low, NET_BIND_SERVICE)):
            started = subprocess.Popen(
                ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", f"--inh-caps={wanted}",
                 f"--ambient-caps={wanted}", program, "--key", "k", "-l", f"{t.HOST}:{port}", "-t", f"{t.HOST}:1",
                 "--threads", "2"], stderr=subprocess.PIPE, text=True)
            self.addCleanup(started.stderr.close)
            self.addCleanup(started.wait)
            self.addCleanup(started.kill)
            while "tunnel started" not in (line := started.stderr.readline()):
                self.assertTrue(line, "it has ended")
            for thread in os.listdir(f"/proc/{started.pid}/task"):
                caps = capabilities(f"{started.pid}/task/{thread}")
                self.assertEqual((caps["CapPrm"], caps["CapEff"], caps["CapInh"], caps["CapAmb"]), (kept, kept, 0, 0))

    def test_a_user_that_cannot_be_had_ends_the_start_with_one_line(self):
        client = self.program_for_all()

        def start(name, **options):
            done = subprocess.run([client, "-l", f"{t.HOST}:{t.free_port()}", "-r", f"{t.HOST}:1", "--key", "k",
                                   "--user", name], capture_output=True, text=True, timeout=20, **options)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)
            return done.stderr
        self.assertIn("there is no user nobody-at-all", start("nobody-at-all"))
        self.assertIn("there is no group nothing-at-all", start("nobody:nothing-at-all"))
        self.assertIn("only root can switch to another user", start("daemon", user=pwd.getpwnam(ANOTHER).pw_uid,
                                                                 group=pwd.getpwnam(ANOTHER).pw_gid, extra_groups=[]))


class Secrets(TunnelCase):
    KEY = "a-key-that-must-not-be-seen-0123456789"

    def start(self, arguments, environment=None):
        port = t.free_port()
        program = t.Program(OPTIONS.server, ["-l", f"{t.HOST}:{port}", "-t", f"{t.HOST}:1", *arguments],
                            os.path.join(self.directory, f"{port}.log"), environment)
        self.addCleanup(program.end)
        program.wait_ready(lambda: "crypt " in program.log())
        return program

    def seen_in(self, program, name):
        with open(f"/proc/{program.pid}/{name}", "rb") as file:
            text = file.read()
        return self.KEY.encode() in text or b"kcptun://" in text

    def key_file(self, mode=0o600):
        path = os.path.join(self.directory, "key")
        with open(path, "w") as file:
            file.write(self.KEY + "\n")
        os.chmod(path, mode)
        return path

    def pairing(self):
        """A pairing string, which has the key in it."""
        text = json.dumps({"remoteaddr": f"{t.HOST}:{t.free_port()}", "key": self.KEY}).encode()
        packed = struct.pack(">HI", len(text), zlib.crc32(text)) + text
        return "kcptun://v1/" + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def test_a_profile_that_everybody_can_read_draws_a_warning(self):
        path = os.path.join(self.directory, "profile.json")
        for content, mode, warned in (({"key": self.KEY}, 0o644, True), ({"key": self.KEY}, 0o640, False),
                                      ({"status-token": "t" * 20}, 0o604, True), ({"crypt": "aes"}, 0o644, False),
                                      ({"tunnels": [{"name": "a", "key": self.KEY}]}, 0o644, True)):
            with open(path, "w") as file:
                json.dump(content, file)
            os.chmod(path, mode)
            done = subprocess.run([OPTIONS.client, "--check", "-c", path], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("every user of this machine can read it" in done.stderr, warned, (content, mode, done.stderr))
            self.assertNotIn(self.KEY, done.stderr)

    def sources(self):
        config = os.path.join(self.directory, "key.json")
        with open(config, "w") as file:
            json.dump({"key": self.KEY}, file)
        yield ["--key", self.KEY], None
        yield ["-key=" + self.KEY], None
        yield ["-c", self.pairing()], None
        yield ["-c", " " + self.pairing()], None
        yield ["--key=" + self.KEY, "--crypt", "xchacha20-poly1305"], None
        yield [], {"KCPTUN_KEY": self.KEY}
        yield ["-c", config], None
        yield ["--key-file", self.key_file()], None
        yield ["--key-file", "$CREDENTIALS_DIRECTORY/key"], {"CREDENTIALS_DIRECTORY": self.directory}

    def test_the_key_is_neither_among_the_arguments_nor_in_the_environment_nor_in_the_log(self):
        for arguments, environment in self.sources():
            with self.subTest(arguments=arguments):
                program = self.start(arguments, environment)
                self.assertFalse(self.seen_in(program, "cmdline"))
                self.assertFalse(self.seen_in(program, "environ"))
                self.assertNotIn(self.KEY, program.log())
                self.assertNotIn("public default", program.log())
                program.end()

    def test_no_core_is_dumped_and_no_debugger_of_the_user_gets_in(self):
        program = self.start(["--key", self.KEY])
        with open(f"/proc/{program.pid}/limits") as limits:
            self.assertRegex(limits.read(), r"Max core file size +0 +0 ")
        if "KCPTUN_SANITIZED" not in os.environ and not machine.first_lack(("another-user", "processes")):
            nobody = pwd.getpwnam(ANOTHER).pw_uid
            owned = self.start(["--key", self.KEY, "--user", ANOTHER])
            self.assertEqual(os.stat(f"/proc/{owned.pid}/mem").st_uid, 0, "the process is dumpable")
            self.assertEqual(status(owned.pid)["Uid"].split()[0], str(nobody))

    def test_a_check_and_an_error_do_not_show_the_key(self):
        for arguments in (["--key", self.KEY, "--check"], ["--key-file", self.key_file(), "--check"],
                          ["--key", self.KEY, "--mtu", 9], ["--key", self.KEY, "--key-file", self.key_file()]):
            done = subprocess.run([OPTIONS.server, *map(str, arguments)], capture_output=True, text=True, timeout=20)
            self.assertNotIn(self.KEY, done.stdout + done.stderr)

    def test_a_key_file_that_others_can_read_is_refused(self):
        done = subprocess.run([OPTIONS.server, "--key-file", self.key_file(0o644)], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("has mode 0644, so that others may read or write it", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_genkey_prints_a_key_that_works(self):
        keys = {subprocess.run([OPTIONS.client, "--genkey"], capture_output=True, text=True, timeout=20,
                               check=True).stdout for _ in range(3)}
        self.assertEqual(len(keys), 3)
        for key in keys:
            self.assertRegex(key, r"^[A-Za-z0-9_-]{43}\n$")
        tunnel = self.tunnel(["--key", keys.pop().strip(), "--mode", "fast3"], keyless=True)
        t.run(t.echo_once(tunnel, self.seed, 1000), 20)

    def test_the_log_says_what_the_suite_does_and_does_not_protect(self):
        for crypt, words in (("aes", "can change packets"), ("null", "protects nothing"),
                             ("xchacha20-poly1305", "refuses packets that were changed, sent back or played again"),
                             ("noise", "forward secrecy from the server's first answer on")):
            program = self.start(["--key", self.KEY, "--crypt", crypt])
            t.wait_until(lambda: "tunnel started" in program.log(), 10, "the start is logged")
            log = program.log()
            self.assertEqual(log.count(f"crypt suite={crypt} "), 1)
            self.assertIn(words, log)


if __name__ == "__main__":
    t.main()
