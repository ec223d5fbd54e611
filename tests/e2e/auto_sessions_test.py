"""conn auto, which is the default: a client keeps new streams out of the session that bulk data fills.

    auto_sessions_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import contextlib
import json
import urllib.request

import machine
import tunnel as t
from tunnel import OPTIONS, TunnelCase

CHUNK = bytes(256 << 10)
MOST_SESSIONS = 4  # kMaxAutoSessions
DEBIANS_SERVER = "/usr/bin/kcptun-server"


def sessions(tunnel):
    """How many the client has dialled. None ends while a test runs: a session must be idle for 30 s first."""
    return tunnel.client_program.log().count("session dialled")


@contextlib.asynccontextmanager
async def bulk(tunnel):
    """A stream that sends and receives without an end."""
    connection = await tunnel.connect()
    await t.send(connection, b"echo\n")

    async def write():
        while True:
            await t.send(connection, CHUNK)

    async def read():
        while await t.receive(connection):
            pass
    tasks = [asyncio.ensure_future(write()), asyncio.ensure_future(read())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connection.close()


async def echo(tunnel):
    """A stream that has had one byte back."""
    connection = await tunnel.connect()
    await t.send(connection, b"echo\n!")
    await t.receive_exactly(connection, 1)
    return connection


async def open_until(tunnel, count):
    """Opens streams until the client has so many sessions; gives the last stream."""
    deadline = t.Deadline(30)
    while True:
        connection = await echo(tunnel)
        if sessions(tunnel) >= count:
            return connection
        connection.close()
        if deadline.is_over():
            raise t.Failure(f"{sessions(tunnel)} sessions, not {count}")
        await asyncio.sleep(0.05)


class Auto(TunnelCase):
    def check_second_session(self, tunnel):
        """New streams beside bulk data open a second session, and no third: the second one is free."""
        async def play():
            (await echo(tunnel)).close()
            self.assertEqual(sessions(tunnel), 1)
            async with bulk(tunnel):
                (await open_until(tunnel, 2)).close()
                for _ in range(10):
                    (await echo(tunnel)).close()
                self.assertEqual(sessions(tunnel), 2)
        t.run(play(), 60)
        t.wait_logged(tunnel.client_program, "session added", times=1)

    def test_streams_without_bulk_data_share_one_session(self):
        tunnel = self.tunnel()
        t.run(t.echo_many(tunnel, self.seed, 40, 4 << 10), 60)
        t.run(t.echo_once(tunnel, self.seed, 1), 60)
        self.assertEqual(sessions(tunnel), 1)

    def test_a_stream_beside_bulk_data_gets_another_session(self):
        self.check_second_session(self.tunnel())

    @machine.needs("debian-kcptun")
    def test_a_stream_beside_bulk_data_gets_another_session_with_debians_server(self):
        for smux in (1, 2):
            with self.subTest(smux=smux):
                tunnel = t.Tunnel(OPTIONS.client, DEBIANS_SERVER, ["--smuxver", smux])
                self._tunnels.append(tunnel)
                self.addCleanup(tunnel.close)
                self.check_second_session(tunnel.__enter__())

    def test_there_are_four_sessions_at_most(self):
        tunnel = self.tunnel()

        async def play():
            async with contextlib.AsyncExitStack() as held:
                for count in range(1, MOST_SESSIONS + 1):
                    held.push_async_callback(self.close, await open_until(tunnel, count))
                    await held.enter_async_context(bulk(tunnel))
                await asyncio.sleep(0)
                for _ in range(20):
                    (await echo(tunnel)).close()
                self.assertEqual(sessions(tunnel), MOST_SESSIONS)
        t.run(play(), 120)

    @staticmethod
    async def close(connection):
        connection.close()

    def test_the_status_names_the_session_that_is_full(self):
        port = t.free_port()
        tunnel = self.tunnel(client_args=["--status", f"{t.HOST}:{port}"])

        def status():
            with urllib.request.urlopen(f"http://{t.HOST}:{port}/status.json", timeout=30) as answer:
                return json.load(answer)["tunnels"][0]["open_sessions"]

        async def play():
            async with bulk(tunnel):
                kept = await open_until(tunnel, 2)
                deadline = t.Deadline(30)
                while sorted(s["saturated"] for s in await asyncio.to_thread(status)) != [0, 1]:
                    self.assertFalse(deadline.is_over())
                    await asyncio.sleep(0.1)
                kept.close()
        t.run(play(), 60)

    def test_a_number_of_sessions_that_is_given_stays(self):
        for number in (1, 2):
            with self.subTest(number=number):
                tunnel = self.tunnel(client_args=["--conn", number])

                async def play(tunnel=tunnel):
                    async with bulk(tunnel):
                        deadline = t.Deadline(1)
                        while not deadline.is_over():
                            (await echo(tunnel)).close()
                t.run(play(), 60)
                self.assertEqual(sessions(tunnel), number)
                self.assertNotIn("session added", tunnel.client_program.log())


if __name__ == "__main__":
    t.main()
