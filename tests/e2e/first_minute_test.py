"""A new user's first minute: two fresh machines (network namespaces with an emulated path between them), a terminal on
each. What is typed is one --init command, and then only lines that the programs have shown.

    first_minute_test.py --client PROGRAM --server PROGRAM     LINK_EMULATOR names the emulator; 77: there can be no lab
"""

import codecs
import contextlib
import fcntl
import http.server
import os
import pty
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lab"))
import path as lab  # noqa: E402  (found by the line above)
import machine  # noqa: E402
import tunnel as t  # noqa: E402
from tunnel import OPTIONS  # noqa: E402

PAGE = b"the page behind the tunnel\n"
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BLOCKS = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}


class Terminal:
    """A shell on a pseudo-terminal in a name space, in a folder of its own, with the programs on its PATH."""

    def __init__(self, space, folder, columns=120):
        programs = ":".join(os.path.dirname(os.path.abspath(p)) for p in (OPTIONS.client, OPTIONS.server))
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": folder, "LANG": "C.UTF-8", "TERM": "xterm",
                       "PS1": "ready> "}
        outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        with space.entered():
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "--noediting", "-i"], stdin=inner, stdout=inner, stderr=inner,
                cwd=folder, env=environment, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inner)
        self._terminal = outer
        self._shown = ""
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode  # a read may end in a character
        self.wait_for("ready> ")

    def wait_for(self, text, seconds=30):
        """What the terminal showed since the last call up to `text`."""
        deadline = t.Deadline(seconds)
        while text not in self._shown:
            left = deadline.left()
            if left <= 0 or not select.select([self._terminal], [], [], left)[0]:
                raise t.Failure(f"the terminal does not show {text!r}, but {self._shown!r}")
            self._shown += self._decode(os.read(self._terminal, 65536))
        seen, self._shown = self._shown.split(text, 1)
        return seen

    def type(self, line):
        # A line longer than 4095 bytes would be cut by the kernel's line discipline.
        os.write(self._terminal, line.encode() + b"\n")

    def run(self, line):
        """What a command showed, without the echo of the line."""
        self.type(line)
        return self.wait_for("ready> ").replace("\r\n", "\n").split("\n", 1)[1]

    def ports(self, table):
        """Local ports of the sockets of "udp" or "tcp", in the shell's name space."""
        found = set()
        for name in (table, table + "6"):
            with open(f"/proc/{self._shell.pid}/net/{name}") as rows:
                found |= {int(row.split()[1].rsplit(":", 1)[1], 16) for row in rows.readlines()[1:]}
        return found

    def close(self):
        os.write(self._terminal, b"\x03")  # ends what runs in the foreground
        with contextlib.suppress(t.Failure):
            self.wait_for("ready> ", 10)
        self._shell.send_signal(signal.SIGHUP)
        self._shell.wait(10)
        os.close(self._terminal)


def proposed_line(shown, program):
    """What the report proposes to type for `program`, as it stands there: a pairing string goes over several lines."""
    found = re.findall(rf"^ +({program} -c (?:'[^']*'|\S+))", COLOUR.sub("", shown), re.MULTILINE)
    if len(found) != 1:
        raise t.Failure(f"not one command for {program} in {shown}")
    return found[0]


def without_blanks(text):
    return re.sub(r"\s", "", text)


def qr_content(shown):
    """What a reader of QR codes sees on the screen."""
    rows = []
    for line in shown.splitlines():
        if not line.startswith("\x1b[30;107m"):
            continue
        blocks = [BLOCKS[c] for c in COLOUR.sub("", line)]
        rows += [[upper for upper, _ in blocks], [lower for _, lower in blocks]]
    scale = 4
    pixels = b"".join(bytes(0 if dark else 255 for dark in row for _ in range(scale)) * scale for row in rows)
    with tempfile.NamedTemporaryFile(suffix=".pgm") as image:
        image.write(b"P5 %d %d 255\n" % (len(rows[0]) * scale, len(rows) * scale) + pixels)
        image.flush()
        return subprocess.run(["zbarimg", "--quiet", "--raw", image.name], capture_output=True, text=True,
                              timeout=30).stdout.strip()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class FirstMinute(unittest.TestCase):
    def setUp(self):
        self.path = lab.Path(os.environ["LINK_EMULATOR"])
        self.addCleanup(self.path.close)
        self.path.set("both", delay_ms=5)

    def folder(self):
        folder = tempfile.mkdtemp(prefix="kcptun-first-")
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def terminal(self, space, **options):
        folder = self.folder()
        terminal = Terminal(space, folder, **options)
        self.addCleanup(terminal.close)
        return terminal, folder

    def check_width(self, shown, columns=80):
        for line in COLOUR.sub("", shown).splitlines():
            self.assertLessEqual(len(line), columns, line)

    def serve_page(self, port):
        with self.path.server.entered():
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def check_page(self):
        def fetch():
            with self.path.client.entered():
                return opener.open("http://127.0.0.1:12948/", timeout=20).read()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.assertEqual(fetch(), PAGE)

    def start(self, terminal, line, table, port):
        """Types a line that does not end, and waits until its program listens."""
        terminal.type(line)
        t.wait_until(lambda: port in terminal.ports(table), 30, f"port {port} is open after {line}")

    def test_init_at_the_server_and_the_pairing_string_at_the_client(self):
        self.serve_page(8080)
        server, folder = self.terminal(self.path.server)
        shown = server.run("kcptun-server --init server -t 127.0.0.1:8080")
        self.assertIn("10.77.0.2:29900 (UDP).\nThat is this machine's own address", shown)
        self.check_width(shown)
        self.assertNotIn('"remoteaddr"', shown)  # the profile is for who asks for it
        self.assertIn("Next:\n\n1. Start the server here", shown)
        self.assertEqual(stat.S_IMODE(os.stat(f"{folder}/server.json").st_mode), 0o600)
        pairing_line = proposed_line(shown, "kcptun-client")
        if shutil.which("zbarimg"):
            self.assertIn(f"'{qr_content(shown)}'", without_blanks(pairing_line))
        self.start(server, proposed_line(shown, "kcptun-server"), "udp", 29900)
        client, _ = self.terminal(self.path.client)
        self.start(client, pairing_line, "tcp", 12948)
        self.check_page()

    def test_init_at_the_client_and_the_pairing_string_at_the_server(self):
        self.serve_page(12948)  # where a server hands its connections to if nobody says more
        client, _ = self.terminal(self.path.client)
        shown = client.run("kcptun-client --init client -r 10.77.0.2:29900")
        server, _ = self.terminal(self.path.server)
        self.start(server, proposed_line(shown, "kcptun-server"), "udp", 29900)
        self.start(client, proposed_line(shown, "kcptun-client"), "tcp", 12948)
        self.check_page()

    def test_the_printed_profile_serves_as_well_as_the_pairing_string(self):
        self.serve_page(8080)
        server, folder = self.terminal(self.path.server)
        shown = server.run("kcptun-server --init server -t 127.0.0.1:8080 --print")
        self.check_width(shown)
        client, client_folder = self.terminal(self.path.client)
        with open(f"{client_folder}/client.json", "w") as profile:
            profile.write(shown[shown.index("// One side of a tunnel: kcptun-client"):shown.index("\n}\n") + 3])
        os.chmod(f"{client_folder}/client.json", 0o600)
        self.start(server, "kcptun-server -c server.json", "udp", 29900)
        self.start(client, "kcptun-client -c client.json", "tcp", 12948)
        self.check_page()

    def test_nothing_is_overwritten_and_a_narrow_terminal_is_told(self):
        server, folder = self.terminal(self.path.server, columns=60)
        shown = server.run("kcptun-server --init server")
        self.assertRegex(shown, r"\(A terminal of \d+ columns and \d+ lines shows it as a QR code: --share\.\)")
        with open(f"{folder}/server.json") as profile:
            before = profile.read()
        self.assertIn("server.json: is there already, and --init overwrites nothing",
                      server.run("kcptun-server --init server"))
        with open(f"{folder}/server.json") as profile:
            self.assertEqual(profile.read(), before)

    def test_a_profile_is_shared_again_from_either_side(self):
        server, folder = self.terminal(self.path.server)
        first = proposed_line(server.run("kcptun-server --init server -c home.json"), "kcptun-client")
        shown = server.run("kcptun-server --share -c home.json")
        self.check_width(shown)
        self.assertEqual(proposed_line(shown, "kcptun-client"), first)
        if shutil.which("zbarimg"):
            self.assertIn(f"'{qr_content(shown)}'", without_blanks(first))
        client, client_folder = self.terminal(self.path.client)
        with open(f"{client_folder}/client.json", "w") as profile:
            profile.write(first.split("'")[1])
        os.chmod(f"{client_folder}/client.json", 0o600)
        self.assertEqual(proposed_line(client.run("kcptun-client --share"), "kcptun-client"), first)

    def test_two_keys_are_never_the_same_and_a_cut_string_is_told(self):
        server, _ = self.terminal(self.path.server)
        lines = [proposed_line(server.run(f"kcptun-server --init server -c {n}.json"), "kcptun-client")
                 for n in range(2)]
        self.assertNotEqual(*lines)
        client, _ = self.terminal(self.path.client)
        shown = client.run(without_blanks(lines[0])[:-20].replace("client-c", "client -c ") + "'")
        self.assertIn("kcptun-client: the pairing string is cut short", shown)


if __name__ == "__main__":
    machine.leave_without("tun", "terminal")
    t.main()
