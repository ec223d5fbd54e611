"""The interop matrix: our client with Debian's kcptun-server, and Debian's kcptun-client with our server.

Pairwise cover of cipher, FEC, smux version and compression, every cipher in both directions. Each run moves 8 MB each
way on one stream, then echoes 64 KB on 50 streams at once, then ends a stream with a half-close and looks for sockets
that stay. Debian's release of 2021 closes both directions as soon as one ends, so there the half-close is checked for
a prompt and clean end, and for the whole request at the target. No run is ever skipped.
"""

import argparse
import os
import socket
import sys
import time
from itertools import product

import tunnel as t
from pairwise import cover

CIPHERS = ("aes", "aes-128", "aes-192", "sm4", "twofish", "blowfish", "cast5", "3des", "tea", "xtea", "salsa20", "xor",
           "none")  # what the release of 2021 has: section 3 of docs/develop/protocol.md without aes-128-gcm and null
# (name, our shards, their shards). Other mixes corrupt a receiver of 2021 by its own fault (section 4).
FEC = (("equal", (10, 3), (10, 3)), ("off", (0, 0), (0, 0)), ("theirs", (0, 0), (10, 3)))
FEC_TEXT = {"equal": "10/3 both", "off": "off both", "theirs": "off/10-3 theirs"}
SMUX = (1, 2)
SNAPPY = (True, False)

FAST = ("--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024)
# Beyond the matrix: every mode at default windows, small windows and packets, a huge window.
EXTRA = [(("aes", "equal", smux, snappy), tuning)
         for smux, snappy in ((1, True), (2, False))
         for tuning in (("--mode", "normal"), ("--mode", "fast"), ("--mode", "fast2"), ("--mode", "manual", "--nc", 1),
                        ("--mode", "fast3", "--sndwnd", 16, "--rcvwnd", 32),
                        ("--mode", "fast3", "--mtu", 500, "--acknodelay"),
                        ("--mode", "fast3", "--sndwnd", 8192, "--rcvwnd", 8192))]

BULK = 8 << 20
STREAMS, STREAM_SIZE = 50, 64 << 10
REQUEST, ANSWER = 100_000, 50_000
BULK_LIMIT, STREAMS_LIMIT, END_LIMIT = 60, 60, 10  # seconds


class Case:
    def __init__(self, direction, row, tuning=FAST):
        self.direction = direction
        self.tuning = tuning
        self.cipher, fec, self.smux, self.snappy = row
        self.fec, self.ours, self.theirs = next(f for f in FEC if f[0] == fec)

    def __str__(self):
        who = "ours -> debian" if self.direction == "client" else "debian -> ours"
        return (f"{who}  {self.cipher:8}  fec {FEC_TEXT[self.fec]:15}  smux {self.smux}  "
                f"snappy {'on ' if self.snappy else 'off'}  {self.tuning_text()}")

    def tuning_text(self):
        return " ".join(str(word).removeprefix("--") for word in self.tuning) if self.tuning != FAST else ""

    def tunnel(self, options):
        common = ["--crypt", self.cipher, "--smuxver", self.smux, *self.tuning]
        if not self.snappy:
            common.append("--nocomp")
        ours = ["--ds", self.ours[0], "--ps", self.ours[1]]
        theirs = ["--ds", self.theirs[0], "--ps", self.theirs[1]]
        if self.direction == "client":
            return t.Tunnel(options.client, options.peer_server, common, client_args=ours, server_args=theirs)
        return t.Tunnel(options.peer_client, options.server, common, client_args=theirs, server_args=ours)

    def run(self, tunnel, seed):
        times = []

        def timed(label, action):
            started = time.monotonic()
            action()
            times.append(f"{label} {time.monotonic() - started:.2f} s")
        timed("8 MB", lambda: t.run(t.echo_once(tunnel, seed, BULK), BULK_LIMIT))
        timed(f"{STREAMS}x64 KB", lambda: t.run(t.echo_many(tunnel, seed, STREAMS, STREAM_SIZE), STREAMS_LIMIT))
        if tunnel.target.most_active < STREAMS:
            raise t.Failure(f"only {tunnel.target.most_active} of {STREAMS} streams were open at once")
        timed("half-close", lambda: check_half_close(tunnel, seed))
        timed("idle", lambda: tunnel.wait_idle(END_LIMIT))
        return ", ".join(times)


def cases(direction, full=False):
    make = product if full else cover
    return [Case(direction, row) for row in make(CIPHERS, tuple(f[0] for f in FEC), SMUX, SNAPPY)]


def chosen_cases(options):
    if options.part == "extra":
        abandoned = [AbandonedAnswer(smux) for smux in SMUX] if options.direction == "server" else []
        return [Case(options.direction, row, tuning) for row, tuning in EXTRA] + abandoned
    part, parts = map(int, options.part.split("/"))
    return cases(options.direction, options.full)[part - 1::parts]


def check_half_close(tunnel, seed):
    """The request arrives whole, and both ends are over soon after, whatever became of the answer."""
    request, answer = t.run(ask_tolerantly(tunnel, seed), END_LIMIT)
    whole = t.expected_answer(request, seed, ANSWER)
    if not whole.startswith(answer):
        raise t.Failure("the answer is not a prefix of the right one: " + str(t.first_difference(answer, whole)))
    record = tunnel.target.wait_finished("answer", END_LIMIT)
    if record["received"] != len(request) or record["sha"] != t.sha(request):
        raise t.Failure(f"the target got {record['received']} of {len(request)} bytes before the end")
    return len(answer) == len(whole)


async def ask_tolerantly(tunnel, seed):
    try:
        return await t.ask(tunnel, seed, REQUEST, ANSWER)
    except ConnectionResetError:
        return t.payload(seed, REQUEST), b""


def run_case(case, options, seed):
    started = time.monotonic()
    with case.tunnel(options) as tunnel:
        try:
            detail = case.run(tunnel, seed)
            for program in tunnel.programs:
                if program.exit_code() is not None:
                    raise t.Failure(f"{program.arguments[0]} ended by itself, code {program.exit_code()}")
        except Exception:
            print(tunnel.logs(15), flush=True)
            raise
    return detail or f"{time.monotonic() - started:.2f} s"


class AbandonedAnswer:
    """Debian's client is gone from a stream after a half-close, and reads nothing of an answer larger than any window.

    Our server cannot know that from the wire, but must not hold the target's connection for ever.
    """

    LIMIT = 75  # seconds: the server's closewait of 30, a keepalive time, and room

    def __init__(self, smux):
        self.smux = smux

    def __str__(self):
        return f"debian -> ours  smux {self.smux}  an answer of 16 MB that nobody reads"

    def tunnel(self, options):
        return t.Tunnel(options.peer_client, options.server, ["--smuxver", self.smux])

    def run(self, tunnel, seed):
        async def leave():
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, f"answer {16 << 20} {seed}\nhello".encode())
                connection.shutdown(socket.SHUT_WR)
                try:
                    await t.receive_all(connection)
                except ConnectionResetError:
                    pass
        t.run(leave(), END_LIMIT)
        tunnel.target.wait_finished("answer", self.LIMIT)
        tunnel.wait_idle(END_LIMIT)
        t.run(t.echo_once(tunnel, seed, 1 << 20), END_LIMIT)  # the session lives on


def missing_peers(options):
    wanted = [options.peer_server] if options.direction == "client" else [options.peer_client]
    return [path for path in wanted if not os.access(path, os.X_OK)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--client", required=True, help="our kcptun-client")
    parser.add_argument("--server", required=True, help="our kcptun-server")
    parser.add_argument("--peer-client", default="/usr/bin/kcptun-client")
    parser.add_argument("--peer-server", default="/usr/bin/kcptun-server")
    parser.add_argument("--direction", choices=("client", "server"), required=True,
                        help="client: our client, Debian's server; server: Debian's client, our server")
    parser.add_argument("--part", default="1/1", metavar="I/N",
                        help="run every N-th case of the matrix, from the I-th; 'extra': modes, windows and sizes")
    parser.add_argument("--full", action="store_true", help="all combinations, not a pairwise cover")
    parser.add_argument("--only", default="", help="run cases whose summary line contains this text")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    options = parser.parse_args()

    chosen = [case for case in chosen_cases(options) if options.only in str(case)]
    if options.list:
        print("\n".join(map(str, chosen)))
        return 0
    missing = missing_peers(options)
    if missing:
        print(f"{', '.join(missing)}: not there. Install Debian's release: apt-get install kcptun", file=sys.stderr)
        return 1
    if not chosen:
        print("no case was chosen", file=sys.stderr)
        return 1

    seed = t.new_seed()
    print(f"seed {seed} (KCPTUN_TEST_SEED), {len(chosen)} runs", flush=True)
    failed = 0
    started = time.monotonic()
    for number, case in enumerate(chosen):
        try:
            outcome, detail = "ok  ", run_case(case, options, seed + 1000 * number)
        except Exception as error:  # whatever went wrong is this case's failure, the others still run
            outcome, detail = "FAIL", f"{type(error).__name__}: {error}"
            failed += 1
        print(f"{outcome}  {case}  {detail}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
