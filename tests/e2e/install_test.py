#!/usr/bin/env python3
"""Installation, manual pages, completions and example profiles.

    install_test.py --build BUILD-TREE [CLASS[.test] ...]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = ("client", "server")
COMMANDS = {"client": ["probe", "bench", "top"], "server": ["top", "user"]}
BUILD = None


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


def program(role):
    return BUILD / f"kcptun-{role}"


def options(role):
    """Each flag of a program as --help-markdown has it: name with dashes -> values."""
    table = run(program(role), "--help-markdown").stdout
    found = {}
    for names, side, values in re.findall(r"^\| `(-[^`]*)` \| [^|]* \| (\w+) \| ([^|]*) \|", table, re.M):
        if side in (role, "both"):
            found.update((name, values) for name in names.split(", "))
    return found


class Man(unittest.TestCase):
    def test_mandoc_has_no_findings(self):
        for page in ("kcptun-client.1", "kcptun-server.1", "kcptun-uv.json.5"):
            linted = run("mandoc", "-Tlint", "-Wwarning", BUILD / "man" / page)
            self.assertEqual((linted.returncode, linted.stdout + linted.stderr), (0, ""))

    def test_each_flag_and_default_is_on_its_page(self):
        for role in ROLES:
            text = run("mandoc", "-Tutf8", "-Owidth=200", BUILD / "man" / f"kcptun-{role}.1").stdout
            text = re.sub(r".\x08", "", text)  # emphasis is struck over
            self.assertGreater(len(options(role)), 30)
            for name in options(role):
                self.assertRegex(text, rf"(?m)(^ +|, ){re.escape(name)}( |,|$)")
            self.assertIn("it's a secrect", text)

    def test_each_field_is_on_the_page_of_the_file(self):
        text = re.sub(r".\x08", "", run("mandoc", "-Tutf8", BUILD / "man" / "kcptun-uv.json.5").stdout)
        fields = re.findall(r"^\| `-[^`]*` \| `([^`]*)` \|", run(program("client"), "--help-markdown").stdout, re.M)
        self.assertGreater(len(fields), 30)
        for field in fields:
            self.assertRegex(text, rf"(?m)^ +{field} \((string|number|boolean|array)")


class Completion(unittest.TestCase):
    def bash(self, role, *words):
        """What bash offers for the last of `words`."""
        script = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_kcptun "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
        done = run("bash", "--norc", "-c", script, "bash", ROOT / "scripts/completions/kcptun.bash", program(role),
                   *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash_offers_every_flag(self):
        for role in ROLES:
            self.assertEqual(sorted(self.bash(role, "-")), sorted(options(role)))
            self.assertEqual(sorted(self.bash(role, "--nocomp", "")), sorted(options(role)))
            self.assertEqual(sorted(self.bash(role, "--smux")), ["--smuxbuf", "--smuxver"])

    def test_bash_offers_commands_in_first_place(self):
        for role in ROLES:
            self.assertEqual(sorted(self.bash(role, "")), sorted([*COMMANDS[role], *options(role)]))
        self.assertEqual(self.bash("client", "pro"), ["probe"])
        self.assertEqual(self.bash("client", "--nocomp", "pro"), [])

    def test_bash_offers_every_value_of_a_choice(self):
        for words in (("--crypt", ""), ("-crypt", ""), ("--crypt", "="), ("--crypt", "=", "")):
            self.assertEqual(self.bash("client", *words), options("client")["--crypt"].split(", "))
        self.assertEqual(self.bash("server", "--mode", "=", "fast"), ["fast", "fast2", "fast3"])
        self.assertEqual(self.bash("server", "--mtu", ""), [])
        self.assertEqual(self.bash("server", "--key", ""), [])

    def test_bash_offers_files(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "home.json")
            pathlib.Path(path).touch()
            for flag in ("-c", "--log", "--snmplog"):
                self.assertEqual(self.bash("client", flag, path[:-3]), [path])

    def test_zsh_offers_every_flag_and_every_choice(self):
        script = """
_arguments() { print -rl -- "$@" }
completion=$1; shift
words=("$@")
source $completion
"""
        for role in ROLES:
            done = run("zsh", "-f", "-c", script, "zsh", ROOT / "scripts/completions/_kcptun", program(role))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            specs = done.stdout.splitlines()
            self.assertEqual(specs.pop(0), "-S")
            self.assertEqual(specs.pop(), f"1:command:({' '.join(COMMANDS[role])})")
            self.assertEqual(sorted(re.match(r"[-\w]+", spec)[0] for spec in specs), sorted(options(role)))
            for name, values in options(role).items():
                spec = next(spec for spec in specs if re.match(rf"{name}=?\[", spec))
                self.assertEqual(spec.startswith(f"{name}="), values != "switch", spec)
                if ", " in values:
                    self.assertTrue(spec.endswith(f":value:({values.replace(', ', ' ')})"), spec)
                self.assertEqual(spec.endswith(":file:_files"), name in ("-c", "--log", "--snmplog"), spec)


class Profiles(unittest.TestCase):
    def test_the_examples_are_valid_and_need_no_warning(self):
        with tempfile.TemporaryDirectory() as folder:
            for role in ROLES:
                profile = pathlib.Path(shutil.copy(ROOT / f"docs/examples/profile-{role}.json", folder))
                profile.chmod(0o600)
                key = pathlib.Path(folder, "key")
                key.write_text(run(program(role), "--genkey").stdout)
                key.chmod(0o600)
                text = profile.read_text()
                self.assertIn('"key-file": "/etc/kcptun-uv/key"', text)
                profile.write_text(text.replace("/etc/kcptun-uv/key", str(key)))
                checked = run(program(role), "-c", profile, "--check")
                self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_no_example_has_a_key_or_sets_what_follows_the_path(self):
        for profile in (ROOT / "docs/examples").glob("*.json"):
            fields = json.loads(profile.read_text())
            for field in ("key", "sndwnd", "rcvwnd", "datashard", "parityshard", "smuxbuf", "streambuf"):
                self.assertNotIn(field, fields, profile.name)
            self.assertFalse(fields.get("localaddr", "127.0.0.1:1").startswith(":"), profile.name)
            if "key-file" not in fields:  # with a key as long as QPP wants it
                checked = run(program("server" if "listen" in fields else "client"), "-c", profile, "--check",
                              env=dict(os.environ, KCPTUN_KEY="k" * 211))
                self.assertEqual((checked.returncode, checked.stderr), (0, ""), profile.name)

    def test_a_documented_key_and_a_profile_that_others_can_read_draw_a_warning(self):
        with tempfile.TemporaryDirectory() as folder:
            profile = pathlib.Path(folder, "x.json")
            profile.write_text('{"remoteaddr": "h:1", "key": "replace-this-by-a-long-random-secret"}')
            profile.chmod(0o644)
            told = run(program("client"), "-c", profile, "--check").stderr
            self.assertIn("the key is a placeholder", told)
            self.assertIn("every user of this machine can read it", told)


class Install(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)

    def script(self, *arguments):
        return run(ROOT / "scripts/install.sh", *arguments, env=dict(os.environ, DESTDIR=str(self.root)))

    def install(self, *arguments):
        done = self.script("--build", BUILD, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def uninstall(self, *arguments):
        done = self.script("--uninstall", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def tree(self):
        """Every file with its content and mode, and every folder."""
        return {str(path.relative_to(self.root)):
                (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
                for path in self.root.rglob("*")}

    def test_programs_are_stripped(self):
        self.install()
        for role in ROLES:
            installed = self.root / f"usr/local/bin/kcptun-{role}"
            self.assertIn("no symbols", run("nm", installed).stderr)
            self.assertTrue(os.access(installed, os.X_OK))

    def test_all_is_there(self):
        self.install()
        tree = self.tree()
        for path in ("bin/kcptun-client", "bin/kcptun-server", "share/man/man1/kcptun-client.1",
                     "share/man/man1/kcptun-server.1", "share/man/man5/kcptun-uv.json.5",
                     "share/bash-completion/completions/kcptun-client",
                     "share/bash-completion/completions/kcptun-server", "share/zsh/site-functions/_kcptun",
                     "lib/sysusers.d/kcptun-uv.conf", "lib/sysctl.d/60-kcptun-uv.conf",
                     *(f"lib/systemd/system/{unit.name}" for unit in ROOT.glob("systemd/*.service"))):
            self.assertIn("usr/local/" + path, tree)
        for role in ROLES:
            self.assertEqual(run(self.root / f"usr/local/bin/kcptun-{role}", "--version").returncode, 0)
            self.assertEqual(tree[f"etc/kcptun-uv/{role}.json.example"][1],
                             (ROOT / f"docs/examples/profile-{role}.json").read_bytes())

    def test_twice_is_as_once_and_uninstalling_leaves_what_was_there_before(self):
        self.write("usr/local/share/man/man1/other.1", "another program's")
        (self.root / "usr/local/bin").mkdir()
        before = self.tree()
        self.install()
        once = self.tree()
        self.install()
        self.assertEqual(self.tree(), once)
        self.uninstall()
        self.assertEqual(self.tree(), before)

    def test_files_of_the_user_stay_as_they_are(self):
        self.write("etc/kcptun-uv/home.json", '{"key": "mine"}')
        self.write("etc/kcptun-uv/client.json.example", "mine from the start")
        before = self.tree()
        self.install()
        self.write("etc/kcptun-uv/server.json.example", "mine by now")
        self.install()
        self.uninstall()
        after = self.tree()
        self.assertEqual(after.pop("etc/kcptun-uv/server.json.example")[1], b"mine by now")
        self.assertEqual(after, before)

    def test_an_example_of_an_older_version_is_renewed(self):
        self.install()
        installed = self.tree()
        for path in ("etc/kcptun-uv/client.json.example", "usr/local/share/doc/kcptun-uv/examples/profile-client.json"):
            self.write(path, "{}\n")
        self.install()
        self.assertEqual(self.tree(), installed)

    def test_another_prefix_is_in_the_units(self):
        self.install("--prefix", "/opt/tunnel/")
        for unit in ROOT.glob("systemd/*@.service"):
            text = (self.root / "opt/tunnel/lib/systemd/system" / unit.name).read_text()
            self.assertIn(f"ExecStart=/opt/tunnel/bin/{unit.name.split('@')[0]} ", text)
            self.assertNotIn("/usr/local/", text)
        self.assertFalse((self.root / "usr").exists())
        self.uninstall("--prefix=/opt/tunnel")
        self.assertEqual(self.tree(), {})

    def test_wrong_use_is_one_line_and_changes_nothing(self):
        for arguments, code, word in ((["--prefix", "relative"], 2, "absolute"),
                                      (["--prefix", "/a/../b"], 2, "'/a/../b'"), (["--prefix", "/"], 2, "below /"),
                                      (["--prefix"], 2, "--prefix wants"), (["--prefx=/x"], 2, "'--prefx=/x'"),
                                      (["--uninstall"], 1, "usr/local/share/kcptun-uv/manifest")):
            done = self.script(*arguments)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (code, 1), done.stderr)
            self.assertIn(word, done.stderr)
        self.assertEqual(self.tree(), {})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    BUILD = arguments.build.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
