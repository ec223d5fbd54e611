"""Applications that stop reading, beside others that go on: paused videos, targets that are busy.

    stalls_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import contextlib
import os
import random
import socket

import machine
import tunnel as t
from tunnel import TunnelCase

MB = 1 << 20
ONE_SESSION = ["--conn", 1]  # with auto, new streams use a session that does not stand still
SMALL = ["--smuxbuf", 1 * MB, "--streambuf", 512 << 10]
DEBIAN = {"client": "/usr/bin/kcptun-client", "server": "/usr/bin/kcptun-server"}


IS_SANITIZED = "KCPTUN_SANITIZED" in os.environ  # a dev build: its figures of memory mean nothing


class StallCase(TunnelCase):
    async def pause(self, tunnel, size, held):
        """A download whose reader stops after the first bytes."""
        connection = held.enter_context(await tunnel.connect())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        await t.send(connection, f"source {size} {self.seed}\n".encode())
        await t.receive_exactly(connection, 1000)
        return connection

    async def upload(self, tunnel, held):
        """Writes as much as is taken, to a target that does not read."""
        connection = held.enter_context(await tunnel.connect())
        await t.send(connection, b"hold\n")
        block = random.Random(self.seed).randbytes(256 << 10)
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                await asyncio.wait_for(t.send(connection, block), 2.5)

    async def stand_still(self, program, step=0.2):
        """Waits until nothing more arrives at our program."""
        before = -1
        while (now := program.counters()["BytesReceived"]) != before:
            before = now
            await asyncio.sleep(step)

    async def pause_all(self, tunnel, held, count, size):
        for _ in range(count):
            await self.pause(tunnel, size, held)
        await self.stand_still(tunnel.client_program)

    async def upload_all(self, tunnel, held, count):
        await asyncio.gather(*(self.upload(tunnel, held) for _ in range(count)))

    def go_on_beside(self, tunnel, stall, hint=None, seconds=90):
        """Runs stall(held); a connection from before and new ones work meanwhile, and the log has its hint before the
        stall ends: (program, text)."""
        async def both():
            with contextlib.ExitStack() as held:
                beside = held.enter_context(await tunnel.connect())
                await t.send(beside, b"echo\n")
                await stall(held)
                for number in range(3):
                    await asyncio.wait_for(t.echo_once(tunnel, self.seed + number, MB), 20)
                await t.send(beside, b"still here")
                await asyncio.wait_for(t.receive_exactly(beside, 10), 20)
                if hint:
                    await asyncio.get_running_loop().run_in_executor(None, self.hint, *hint)
        t.run(both(), seconds)

    def hint(self, program, text, seconds=20):
        """Waits for the hint, which must be there once."""
        t.wait_until(lambda: text in program.log(), seconds, f"the log says: {text}")
        t.wait_logged(program, text, times=1)


class Paused(StallCase):
    def paused(self, tunnel, count, size, hint=None):
        self.go_on_beside(tunnel, lambda held: self.pause_all(tunnel, held, count, size),
                          hint and (tunnel.client_program, hint))

    def test_three_paused_downloads_stop_nothing_at_the_defaults(self):
        tunnel = self.tunnel(client_args=ONE_SESSION)
        self.paused(tunnel, 3, 12 * MB, "are not read and hold")
        lines = tunnel.client_program.log().splitlines()
        self.assertFalse([line for line in lines if " warning " in line and "clamped by the kernel" not in line])

    def test_ten_paused_downloads_stop_nothing_with_large_buffers(self):
        self.paused(self.tunnel(["--smuxbuf", 64 * MB, "--streambuf", 8 * MB]), 10, 16 * MB)

    def test_five_uploads_to_targets_that_do_not_read_stop_nothing(self):
        tunnel = self.tunnel(SMALL)
        self.go_on_beside(tunnel, lambda held: self.upload_all(tunnel, held, 5), (tunnel.server_program, "are not read and hold"))

    def test_many_paused_downloads_stay_within_the_memory_that_is_set(self):
        tunnel = self.tunnel(["--memory", 16, "--smuxbuf", 64 * MB, "--streambuf", 8 * MB])
        t.run(t.echo_once(tunnel, self.seed, MB), 20)
        before = tunnel.client_program.rss()
        self.paused(tunnel, 25, 6 * MB, "little memory is left")
        grown = tunnel.client_program.rss() - before
        print(f"    the client grew by {grown / MB:.1f} MB")
        if not IS_SANITIZED:
            self.assertLess(grown, 40 * MB)
        self.assertNotIn("given up", tunnel.client_program.log())

    def test_with_smux_1_the_session_stands_still_until_somebody_reads_and_the_log_says_why(self):
        tunnel = self.tunnel(["--smuxver", 1, *SMALL], client_args=ONE_SESSION)

        async def both():
            with contextlib.ExitStack() as held:
                paused = await self.pause(tunnel, 8 * MB, held)
                await self.stand_still(tunnel.client_program)
                echo = asyncio.create_task(t.echo_once(tunnel, self.seed, 1000))
                await asyncio.get_running_loop().run_in_executor(
                    None, self.hint, tunnel.client_program, "smux version 1 has one buffer")
                self.assertFalse(echo.done())
                await t.receive_exactly(paused, 8 * MB - 1000)
                await asyncio.wait_for(echo, 20)
        t.run(both(), 60)


@machine.needs("debian-kcptun")
class PausedBesideGo(StallCase):
    def with_debian(self, side):
        programs = {"client": t.OPTIONS.client, "server": t.OPTIONS.server, side: DEBIAN[side]}
        tunnel = t.Tunnel(**programs, common=["--smuxver", 2, "--smuxbuf", 4 * MB])
        self._tunnels.append(tunnel)
        self.addCleanup(tunnel.close)
        return tunnel.__enter__()

    def test_our_server_goes_on_beside_uploads_of_its_client(self):
        tunnel = self.with_debian("client")
        self.go_on_beside(tunnel, lambda held: self.upload_all(tunnel, held, 4))

    def test_our_client_goes_on_beside_downloads_from_its_server(self):
        tunnel = self.with_debian("server")
        self.go_on_beside(tunnel, lambda held: self.pause_all(tunnel, held, 4, 12 * MB))


if __name__ == "__main__":
    t.main()
