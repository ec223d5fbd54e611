"""The recipes of docs/packaging: scripts/recipes.sh fills them in for tarballs that this test makes, and what understands
a recipe on this machine reads it. Building with them needs the distributions' own tools and is not part of this test.

    recipes_test.py [CLASS[.test] ...]
"""

import hashlib
import os
import pathlib
import re
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r"VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text().split("project(", 1)[1])[1]
URL = "https://downloads.example.org/a&b|c"
ARCHITECTURES = ("x86_64", "arm64", "armhf", "mipsel")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


class Recipes(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="kcptun-recipes-")
        self.addCleanup(temporary.cleanup)
        self.home = pathlib.Path(temporary.name)
        self.out = self.home / "out"
        (self.home / "tarballs").mkdir()
        for architecture in ARCHITECTURES:
            self.make_tarball(f"kcptun-uv-{VERSION}-{architecture}-static")

    def make_tarball(self, name):
        folder = self.home / "files" / name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "kcptun-client").write_text(name)
        (folder / "bin" / "kcptun-server").symlink_to("kcptun-client")
        (folder / "share" / "doc" / "kcptun-uv").mkdir(parents=True)
        (folder / "share" / "doc" / "kcptun-uv" / "LICENSE").write_text("MIT")
        with tarfile.open(self.tarball(name), "w:gz") as tarball:
            tarball.add(folder, name)

    def tarball(self, name):
        return self.home / "tarballs" / f"{name}.tar.gz"

    def fill(self):
        done = run(ROOT / "scripts" / "recipes.sh", URL + "/", self.home / "tarballs", self.out)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        return self.out

    def installed(self, shell, recipe, package, variables, cwd):
        """What the recipe's function package() installs: path -> mode or target of a link."""
        folder = self.home / "installed"
        script = f'chgrp() {{ :; }}; . "{recipe}"; {package}'
        done = run(*shell, "-euc", script, cwd=cwd, env={"PATH": os.environ["PATH"], "pkgdir": str(folder), **variables})
        self.assertEqual(done.returncode, 0, done.stderr)
        return {str(path.relative_to(folder)):
                os.readlink(path) if path.is_symlink() else oct(stat.S_IMODE(path.stat().st_mode))
                for path in folder.rglob("*") if not path.is_dir()}

    def test_each_checksum_is_that_of_its_tarball(self):
        out = self.fill()
        texts = {recipe: (out / recipe).read_text() for recipe in
                 ("openwrt/Makefile", "alpine/APKBUILD", "arch/PKGBUILD", "homebrew/kcptun-uv.rb", "rpm/kcptun-uv.spec")}
        for recipe, text in texts.items():
            self.assertIn(URL, text, recipe)
            self.assertIn(VERSION, text, recipe)
        for architecture in ARCHITECTURES:
            sums = {name: hashlib.new(name, self.tarball(f"kcptun-uv-{VERSION}-{architecture}-static").read_bytes()).hexdigest()
                    for name in ("sha256", "sha512")}
            self.assertIn(sums["sha256"], texts["openwrt/Makefile"])
            for recipe, algorithm, known in (("alpine/APKBUILD", "sha512", ("x86_64", "arm64", "armhf")),
                                             ("arch/PKGBUILD", "sha256", ("x86_64", "arm64")),
                                             ("homebrew/kcptun-uv.rb", "sha256", ("x86_64", "arm64"))):
                self.assertEqual(sums[algorithm] in texts[recipe], architecture in known, (recipe, architecture))

    def test_a_missing_tarball_is_named(self):
        self.tarball(f"kcptun-uv-{VERSION}-armhf-static").unlink()
        done = run(ROOT / "scripts" / "recipes.sh", URL, self.home / "tarballs", self.out)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"kcptun-uv-{VERSION}-armhf-static.tar.gz is missing", done.stderr)
        self.assertFalse(self.out.exists())

    def test_alpine(self):
        shell = ["dash"] if machine.lacks("busybox") else ["busybox", "ash"]
        for arch, name in (("x86_64", "x86_64"), ("aarch64", "arm64"), ("armv7", "armhf")):
            with self.subTest(arch=arch):
                self.out = self.home / arch
                recipe = self.fill() / "alpine" / "APKBUILD"
                srcdir = self.home / f"src-{arch}"
                srcdir.mkdir()
                for file in recipe.parent.iterdir():
                    (srcdir / file.name).write_bytes(file.read_bytes())
                tarball = f"kcptun-uv-{VERSION}-{name}-static"
                run("tar", "-xzf", self.tarball(tarball), "-C", srcdir)
                (srcdir / f"{tarball}.tar.gz").write_bytes(self.tarball(tarball).read_bytes())
                checked = run(*shell, "-euc", f'. "{recipe}"; cd "$srcdir"; printf %s "$sha512sums" | sed /^$/d | sha512sum -c',
                              env={"PATH": os.environ["PATH"], "CARCH": arch, "srcdir": str(srcdir)})
                self.assertEqual((checked.returncode, checked.stdout.count(": OK")), (0, 3), checked.stderr)
                files = self.installed(shell, recipe, "package", {"CARCH": arch, "srcdir": str(srcdir)}, srcdir)
                self.assertEqual(files, {"usr/bin/kcptun-client": "0o755", "usr/bin/kcptun-server": "kcptun-client",
                                         "etc/init.d/kcptun-uv": "0o755"})
                run("rm", "-r", self.home / "installed")

    def test_arch(self):
        recipe = self.fill() / "arch" / "PKGBUILD"
        for arch in ("x86_64", "aarch64"):
            files = self.installed(["bash"], recipe, "package", {"CARCH": arch}, self.home / "files")
            self.assertEqual(files, {"usr/bin/kcptun-client": "0o755", "usr/bin/kcptun-server": "kcptun-client",
                                     "usr/share/licenses/kcptun-uv-bin/LICENSE": "0o644"})
            run("rm", "-r", self.home / "installed")

    @machine.needs("makepkg")
    def test_makepkg_reads_the_recipe(self):
        folder = self.fill() / "arch"
        if os.getuid() == 0:  # which makepkg refuses
            run("chmod", "-R", "a+rwX", self.home)
            options = {"user": "nobody"}
        else:
            options = {}
        done = run("makepkg", "--printsrcinfo", cwd=folder, env={"PATH": os.environ["PATH"], "PACMAN": "true"}, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"pkgver = {VERSION}", done.stdout)

    @machine.needs("ruby")
    def test_homebrew(self):
        done = run("ruby", "-wc", self.fill() / "homebrew" / "kcptun-uv.rb")
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr), (0, "Syntax OK", ""))

    @machine.needs("rpmspec")
    def test_rpm(self):
        done = run("rpmspec", "--define", "_unitdir /usr/lib/systemd/system", "--define", "_sysusersdir /usr/lib/sysusers.d",
                   "-q", "--qf", "%{name} %{version} %{license}\n", self.fill() / "rpm" / "kcptun-uv.spec")
        self.assertEqual((done.returncode, done.stdout), (0, f"kcptun-uv {VERSION} MIT\n"), done.stderr)

    @machine.needs("shellcheck")
    def test_shellcheck_has_no_findings(self):
        out = self.fill()
        done = run("shellcheck", ROOT / "scripts" / "recipes.sh", out / "alpine" / "APKBUILD", out / "arch" / "PKGBUILD",
                   out / "alpine" / "kcptun-uv.initd", out / "alpine" / "kcptun-uv.pre-install")
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    machine.end(unittest.main(verbosity=2, exit=False).result)
