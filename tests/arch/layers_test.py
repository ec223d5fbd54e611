#!/usr/bin/env python3
"""The house's layers: core knows no world, config knows core/base at most (docs/architecture.md)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
SYSTEM = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
HEADERS_OF_THE_WORLD = re.compile(
    r"^(uv\.h|uv/.*|sys/.*|netinet/.*|arpa/.*|net/.*|netdb\.h|poll\.h|unistd\.h|fcntl\.h|signal\.h|time\.h|ctime|pthread\.h"
    r"|thread|mutex|shared_mutex|condition_variable|future|stop_token|fstream|iostream|cstdio|stdio\.h|filesystem"
    r"|spdlog/.*|nlohmann/.*|CLI/.*|catch2/.*)$")
READS_A_CLOCK = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday)\b")


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def sources(folder):
    files = [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".h", ".cc")]
    if not files:
        sys.exit(f"no sources in {folder}")
    return files


def faults():
    for path in sources("core"):
        text = path.read_text()
        for kind, name in SYSTEM.findall(text):
            if kind == '"' and not name.startswith("core/"):
                yield f"{path}: core includes {name}"
            if HEADERS_OF_THE_WORLD.match(name):
                yield f"{path}: core includes {name}"
        for clock in READS_A_CLOCK.findall(without_comments(text)):
            yield f"{path}: core reads {clock}"
    for path in sources("config"):
        for kind, name in SYSTEM.findall(path.read_text()):
            if kind == '"' and not name.startswith(("config/", "core/base/")):
                yield f"{path}: config includes {name}"
            if name.startswith("spdlog/") or name == "uv.h":
                yield f"{path}: config includes {name}"
    for path in sources("daemon"):
        for kind, name in SYSTEM.findall(path.read_text()):
            if kind == '"' and not name.startswith(("daemon/", "config/", "core/")):
                yield f"{path}: daemon includes {name}"


found = list(faults())
print("\n".join(found))
sys.exit(1 if found else 0)
