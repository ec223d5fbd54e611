"""The rows of the lab's goodput table: what path, which flags, which goal."""

import dataclasses

MBIT = 1_000_000 / 8  # bytes per second

# Both programs get these.
PROFILE = ("--crypt", "aes-128", "--mode", "fast3", "--nocomp", "--datashard", "10", "--parityshard", "3")
# And these where one of them is Debian's, whose default is 1 and does not understand our 2.
WITH_DEBIAN = ("--smuxver", "2")

# Who sends and who receives. For TCP alone: the congestion control.
TUNNELS = {"ours": ("ours", "ours"), "ours-to-debian": ("ours", "debian"), "debian-to-ours": ("debian", "ours"),
           "debian": ("debian", "debian")}
TCP = {"tcp-cubic": "cubic", "tcp-bbr": "bbr"}
PAIRS = (*TUNNELS, *TCP)


def windows(segments):
    return ("--sndwnd", str(segments), "--rcvwnd", str(segments))


@dataclasses.dataclass(frozen=True)
class Goal:
    """What our pair's metric must reach."""
    metric: str
    relation: str  # "<=" or ">="
    limit: float

    def met(self, value):
        return value <= self.limit if self.relation == "<=" else value >= self.limit


@dataclasses.dataclass(frozen=True)
class Row:
    """Goodput of one bulk stream."""
    name: str
    text: str
    path: dict           # settings of both ways of the path (README.md)
    flags: tuple         # of both programs
    goals: tuple         # goodput: Mbit/s of application data, over the whole run
    seconds: int = 10
    way: str = "up"      # who sends: up, the client; down, the server
    pairs: tuple = PAIRS


def path_of(rtt_ms, mbit, **losses):
    return {"delay_ms": rtt_ms / 2, "rate": mbit * MBIT, "queue": 512 * 1024, **losses}


def at_least(mbit):
    return (Goal("goodput", ">=", mbit),)


USUAL = PROFILE + windows(2048)


def policed(rtt_ms, mbit, bucket_kb, **losses):
    """A policer on a link of 100 Mbit/s."""
    return path_of(rtt_ms, 100, police=mbit * MBIT, bucket=bucket_kb * 1000, **losses)


ROWS = [
    Row("rtt50", "RTT 50 ms, 100 Mbit/s, no loss", path_of(50, 100), USUAL, at_least(89)),
    Row("rtt50-2", "RTT 50 ms, 100 Mbit/s, 2 % loss", path_of(50, 100, loss=0.02), USUAL, at_least(84)),
    Row("rtt50-10", "RTT 50 ms, 100 Mbit/s, 10 % loss", path_of(50, 100, loss=0.1), USUAL, at_least(74)),
    Row("rtt200-5", "RTT 200 ms, 100 Mbit/s, 5 % loss, windows 4096", path_of(200, 100, loss=0.05),
        PROFILE + windows(4096), at_least(65), seconds=20),
    Row("bursts", "RTT 50 ms, 100 Mbit/s, 1 % loss in bursts of 8", path_of(50, 100, burst_loss=0.01, burst_length=8),
        USUAL, at_least(84)),
    Row("fast", "RTT 30 ms, 300 Mbit/s, 0.5 % loss", path_of(30, 300, loss=0.005), USUAL, at_least(250)),
    Row("defaults-up", "RTT 100 ms, 200 Mbit/s, 0.5 % loss, nothing set but the key, client sends",
        path_of(100, 200, loss=0.005), (), at_least(150)),
    Row("defaults-down", "RTT 100 ms, 200 Mbit/s, 0.5 % loss, nothing set but the key, server sends",
        path_of(100, 200, loss=0.005), (), at_least(150), way="down"),
    Row("policer-32", "a policer of 10 Mbit/s and 32 KB, RTT 40 ms", policed(40, 10, 32), USUAL, at_least(9), seconds=20),
    Row("policer-1250", "a policer of 10 Mbit/s and 1,250 KB, RTT 40 ms", policed(40, 10, 1250), USUAL, at_least(9),
        seconds=20),
    Row("policer-lossy", "a policer of 10 Mbit/s and 32 KB, RTT 40 ms, 2 % loss", policed(40, 10, 32, loss=0.02), USUAL,
        at_least(8.8), seconds=20),
]
