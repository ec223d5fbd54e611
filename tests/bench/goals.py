"""What the measurements are to reach: data, read by compare.py and report.py. The only place that holds a goal."""

from dataclasses import dataclass

TIMES = "times Debian's"  # ratio of medians, ours / Debian's
PLAIN = ""                # the median itself, in the metric's unit


@dataclass(frozen=True)
class Metric:
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = True


METRICS = {
    "goodput": Metric("goodput", "Mbit/s"),
    "cpu": Metric("CPU of both programs", "s/GB", 2, False),
    "p50": Metric("round trip, median", "us", 0, False),
    "p99": Metric("round trip, 99th percentile", "us", 0, False),
    "bulk": Metric("goodput of the bulk stream", "Mbit/s"),
    "requests": Metric("requests", "/s"),
    "connections": Metric("new connections", "/s"),
    "http_p99": Metric("response, 99th percentile", "us", 0, False),
    "failures": Metric("failures", "", 0, False),
    "cpu_client": Metric("client, CPU of one core", "%", 2, False),
    "cpu_server": Metric("server, CPU of one core", "%", 2, False),
    "rss_client": Metric("client, RSS", "MB", 1, False),
    "rss_server": Metric("server, RSS", "MB", 1, False),
    "left_client": Metric("client, RSS above the start after closing all", "MB", 1, False),
    "left_server": Metric("server, RSS above the start after closing all", "MB", 1, False),
}


@dataclass(frozen=True)
class Goal:
    case: str
    metric: str
    relation: str       # ">=" or "<="
    limit: float
    basis: str = TIMES
    subject: str = "ours"

    def met(self, value):
        return value >= self.limit if self.relation == ">=" else value <= self.limit


def _bulk(case, goodput, cpu):
    return Goal(case, "goodput", ">=", goodput), Goal(case, "cpu", "<=", 1 / cpu)


def _each(case, metric, limit):
    """Both programs, each, at most."""
    return tuple(Goal(case, f"{metric}_{program}", "<=", limit, PLAIN) for program in ("client", "server"))


GOALS = (
    *_bulk("aes-128-up", 14, 16),
    *_bulk("aes-128-down", 14, 16),
    *_bulk("salsa20", 10, 12),
    *_bulk("aes", 12, 14),
    *_bulk("none-no-fec", 12, 14),
    *_bulk("parallel-8-conn-4", 14, 14),
    *_bulk("defaults", 60, 16),
    Goal("mixed-up", "goodput", ">=", 1, TIMES, "our client"),
    Goal("mixed-up", "goodput", ">=", 1, TIMES, "our server"),
    Goal("mixed-down", "goodput", ">=", 1, TIMES, "our client"),
    Goal("mixed-down", "goodput", ">=", 1, TIMES, "our server"),
    Goal("latency-idle", "p50", "<=", 0.55),
    Goal("latency-loaded", "p50", "<=", 0.5),
    Goal("latency-loaded", "p99", "<=", 0.5),
    Goal("latency-loaded", "bulk", ">=", 5),
    Goal("http-keep-alive", "requests", ">=", 6),
    Goal("http-keep-alive", "failures", "<=", 0, PLAIN),
    Goal("connections", "connections", ">=", 4),
    Goal("connections", "failures", "<=", 0, PLAIN),
    *_each("idle-5000-sessions", "cpu", 1.0),
    *_each("idle-5000-sessions", "rss", 100),
    Goal("idle-5000-sessions", "left_server", "<=", 20, PLAIN),
    *_each("idle-9000-streams", "rss", 60),
    *_each("idle-9000-streams", "left", 20),
    *_each("idle-1-session", "rss", 5),
)


@dataclass(frozen=True)
class CoreGoal:
    """A row of core_bench beside what kcp-go v5.6.72 does on a machine of this kind."""
    row: str
    text: str
    kcp_go: float           # bytes per second, or seconds
    times: float = 1.0      # so many times as good, at least
    seconds: bool = False   # the row's time counts, not its bytes per second


_MB, _GB = 1e6, 1e9
CORE_GOALS = (
    CoreGoal("BenchmarkSM4", "SM4", 86 * _MB),
    CoreGoal("BenchmarkAES128", "AES-128", 746 * _MB, 5),
    CoreGoal("BenchmarkAES256", "AES-256", 624 * _MB, 5),
    CoreGoal("BenchmarkTEA", "TEA", 186 * _MB),
    CoreGoal("BenchmarkBlowfish", "Blowfish", 105 * _MB),
    CoreGoal("BenchmarkCast5", "CAST5", 106 * _MB),
    CoreGoal("Benchmark3DES", "3DES", 30 * _MB),
    CoreGoal("BenchmarkTwofish", "Twofish", 87 * _MB),
    CoreGoal("BenchmarkXTEA", "XTEA", 74 * _MB),
    CoreGoal("BenchmarkSalsa20", "Salsa20", 908 * _MB),
    CoreGoal("BenchmarkCRC32", "CRC-32 of 1024 bytes", 9.8 * _GB),
    CoreGoal("BenchmarkAEAD_AES_128_GCM", "AES-128-GCM, seal", 2.7 * _GB, 5),
    CoreGoal("BenchmarkFECEncode", "FEC 10/3, encode", 5.0 * _GB),
    CoreGoal("BenchmarkFECDecode", "FEC 10/3, decode with a loss in each group", 2.2 * _GB),
    CoreGoal("BenchmarkFlush/1024", "flush of a full window, 1024 segments in flight", 6.4e-6, 1, True),
    CoreGoal("BenchmarkEchoSpeed4K", "a link's echo of 4 KB", 65 * _MB, 5),
    CoreGoal("BenchmarkEchoSpeed64K", "a link's echo of 64 KB", 65 * _MB, 5),
    CoreGoal("BenchmarkEchoSpeed512K", "a link's echo of 512 KB", 65 * _MB, 5),
    CoreGoal("BenchmarkEchoSpeed1M", "a link's echo of 1 MB", 65 * _MB, 5),
)
