"""A SOCKS5 server (RFC 1928) for tests: without authentication, CONNECT only, one reply after the other.

    socks_server.py PORT|PATH [TARGET]     TARGET: a unix socket's path to connect to, whatever is asked for

Prints one line for each request: the destination as it was asked for, "name db:80" or "address 192.0.2.1:80".
"""

import asyncio
import errno
import ipaddress
import struct
import sys

CODES = {errno.ECONNREFUSED: 5, errno.ENETUNREACH: 3, errno.EHOSTUNREACH: 4}


async def read_destination(reader):
    version, command, _, kind = await reader.readexactly(4)
    if kind == 3:
        size, = await reader.readexactly(1)
        host, text = (await reader.readexactly(size)).decode(), "name"
    else:
        host, text = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16))), "address"
    port, = struct.unpack(">H", await reader.readexactly(2))
    shown = f"[{host}]" if ":" in host else host
    print(f"{text} {shown}:{port}", flush=True)
    return version, command, host, port


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


class Server:
    def __init__(self, target=None):
        self.target = target

    async def serve(self, reader, writer):
        try:
            await self.answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, reader, writer):
        version, methods = await reader.readexactly(2)
        if version != 5 or 0 not in await reader.readexactly(methods):
            writer.write(b"\x05\xff")
            return
        writer.write(b"\x05\x00")
        version, command, host, port = await read_destination(reader)
        if (version, command) != (5, 1):
            writer.write(b"\x05\x07\x00\x01" + bytes(6))
            return
        try:
            if self.target:
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            else:
                far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            writer.write(bytes([5, CODES.get(error.errno, 4), 0, 1]) + bytes(6))
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        far_writer.close()


async def main(place, target):
    serve = Server(target).serve
    if place.isdigit():
        server = await asyncio.start_server(serve, "127.0.0.1", int(place))
    else:
        server = await asyncio.start_unix_server(serve, place)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
