#include "daemon/main/first_start.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "config/pairing.h"
#include "config/render.h"
#include "core/base/result.h"
#include "daemon/main/own_host.h"
#include "daemon/main/share_report.h"
#include "daemon/system/file_descriptor.h"
#include "daemon/system/replaced_file.h"

namespace kcptun {
namespace {

std::string generate_key() {
  std::array<std::uint8_t, 32> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  std::string key = render_key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  key.pop_back();  // the trailing newline
  return key;
}

Error file_error(const std::string& path, const std::string& what) {
  return Error{printable_path(path) + ": " + what};
}

/// The file holds the key, so only its owner may read it. A file that cannot be written completely is
/// removed.
Result<bool> write_new_file(const std::string& path, const std::string& text) {
  const FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid() && errno == EEXIST) {
    return file_error(path, "is there already, and --init overwrites nothing; -c FILE names another file");
  }
  if (!fd.valid()) return file_error(path, std::string("cannot write: ") + std::strerror(errno));
  if (write_all(fd.get(), text) && ::fsync(fd.get()) == 0) return true;
  const int fault = errno;
  ::unlink(path.c_str());
  return file_error(path, std::string("cannot write: ") + std::strerror(fault));
}

/// The address at which clients look for the server, and how to change it.
std::string address_part(const InitPair& init, const ProfilePair& pair) {
  std::string text =
      "Clients look for the server at " + printable(pair.client.text(OptionId::kRemoteAddr)) + " (UDP).\n";
  if (!init.wants_address) return text + '\n';
  return text +
         "That is this machine's own address. If clients reach it by another one, or by a\n"
         "name: remove the file, and start again with --public-address HOST.\n\n";
}

/// A numbered step. Its lines fit in 80 columns.
std::string server_step(const InitPair& init, const ProfilePair& pair, const std::string& pairing,
                        int number) {
  const bool here = init.written == Role::kServer;
  std::string text = std::to_string(number) + ". Start the server " + (here ? "here" : "on its machine") +
                     ", and let this UDP port through its firewall:\n\n";
  text += here ? "    kcptun-server -c " + printable_path(init.path) + "\n\n"
               : pairing_command(Role::kServer, pairing) + '\n';
  text += "   It hands connections to " + printable(pair.server.text(OptionId::kTarget)) + ".";
  return text + (here ? "\n\n" : " With -t ADDRESS, to another target.\n\n");
}

// localaddr, or the forwards that stand in its place.
std::string entrances_of(const Settings& client) {
  const std::string& local = client.text(OptionId::kLocalAddr);
  const std::string& forwards = client.text(OptionId::kForward);
  if (local.empty()) return escaped(forwards, forwards.size());
  return printable(local);
}

std::string client_step(const InitPair& init, const ProfilePair& pair, const std::string& pairing,
                        int number) {
  const bool here = init.written == Role::kClient;
  std::string text =
      std::to_string(number) + ". Start the client " + (here ? "here" : "on its machine") + ":\n\n";
  text += here ? "    kcptun-client -c " + printable_path(init.path) + "\n\n"
               : pairing_command(Role::kClient, pairing) + '\n';
  text += "   Applications there connect to " + entrances_of(pair.client) + ".";
  return text + (here ? "\n" : " With -l ADDRESS, to another\n   address.\n");
}

void print_report(const InitPair& init, const ProfilePair& pair) {
  const Role other = init.written == Role::kClient ? Role::kServer : Role::kClient;
  const std::string pairing = encode_pairing(pair.client);
  std::string text =
      "Wrote " + printable_path(init.path) + ", with the key in it.\n" + address_part(init, pair);
  if (init.settings.on(OptionId::kPrint))
    text += "The other side's profile, to be saved there as " + default_path(other) + ":\n\n" +
            render_profile(other == Role::kClient ? pair.client : pair.server, default_path(other)) + '\n';
  text += qr_part(pairing);
  text += "The string in quotes below holds the key: send it by a safe way. " +
          std::string(program_name(init.written)) + "\n--share prints it again.\n\n";
  text += "Next:\n\n" + server_step(init, pair, pairing, 1) + client_step(init, pair, pairing, 2);
  std::fputs(text.c_str(), stdout);
}

/// The --share report of one tunnel.
std::string share_part(const Settings& settings, const std::string& pairing) {
  const std::string& name = settings.text(OptionId::kName);
  std::string text = name.empty() ? "" : "Tunnel " + name + ":\n\n";
  text += qr_part(pairing);
  return text + "On the client's machine:\n\n" + pairing_command(Role::kClient, pairing) + '\n';
}

int refuse(const std::string& line, int exit_code) {
  std::fprintf(stderr, "%s\n", line.c_str());
  return exit_code;
}

}  // namespace

int run_init(const InitPair& init) {
  const Role role = init.settings.role();
  InitFacts facts;
  if (init.wants_key) facts.key = generate_key();
  if (init.wants_address) {
    auto host = own_host();
    if (!host) return refuse(content_error(role, "--init: " + host.error()).line, kExitFailure);
    facts.own_host = std::move(host.value());
  }
  auto made = make_pair_of(init, facts);
  if (const auto* refusal = std::get_if<StartupError>(&made))
    return refuse(refusal->line, refusal->exit_code);
  const auto& pair = std::get<ProfilePair>(made);
  for (const std::string& warning : init.warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const auto& mine = init.written == Role::kClient ? pair.client : pair.server;
  const auto written = write_new_file(init.path, render_profile(mine, init.path));
  if (!written) return refuse(content_error(role, written.error()).line, kExitFailure);
  print_report(init, pair);
  return std::fflush(stdout) == 0 ? 0 : kExitFailure;
}

int run_share(const ShareRequest& share) {
  const Role role = share.tunnels.front().role();
  for (const std::string& warning : share.warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  std::string host;
  if (share.wants_address) {
    auto own = own_host();
    if (!own) return refuse(content_error(role, "--share: " + own.error()).line, kExitFailure);
    host = std::move(own.value());
  }
  std::string text;
  for (const Settings& settings : share.tunnels) {
    const auto pairing = pairing_of(settings, host);
    if (const auto* refusal = std::get_if<StartupError>(&pairing))
      return refuse(refusal->line, refusal->exit_code);
    text += share_part(settings, std::get<std::string>(pairing));
  }
  text += "Whoever has the string in quotes can use the tunnel: send it by a safe way.\n";
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : kExitFailure;
}

}  // namespace kcptun
