"""What this machine allows: each thing that some test needs, with its probe. Nothing else decides that a test is left out.

    machine.py        prints "NEED: REASON" for each need that this machine lacks

A test says what it needs, @machine.needs("namespaces") on a test or its class, or machine.leave_without("tun") before
the first test of a file. What is left out is one line of output, "left out: TEST: NEED: REASON". A program of which
nothing else ran ends with code 77. scripts/count_tests.py compares these lines with what the probes say.
"""

import contextlib
import ctypes
import fcntl
import functools
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import unittest

LEFT_OUT = 77  # exit code of a test program of which nothing ran
MOST_BUSY = 10.0  # beyond, a time limit would say nothing any more
MOST_DESCRIPTORS = 10_000  # what the largest test needs of the hard limit on open files

_CLONE_NEWNET = 0x40000000
_PR_SET_DUMPABLE = 4
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(code, what):
    if code < 0:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _reason_in_child(probe):
    """What stops `probe` in a process of its own, which keeps this one as it is; None if nothing does."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        reason = ""
        try:
            probe()
        except Exception as error:  # whatever it is, it is the reason
            reason = re.sub(r"^\[Errno \d+\] ", "", str(error)) or type(error).__name__
        os.write(writing, reason.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        reason = answer.read().decode()
    os.waitpid(child, 0)
    return " ".join(reason.split()) or None


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _enter_namespace():
    _check(_libc.unshare(_CLONE_NEWNET), "unshare")
    _run("ip", "link", "set", "lo", "up")


def _open_tun():
    _enter_namespace()
    with open("/dev/net/tun", "r+b", buffering=0) as tun:
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"probe0", _IFF_TUN | _IFF_NO_PI))


def _use_raw_sockets_and_rules():
    _enter_namespace()
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
    _run("nft", "list", "tables")


def _shape_traffic():
    _enter_namespace()
    _run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "200mbit", "burst", "16kb", "limit", "4mb")


def _become_another_user():
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


def _bind_low_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for port in range(600, 1000):
            with contextlib.suppress(OSError) if port < 999 else contextlib.nullcontext():
                return probe.bind(("127.0.0.1", port))


def _use_ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))


def _look_into_processes():
    """Descriptors and environment of a process that has made itself undumpable, as our programs do."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.write(writing, b"x")
        signal.pause()
    try:
        os.read(reading, 1)
        _check_readable(f"/proc/{child}/fd/{writing}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _check_readable(link):
    try:
        os.readlink(link)
    except OSError as error:
        raise OSError(f"reading /proc/PID/fd: {error.strerror}") from None


def _filter_system_calls():
    """A seccomp filter that allows all."""
    program = ctypes.create_string_buffer(struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000))
    filter_program = struct.pack("<HxxxxxxQ", 1, ctypes.addressof(program))
    _check(_libc.prctl(38, 1, 0, 0, 0), "no new privileges")
    _check(_libc.prctl(22, 2, filter_program, 0, 0), "seccomp")


def _open_many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= MOST_DESCRIPTORS:
        raise OSError(f"the hard limit on open files is {hard}, not over {MOST_DESCRIPTORS} (ulimit -Hn)")


def _open_terminal():
    os.openpty()


def _find_debians_kcptun():
    for path in ("/usr/bin/kcptun-client", "/usr/bin/kcptun-server"):
        if not os.access(path, os.X_OK):
            raise OSError(f"no {path}; apt-get install kcptun")


def nginx_with_stream():
    """The programs nginx and its stream module: Debian's, or what the environment names."""
    return (os.environ.get("KCPTUN_NGINX", "/usr/sbin/nginx"),
            os.environ.get("KCPTUN_NGINX_STREAM", "/usr/lib/nginx/modules/ngx_stream_module.so"))


def _find_nginx_with_stream():
    for path in nginx_with_stream():
        if not os.access(path, os.R_OK):
            raise OSError(f"no {path}; scripts/install-deps.sh bench")


def _find(program, package):
    if not shutil.which(program):
        raise OSError(f"no {program}; apt-get install {package}")


NEEDS = {
    "namespaces": _enter_namespace,            # CAP_SYS_ADMIN, CAP_NET_ADMIN, iproute2
    "tun": _open_tun,                          # and /dev/net/tun
    "tcp-mode": _use_raw_sockets_and_rules,    # and CAP_NET_RAW, nftables in the kernel
    "shaping": _shape_traffic,                 # and the kernel's sch_tbf
    "another-user": _become_another_user,      # CAP_SETUID, CAP_SETGID
    "low-port": _bind_low_port,                # CAP_NET_BIND_SERVICE
    "ipv6": _use_ipv6,                         # ::1
    "processes": _look_into_processes,         # CAP_SYS_PTRACE
    "seccomp": _filter_system_calls,           # a kernel with seccomp filters
    "terminal": _open_terminal,                # /dev/pts
    "many-files": _open_many_files,            # ulimit -Hn
    "nginx-stream": _find_nginx_with_stream,   # the packages nginx-light and libnginx-mod-stream
    "debian-kcptun": _find_debians_kcptun,     # the package kcptun, which scripts/test.sh installs
    "shellcheck": functools.partial(_find, "shellcheck", "shellcheck"),
    "busybox": functools.partial(_find, "busybox", "busybox"),
    "ruby": functools.partial(_find, "ruby", "ruby"),
    "rpmspec": functools.partial(_find, "rpmspec", "rpm"),
    "makepkg": functools.partial(_find, "makepkg", "makepkg"),
}


def busy():
    """How many times longer than alone a program takes here now, at most: what wants to run for each processor."""
    with open("/proc/loadavg") as file:
        load = float(file.read().split()[0])
    return min(max(1.0, load / (os.cpu_count() or 1)), MOST_BUSY)


@functools.cache
def lacks(need):
    """Why this machine cannot give `need`, as "NEED: REASON"; None if it can."""
    reason = _reason_in_child(NEEDS[need])
    return f"{need}: {reason}" if reason else None


def first_lack(needed):
    return next(filter(None, map(lacks, needed)), None)


def needs(*needed):
    """Decorates a test or a class of tests: left out where the machine lacks one of `needed`."""
    reason = first_lack(needed)
    return unittest.skip(reason) if reason else lambda test: test


def leave_without(*needed):
    """Ends a program all of whose tests need what this machine lacks."""
    reason = first_lack(needed)
    if reason:
        print(f"left out: {os.path.basename(sys.argv[0])}: {reason}", flush=True)
        sys.exit(LEFT_OUT)


def end(result):
    """Ends a test program with its unittest result: says what was left out, and the exit code tells whether all was."""
    for test, reason in result.skipped:
        print(f"left out: {test.id()}: {reason}", flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(LEFT_OUT if result.skipped and len(result.skipped) == result.testsRun else 0)


def main():
    for need in NEEDS:
        if lacks(need):
            print(lacks(need))


if __name__ == "__main__":
    main()
