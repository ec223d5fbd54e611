"""What compare.py measures: each case runs once through one pair of programs and gives its metrics (goals.METRICS)."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import tunnel as t  # noqa: E402  (found by the line above)

TUNED = ("--nocomp", "--mode", "fast3", "--sndwnd", "4096", "--rcvwnd", "4096", "--smuxver", "2")
FEC = ("--ds", "10", "--ps", "3")
ALL_PARITY = ("--fec", "fixed")  # of cases that name shards, for ours: Debian's knows no other
NO_FEC = ("--ds", "0", "--ps", "0")
AES_128 = ("--crypt", "aes-128", *TUNED, *FEC)
MB = 1e6

PAIRS = ("debian", "ours")
MIXED = ("debian", "our client", "our server")
# direct: the application on its target, no tunnel between; relays: two haproxy that only pass TCP on, in the programs'
# places, which is what the machine can do with as many sockets.
BESIDE = ("debian", "ours", "direct", "relays")


@dataclass(frozen=True)
class Setting:
    """What all cases of one run share."""
    seconds: float       # of each timed measurement
    idle_seconds: float  # of CPU accounting while nothing happens
    close_seconds: float  # that memory has to come back
    pingpong: str        # the program
    ours: tuple = ()     # our programs


# ---------------------------------------------------------------------------------------------------------------------
# Applications and targets

@contextlib.contextmanager
def running(command, port, **options):
    """A target that listens on `port`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=t._die_with_parent, **options)
    try:
        t.wait_until(lambda: t.can_listen_tcp(port), 10, f"{command[0]} listens")
        yield port
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def iperf_target():
    """iperf3 serves one test at a time, which is how these run."""
    port = t.free_port()
    return running(["iperf3", "-s", "-B", t.HOST, "-p", str(port)], port, stdin=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def pingpong_target(setting):
    port = t.free_port()
    return running([setting.pingpong, "serve", str(port)], port, stdin=subprocess.PIPE)


NGINX = """\
{user}daemon off;
pid {home}/pid;
error_log {home}/error.log;
worker_processes 2;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{ listen {host}:{port} backlog=4096; root {home}/html; }}
}}
"""


@contextlib.contextmanager
def nginx_target():
    """A small static page."""
    port = t.free_port()
    with tempfile.TemporaryDirectory(prefix="kcptun-bench-nginx-") as home:
        os.mkdir(os.path.join(home, "html"))
        with open(os.path.join(home, "html", "index.html"), "w") as page:
            page.write("<!doctype html><title>kcptun-uv</title>" + "<p>A small page.</p>\n" * 24)
        user = "user root;\n" if os.geteuid() == 0 else ""
        with open(os.path.join(home, "nginx.conf"), "w") as conf:
            conf.write(NGINX.format(home=home, host=t.HOST, port=port, user=user))
        command = ["nginx", "-p", home, "-c", os.path.join(home, "nginx.conf"), "-e", os.path.join(home, "error.log")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   preexec_fn=t._die_with_parent)
        try:
            t.wait_until(lambda: t.can_listen_tcp(port), 10, "nginx listens")
            yield port
        finally:
            process.terminate()  # the master ends its workers
            process.wait()


def run(command, seconds):
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 60,
                            preexec_fn=t._die_with_parent)
    return result.returncode, result.stdout, result.stderr


def iperf(port, seconds, flags):
    """Bits per second and bytes that arrived."""
    command = ["iperf3", "-J", "-c", t.HOST, "-p", str(port), "-t", str(round(seconds)), *flags]
    code, out, errors = run(command, seconds)
    report = json.loads(out or "{}")
    if code or "error" in report:
        raise t.Failure(f"{' '.join(command)}: {report.get('error') or errors}")
    received = report["end"]["sum_received"]
    return received["bits_per_second"], received["bytes"]


def pingpong(setting, verb, port):
    command = [setting.pingpong, verb, str(port), str(setting.seconds)]
    code, out, errors = run(command, setting.seconds)
    if code:
        raise t.Failure(f"{' '.join(command)}: {errors}")
    return json.loads(out)


UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


def wrk(setting, port):
    """Requests per second, the 99th percentile in us, and how many failed."""
    command = ["wrk", "-c", "64", "-t", "2", "-d", f"{round(setting.seconds)}s", "--latency",
               f"http://{t.HOST}:{port}/"]
    code, out, errors = run(command, setting.seconds)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if code or not rate:
        raise t.Failure(f"{' '.join(command)}: {out}{errors}")
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", out)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {"requests": float(rate[1]), "http_p99": float(slow[1]) * UNITS[slow[2]] if slow else 0.0,
            "failures": sum(map(int, broken.groups()) if broken else ()) + (int(wrong[1]) if wrong else 0)}


def hold(port):
    """A stream that exists at both ends: its first byte has come back."""
    connection = socket.create_connection((t.HOST, port), timeout=30)
    connection.sendall(b"h")
    if connection.recv(1) != b"h":
        connection.close()
        raise t.Failure("a stream ended at once")
    return connection


# ---------------------------------------------------------------------------------------------------------------------
# Cases

class Direct:
    """In a tunnel's place: the application is connected to its target."""
    programs = ()

    def __init__(self, port):
        self.local_port = port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Relays:
    """In a tunnel's place: two haproxy, a thread each, one behind the other."""
    programs = ()

    def __init__(self, port):
        self.local_port = t.free_port()
        middle = t.free_port()
        self.hops = ((self.local_port, middle), (middle, port))

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            home = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="kcptun-bench-haproxy-"))
            for listen, to in reversed(self.hops):
                path = os.path.join(home, str(listen))
                with open(path, "w") as conf:
                    conf.write(HAPROXY.format(host=t.HOST, listen=listen, to=to))
                self.stack.enter_context(running(["haproxy", "-db", "-f", path], listen, stdin=subprocess.DEVNULL,
                                                 stderr=subprocess.DEVNULL))
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()


UNTUNNELLED = {"direct": Direct, "relays": Relays}  # subjects that have no pair of programs

HAPROXY = """\
global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen relay
  bind {host}:{listen}
  server next {host}:{to}
"""


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    flags: tuple               # for both programs of either pair
    client_flags: tuple = ()
    subjects: tuple = PAIRS
    own_flags: tuple = ()      # for our pair in place of `flags`: what Debian's does not have

    def target(self, setting):
        return pingpong_target(setting)

    def measure(self, setting, programs):
        """Metrics of one run; `programs`: client and server, or the class that stands in a tunnel's place."""
        with self.target(setting) as port:
            if isinstance(programs, type):
                way = programs(port)
            else:
                client, server = (ALL_PARITY if "--ds" in self.flags and program in setting.ours else ()
                                  for program in programs)
                flags = self.own_flags if self.own_flags and set(programs) <= set(setting.ours) else self.flags
                way = t.Tunnel(*programs, [*flags, "--quiet"], client_args=(*self.client_flags, *client),
                               server_args=server, target_name=f"{t.HOST}:{port}")
            with way:
                try:
                    return self.through(setting, way)
                except Exception:
                    if way.programs:
                        print(way.logs(), file=sys.stderr)
                    raise


@dataclass(frozen=True)
class Bulk(Case):
    iperf: tuple = ()

    def target(self, setting):
        return iperf_target()

    def through(self, setting, way):
        before = sum(program.cpu_seconds() for program in way.programs)
        rate, count = iperf(way.local_port, setting.seconds, self.iperf)
        spent = sum(program.cpu_seconds() for program in way.programs) - before
        return {"goodput": rate / 1e6, "cpu": spent / (count / 1e9)}


@dataclass(frozen=True)
class Latency(Case):
    def through(self, setting, way):
        result = pingpong(setting, "ping", way.local_port)
        return {"p50": result["p50"] * 1e6, "p99": result["p99"] * 1e6}


@dataclass(frozen=True)
class LoadedLatency(Case):
    def through(self, setting, way):
        result = pingpong(setting, "load", way.local_port)
        return {"p50": result["p50"] * 1e6, "p99": result["p99"] * 1e6, "bulk": result["bits_per_second"] / 1e6}


@dataclass(frozen=True)
class Http(Case):
    def target(self, setting):
        return nginx_target()

    def through(self, setting, way):
        return wrk(setting, way.local_port)


@dataclass(frozen=True)
class Connections(Case):
    """Not by wrk and nginx: those two alone use up the machine at half of what pingpong reaches."""

    def through(self, setting, way):
        result = pingpong(setting, "connect", way.local_port)
        return {"connections": result["per_second"], "failures": result["failures"]}


def resident(way):
    return [program.rss() / MB for program in way.programs]


def per_program(metric, values):
    return dict(zip((f"{metric}_client", f"{metric}_server"), values))


@dataclass(frozen=True)
class IdleSessions(Case):
    """Every session has carried a stream and lives on without one."""
    sessions: int = 1
    settle_seconds: float = 2.0
    accounts_cpu: bool = True

    def through(self, setting, way):
        start = resident(way)
        for _ in range(self.sessions):
            hold(way.local_port).close()
        time.sleep(self.settle_seconds)
        result = {}
        if self.accounts_cpu:
            before, since = [p.cpu_seconds() for p in way.programs], time.monotonic()
            time.sleep(setting.idle_seconds)
            elapsed = time.monotonic() - since
            result |= per_program("cpu", [100 * (p.cpu_seconds() - b) / elapsed
                                          for p, b in zip(way.programs, before)])
        result |= per_program("rss", resident(way))
        if self.sessions > 1:
            way.client_program.end()  # the server gives the sessions up when it hears nothing, after 30 s
            result["left_server"] = left(way.server_program, start[1], 30 + setting.close_seconds)
        return result


@dataclass(frozen=True)
class IdleStreams(Case):
    streams: int = 1

    def through(self, setting, way):
        start = resident(way)
        streams = []
        try:
            for _ in range(self.streams):
                streams.append(hold(way.local_port))
            time.sleep(2)
            result = per_program("rss", resident(way))
        finally:
            for stream in streams:
                stream.close()
        way.wait_idle(30)
        rest = [left(program, began, setting.close_seconds) for program, began in zip(way.programs, start)]
        return result | per_program("left", rest)


def left(program, start, seconds):
    """MB that a program holds more than at its start, once that is below 20 or after `seconds`."""
    deadline = time.monotonic() + seconds
    while (more := program.rss() / MB - start) > 20 and time.monotonic() < deadline:
        time.sleep(0.25)
    return more


CASES = (
    Bulk("aes-128-up", "aes-128, FEC 10/3, 1 stream up", AES_128),
    Bulk("aes-128-down", "aes-128, FEC 10/3, 1 stream down", AES_128, iperf=("-R",)),
    Bulk("salsa20", "salsa20, FEC 10/3", ("--crypt", "salsa20", *TUNED, *FEC)),
    Bulk("aes", "aes (the default), FEC 10/3", ("--crypt", "aes", *TUNED, *FEC)),
    Bulk("aes-128-gcm", "aes-128-gcm, FEC 10/3, beside Debian's with aes-128", AES_128,
         own_flags=("--crypt", "aes-128-gcm", *TUNED, *FEC)),
    Bulk("noise", "noise, FEC 10/3, beside Debian's with aes-128", AES_128, own_flags=("--crypt", "noise", *TUNED, *FEC)),
    Bulk("none-no-fec", "none, no FEC", ("--crypt", "none", *TUNED, *NO_FEC)),
    Bulk("parallel-8-conn-4", "8 parallel streams, conn 4, aes-128, FEC 10/3", AES_128, ("--conn", "4"),
         iperf=("-P", "8")),
    Bulk("defaults", "every default but smuxver 2 (snappy on)", ("--smuxver", "2")),
    Bulk("mixed-up", "one program ours, the other Debian's, aes-128, FEC 10/3, up", AES_128, subjects=MIXED),
    Bulk("mixed-down", "one program ours, the other Debian's, aes-128, FEC 10/3, down", AES_128, subjects=MIXED,
         iperf=("-R",)),
    Latency("latency-idle", "64-byte request and response, idle tunnel", AES_128, subjects=BESIDE),
    LoadedLatency("latency-loaded", "64-byte request and response beside a saturating bulk stream", AES_128,
                  subjects=BESIDE),
    Http("http-keep-alive", "wrk -c 64 to nginx, keep-alive", AES_128, subjects=BESIDE),
    Connections("connections", "new connections, one request each, 16 at a time", AES_128, subjects=BESIDE),
    IdleSessions("idle-1-session", "one idle session", AES_128, accounts_cpu=False),
    IdleSessions("idle-5000-sessions", "5,000 idle sessions", AES_128, ("--conn", "5000"), sessions=5000,
                 settle_seconds=5.0),
    IdleStreams("idle-9000-streams", "9,000 idle streams over 4 sessions", AES_128, ("--conn", "4"), streams=9000),
)
