"""The first hour as the documents have it: the command blocks of README, quick start, install, recipes and forwards are
run on a machine of their own (a network namespace with a web server, an SSH banner and the names that the pages use). The
programs accept every profile that a page shows.

    documents_test.py --client PROGRAM --server PROGRAM

Each ```sh block of these pages stands behind a mark. <!-- run: NAME --> : blocks of one page with one NAME are run in
order, on one machine. <!-- not run: REASON --> : it is for reading. A program that stays is started and must say that its
tunnel has started; a second one takes the place of the first. Every other command must end with 0, and curl must print
the page that is behind the tunnel. 'kcptun://v1/...' stands for the pairing string that was printed last.
"""

import os
import re
import shlex
import ssl
import subprocess
import sys
import unittest

import machine
import tunnel as t
from tunnel import OPTIONS

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
PAGES = ("README.md", "docs/quick-start.md", "docs/install.md", "docs/recipes.md", "docs/forwarding-client.md", "docs/router.md")
BLOCK = re.compile(r"(?:^<!-- (run|not run): ([^>]*) -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROFILE = re.compile(r"^```json\n(\{.*?\n\})\n```$", re.MULTILINE | re.DOTALL)
PAIRING = re.compile(r"kcptun://v1/[A-Za-z0-9_\s-]{20,}(?=')")  # as printed: broken into lines
PLACEHOLDER = "kcptun://v1/..."
NAMES = ("vpn.example.net", "www.example.net")
PAGE = "the page behind the tunnel"
STAYS = re.compile(r"kcptun-(?:client|server) -c (?!.*--(?:check|share|init)\b)")
PATIENCE = 60  # seconds for one command

# Behind the tunnel: HTTP on port 8080, HTTPS on 443, and the first line of an SSH server on 22.
SERVICES = """
import http.server, socket, ssl, sys, threading

class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *_):
        pass

page = sys.argv[1].encode() + b"\\n"
web = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Pages)
secure = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Pages)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
secure.socket = context.wrap_socket(secure.socket, server_side=True)
shell = socket.create_server(("127.0.0.1", 22))
for server in (web, secure):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
while True:
    with shell.accept()[0] as connection:
        connection.sendall(b"SSH-2.0-stand-in\\r\\n")
"""


def page_text(page):
    with open(os.path.join(ROOT, page)) as file:
        return file.read()


def blocks(page):
    """(mark, name or reason, commands) of each ```sh block."""
    return [match.groups() for match in BLOCK.finditer(page_text(page))]


def scenes(page):
    """The commands of each name, in the page's order."""
    found = {}
    for mark, name, text in blocks(page):
        if mark == "run":
            lines = text.replace("\\\n", " ").splitlines()
            found.setdefault(name, []).extend(filter(None, (re.sub(r"(^|\s)#\s.*$", "", line).strip() for line in lines)))
    return found


class Machine:
    """A network and /etc/hosts of its own, with services on loopback."""

    def __init__(self, directory):
        self._directory = directory
        self._pairing = None
        self._running = {}
        hosts = os.path.join(directory, "hosts")
        with open(hosts, "w") as file:
            file.write("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *NAMES)))
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
             f"ip link set lo up && mount --bind {shlex.quote(hosts)} /etc/hosts && echo ready && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._enter = None
        if self._holder.stdout.readline() != "ready\n":
            raise t.Failure("no namespace")
        self._enter = ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", "--"]
        self._start_services()

    def _start_services(self):
        certificate = os.path.join(self._directory, "certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", certificate, "-out",
                        certificate + ".part", "-subj", f"/CN={NAMES[1]}", "-addext", f"subjectAltName=DNS:{NAMES[1]}"],
                       check=True, capture_output=True, timeout=PATIENCE)
        with open(certificate, "a") as whole, open(certificate + ".part") as part:
            whole.write(part.read())
        self._certificate = certificate + ".part"
        self._services = subprocess.Popen([*self._enter, sys.executable, "-c", SERVICES, PAGE, certificate],
                                          stdout=subprocess.PIPE, text=True)
        if self._services.stdout.readline() != "ready\n":
            raise t.Failure("no services")

    def _environment(self):
        programs = os.path.join(self._directory, "programs")
        if not os.path.exists(programs):
            os.mkdir(programs)
            for name, path in (("kcptun-client", OPTIONS.client), ("kcptun-server", OPTIONS.server)):
                os.symlink(os.path.abspath(path), os.path.join(programs, name))
        return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CURL_CA_BUNDLE": self._certificate}

    def _in_folder(self):
        """nsenter goes to the root of the mount namespace."""
        return ["sh", "-c", f"cd {shlex.quote(self._directory)} && exec \"$@\"", "sh"]

    def run(self, command):
        command = command.removeprefix("sudo ")
        if PLACEHOLDER in command:
            if not self._pairing:
                raise t.Failure(f"no pairing string was printed before: {command}")
            command = command.replace(PLACEHOLDER, self._pairing)
        if STAYS.match(command):
            return self._start(shlex.split(command))
        done = subprocess.run([*self._enter, *self._in_folder(), "sh", "-c", command], env=self._environment(),
                              capture_output=True, text=True, timeout=PATIENCE * machine.busy())
        if done.returncode != 0:
            raise t.Failure(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        if command.startswith("curl ") and PAGE not in done.stdout:
            raise t.Failure(f"{command}: printed {done.stdout!r}")
        if printed := PAIRING.findall(done.stdout):
            self._pairing = printed[-1]

    def _start(self, words):
        name = words[0]
        if name in self._running:
            self._running.pop(name).end()
        log = os.path.join(self._directory, f"{name}-{len(os.listdir(self._directory))}.log")
        started = self._running[name] = t.Program(self._enter[0], [*self._enter[1:], *self._in_folder(), *words], log,
                                                  self._environment())
        started.wait_ready(lambda: "tunnel started" in started.log())

    def first_line_at(self, port):
        """What a connection to this port of the machine brings first."""
        program = (f"import socket\nwith socket.create_connection(('127.0.0.1', {port}), 10) as c: "
                   "print(c.makefile().readline().strip())")
        return subprocess.run([*self._enter, sys.executable, "-c", program], capture_output=True, text=True, check=True,
                              timeout=PATIENCE).stdout.strip()

    def close(self):
        for program in self._running.values():
            program.end()
        self._services.terminate()
        self._services.wait()
        self._services.stdout.close()
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


class Marks(unittest.TestCase):
    def test_every_block_of_commands_is_marked(self):
        for page in PAGES:
            for mark, _, text in blocks(page):
                self.assertTrue(mark, f"{page}: neither run nor not run:\n{text}")

    def test_something_is_run_on_each_page_for_beginners(self):
        for page in ("README.md", "docs/quick-start.md", "docs/recipes.md"):
            self.assertTrue(scenes(page), page)


class Profiles(t.TunnelCase):
    def profiles(self):
        for folder, _, names in os.walk(os.path.join(ROOT, "docs")):
            for name in names:
                if name.endswith(".md"):
                    path = os.path.relpath(os.path.join(folder, name), ROOT)
                    for text in PROFILE.findall(page_text(path)):
                        yield path, text

    def test_the_programs_accept_every_profile_that_a_page_shows(self):
        key, profile = (os.path.join(self.directory, name) for name in ("key", "profile.json"))
        for path, content in ((key, "a key of the test's own"), (profile, "")):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(content)
        found = list(self.profiles())
        self.assertGreater(len(found), 3)
        for page, text in found:
            text = re.sub(r'("key-file": )"[^"]*"', rf'\1"{key}"', text)
            with open(profile, "w") as file:
                file.write(text)
            program = OPTIONS.server if '"target"' in text else OPTIONS.client
            checked = subprocess.run([program, "-c", profile, "--check"], capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(checked.returncode, 0, f"{page}: {checked.stderr}\n{text}")


@machine.needs("namespaces")
class FirstHour(t.TunnelCase):
    def play(self, page, name):
        directory = os.path.join(self.directory, re.sub(r"\W", "-", f"{page}-{name}"))
        os.mkdir(directory)
        played = Machine(directory)
        self.addCleanup(played.close)
        for command in scenes(page)[name]:
            played.run(command)
        return played

    def test_readme(self):
        for name in scenes("README.md"):
            with self.subTest(name=name):
                self.play("README.md", name)

    def test_quick_start(self):
        for name in scenes("docs/quick-start.md"):
            with self.subTest(name=name):
                self.play("docs/quick-start.md", name)

    def test_recipes(self):
        for name in scenes("docs/recipes.md"):
            with self.subTest(name=name):
                played = self.play("docs/recipes.md", name)
                if name == "ssh":
                    self.assertEqual(played.first_line_at(2222), "SSH-2.0-stand-in")

    def test_forwards(self):
        self.play("docs/forwarding-client.md", "forwards")


if __name__ == "__main__":
    t.main()
