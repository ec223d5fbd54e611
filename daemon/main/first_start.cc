#include "daemon/main/first_start.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "config/pairing.h"
#include "config/render.h"
#include "core/base/result.h"
#include "daemon/main/qr_code.h"
#include "daemon/net/address.h"
#include "daemon/net/own_address.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

std::string generate_key() {
  std::array<std::uint8_t, 32> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  std::string key = render_key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  key.pop_back();  // the newline
  return key;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

Error file_error(const std::string& path, const std::string& what) {
  return Error{printable_path(path) + ": " + what};
}

/// Only its owner may read it: it holds the key. A file that cannot be completed does not stay.
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

/// The columns of the terminal on standard output; 0 when it is none.
int terminal_columns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0) return 0;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string qr_part(const std::string& pairing) {
  const int columns = terminal_columns();
  if (columns == 0) return {};
  const auto code = qr_text(pairing);
  if (!code) return {};
  if (code->columns > columns) {
    return "(Its QR code needs a terminal of " + std::to_string(code->columns) + " columns.)\n\n";
  }
  return "The same as a QR code:\n\n" + code->text + '\n';
}

/// Where clients find the server, and what to do if that is wrong.
std::string address_part(const InitPair& init, const ProfilePair& pair) {
  const std::string address = pair.client.text(OptionId::kRemoteAddr);
  std::string text = "Clients look for the server at " + printable(address) + " (UDP).";
  if (init.wants_address) {
    text +=
        " That is this machine's own address: if\nclients reach it by another one, or by a name, start again "
        "with "
        "--public-address HOST.";
  }
  return text + "\n\n";
}

std::string start_part(Role role, const std::string& pairing) {
  const std::string program(program_name(role));
  std::string text =
      role == Role::kClient
          ? "On the client's machine this line is enough; TCP port 12948 is then the tunnel's entry:\n\n"
          : "On the server's machine this line is enough; -t ADDRESS says where connections go:\n\n";
  return text + "  " + program + " -c '" + pairing + "'\n\n" +
         "Whoever has that line can use the tunnel: send it by a safe way.\n\n";
}

void print_report(const InitPair& init, const ProfilePair& pair) {
  const Role other = init.written == Role::kClient ? Role::kServer : Role::kClient;
  const std::string pairing = encode_pairing(pair.client);
  const Settings& server = pair.server;
  std::string text = "Wrote " + printable_path(init.path) + ". On this machine:\n\n  " +
                     std::string(program_name(init.written)) + " -c " + printable_path(init.path) + "\n\n";
  text += "The server hands connections to " + printable(server.text(OptionId::kTarget)) + ".\n";
  text += address_part(init, pair) + start_part(other, pairing) + qr_part(pairing);
  text += "Or save this there as " + default_path(other) + ":\n\n" +
          render_profile(other == Role::kClient ? pair.client : pair.server, default_path(other));
  std::fputs(text.c_str(), stdout);
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
    const auto address = own_address();
    if (!address)
      return refuse(content_error(role,
                                    "--init: this machine has no address but its own loopback; "
                                    "--public-address says where clients find it")
                        .line,
                    kExitFailure);
    facts.own_host = ip_to_string(*address);
  }
  auto made = make_pair_of(init, facts);
  if (const auto* refusal = std::get_if<StartupError>(&made)) return refuse(refusal->line, refusal->exit_code);
  const auto& pair = std::get<ProfilePair>(made);
  for (const std::string& warning : init.warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const auto& mine = init.written == Role::kClient ? pair.client : pair.server;
  const auto written = write_new_file(init.path, render_profile(mine, init.path));
  if (!written) return refuse(content_error(role, written.error()).line, kExitFailure);
  print_report(init, pair);
  return std::fflush(stdout) == 0 ? 0 : kExitFailure;
}

}  // namespace kcptun
