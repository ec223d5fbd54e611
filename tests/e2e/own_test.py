"""End-to-end tests of our own client with our own server on loopback.

    own_test.py --client PROGRAM --server PROGRAM [CLASS[.test] ...]
"""

import asyncio
import hashlib
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import time

import machine
import tunnel as t
from lossy_relay import LossyRelay
from tunnel import OPTIONS, TunnelCase

MB = 1 << 20
FAST = ["--mode", "fast3", "--sndwnd", 1024, "--rcvwnd", 1024]
IS_SANITIZED = "KCPTUN_SANITIZED" in os.environ  # a dev build: its memory figures mean nothing


async def upload(tunnel, seed, size):
    """Sends size bytes, ends, and gets the target's word on what arrived."""
    request, answer = await t.ask(tunnel, seed, size, 0)
    if answer != t.expected_answer(request, seed, 0):
        raise t.Failure(f"the target's word on {size} bytes is wrong or missing ({len(answer)} bytes)")


async def download(tunnel, seed, size):
    connection = await tunnel.connect()
    with connection:
        await t.send(connection, f"source {size} {seed}\n".encode())
        digest = hashlib.sha256()
        await t.receive_exactly(connection, size, digest)
        if await t.receive(connection):
            raise t.Failure("more came than was sent")
        if digest.digest() != t.sha(t.payload(seed, size)):
            raise t.Failure("what came differs from what was sent")


class Transfer(TunnelCase):
    def check(self, common=(), size=16 * MB, **options):
        tunnel = self.tunnel([*FAST, *common], **options)
        t.run(upload(tunnel, self.seed, size), 60)
        t.run(download(tunnel, self.seed, size), 60)
        t.run(t.echo_once(tunnel, self.seed, size // 2), 60)
        tunnel.wait_idle()
        return tunnel

    def test_both_ways_arrive_byte_exact(self):
        self.check(["--crypt", "aes-128", "--nocomp"])

    def test_with_snappy_and_smux_version_1(self):
        self.check(["--smuxver", 1])

    def test_with_aes_128_gcm(self):
        self.check(["--crypt", "aes-128-gcm"])

    def test_with_null_crypt(self):
        self.check(["--crypt", "null", "--ds", 0, "--ps", 0])
        self.check(["--crypt", "null"])

    def test_at_every_default(self):
        tunnel = self.tunnel()
        t.run(upload(tunnel, self.seed, 8 * MB), 60)
        t.run(download(tunnel, self.seed, 8 * MB), 60)

    def test_every_mode(self):
        for mode in ("normal", "fast", "fast2", "fast3", "manual"):
            with self.subTest(mode=mode):
                tunnel = self.tunnel(["--mode", mode])
                t.run(t.echo_once(tunnel, self.seed, 2 * MB), 60)

    def test_several_sessions_share_the_connections(self):
        tunnel = self.tunnel(FAST, client_args=["--conn", 4])
        t.run(t.echo_many(tunnel, self.seed, 40, 256 << 10), 60)
        # One more for a moment, where the network changes beside it and the client looks where its packets leave from.
        t.wait_until(lambda: len(tunnel.client_program.udp_ports()) == 4, 10, "four sockets")

    def test_small_and_different_mtu(self):
        self.check(client_args=["--mtu", 576], server_args=["--mtu", 1400], size=4 * MB)

    def test_single_bytes_and_empty_streams(self):
        tunnel = self.tunnel(FAST)
        t.run(t.echo_once(tunnel, self.seed, 1), 10)
        t.run(upload(tunnel, self.seed, 0), 10)
        t.run(download(tunnel, self.seed, 0), 10)
        tunnel.wait_idle()


def free_udp_range(count):
    """The first of `count` UDP ports in a row that nobody has."""
    while True:
        first = t.free_port()
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind((t.HOST, port))
            return first
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()


class SessionLife(TunnelCase):
    def test_with_quantum_permutation_pads(self):
        for count in (1, 61):
            with self.subTest(pads=count):
                tunnel = self.tunnel([*FAST, "--QPP", "--QPPCount", count])
                t.run(upload(tunnel, self.seed, 8 * MB), 60)
                t.run(download(tunnel, self.seed, 8 * MB), 60)
                t.run(t.echo_many(tunnel, self.seed, 50, 64 << 10), 60)

    def test_port_ranges(self):
        first = free_udp_range(20)
        ports = f"{t.HOST}:{first}-{first + 19}"
        tunnel = self.tunnel(FAST, server_args=["--listen", ports], client_args=["--remoteaddr", ports, "--conn", 8],
                             udp_port=first)
        t.run(t.echo_many(tunnel, self.seed, 40, 64 << 10), 60)
        remotes = set(re.findall(r"session dialled .*remote=\S+:(\d+)", tunnel.client_program.log()))
        self.assertTrue(all(first <= int(port) < first + 20 for port in remotes))
        self.assertGreater(len(remotes), 1)

    def test_ports_of_a_range_that_are_taken_are_left_out(self):
        first = free_udp_range(6)
        ports = f"{t.HOST}:{first}-{first + 5}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
            one.bind((t.HOST, first + 1))
            two.bind((t.HOST, first + 2))
            tunnel = self.tunnel(FAST, server_args=["--listen", ports], udp_port=first,
                                 client_args=["--remoteaddr", f"{t.HOST}:{first + 3}-{first + 5}"])
            self.assertEqual(sorted(set(tunnel.server_program.udp_ports())), [first, *range(first + 3, first + 6)])
            self.assertEqual(len(re.findall(rf'are skipped listen={t.HOST}:{first} numbers={first + 1}-{first + 2} used=4',
                                            tunnel.server_program.log())), 1)
            t.run(t.echo_once(tunnel, self.seed, 1000), 10)

    def test_a_range_that_is_taken_as_a_whole_ends_the_start(self):
        first = free_udp_range(2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
            one.bind((t.HOST, first))
            two.bind((t.HOST, first + 1))
            ended = subprocess.run([OPTIONS.server, "--key", "k", "--listen", f"{t.HOST}:{first}-{first + 1}"],
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(f"cannot bind UDP {t.HOST}:{first}: Address already in use", ended.stderr)

    def test_a_listener_of_1000_ports_starts_within_two_seconds(self):
        first = free_udp_range(1000)
        begun = time.monotonic()
        tunnel = self.tunnel(FAST, server_args=["--listen", f"{t.HOST}:{first}-{first + 999}"],
                             client_args=["--remoteaddr", f"{t.HOST}:{first + 999}"], udp_port=first + 999)
        self.assertLess(time.monotonic() - begun, (2 if not IS_SANITIZED else 20) * machine.busy())
        t.run(t.echo_once(tunnel, self.seed, 1 * MB), 10)

    def test_the_rate_limit_holds_and_is_used(self):
        rate = 2 * MB
        tunnel = self.tunnel(["--nocomp", "--ds", 0, "--ps", 0], client_args=["--ratelimit", rate])
        begun = time.monotonic()
        t.run(upload(tunnel, self.seed, 4 * MB), 30)
        took = time.monotonic() - begun
        self.assertGreater(took, 2.0)   # 4 MB and their headers at 2 MB/s
        # A busy machine wakes it late, and what it missed does not come back in a burst.
        self.assertLess(took, 3.5 * machine.busy())

    def test_expired_sessions_make_room_and_no_connection_fails(self):
        tunnel = self.tunnel(FAST, client_args=["--autoexpire", 1, "--scavengettl", 1])
        most = 0
        for number in range(20):
            t.run(t.echo_once(tunnel, self.seed + number, 100_000), 10)
            most = max(most, len(tunnel.client_program.udp_ports()))
            time.sleep(0.25)  # the passing of time is what is tested
        self.assertLessEqual(most, 4)
        self.assertGreaterEqual(tunnel.client_program.log().count("session expired"), 2)


class HalfClose(TunnelCase):
    def test_the_client_that_shut_down_writing_gets_the_whole_answer(self):
        for version in (1, 2):
            with self.subTest(smux=version):
                tunnel = self.tunnel([*FAST, "--smuxver", version])
                request, answer = t.run(t.ask(tunnel, self.seed, 3 * MB, 8 * MB), 30)
                self.assertIsNone(t.first_difference(answer, t.expected_answer(request, self.seed, 8 * MB)))
                tunnel.wait_idle()

    def test_the_target_that_shut_down_writing_gets_the_rest(self):
        async def talk(tunnel):
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, f"source {2 * MB} {self.seed}\n".encode())
                data = await t.receive_all(connection)
                self.assertIsNone(t.first_difference(data, t.payload(self.seed, 2 * MB)))
                await t.send(connection, t.payload(self.seed + 1, 5 * MB))
                connection.shutdown(socket.SHUT_WR)
        for version in (1, 2):
            with self.subTest(smux=version):
                tunnel = self.tunnel([*FAST, "--smuxver", version])
                t.run(talk(tunnel), 30)
                record = tunnel.target.wait_finished("source", 10)
                self.assertEqual((record["received"], record["sha"]), (5 * MB, t.sha(t.payload(self.seed + 1, 5 * MB))))
                tunnel.wait_idle()

    def test_nothing_stays_when_the_application_is_gone_without_reading(self):
        async def leave(tunnel):
            connection = await tunnel.connect()
            await t.send(connection, f"source {64 * MB} {self.seed}\n".encode())
            await t.receive_exactly(connection, 1)
            connection.close()  # with unread data: a reset
        tunnel = self.tunnel(FAST)
        t.run(leave(tunnel), 10)
        tunnel.wait_idle(20)

    def test_nothing_stays_after_many_half_closes(self):
        async def many(tunnel):
            await asyncio.gather(*(t.ask(tunnel, self.seed + i, 1000, 1000) for i in range(200)))
        tunnel = self.tunnel(FAST)
        t.run(t.echo_once(tunnel, self.seed, 1), 10)
        tunnel.wait_idle()
        before = [program.descriptors() for program in tunnel.programs]
        t.run(many(tunnel), 30)
        tunnel.wait_idle()
        for program, count in zip(tunnel.programs, before):
            t.wait_until(lambda p=program, c=count: p.descriptors() <= c, 5, "descriptors returned to their count")


@machine.needs("many-files")
class ManyStreams(TunnelCase):
    STREAMS, SIZE = 2000, 64 << 10

    def setUp(self):
        super().setUp()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8 * self.STREAMS if hard == resource.RLIM_INFINITY else min(hard, 8 * self.STREAMS)
        self.assertGreater(wanted, 5 * self.STREAMS, "the hard limit on open files is too low: ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def test_two_thousand_streams_over_one_session(self):
        for version in (2, 1):
            with self.subTest(smux=version):
                tunnel = self.tunnel(["--mode", "fast3", "--sndwnd", 4096, "--rcvwnd", 4096, "--smuxver", version])
                t.run(t.echo_once(tunnel, self.seed, 1), 10)
                tunnel.wait_idle()
                before = [program.descriptors() for program in tunnel.programs]
                t.run(t.echo_many(tunnel, self.seed, self.STREAMS, self.SIZE), 120)
                self.assertGreaterEqual(tunnel.target.most_active, self.STREAMS)
                tunnel.wait_idle(20)
                for program, count in zip(tunnel.programs, before):
                    t.wait_until(lambda p=program, c=count: p.descriptors() <= c, 10,
                                 f"descriptors of {program.pid} returned to {count}")
                self.assertEqual(len(tunnel.client_program.udp_ports()), 1)


class TargetTrouble(TunnelCase):
    def test_a_refusing_target_closes_that_stream_alone(self):
        async def talk():
            first = await tunnel.connect()
            with first:
                await t.send(first, b"echo\nhello")
                self.assertEqual(await t.receive_exactly(first, 5), b"hello")
                target.refuse()
                try:  # the reset may come before connect() has told that it is connected
                    with await tunnel.connect() as second:
                        self.assertEqual(await t.receive_all(second), b"")
                except ConnectionResetError:
                    pass
                await t.send(first, b"still here")
                self.assertEqual(await t.receive_exactly(first, 10), b"still here")
        target = self.target()
        tunnel = self.tunnel(FAST, target=target)
        ports = tunnel.client_program.udp_ports()
        t.run(talk(), 10)
        tunnel.wait_idle()
        target.listen()
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)
        if ports:
            self.assertEqual(tunnel.client_program.udp_ports(), ports, "the session was lost")

    def test_a_target_that_never_accepts_is_given_up_after_ten_seconds(self):
        async def talk():
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, b"anyone there?")
                try:
                    return await t.receive(connection)
                except ConnectionResetError:
                    return b""
        port = t.free_port()
        with t.black_hole(port):
            tunnel = self.tunnel(FAST, target_name=f"{t.HOST}:{port}")
            before = tunnel.server_program.descriptors()
            started = time.monotonic()
            self.assertEqual(t.run(talk(), 20), b"")
            took = time.monotonic() - started
            self.assertGreater(took, 8)
            self.assertLess(took, 13 * machine.busy())
            t.wait_until(lambda: tunnel.server_program.descriptors() <= before + 1, 5,
                         "the attempt's descriptor closed")


class LostPeer(TunnelCase):
    def reach(self, tunnel, seconds):
        """Tries new connections until one is echoed."""
        deadline = time.monotonic() + seconds
        while True:
            attempt = time.monotonic()
            try:
                t.run(t.echo_once(tunnel, self.seed, 1000), 3)
                return
            except (t.Failure, OSError):
                if time.monotonic() > deadline:
                    raise t.Failure(f"no connection succeeded within {seconds} s of the server's restart") from None
            time.sleep(max(0.0, 0.2 - (time.monotonic() - attempt)))

    def test_a_restarted_server_is_reached_again(self):
        tunnel = self.tunnel([*FAST, "--keepalive", 1])
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)
        tunnel.server_program.kill()
        tunnel.start_server()
        started = time.monotonic()
        self.reach(tunnel, 60)
        print(f"    reached again after {time.monotonic() - started:.1f} s")
        tunnel.wait_idle(40)

    def served_after_restart(self, idle, **options):
        """Kills the server, restarts it a second later: seconds from then until a client that tries again is served."""
        tunnel = self.tunnel([*FAST, "--smuxver", 1, "--ds", 10, "--ps", 3], **options)

        async def hold():
            connection = await tunnel.connect()
            await t.send(connection, b"echo\nhello")
            await t.receive_exactly(connection, 5)
            return connection
        held = t.run(hold(), 10)
        time.sleep(idle)  # being idle is what is tested
        tunnel.server_program.kill()
        time.sleep(1)     # the time that the server is away for
        tunnel.start_server()
        started = time.monotonic()
        while True:
            try:
                t.run(t.echo_once(tunnel, self.seed, 1000), 1)
                break
            except (t.Failure, OSError, asyncio.TimeoutError):
                self.assertLess(time.monotonic() - started, 20 * machine.busy(), "no connection was served")
        seconds = time.monotonic() - started
        print(f"    served again after {seconds:.2f} s")
        # ICMP may tell first, where the server takes its time to come back.
        t.wait_logged(tunnel.client_program, re.compile("the peer has restarted|port unreachable"))
        with held:  # and the connection of before is reset
            with self.assertRaises(ConnectionResetError):
                t.run(t.receive(held), 5)
        tunnel.close()
        return seconds

    def test_a_client_that_reconnects_is_served_within_3_s_of_a_restart(self):
        for idle in (0, 4):
            self.assertLess(self.served_after_restart(idle), 3 * machine.busy())

    def test_connections_that_come_while_the_server_restarts_are_served_and_the_target_sees_each_once(self):
        tunnel = self.tunnel(FAST)
        t.run(t.echo_once(tunnel, self.seed, 1000), 10)

        async def hold():
            connection = await tunnel.connect()
            await t.send(connection, b"hold\n")
            return connection
        tunnel.wait_idle()
        held = t.run(hold(), 10)
        t.wait_until(lambda: tunnel.target.active == 1, 10, "the target has it")  # and has not answered
        t.wait_until(lambda: tunnel.client_program.counters()["RingBufferSndBuffer"] == 0, 10, "the client knows")
        tunnel.server_program.kill()
        tunnel.start_server()
        sizes = [0, 1, 1000, 30_000]

        async def come():
            await asyncio.gather(*(t.ask(tunnel, self.seed + i, size, 1000) for i, size in enumerate(sizes)))
        begun = time.monotonic()
        t.run(come(), 20)
        print(f"    served after {time.monotonic() - begun:.1f} s")
        t.wait_logged(tunnel.client_program, "streams restarted")
        with held, self.assertRaises(ConnectionResetError):  # its bytes may not come twice
            t.run(t.receive(held), 40)
        tunnel.target.release()
        tunnel.wait_idle()
        roles = sorted(record["role"] for record in tunnel.target.finished)
        self.assertEqual(roles, ["answer"] * len(sizes) + ["echo", "hold"])

    def test_where_nobody_listens_connections_end_at_once(self):
        for heard in (False, True):
            with self.subTest(heard=heard):
                tunnel = self.tunnel(FAST)
                if heard:
                    t.run(t.echo_once(tunnel, self.seed, 1000), 10)
                tunnel.server_program.kill()

                async def come():
                    connection = await tunnel.connect()
                    with connection:
                        await t.send(connection, b"echo\nhello")
                        await t.receive(connection)
                begun = time.monotonic()
                with self.assertRaises(ConnectionResetError):
                    t.run(come(), 10)
                print(f"    ended after {time.monotonic() - begun:.1f} s")
                t.wait_logged(tunnel.client_program, "port unreachable")
                tunnel.start_server()  # and the next connection is served
                t.run(t.echo_once(tunnel, self.seed, 1000), 5)
                tunnel.close()

    @machine.needs("debian-kcptun")
    def test_the_same_with_a_server_of_debian(self):
        ours, t.OPTIONS.server = t.OPTIONS.server, "/usr/bin/kcptun-server"
        self.addCleanup(setattr, t.OPTIONS, "server", ours)
        for idle in (0, 4):
            self.assertLess(self.served_after_restart(idle), 3 * machine.busy())

    def test_streams_survive_a_silence_of_10_s_while_new_connections_get_a_new_session(self):
        relays = []

        def relay(port):
            relays.append(LossyRelay(port, t.free_port(), self.seed))
            return relays[0]
        tunnel = self.tunnel(FAST, relay=relay)

        async def through_the_silence():
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, b"echo\nhello")
                await t.receive_exactly(connection, 5)
                relays[0].loss = 1.0
                await t.send(connection, b"still there")
                await asyncio.sleep(5)
                attempt = await tunnel.connect()  # its session is suspect: this one waits in a new one
                await t.send(attempt, b"echo\nme too")
                await asyncio.sleep(5)
                relays[0].loss = 0.0
                back = time.monotonic()
                await t.receive_exactly(connection, 11)
                await t.receive_exactly(attempt, 6)
                attempt.close()
                return time.monotonic() - back
        seconds = t.run(through_the_silence(), 30)
        print(f"    back after {seconds:.2f} s")
        self.assertLess(seconds, machine.busy())
        t.wait_logged(tunnel.client_program, "session suspect")
        t.wait_logged(tunnel.client_program, "session dialled", times=2)
        tunnel.wait_idle(40)

    def test_a_restarted_client_is_served_at_once(self):
        tunnel = self.tunnel(FAST)
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)
        tunnel.client_program.kill()
        tunnel.start_client()
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)

    def test_the_target_is_released_when_the_client_is_gone(self):
        async def hang():
            connection = await tunnel.connect()
            await t.send(connection, b"echo\nhello")
            await t.receive_exactly(connection, 5)
            return connection
        tunnel = self.tunnel([*FAST, "--keepalive", 1])
        connection = t.run(hang(), 10)
        self.assertEqual(tunnel.target.active, 1)
        tunnel.client_program.kill()
        connection.close()
        t.wait_until(lambda: tunnel.target.active == 0, 70, "the target's connection ended after the client died", 0.1)


class Roaming(TunnelCase):
    def check(self, pause, transfer):
        relays = []

        def relay(port):
            relays.append(LossyRelay(port, t.free_port(), self.seed))
            return relays[0]
        tunnel = self.tunnel([*FAST, "--ratelimit", 3 * MB], relay=relay, server_args=["--threads", 4])

        async def moving():
            running = asyncio.ensure_future(transfer(tunnel))
            moves = 0
            while not running.done():
                await asyncio.wait([running], timeout=pause)  # some traffic between two moves
                if running.done():
                    break
                relays[0].forget_clients()
                moves += 1
                while not running.done() and tunnel.server_program.log().count("session moved") < moves:
                    await asyncio.wait([running], timeout=0.1)
            await running
            return moves
        moves = t.run(moving(), 90)
        log = tunnel.server_program.log()
        self.assertGreaterEqual(moves, 2)
        self.assertGreaterEqual(log.count("session moved"), moves - 1)  # the last one may be too late for a packet
        self.assertEqual(log.count("session opened"), 1)
        tunnel.wait_idle()

    def test_an_upload_goes_on_when_a_nat_forgets_the_client(self):
        self.check(0.7, lambda tunnel: t.ask(tunnel, self.seed, 12 * MB, 1000))

    def test_a_download_goes_on_when_a_nat_forgets_the_client(self):
        # Who only receives asks after a second whether the sender is still there.
        self.check(2.5, lambda tunnel: t.ask(tunnel, self.seed, 1000, 40 * MB))


class Addresses(TunnelCase):
    def check(self, **options):
        tunnel = self.tunnel(FAST, **options)
        t.run(t.echo_once(tunnel, self.seed, 2 * MB), 20)
        request, answer = t.run(t.ask(tunnel, self.seed, 1000, MB), 20)
        self.assertIsNone(t.first_difference(answer, t.expected_answer(request, self.seed, MB)))
        tunnel.wait_idle()

    def test_unix_sockets_at_both_ends(self):
        target = self.target(socket.AF_UNIX, os.path.join(self.directory, "target.sock"))
        self.check(target=target, local=os.path.join(self.directory, "local.sock"))

    def test_ipv6_everywhere(self):
        self.check(target=self.target(socket.AF_INET6), listen_host="[::1]", local="[::1]")

    def test_host_names(self):
        target = self.target()
        self.check(target=target, remote_host="localhost", target_name=f"localhost:{target.port}")

    def test_a_name_listens_on_all_addresses_that_it_has(self):
        addresses = {info[4][0] for info in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)}
        tunnel = self.tunnel(FAST, listen_host="localhost", local="localhost")
        for address in addresses:
            with socket.create_connection((address, tunnel.local_port), 5) as connection:
                connection.sendall(b"echo\nhello")
                self.assertEqual(connection.recv(5, socket.MSG_WAITALL), b"hello")
        for address in addresses:  # as clients of the server: the UDP port of each address is taken
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as taken:
                self.assertRaises(OSError, taken.bind, (address, tunnel.udp_port))

    def test_listening_on_all_addresses(self):
        self.check(listen_host="", remote_host="127.0.0.1")
        self.check(listen_host="", remote_host="[::1]")


class Ending(TunnelCase):
    def check_end(self, number, busy):
        async def flood(tunnel):
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, f"source {64 * MB} {self.seed}\n".encode() if busy else b"echo\nhello")
                await t.receive_exactly(connection, 5 * MB if busy else 5)
                for program in reversed(tunnel.programs):
                    started = time.monotonic()
                    program.signal(number)
                    code = await asyncio.to_thread(program.wait_exit, 2)
                    self.assertEqual(code, 0, f"{program.arguments[0]} after signal {number}")
                    print(f"    {os.path.basename(program.arguments[0])}: {time.monotonic() - started:.2f} s")
                try:  # the client is gone: so is the connection
                    while await t.receive(connection):
                        pass
                except ConnectionResetError:
                    pass
        tunnel = self.tunnel(FAST)
        t.run(flood(tunnel), 20)

    def test_sigterm_when_idle(self):
        self.check_end(signal.SIGTERM, busy=False)

    def test_sigint_when_idle(self):
        self.check_end(signal.SIGINT, busy=False)

    def test_sigterm_in_traffic(self):
        self.check_end(signal.SIGTERM, busy=True)

    def test_sigint_in_traffic(self):
        self.check_end(signal.SIGINT, busy=True)

    def test_a_unix_socket_can_be_bound_again(self):
        path = os.path.join(self.directory, "local.sock")
        tunnel = self.tunnel(FAST, local=path)
        tunnel.client_program.signal(signal.SIGTERM)
        self.assertEqual(tunnel.client_program.wait_exit(2), 0)
        self.assertFalse(os.path.exists(path), "the socket's file was left")
        tunnel.start_client()
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)
        tunnel.client_program.kill()
        self.assertTrue(os.path.exists(path))
        tunnel.start_client()
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)

    def test_a_unix_socket_that_another_has_is_neither_taken_nor_removed(self):
        path = os.path.join(self.directory, "local.sock")
        tunnel = self.tunnel(FAST, local=path)
        second = subprocess.run([OPTIONS.client, "--key", "k", "-l", path, "-r", f"{t.HOST}:9"], capture_output=True,
                                text=True, timeout=10)
        self.assertEqual(second.returncode, 1)
        self.assertIn(path, second.stderr)
        t.run(t.echo_once(tunnel, self.seed, 1000), 5)
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:  # the file is another's by now
            other.bind(path)
            other.listen()
            tunnel.client_program.signal(signal.SIGTERM)
            self.assertEqual(tunnel.client_program.wait_exit(2), 0)
            self.assertTrue(os.path.exists(path), "another's socket was removed")


class Logging(TunnelCase):
    def test_the_log_goes_to_its_file_and_not_to_stderr(self):
        paths = [os.path.join(self.directory, name) for name in ("c.log", "s.log")]
        tunnel = self.tunnel(FAST, client_args=["--log", paths[0]], server_args=["--log", paths[1]])
        before = [len(program.log()) for program in tunnel.programs]
        t.run(t.echo_many(tunnel, self.seed, 5, 1000), 10)
        tunnel.wait_idle()
        for path in paths:
            t.wait_until(lambda p=path: os.path.exists(p) and os.path.getsize(p) > 0, 5, f"{path} has lines")
        self.assertEqual([len(program.log()) for program in tunnel.programs], before, "stderr grew")

    def test_quiet_leaves_out_each_stream(self):
        for flags in ([], ["--quiet"]):
            tunnel = self.tunnel([*FAST, *flags])
            t.run(t.echo_once(tunnel, self.seed, 1000), 10)
            before = [program.log().count("\n") for program in tunnel.programs]
            t.run(t.echo_many(tunnel, self.seed, 20, 1000), 10)
            tunnel.wait_idle()

            def growth():
                return [program.log().count("\n") - count for program, count in zip(tunnel.programs, before)]
            if flags:
                self.assertLess(max(growth()), 5, "--quiet logs streams")
            else:
                t.wait_until(lambda: min(growth()) >= 20, 5, "each stream is logged without --quiet")

    def test_sigusr1_logs_the_counters(self):
        tunnel = self.tunnel(FAST)
        t.run(t.echo_once(tunnel, self.seed, MB), 10)
        for program in tunnel.programs:
            program.signal(signal.SIGUSR1)
            found = t.wait_until(lambda p=program: re.search(r"counters\b.*\bBytesSent[=:](\d+)", p.log()), 5,
                                 "a line with the counters", 0.05)
            self.assertGreaterEqual(int(found[1]), MB // 4)


class SnmpLog(TunnelCase):
    """Rows every second: what is compared is the first row after the transfer is over and the sessions are quiet."""

    SECONDS = 1
    SESSIONS = 2

    def rows(self, path):
        if not os.path.exists(path):
            return []
        with open(path) as file:
            names, *rows = [line.rstrip("\n").split(",") for line in file]
        for row in rows:
            self.assertEqual(len(row), len(names), f"a row of other columns: {row}")
        return [dict(zip(names, map(int, row))) for row in rows]

    def log_path(self, side):
        # Go's layout for the year: "2006" in the file's name, not in the directory's.
        return os.path.join(self.directory, side + "2006-2006.csv"), os.path.join(
            self.directory, f"{side}{time.strftime('%Y')}-{time.strftime('%Y')}.csv")

    def rows_after(self, path, moment):
        return t.wait_until(lambda: [row for row in self.rows(path) if row["Unix"] > moment], 10,
                            f"a row in {path} after {moment}", 0.05)

    def quiet_rows(self, paths):
        """One row of each end when neither has anything under way: both show the same counters twice in a row."""
        def settled():
            pair = []
            for path in paths:
                *_, before, last = [{}, {}, *self.rows(path)]
                ignored = ("Unix", "InPkts", "OutPkts", "InBytes", "OutBytes", "InSegs", "OutSegs")
                if not before or any(before[name] != last[name] for name in last if name not in ignored):
                    return None
                pair.append(last)
            return pair
        return t.wait_until(settled, 15, "both ends' counters settle", 0.1)

    def test_counters_are_what_was_sent(self):
        names = {side: self.log_path(side) for side in ("client", "server")}
        tunnel = self.tunnel(
            [*FAST, "--smuxver", 2, "--nocomp", "--fec", "fixed", "--thin", "off", "--snmpperiod", self.SECONDS,
             "--keepalive", 30],
            client_args=["--conn", self.SESSIONS, "--snmplog", names["client"][0]],
            server_args=["--snmplog", names["server"][0]])
        paths = [names["client"][1], names["server"][1]]
        t.run(upload(tunnel, self.seed, 3 * MB), 30)
        t.run(download(tunnel, self.seed, 2 * MB), 30)
        tunnel.wait_idle()
        over = int(time.time())
        for path in paths:
            self.rows_after(path, over)
        client, server = self.quiet_rows(paths)
        drops = [program.udp_drops() for program in tunnel.programs]
        print({name: (client[name], server[name]) for name in client}, drops)

        # The stream's bytes: payload, the target's orders, and smux's headers of 8 bytes each, under 1 in 100.
        for sender, receiver, least in ((client, server, 3 * MB), (server, client, 2 * MB)):
            self.assertEqual(sender["BytesSent"], receiver["BytesReceived"])
            self.assertGreaterEqual(sender["BytesSent"], least)
            self.assertLess(sender["BytesSent"], least * 1.01)
            # Loopback drops a datagram only where a socket's buffer is full, as on a busy machine; copies that were not
            # needed come twice.
            arrived = 0.95 * (1 - drops[receiver is server] / sender["OutPkts"])
            self.assertLessEqual(receiver["InPkts"], sender["OutPkts"])
            self.assertGreater(receiver["InPkts"], sender["OutPkts"] * arrived)
            self.assertGreater(receiver["InBytes"], sender["OutBytes"] * arrived)
            self.assertLessEqual(receiver["InBytes"], sender["OutBytes"])
            self.assertGreater(sender["OutBytes"], sender["BytesSent"] * 1.3, "FEC 10/3 and headers are part of it")
            # A segment that FEC recovered counts in too, so that it may count twice.
            self.assertLessEqual(receiver["InSegs"], sender["OutSegs"] + receiver["FECRecovered"])
            self.assertGreater(receiver["InSegs"], sender["OutSegs"] * arrived)
            # So does a ping, which a client sends where a busy machine lets it wait for an answer.
            pings = 4 if machine.busy() > 1 else 0
            self.assertLessEqual(receiver["RepeatSegs"], sender["RetransSegs"] + receiver["FECRecovered"] + pings)
            self.assertGreaterEqual(sender["RetransSegs"], sender["FastRetransSegs"])
            self.assertGreater(receiver["FECParityShards"], receiver["FECFullShards"])
            for name in ("InErrs", "InCsumErrors", "KCPInErrors", "FECErrs", "OOBPackets", "RingBufferSndQueue",
                         "RingBufferRcvQueue", "RingBufferSndBuffer"):
                self.assertEqual(receiver[name], 0, name)
            self.assertLessEqual(receiver["FECShardSet"], 4 * self.SESSIONS + drops[receiver is server],
                                 "groups that wait for packets")
            # Groups number from 0: with FEC 10/3 and two sessions, at least half of the groups.
            self.assertGreater(receiver["FECShardMin"], least / 1350 / 10 / self.SESSIONS * 0.9)
        for end in (client, server):
            self.assertEqual(end["CurrEstab"], self.SESSIONS)
            self.assertEqual(end["MaxConn"], self.SESSIONS)
        self.assertEqual((client["ActiveOpens"], client["PassiveOpens"]), (self.SESSIONS, 0))
        self.assertEqual((server["ActiveOpens"], server["PassiveOpens"]), (0, self.SESSIONS))
        for path in paths:
            moments = [row["Unix"] for row in self.rows(path)]
            self.assertEqual(moments, sorted(moments))
            self.assertLessEqual(len(moments), moments[-1] - moments[0] + 2, "a row a second; one may be late")

        # SIGUSR1 logs the same.
        logged = tunnel.server_program.counters()
        self.assertEqual(list(logged), [name for name in server if name != "Unix"])
        self.assertEqual(logged["BytesReceived"], server["BytesReceived"])

    def test_a_file_that_cannot_be_written_is_said_once_and_again_when_it_can(self):
        directory = os.path.join(self.directory, "later")
        path = os.path.join(directory, "snmp.csv")
        tunnel = self.tunnel([*FAST, "--snmpperiod", self.SECONDS], client_args=["--snmplog", path])
        log = tunnel.client_program.log
        t.wait_until(lambda: f"cannot write {path}" in log(), 5, "the file that cannot be written is named")
        t.run(t.echo_once(tunnel, self.seed, MB), 10)
        started = time.monotonic()
        t.wait_until(lambda: time.monotonic() - started > 2.5 * self.SECONDS, 10, "two more periods are over")
        self.assertEqual(log().count("cannot write"), 1)
        os.mkdir(directory)
        t.wait_until(lambda: os.path.exists(path) and self.rows(path), 5, "rows once the directory is there", 0.05)
        t.wait_until(lambda: "snmplog is written again" in log(), 5, "it is said")
        os.rename(path, path + ".1")
        t.wait_until(lambda: os.path.exists(path) and self.rows(path), 5, "a file that was moved is begun anew", 0.05)

    def test_a_period_of_0_writes_nothing(self):
        path = os.path.join(self.directory, "snmp.csv")
        tunnel = self.tunnel([*FAST, "--snmpperiod", 0], client_args=["--snmplog", path])
        t.run(t.echo_once(tunnel, self.seed, MB), 10)
        started = time.monotonic()
        t.wait_until(lambda: time.monotonic() - started > 1.5, 10, "more than the shortest period is over")
        self.assertFalse(os.path.exists(path))


class BackPressure(TunnelCase):
    """Who does not read stops the writer, and no more than the configured buffers fills up between them."""

    STALL, GROWTH, ENOUGH = 3.0, 64 * MB, 1024 * MB

    async def write_for(self, connection, seconds, digest, tunnel, peak):
        """Writes as much as it takes for `seconds`; gives the byte count."""
        block = t.payload(self.seed, MB)
        total, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.assertLess(total, self.ENOUGH, "no back pressure: the tunnel took a gigabyte that nobody reads")
            try:
                sent = connection.send(block)
                digest.update(block[:sent])
                block = block[sent:] + block[:sent]
                total += sent
            except BlockingIOError:
                await asyncio.sleep(0.01)
            self.note(tunnel, peak)
        return total

    @staticmethod
    def note(tunnel, peak):
        for i, program in enumerate(tunnel.programs):
            peak[i] = max(peak[i], program.rss())

    def check_growth(self, before, peak):
        for name, b, p in zip(("client", "server"), before, peak):
            print(f"    {name}: {b / MB:.1f} MB before, {p / MB:.1f} MB at most")
            if not IS_SANITIZED:
                self.assertLess(p - b, self.GROWTH, f"memory of the {name} grew")

    def settled(self, smux):
        tunnel = self.tunnel(["--mode", "fast3", "--sndwnd", 2048, "--rcvwnd", 2048, "--smuxver", smux])
        t.run(t.echo_once(tunnel, self.seed, 4 * MB), 20)
        tunnel.wait_idle()
        return tunnel, [program.rss() for program in tunnel.programs]

    def test_a_target_that_does_not_read(self):
        async def talk(tunnel, peak):
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, b"hold\n")
                digest = hashlib.sha256()
                total = await self.write_for(connection, self.STALL, digest, tunnel, peak)
                if smux == 2:
                    await t.within(t.echo_once(tunnel, self.seed, MB), 5)  # another stream goes on
                tunnel.target.release()
                total += await self.write_for(connection, 1.0, digest, tunnel, peak)
                connection.shutdown(socket.SHUT_WR)
                answer = await t.receive_all(connection)
                self.assertEqual(answer, struct.pack("<Q", total) + digest.digest())
                print(f"    {total / MB:.1f} MB through")
        for smux in (2, 1):
            with self.subTest(smux=smux):
                tunnel, before = self.settled(smux)
                peak = list(before)
                t.run(talk(tunnel, peak), 60)
                self.check_growth(before, peak)
                tunnel.wait_idle()

    def test_an_application_that_does_not_read(self):
        size = 256 * MB

        async def talk(tunnel, peak):
            connection = await tunnel.connect()
            with connection:
                await t.send(connection, f"source {size} {self.seed}\n".encode())
                deadline = time.monotonic() + self.STALL
                while time.monotonic() < deadline:
                    self.note(tunnel, peak)
                    await asyncio.sleep(0.01)
                if smux == 2:
                    await t.within(t.echo_once(tunnel, self.seed, MB), 5)
                digest, left = hashlib.sha256(), size
                while left:
                    data = await t.receive(connection, min(left, MB))
                    self.assertTrue(data, f"end of file with {left} bytes missing")
                    digest.update(data)
                    left -= len(data)
                self.note(tunnel, peak)
                self.assertEqual(digest.digest(), expected)
        expected = t.sha(t.payload(self.seed, size))
        for smux in (2, 1):
            with self.subTest(smux=smux):
                tunnel, before = self.settled(smux)
                peak = list(before)
                t.run(talk(tunnel, peak), 120)
                self.check_growth(before, peak)
                tunnel.wait_idle()


class StartErrors(TunnelCase):
    """Bad input ends the start with one line on stderr and exit code 2 for usage, 78 for the configuration, 1 for the rest."""

    KEY = ["--key", "kcptun-uv test key"]

    def check(self, program, arguments, codes, *words, seconds=5):
        try:
            result = subprocess.run([program, *map(str, [*self.KEY, *arguments])], stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise t.Failure(f"{program} {arguments}: runs, and should have ended with a complaint") from None
        lines = result.stderr.strip().splitlines()
        self.assertIn(result.returncode, codes, result.stderr)
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(str(word), lines[0])

    def test_a_tcp_port_in_use(self):
        target = self.target()
        self.check(OPTIONS.client, ["--localaddr", target.name, "--remoteaddr", "127.0.0.1:9"], [1], target.port)

    def test_a_udp_port_in_use(self):
        port = t.free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((t.HOST, port))
            self.check(OPTIONS.server, ["--listen", f"{t.HOST}:{port}", "--target", "127.0.0.1:9"], [1], port)

    def test_an_address_to_listen_on_that_does_not_resolve(self):
        nowhere = "nowhere.invalid:29900"
        self.check(OPTIONS.client, ["--localaddr", nowhere, "--remoteaddr", "127.0.0.1:9"], [1], nowhere[:-6], seconds=30)
        self.check(OPTIONS.server, ["--listen", nowhere, "--target", "127.0.0.1:9"], [1], nowhere[:-6], seconds=30)

    def test_a_log_in_a_folder_that_is_missing(self):
        folder = os.path.join(self.directory, "no")
        for program in (OPTIONS.client, OPTIONS.server):
            self.check(program, ["--log", os.path.join(folder, "such", "x.log")], [1], f"there is no folder {folder}")
        self.assertFalse(os.path.exists(folder))

    def test_a_check_warns_of_what_the_machine_does_not_have(self):
        missing = {"--user": "kcptun-nobody", "--log": os.path.join(self.directory, "no", "x.log"),
                   "--snmplog": os.path.join(self.directory, "neither", "x.csv")}
        expected = ["user kcptun-nobody: there is no user kcptun-nobody",
                    f"log {missing['--log']}: there is no folder {os.path.dirname(missing['--log'])}",
                    f"snmplog {missing['--snmplog']}: there is no folder {os.path.dirname(missing['--snmplog'])}"]
        for program, more in ((OPTIONS.client, ["-r", "127.0.0.1:9"]), (OPTIONS.server, [])):
            result = subprocess.run([program, *self.KEY, *more, *sum(missing.items(), ()), "--check"],
                                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual([line.partition("on this machine: ")[2] for line in result.stderr.splitlines()], expected)

    def test_a_port_range_without_descriptors_says_how_many_it_needs(self):
        port = 30000
        limit = ["prlimit", "--nofile=64:64"]
        result = subprocess.run([*limit, OPTIONS.server, *self.KEY, "-l", f"{t.HOST}:{port}-{port + 199}", "--threads", "2"],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("the port range of listen needs 400 descriptors (200 ports, 1 address, 2 loops)", result.stderr)
        self.assertIn("the limit is 64", result.stderr)

    def test_a_servers_file_given_to_the_client_is_named_at_the_start(self):
        path = os.path.join(self.directory, "server.json")
        with open(path, "w") as file:
            file.write('{"listen": ":29900", "target": "127.0.0.1:9", "key": "k"}')
        log = os.path.join(self.directory, "client.log")
        client = t.Program(OPTIONS.client, ["-l", f"{t.HOST}:{t.free_port()}", "-c", path], log)
        self.addCleanup(client.end)
        t.wait_until(lambda: "remoteaddr is not set, so the server is kcptun's example" in client.log(), 10, "the warning")
        t.wait_logged(client, 'field "listen" is for kcptun-server')

    def test_usage_errors(self):
        for program in (OPTIONS.client, OPTIONS.server):
            self.check(program, ["--nosuchflag"], [2], "nosuchflag")
            self.check(program, ["--mtu"], [2], "mtu")
            self.check(program, ["--mtu", "many"], [2], "mtu")

    def test_values_that_cannot_be(self):
        for word, flags in (("rot13", ["--crypt", "rot13"]), ("warp", ["--mode", "warp"]), (3, ["--smuxver", 3]),
                            (31, ["--keepalive", 31]), (70000, ["--mtu", 70000]), (256, ["--ds", 200, "--ps", 100])):
            for program in (OPTIONS.client, OPTIONS.server):
                with self.subTest(flags=flags, program=program):
                    self.check(program, flags, [2], word)

    def test_a_malformed_json_file_names_line_and_column(self):
        path = os.path.join(self.directory, "broken.json")
        with open(path, "w") as file:
            file.write('{\n  "crypt": "aes",\n  "mode" "fast"\n}\n')
        for program in (OPTIONS.client, OPTIONS.server):
            self.check(program, ["-c", path], [78], "broken.json", "3")


class Lossy(TunnelCase):
    """Byte-exact through a relay that drops, duplicates and reorders, whatever shards the two ends have."""

    SIZE = 2 * MB

    def check(self, client_shards, server_shards, loss):
        relays = []

        def relay(server_port):
            relays.append(LossyRelay(server_port, t.free_port(), self.seed, loss, duplicate=0.02, reorder=0.05))
            return relays[0]
        tunnel = self.tunnel(["--mode", "fast3", "--sndwnd", 256, "--rcvwnd", 256], relay=relay,
                             client_args=["--ds", client_shards[0], "--ps", client_shards[1]],
                             server_args=["--ds", server_shards[0], "--ps", server_shards[1]])
        t.run(upload(tunnel, self.seed, self.SIZE), 60)
        t.run(download(tunnel, self.seed + 1, self.SIZE), 60)
        t.run(t.echo_many(tunnel, self.seed + 2, 20, 32 << 10), 60)
        tunnel.wait_idle(20)
        counts = relays[0].counts
        print(f"    fec {client_shards} -> {server_shards}, loss {loss:.0%}: {counts}")
        self.assertGreater(counts["lost"], counts["seen"] * loss / 3)

    def check_all(self, *mixes):
        for loss in (0.05, 0.10):
            for client_shards, server_shards in mixes:
                with self.subTest(client=client_shards, server=server_shards, loss=loss):
                    self.check(client_shards, server_shards, loss)

    def test_equal_shards(self):
        self.check_all(((10, 3), (10, 3)), ((0, 0), (0, 0)), ((5, 5), (5, 5)))

    def test_shards_at_one_end_only(self):
        self.check_all(((10, 3), (0, 0)), ((0, 0), (10, 3)))

    def test_other_shards_at_each_end(self):
        self.check_all(((10, 3), (5, 2)), ((3, 1), (20, 10)), ((70, 30), (10, 3)), ((1, 1), (10, 3)))


if __name__ == "__main__":
    t.main()
