#!/usr/bin/env python3
"""The code uses the field's words (QUIC, TCP, RACK-TLP, BBR, WireGuard): names that were this project's own must not come
back. A row holds the names that are gone and the term that took their place."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
GONE = {
    "detect_late detect_overtaken handle_overtaken late_at_": "RACK time threshold, packet threshold (RFC 8985)",
    "probe_if_silent kLongestProbeWait": "on_probe_timeout",
    "poll_second set_twice twice_ kTwiceGap poll_repeat write_repeats": "duplicate retransmission, redundant transmission",
    "poll_copy write_copy next_copy": "transmission",
    "handle_bare bare_ bare_arrived bare_lost": "unprotected (by FEC)",
    "kBeyondWindow beyond_window": "out of window",
    "PathModel DepartureState": "BbrController, SentPacketState",
    "kYield yield_to_queue ceiling_": "kBeta, adapt_inflight_hi, inflight_hi_ (draft-ietf-ccwg-bbr)",
    "SpareRoom spare_room spare_packets": "idle capacity",
    "kGrain kCatchUp": "timer granularity, burst allowance",
    "told_una_ told_window_ told_acks_ told_at_": "last advertised una and window",
    "asked_ wonder_at_ kWonderAfter ask_window_": "ping outstanding, idle probe",
    "show_life ask_for_life handle_sign_of_life note_life": "keepalive, liveness probe, peer activity",
    "SilenceWatch silence_watch owed_since": "LivenessMonitor, unanswered_since",
    "RestartProof handle_forgetful kQuestion tells_of_restart": "PeerRestartDetector, una regression, challenge",
    "brings_news peer_will_know": "is_fresh, ack_in_flight",
    "wanderer homeless strays kMostStrayPaths stray_paths_": "migrating, unmatched, misrouted",
    "SessionPlaces SessionGate SessionGuard": "SessionLimiter, ReplayCache, AntiReplay",
    "kMostLate kMostEarly kTooSoon": "max age, max clock skew, startup quarantine",
    "starved_ break_stream kStarved": "blocked, reset_stream",
    "kWindowAsk kWindowTell": "window probe, window update",
    "retune lay_out_for FirstBytes": "update_settings, set_overhead, ProtocolSniffer",
    "LoopThreads with_all_still TunnelLoops TunnelThreads TunnelPart": "WorkerThreads, run_exclusive, Tunnel, Daemon, TunnelWorker",
    "DisguisedSocket DisguisedClient DisguisedServer silence_connection dying_segments": "fake TCP, suppress_kernel_segments",
    "give_up_privileges": "drop_privileges",
    "Complaint Refusal": "ValidationError, StartupError",
    "ServerWatch ServerChoice hopeless_ handle_word ring_by": "HealthChecker, ServerPool, all_failed, handle_packet, schedule_at",
    "park_unserved unpark flush_gathered gathered_": "pause_reading, resume_reading, queued writes",
    "PassedRun kMaxPassedOn handle_passed_on": "ForwardedPackets",
    "set_aside give_up_on said_at_": "drain, mark_suspect, logged_at_",
    "Greeting Pulse": "Handshake, Watchdog",
    "kBroken fewest_empty_ deal_ahead learn_una": "kReset, min_empty_, assign_next, handle_una",
    "culprit behind_secret stranger_error is_left_alone": "conflicting_option, last_flag_is_secret, unexpected_error, is_unset_or_auto",
    "fell_back_gso judge_unanswered stale_ports_ now_gone sessions_gone_": "gso_fallbacks, check_unanswered, closed indexes, ended",
    "for_a_while turns_of black_out dark_until_": "run_for, iterations_of, drop_until",
    "Conversation ConversationId ConversationRegistry ConversationDirectory conversations_": "session (docs/architecture.md)",
}
# A number that bounds is called kMax or kMin.
BOUNDS = re.compile(r"\bk(Most|Least|Largest|Smallest|Longest|Shortest|Fewest)[A-Z]\w*")


def found():
    rows = [(re.compile(r"(?<!\w)(%s)(?!\w)" % "|".join(map(re.escape, names.split()))), term)
            for names, term in GONE.items()]
    for folder in ("core", "config", "daemon", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
                for pattern, term in rows:
                    for name in pattern.findall(code):
                        yield f"{path}:{number}: {name}: the field says {term}"
                if match := BOUNDS.search(code):
                    yield f"{path}:{number}: {match.group(0)}: a bound is kMax... or kMin..."


faults = list(found())
print("\n".join(faults))
sys.exit(1 if faults else 0)
