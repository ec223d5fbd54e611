#!/usr/bin/env python3
"""The core library's objects ask for no socket, clock, thread, libuv or file function."""
import re
import subprocess
import sys

NM, ARCHIVE = sys.argv[1:3]
FORBIDDEN = re.compile(
    r"^(socket|bind|listen|accept4?|connect|send|sendto|sendm?msg|sendmmsg|recv|recvfrom|recvm?msg|recvmmsg|getaddrinfo"
    r"|setsockopt|getsockopt|poll|epoll_\w+|select"
    r"|time|clock|clock_gettime|gettimeofday|nanosleep|usleep|sleep|timerfd_\w+"
    r"|pthread_create|uv_\w+"
    r"|open|open64|openat|creat|fopen|fopen64|fdopen|freopen|read|write|pread|pwrite|mmap|stat|unlink|rename|printf|fprintf"
    r"|puts|syslog|getrandom|getenv|_ZNSt6chrono\S*3nowEv|_ZNSt6thread\S*|_ZNSt13basic_filebuf\S*"
    r"|_ZNSt14basic_[io]fstream\S*|_ZSt4cout|_ZSt4cerr)$")

listing = subprocess.run([NM, "-u", "-A", ARCHIVE], check=True, capture_output=True, text=True).stdout
undefined = re.findall(r"^(\S+):\s+[Uw]\s+(\S+)$", listing, re.M)
if not undefined:
    sys.exit(f"{NM} shows no symbols of {ARCHIVE}")
found = [f"{where} needs {name}" for where, name in undefined if FORBIDDEN.match(name.split("@")[0])]
print("\n".join(found))
sys.exit(1 if found else 0)
