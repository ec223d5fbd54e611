#include "daemon/main/program.h"

#include <fcntl.h>
#include <gcrypt.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/command.h"
#include "config/exit_codes.h"
#include "core/crypt/suite_table.h"
#include "daemon/log/held_log.h"
#include "daemon/log/log.h"
#include "daemon/log/log_writer.h"
#include "daemon/main/first_start.h"
#include "daemon/main/host_check.h"
#include "daemon/main/user_command.h"
#include "daemon/probe/bench_command.h"
#include "daemon/probe/probe_command.h"
#include "daemon/process/daemon.h"
#include "daemon/process/privileges.h"
#include "daemon/process/secrets.h"
#include "daemon/process/stop_signals.h"
#include "daemon/system/allocator.h"
#include "daemon/top/top.h"

namespace kcptun {
namespace {

std::string library_versions() {
  return std::string("libuv ") + uv_version_string() + ", libsodium " + sodium_version_string() +
         ", libgcrypt " + gcry_check_version(nullptr);
}

// The timeout keeps a blocked reader of standard error from delaying the start.
void warn(const std::string& warning) {
  write_within(STDERR_FILENO, "warning: " + warning + "\n", kLogFlushTimeout);
}

int print(const PrintText& text) {
  for (const std::string& warning : text.warnings) warn(warning);
  std::set<std::string> missing;  // each once: tunnels share options of the process
  for (const Profile& profile : text.checked)
    for (std::string& line : missing_on_this_host(profile))
      if (const auto [first, is_new] = missing.insert(std::move(line)); is_new) warn(*first);
  std::fputs(text.text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

const char* name_of(Role role) { return role == Role::kClient ? "kcptun-client" : "kcptun-server"; }

// The stop deadline bounds the closing of whatever is still open.
int give_up(Role role, const std::string& error, int exit_code = kExitFailure) {
  start_stop_deadline();
  log_held(take_held_log());
  write_last_line(std::string(name_of(role)) + ": " + error);
  return exit_code;
}

// The standard streams, and what libuv opens first. It aborts where it does not get these.
constexpr rlim_t kMinDescriptors = 6;

// Each connection takes a descriptor, so the soft limit is raised to the hard limit. False if that is too
// low.
bool raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max >= kMinDescriptors;
}

// The terminate handler. Running out of memory ends the process with a one-line error; any other exception
// aborts it.
[[noreturn]] void end_for_exception() {
  std::string_view line = "kcptun: ended by an exception\n";
  try {
    if (const std::exception_ptr current = std::current_exception()) std::rethrow_exception(current);
  } catch (const std::bad_alloc&) {
    line = "kcptun: out of memory: the system gives no more (ulimit -v, MemoryMax= of a service)\n";
  } catch (...) {
    write_within(STDERR_FILENO, line, Duration(0));
    std::abort();
  }
  write_within(STDERR_FILENO, line, Duration(0));
  _exit(kExitFailure);
}

bool binds_low_ports(const Profile& profile) {
  constexpr std::uint16_t kFirstFreePort = 1024;
  const auto is_low = [](const Address& address) {
    const auto* local = std::get_if<HostPort>(&address);
    return local && local->port_min != 0 && local->port_min < kFirstFreePort;
  };
  return is_low(profile.local_address) || std::ranges::any_of(profile.forwards, is_low, &Forward::listen);
}

LaterNeeds needs_of(const RunTunnels& run) {
  LaterNeeds needs;
  for (const ConfiguredTunnel& tunnel : run.tunnels) {
    needs.binds_low_ports = needs.binds_low_ports || binds_low_ports(tunnel.profile);
    needs.tcp_mode = needs.tcp_mode || tunnel.profile.tcp;
    needs.answers_for_others =
        needs.answers_for_others || std::ranges::find(tunnel.profile.forwards, ForwardKind::kTproxy,
                                                      &Forward::kind) != tunnel.profile.forwards.end();
  }
  return needs;
}

Result<bool> drop_privileges(LaterNeeds needs, const std::optional<Identity>& identity) {
  needs.stays_root = identity ? identity->uid == 0 : geteuid() == 0;
  return drop_privileges(identity ? &*identity : nullptr, capabilities_for(needs));
}

// A descriptor of 0 to 2 that is closed at the start would otherwise become a socket or a pipe, which libuv
// refuses to close, and which the log would write to.
bool open_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
  return true;
}

int run_tunnels(Role role, RunTunnels run, Daemon::Reread reread) {
  stop_at_once();
  const Profile& process = run.tunnels.front().profile;
  std::optional<Identity> identity;
  if (!process.user.empty()) {
    Result<Identity> found = find_identity(process.user);
    if (!found) return give_up(role, found.error(), kExitConfig);
    identity = std::move(*found);
  }
  auto log = open_log(process.log);
  if (!log) return give_up(role, log.error());
  use_log(*log);
  hold_log();  // until the log can name what was started
  const LaterNeeds needs = needs_of(run);
  Result<ServiceNotifier> service = ServiceNotifier::open(ServiceEnvironment::of_process(), getpid());
  if (!service) return give_up(role, service.error());
  // Logged before anything is resolved or opened, because a warning may explain why that fails.
  for (const std::string& warning : run.warnings) EventLog().warning("configuration", {{"text", warning}});
  Result<std::unique_ptr<Daemon>> threads = Daemon::open(std::move(run), std::move(reread));
  if (!threads) return give_up(role, threads.error());
  // Everything is bound and no thread runs yet, so the whole process can drop its privileges.
  const Result<bool> gone = drop_privileges(needs, identity);
  if (!gone) return give_up(role, gone.error());
  if (!gone.value()) EventLog().info("capabilities stay: a filter of system calls forbids capset");
  if (const Result<bool> started = start_log(**log); !started) return give_up(role, started.error());
  log->reset();
  if (const Result<bool> ran = (*threads)->run(*service); !ran) return give_up(role, ran.error());
  threads->reset();
  close_log();
  return 0;
}

int run_subcommand(const RunSubcommand& run) {
  for (const std::string& warning : run.warnings) warn(warning);
  switch (run.id) {
    case SubcommandId::kProbe:
      return run_probe(run);
    case SubcommandId::kBench:
      return run_bench(run, [&run](Profile profile) {
        RunTunnels tunnels;
        tunnels.tunnels.push_back({run.settings, std::move(profile)});
        const auto reread = [] {
          return StartupError{"kcptun-client: bench reads nothing again", kExitFailure};
        };
        return run_tunnels(Role::kClient, std::move(tunnels), reread);
      });
    case SubcommandId::kUser:
      return run_user(run);
    case SubcommandId::kTop:
      break;  // run_program handles it: it has flags of its own
  }
  return kExitFailure;
}

}  // namespace

int run_program(Role role, int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (!open_standard_streams())
    return give_up(role, std::string("cannot open /dev/null in place of a closed standard stream: ") +
                             std::strerror(errno));
  if (const Result<bool> hardened = harden_process(); !hardened) return give_up(role, hardened.error());
  if (sodium_init() < 0) return give_up(role, "libsodium cannot be initialised");
  set_up_allocator();
  std::set_terminate(end_for_exception);
  const CommandInput input = input_of_process(role, argc, argv, library_versions());
  hide_secrets(role, argc, argv);
  if (!input.arguments.empty() && input.arguments.front() == "top") return run_top(input);
  const auto read = [&input] { return parse_command(input); };
  ParsedCommand command = read();
  if (const auto* refusal = std::get_if<StartupError>(&command)) {
    write_last_line(refusal->line);
    return refusal->exit_code;
  }
  if (const auto* text = std::get_if<PrintText>(&command)) return print(*text);
  if (const auto* init = std::get_if<InitPair>(&command)) return run_init(*init);
  if (const auto* share = std::get_if<ShareRequest>(&command)) return run_share(*share);
  if (const auto* run = std::get_if<RunSubcommand>(&command)) return run_subcommand(*run);
  if (!raise_descriptor_limit())
    return give_up(role, "the limit of open files (ulimit -Hn) is below " + std::to_string(kMinDescriptors));
  const int code = run_tunnels(role, std::move(std::get<RunTunnels>(command)), read);
  cancel_stop_deadline();
  return code;
}

}  // namespace kcptun
