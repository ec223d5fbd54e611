#!/usr/bin/env python3
"""The house's layers (docs/architecture.md): core knows no world, config knows core/base and one table, daemon's rooms use only
the rooms below them, no file is in a circle of includes, and files and functions have a size that can be read."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
HEADERS_OF_THE_WORLD = re.compile(
    r"^(uv\.h|uv/.*|sys/.*|netinet/.*|arpa/.*|net/.*|netdb\.h|poll\.h|unistd\.h|fcntl\.h|signal\.h|time\.h|ctime|pthread\.h"
    r"|thread|mutex|shared_mutex|condition_variable|future|stop_token|fstream|iostream|cstdio|stdio\.h|filesystem"
    r"|spdlog/.*|nlohmann/.*|CLI/.*|catch2/.*)$")
READS_A_CLOCK = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday)\b")

# Each room of core and daemon with the rooms that it may use, in the order of the layers from the lowest to the highest.
CORE_ROOMS = {
    "base": "",
    "noise": "base",
    "crypt": "base noise",
    "fec": "base",
    "kcp": "base",
    "stream": "base crypt",
    "smux": "base",
    "proxy": "base",
    "link": "base noise crypt fec kcp stream smux",
    "probe": "base fec kcp",
}
DAEMON_ROOMS = {
    "system": "",
    "net": "system",
    "net/faketcp": "system net",
    "log": "system",
    "io": "system net log",
    "metrics": "system net",
    "engine": "system net log io metrics",
    "worker": "system net net/faketcp log io metrics engine",
    "client": "system net net/faketcp log io metrics engine worker",
    "server": "system net net/faketcp log io metrics engine worker",
    "status": "system net log io metrics worker",
    "tunnel": "system net net/faketcp log io metrics engine worker client server status",
    "process": "system net log io metrics worker status tunnel",
    "top": "system net io metrics status",
    "probe": "system net io worker",
    "main": "system net log process top probe",
}
# Tables of core from which config takes its words.
TABLES_FOR_CONFIG = {"core/kcp/congestion_table.h"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def sources(folder):
    files = [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".h", ".cc")]
    if not files:
        sys.exit(f"no sources in {folder}")
    return files


def own_includes(path):
    return [name for kind, name in INCLUDE.findall(path.read_text()) if kind == '"']


def world_faults():
    for path in sources("core"):
        text = path.read_text()
        for kind, name in INCLUDE.findall(text):
            if kind == '"' and not name.startswith("core/"):
                yield f"{path}: core includes {name}"
            if HEADERS_OF_THE_WORLD.match(name):
                yield f"{path}: core includes {name}"
        for clock in READS_A_CLOCK.findall(without_comments(text)):
            yield f"{path}: core reads {clock}"
    for path in sources("config"):
        for kind, name in INCLUDE.findall(path.read_text()):
            if kind == '"' and not name.startswith(("config/", "core/base/")) and name not in TABLES_FOR_CONFIG:
                yield f"{path}: config includes {name}"
            if name.startswith("spdlog/") or name == "uv.h":
                yield f"{path}: config includes {name}"
    for path in sources("daemon"):
        for name in own_includes(path):
            if not name.startswith(("daemon/", "config/", "core/")):
                yield f"{path}: daemon includes {name}"


def room_of(parent, rooms):
    """The room of a folder: its own, or the one around it (core/kcp/bbr is in the room kcp)."""
    name = parent.as_posix()
    while name not in rooms and "/" in name:
        name = name.rpartition("/")[0]
    return name


def room_faults(folder, rooms):
    order = list(rooms)
    for room, allowed in rooms.items():
        for below in allowed.split():
            if order.index(below) >= order.index(room):
                yield f"the table of {folder}: {below} stands above {room}"
    for path in sources(folder):
        room = room_of(path.relative_to(ROOT / folder).parent, rooms)
        if room not in rooms:
            yield f"{path}: is in no room"
            continue
        for name in own_includes(path):
            if not name.startswith(folder + "/"):
                continue
            other = room_of(pathlib.PurePosixPath(name).relative_to(folder).parent, rooms)
            if other != room and other not in rooms[room].split():
                yield f"{path}: {room} must not use {other} ({name})"


def circle_faults():
    """A circle of includes between files, each shown once."""
    files = [p for folder in ("core", "config", "daemon") for p in sources(folder)]
    edges = {p.relative_to(ROOT).as_posix(): own_includes(p) for p in files}
    state = collections.defaultdict(int)  # 1: on the stack, 2: done

    def visit(name, stack):
        state[name] = 1
        for other in edges.get(name, []):
            if state[other] == 1:
                yield "circle: " + " -> ".join(stack[stack.index(other):] + [other])
            elif state[other] == 0:
                yield from visit(other, stack + [other])
        state[name] = 2

    for name in edges:
        if state[name] == 0:
            yield from visit(name, [name])


def size_faults():
    """Functions as clang-format lays them out: a body ends with a '}' in the column in which its first line begins."""
    for folder in ("core", "config", "daemon"):
        for path in sources(folder):
            lines = path.read_text().splitlines()
            if len(lines) > MAX_FILE_LINES:
                yield f"{path}: {len(lines)} lines, at most {MAX_FILE_LINES}"
            begin = None
            for number, line in enumerate(lines):
                opens = re.match(r"^( {0,2})\S.*\) (const |noexcept |override |final )*(-> \S+ )?\{$|^( {0,2})\S.*\) const \{$", line)
                if opens and begin is None:
                    begin, indent = number, len(line) - len(line.lstrip())
                elif begin is not None and line.startswith(" " * indent + "}"):
                    if number - begin + 1 > MAX_FUNCTION_LINES:
                        yield f"{path}:{begin + 1}: {number - begin + 1} lines, at most {MAX_FUNCTION_LINES}"
                    begin = None


found = [*world_faults(), *room_faults("core", CORE_ROOMS), *room_faults("daemon", DAEMON_ROOMS), *circle_faults(),
         *size_faults()]
print("\n".join(found))
sys.exit(1 if found else 0)
