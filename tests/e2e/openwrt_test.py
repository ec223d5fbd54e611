"""The OpenWrt package as far as it runs outside of OpenWrt: its init script in the router's shell and in dash, with
OpenWrt's functions replaced (openwrt_stub.sh), its list of options, and its Makefile with a build system of a few lines.

    openwrt_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys

import machine
import tunnel as t
from tunnel import OPTIONS, Program, Target, TunnelCase

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "docs" / "packaging" / "openwrt"
INIT = PACKAGE / "files" / "kcptun.init"
LIST = PACKAGE / "files" / "kcptun.options"
STUB = HERE / "openwrt_stub.sh"
KEY = "a \"b\\c' $(d) `e`; #é"  # of every character that a shell or JSON treats in its own way
SHELLS = [["dash"]] + ([] if machine.lacks("busybox") else [["busybox", "ash"]])

# Values that the programs accept for options whose default or "1" would not do.
VALUES = {
    "localaddr": "/tmp/kcptun.sock", "localaddr-mode": "0660", "localaddr-group": "users", "remoteaddr": "127.0.0.1:2",
    "forwards": ["tcp://127.0.0.1:5432=tcp://db.internal:5432", "socks5://127.0.0.1:1080"],
    "reverses": ["tcp://:8080=tcp://127.0.0.1:80"], "allow-listen": ["127.0.0.1:8080"],
    "listen": "127.0.0.1:3000-3001", "target": "127.0.0.1:80", "allow": ["public:443", "10.0.0.0/8"], "deny": ["*:25"],
    "proxy-protocol": "v1", "key": KEY, "key-file": None, "crypt": "noise", "mode": "manual", "mtu": "auto",
    "interval": 10, "cc": "off", "thin": "on", "udp-offload": "off", "fec": "fixed", "smuxver": 2, "smuxbuf": 1048576, "streambuf": 1048576,
    "sndwnd": "auto", "rcvwnd": 256, "scavengettl": -1, "ratelimit": 4294967295, "sockbuf": 65536, "bind": "127.0.0.1", "interface": "lo",
    "fwmark": 4294967295, "name": "home", "log": "/tmp/kcptun.log", "log-level": "debug", "log-format": "json",
    "snmplog": "./snmp-20060102.log", "status": "127.0.0.1:9090", "status-token": "token-of-16-characters", "user": "nobody:nogroup",
    "public-address": "vpn.example.net", "private-key": "A" * 43, "private-key-file": None, "server-key": "B" * 42 + "A",
    "users": ["anna=" + "B" * 42 + "A"], "users-file": None, "quota-file": None, "tcp": False, "pprof": None,
}


def every_option(role):
    """A value for each option of a role: JSON field -> value."""
    found = {}
    for line in LIST.read_text().splitlines():
        side, kind, field = line.split()
        value = VALUES.get(field, True if kind == "switch" else 1)
        if side in (role, "both") and value is not None:
            found[field] = value
    if role == "server":
        found["target"] = "socks5"  # which allow and deny are for
        del found["proxy-protocol"]
    return found


def quoted(text):
    return "'" + str(text).replace("'", "'\\''") + "'"


def uci(section, options):
    lines = [f"config {section}"]
    for name, value in options.items():
        name = name.replace("-", "_")
        if isinstance(value, list):
            lines += [f"\tlist {name} {quoted(one)}" for one in value]
        else:
            lines.append(f"\toption {name} {quoted(int(value) if isinstance(value, bool) else value)}")
    return "\n".join(lines) + "\n\n"


class Router(TunnelCase):
    """The init script with the programs under test."""

    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(self.directory)
        self.profiles = self.home / "etc" / "kcptun"
        (self.home / "bin").mkdir()
        for role in ("client", "server"):
            (self.home / "bin" / f"kcptun-{role}").symlink_to(os.path.abspath(getattr(OPTIONS, role)))

    def call(self, configuration, action="start_service", shell=("dash",)):
        """Runs an action; returns what procd and the log got, and what was printed."""
        (self.home / "kcptun").write_text(configuration)
        calls = self.home / "calls"
        calls.write_text("")
        done = subprocess.run(
            [*shell, str(STUB), str(INIT), action], capture_output=True, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], "UCI_FILE": str(self.home / "kcptun"), "CALLS": str(calls),
                 "KCPTUN_PROGRAMS": str(self.home / "bin"), "KCPTUN_OPTIONS": str(LIST),
                 "KCPTUN_PROFILES": str(self.profiles)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.printed = done.stdout + done.stderr
        if action == "start_service":
            self.assertEqual(self.printed, "")
        return [line.split("\t") for line in calls.read_text().splitlines()]

    def instances(self, calls):
        """What procd was told: instance -> parameter -> values."""
        found = {}
        for call in calls:
            if call[0] == "procd_open_instance":
                current = found.setdefault(call[1], {})
            elif call[0] == "procd_set_param":
                current[call[1]] = call[2:]
        return found

    def logged(self, calls):
        return [call[-1] for call in calls if call[0] == "logger"]

    def profile(self, instance):
        return json.loads((self.profiles / f"{instance}.json").read_text())


class Init(Router):
    def test_every_option_reaches_the_program(self):
        for role in ("client", "server"):
            expected = every_option(role)
            for shell in SHELLS:
                with self.subTest(role=role, shell=shell):
                    calls = self.call(uci(f"{role} home", expected), shell=shell)
                    self.assertEqual(self.logged(calls), [])
                    self.assertEqual(self.profile(f"{role}.home"), expected)

    def test_an_instance(self):
        for shell in SHELLS:
            calls = self.call(uci("client home", {"server": "192.0.2.1", "server_port": 29900, "key": KEY,
                                                  "status": "127.0.0.1:9090", "user": "root"}), shell=shell)
            path = str(self.profiles / "client.home.json")
            self.assertEqual(self.instances(calls), {"client.home": {
                "command": [str(self.home / "bin" / "kcptun-client"), "-c", path],
                "file": [path],
                "respawn": ["3600", "5", "0"],
                "limits": ["nofile=65536 65536"],
                "data": ["role=client", "section=home", "mode=fast", "status=127.0.0.1:9090"],
                "stderr": ["1"],
            }})
            self.assertNotIn(KEY, str(calls))
            self.assertEqual(stat.S_IMODE(self.profiles.stat().st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(self.profiles.parent.stat().st_mode), 0o755)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_the_options_of_the_package_for_gos_program(self):
        common = {"disabled": 0, "crypt": "aes", "key": "k", "mode": "fast", "nocomp": 1, "quiet": "on", "gogc": 20}
        calls = self.call(
            uci("server", {**common, "listen": 29900, "target": "127.0.0.1", "target_port": 12948, "pprof": 1,
                           "syslog": 0, "dscp": 46}) +
            uci("client", {**common, "bind_address": "0.0.0.0", "local_port": 12948, "server": "2001:db8::1",
                           "server_port": 29900, "conn": 1, "scavengettl": 600, "user": "nobody"}) +
            uci("client off", {**common, "disabled": 1, "server": "192.0.2.1", "server_port": 1}))
        shared = {"key": "k", "crypt": "aes", "mode": "fast", "nocomp": True, "quiet": True}
        self.assertEqual(self.profile("server.cfg1"), {
            **shared, "dscp": 46, "listen": ":29900", "target": "127.0.0.1:12948", "user": "nobody"})
        self.assertEqual(self.profile("client.cfg2"), {
            **shared, "conn": 1, "scavengettl": 600, "localaddr": "0.0.0.0:12948", "remoteaddr": "[2001:db8::1]:29900",
            "user": "nobody"})
        instances = self.instances(calls)
        self.assertEqual(list(instances), ["server.cfg1", "client.cfg2"])
        self.assertNotIn("stderr", instances["server.cfg1"])
        self.assertEqual(self.logged(calls), ["section cfg1: gogc is ignored: it is for Go's program",
                                              "section cfg1: pprof is ignored: it is for Go's program",
                                              "section cfg2: gogc is ignored: it is for Go's program"])

    def test_ports_and_addresses(self):
        for options, field, expected in (
                ({"listen": "29900-29910"}, "listen", ":29900-29910"),
                ({"listen": "192.0.2.1:29900"}, "listen", "192.0.2.1:29900"),
                ({"target": "/run/web.sock"}, "target", "/run/web.sock"),
                ({"target": "127.0.0.1:80"}, "target", "127.0.0.1:80"),
                ({"target": "::1", "target_port": 80}, "target", "[::1]:80")):
            self.call(uci("server a", options))
            self.assertEqual(self.profile("server.a")[field], expected)
        for options, field, expected in (
                ({"local_port": 1, "server": "h"}, "localaddr", ":1"),
                ({"localaddr": "/tmp/a", "local_port": 1}, "localaddr", "/tmp/a"),
                ({"server": "h", "server_port": "3000-3100"}, "remoteaddr", "h:3000-3100")):
            self.call(uci("client a", {"remoteaddr": "r:1", "server_port": 2, **options} if "server_port" not in options
                                      else options))
            self.assertEqual(self.profile("client.a")[field], expected)

    def test_a_wrong_section_is_reported_and_others_start(self):
        calls = self.call(uci("client a", {"server": "h", "server_port": 1, "mtu": 127}) +
                          uci("client b", {"server": "h", "server_port": 1, "mtu": "007"}) +
                          uci("client c", {"server": "h", "server_port": 1, "nocomp": "maybe"}) +
                          uci("client d", {"key": "k"}) +
                          uci("client e", {"server": "h", "server_port": 1, "key": "k"}))
        self.assertEqual(list(self.instances(calls)), ["client.e"])
        errors = self.logged(calls)
        for section, text in zip("abcd", ("mtu", "mtu", "nocomp", "server is not set")):
            error = next(line for line in errors if line.startswith(f"section {section} is not started: "))
            self.assertIn(text, error)

    def test_check_prints_the_settings_without_secrets(self):
        self.call(uci("client a", {"server": "h", "server_port": 1, "key": "the-key"}) +
                  uci("client b", {"server": "h", "server_port": 1, "mtu": 127}), "check")
        self.assertIn("section a (client):", self.printed)
        self.assertIn("h:1", self.printed)
        self.assertIn("out of range 128..1500", self.printed)
        self.assertNotIn("the-key", self.printed)
        self.assertFalse(self.profiles.exists())

    def test_triggers_and_stop(self):
        self.assertIn(["procd_add_reload_trigger", "kcptun"], self.call("", "service_triggers"))
        self.call(uci("server a", {"key": "k"}))
        self.assertTrue(self.profiles.exists())
        self.call("", "stop_service")
        self.assertFalse(self.profiles.exists())

    def test_the_sample_starts_once_it_is_enabled_and_has_a_key(self):
        text = (PACKAGE / "files" / "kcptun.config").read_text()
        self.assertEqual([call[0] for call in self.call(text)], ["extra_command"])
        text = text.replace("option disabled 1", "option disabled 0").replace("option key ''", "option key 'k'")
        calls = self.call(text)
        self.assertEqual((self.logged(calls), len(self.instances(calls))), ([], 2))

    def test_instances_carry_data(self):
        target = Target()
        self.addCleanup(target.close)
        local, remote = t.free_port(), t.free_port()
        common = {"key": KEY, "crypt": "salsa20", "nocomp": 1, "user": "root" if os.getuid() else "nobody"}
        calls = self.call(
            uci("server s", {**common, "listen": remote, "target": t.HOST, "target_port": target.port}) +
            uci("client c", {**common, "bind_address": t.HOST, "local_port": local, "server": t.HOST,
                             "server_port": remote}))
        for name, parameters in self.instances(calls).items():
            program = Program(*[parameters["command"][0], parameters["command"][1:]], self.home / f"{name}.log")
            self.addCleanup(program.end)
            program.wait_ready(lambda: "tunnel started" in program.log())
        data = t.payload(self.seed, 300_000)
        with socket.create_connection((t.HOST, local), timeout=20) as connection:
            connection.sendall(b"echo\n" + data)
            self.assertEqual(t.sha(t.read_exactly(connection, len(data))), t.sha(data))


class Text(TunnelCase):
    def test_the_list_of_options_is_that_of_the_program(self):
        table = pathlib.Path(self.directory) / "flags.md"
        table.write_text(subprocess.run([OPTIONS.client, "--help-markdown"], capture_output=True, text=True,
                                        check=True).stdout)
        made = subprocess.run([sys.executable, PACKAGE / "options.py", table], capture_output=True, text=True, check=True)
        self.assertEqual(LIST.read_text(), made.stdout, "run docs/packaging/openwrt/options.py")

    @machine.needs("shellcheck")
    def test_shellcheck_has_no_findings(self):
        done = subprocess.run(["shellcheck", INIT, STUB], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


# What rules.mk and package.mk of OpenWrt do for a package without compilation, in a few lines.
RULES = """
ARCH := aarch64
INCLUDE_DIR := $(TOPDIR)/include
BUILD_DIR := $(TOPDIR)/source
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600
LN := ln -sf
"""
PACKAGE_MK = """
define BuildPackage
all: pack-$(1)
pack-$(1):
\t@mkdir -p $(TOPDIR)/out/$(1)
\t$(call Package/$(1)/install,$(TOPDIR)/out/$(1))
endef
"""


class Makefile(TunnelCase):
    def test_packages(self):
        top = pathlib.Path(self.directory)
        (top / "include").mkdir()
        (top / "rules.mk").write_text(RULES)
        (top / "include" / "package.mk").write_text(PACKAGE_MK)
        source = top / "source" / "kcptun-uv-@VERSION@-@ARCH_ARM64@-static" / "bin"
        source.mkdir(parents=True)
        (source / "kcptun-client").write_text("program")
        package = top / "package"
        shutil.copytree(PACKAGE, package)
        done = subprocess.run(["make", "-C", package, "all", f"TOPDIR={top}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = {}
        for path in sorted((top / "out").rglob("*")):
            if path.is_symlink():
                found[str(path.relative_to(top / "out"))] = os.readlink(path)
            elif path.is_file():
                found[str(path.relative_to(top / "out"))] = oct(stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(found, {
            "kcptun-uv/etc/config/kcptun": "0o600",
            "kcptun-uv/etc/init.d/kcptun": "0o755",
            "kcptun-uv/usr/lib/kcptun-uv/kcptun": "0o755",
            "kcptun-uv/usr/share/kcptun/options": "0o644",
            "kcptun-uv-client/usr/bin/kcptun-client": "../lib/kcptun-uv/kcptun",
            "kcptun-uv-server/usr/bin/kcptun-server": "../lib/kcptun-uv/kcptun",
        })


if __name__ == "__main__":
    t.main()
