"""A tunnel under churn for hours: what it holds over time.

    soak.py --client PROGRAM --server PROGRAM HOURS FOLDER

Streams come and go over a path with loss, duplication and reordering, every byte checked: through localaddr, a TCP
forward and a reverse forward. UDP flows come and go beside them. The logs are rotated and both programs told to read
their configuration again (SIGHUP, if they take it). FOLDER gets soak.csv and soak.svg. Exits with
1 if a transfer failed, a program ended, or memory or descriptors grew over the second half.
"""

import argparse
import asyncio
import csv
import os
import random
import signal
import socket
import sys
import time

import tunnel as t
from lossy_relay import LossyRelay

SAMPLES = 240
STREAMS = 12        # at once
ROTATIONS = 12      # in the whole run
MAY_GROW = 0.15     # of the second quarter's memory, in the last
FLOW_PAUSE = 0.05   # seconds between two datagrams of a flow
FLOW_LENGTH = 100   # datagrams
COLUMNS = ["seconds", "client_rss_kib", "server_rss_kib", "client_descriptors", "server_descriptors",
           "sessions", "streams", "transfers", "errors"]


def takes_sighup(program):
    with open(f"/proc/{program.pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


class Door:
    """Another way into the tunnel than localaddr."""

    def __init__(self, port):
        self.port = port

    async def connect(self):
        connection = socket.socket()
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (t.HOST, self.port))
        except BaseException:
            connection.close()
            raise
        return connection


class EchoProtocol(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class Ports:
    def __init__(self):
        self.forward, self.reverse, self.udp, self.echo = (t.free_port() for _ in range(4))


class Soak:
    def __init__(self, tunnel, ports, seconds, seed):
        self.tunnel, self.ports, self.seconds = tunnel, ports, seconds
        self.doors = [tunnel, Door(ports.forward), Door(ports.reverse)]
        self.datagrams = self.answers = 0
        self.rng = random.Random(seed)
        self.rows = []
        self.transfers = self.errors = self.active = 0
        self.first_error = None
        self.begun = time.monotonic()

    def elapsed(self):
        return time.monotonic() - self.begun

    async def churn(self):
        while self.elapsed() < self.seconds:
            size = int(self.rng.choice([100, 5000, 60000, 400000, 2 << 20]) * self.rng.uniform(0.5, 1.5))
            self.active += 1
            try:
                await asyncio.wait_for(t.echo_once(self.rng.choice(self.doors), self.rng.randrange(1 << 30), size), 120)
                self.transfers += 1
            except (t.Failure, OSError, asyncio.TimeoutError) as error:
                self.errors += 1
                self.first_error = self.first_error or repr(error)
                await asyncio.sleep(0.2)
            finally:
                self.active -= 1
            await asyncio.sleep(self.rng.expovariate(4))

    async def flows(self):
        """One flow after another. Datagrams may be lost on the way."""
        loop = asyncio.get_running_loop()
        while self.elapsed() < self.seconds:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                source.setblocking(False)
                source.connect((t.HOST, self.ports.udp))
                for number in range(FLOW_LENGTH):
                    data = t.payload(number, self.rng.choice([1, 100, 1200, 8000]))
                    await loop.sock_sendall(source, data)
                    self.datagrams += 1
                    try:
                        answer = await asyncio.wait_for(loop.sock_recv(source, 65535), 1)
                        self.answers += answer == data
                    except (asyncio.TimeoutError, ConnectionRefusedError):
                        pass
                    await asyncio.sleep(FLOW_PAUSE)

    async def watch(self):
        while self.elapsed() < self.seconds:
            self.sample()
            await asyncio.sleep(max(self.seconds / SAMPLES, 0.05))

    def sample(self):
        client, server = self.tunnel.programs
        self.rows.append([round(self.elapsed(), 1), client.rss() >> 10, server.rss() >> 10, client.descriptors(),
                          server.descriptors(), len(client.udp_ports()), self.tunnel.target.active, self.transfers,
                          self.errors])

    async def rotate(self):
        for number in range(1, ROTATIONS):
            await asyncio.sleep(max(0, self.seconds * number / ROTATIONS - self.elapsed()))
            for program in self.tunnel.programs:
                if takes_sighup(program):
                    log = program.arguments[program.arguments.index("--log") + 1]
                    os.replace(log, log + ".1")
                    program.signal(signal.SIGHUP)

    async def run(self):
        loop = asyncio.get_running_loop()
        echo, _ = await loop.create_datagram_endpoint(EchoProtocol, local_addr=(t.HOST, self.ports.echo))
        await asyncio.gather(self.watch(), self.rotate(), self.flows(), *(self.churn() for _ in range(STREAMS)))
        echo.close()

    def faults(self):
        found = [f"{name} ended with {program.exit_code()}" for name, program in
                 zip(("client", "server"), self.tunnel.programs) if program.exit_code() is not None]
        if self.errors:
            found.append(f"{self.errors} transfers failed, the first with {self.first_error}")
        if self.answers < self.datagrams / 2:
            found.append(f"{self.answers} of {self.datagrams} datagrams were answered")
        quarter = len(self.rows) // 4
        for column in range(1, 3):
            early = max(row[column] for row in self.rows[quarter:2 * quarter] or self.rows)
            late = max(row[column] for row in self.rows[3 * quarter:])
            if late > early * (1 + MAY_GROW) + 2048:
                found.append(f"{COLUMNS[column]} grew from {early} to {late}")
        return found


def panel(rows, columns, top, title):
    """One chart of the SVG: a polyline for each column, scaled to the largest value of all."""
    width, height, left = 640, 130, 70
    largest = max(max(row[c] for row in rows) for c in columns) or 1
    end = rows[-1][0] or 1
    parts = [f'<text x="{left}" y="{top - 8}" class="title">{title}</text>',
             f'<rect x="{left}" y="{top}" width="{width}" height="{height}" class="frame"/>',
             f'<text x="{left - 6}" y="{top + 10}" class="axis">{largest}</text>',
             f'<text x="{left - 6}" y="{top + height}" class="axis">0</text>']
    for number, column in enumerate(columns):
        points = " ".join(f"{left + width * row[0] / end:.1f},{top + height - height * row[column] / largest:.1f}"
                          for row in rows)
        parts.append(f'<polyline points="{points}" class="line{number}"/>')
        parts.append(f'<text x="{left + width + 8}" y="{top + 14 + 16 * number}" class="name{number}">'
                     f'{COLUMNS[column].replace("_", " ")}</text>')
    return "\n".join(parts)


def write_svg(rows, path):
    charts = [panel(rows, (1, 2), 40, "resident memory, KiB"), panel(rows, (3, 4), 220, "descriptors"),
              panel(rows, (5, 6), 400, "sessions and streams")]
    with open(path, "w") as out:
        out.write('<svg xmlns="http://www.w3.org/2000/svg" width="900" height="580" font-family="sans-serif" '
                  'font-size="12">\n<style>.frame{fill:none;stroke:#888}.axis{text-anchor:end;fill:#555}'
                  '.title{font-weight:bold}.line0{fill:none;stroke:#0b6}.line1{fill:none;stroke:#06c}'
                  '.name0{fill:#0b6}.name1{fill:#06c}</style>\n<rect width="900" height="580" fill="white"/>\n')
        out.write("\n".join(charts))
        out.write(f'\n<text x="390" y="556" text-anchor="middle">{rows[-1][0]:.0f} seconds</text>\n</svg>\n')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("hours", type=float)
    parser.add_argument("folder")
    options = parser.parse_args()
    if not options.hours > 0:
        parser.error("HOURS must be above 0")
    seed = t.new_seed()
    print(f"seed {seed} (KCPTUN_TEST_SEED)", flush=True)
    os.makedirs(options.folder, exist_ok=True)
    relay = lambda port: LossyRelay(port, t.free_port(), seed, loss=0.02, duplicate=0.01, reorder=0.02)  # noqa: E731
    ports, target = Ports(), t.Target()
    with t.Tunnel(options.client, options.server, ["--mode", "fast3", "--quiet"], relay=relay,
                  client_args=["--conn", 2, "--log", os.path.join(options.folder, "client.log"),
                               "--forward", f"tcp://{t.HOST}:{ports.forward}=tcp://{target.name}",
                               "--forward", f"udp://{t.HOST}:{ports.udp}=udp://{t.HOST}:{ports.echo}",
                               "--reverse", f"tcp://{t.HOST}:{ports.reverse}=tcp://{target.name}"],
                  server_args=["--log", os.path.join(options.folder, "server.log"), "--allow", "127.0.0.0/8",
                               "--allow-listen", t.HOST], target=target) as tunnel:
        t.wait_until(lambda: t.can_listen_tcp(ports.reverse), 30, "the reverse forward")
        soak = Soak(tunnel, ports, options.hours * 3600, seed)
        if not all(takes_sighup(program) for program in tunnel.programs):
            print("the programs do not take SIGHUP: no rotation", flush=True)
        asyncio.run(soak.run())
        tunnel.wait_idle(60)
        soak.sample()
        faults = soak.faults()
    with open(os.path.join(options.folder, "soak.csv"), "w", newline="") as out:
        csv.writer(out).writerows([COLUMNS, *soak.rows])
    write_svg(soak.rows, os.path.join(options.folder, "soak.svg"))
    print(f"{soak.elapsed():.0f} s, {soak.transfers} transfers, {soak.errors} errors, {soak.answers} of {soak.datagrams} datagrams answered; "
          f"{options.folder}/soak.csv and soak.svg")
    sys.exit("\n".join(faults) if faults else 0)


if __name__ == "__main__":
    main()
