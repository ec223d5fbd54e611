#include "daemon/top/top.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <variant>

#include "config/command.h"
#include "config/options.h"
#include "daemon/top/fetch.h"
#include "daemon/top/top_view.h"

namespace kcptun {
namespace {

using Clock = std::chrono::steady_clock;

// Longer than a snapshot is reused (1 s), so that each request gets a new one.
constexpr auto kPeriod = std::chrono::milliseconds(1050);
// 80 columns, the minimum width of a terminal, also fit mails and reports.
constexpr TopView::Size kPlainSize{.columns = 80, .rows = 400};
constexpr const char* kTokenVariable = "KCPTUN_STATUS_TOKEN";

struct TopCommand {
  Address address;
  std::string token;
  bool once = false;
};

int refuse(Role role, int code, const std::string& line) {
  std::fprintf(stderr, "%s top: %s\n", std::string(program_name(role)).c_str(), line.c_str());
  return code;
}

std::string usage(Role role) {
  return "usage: " + std::string(program_name(role)) + " top [--once] ADDRESS | -c FILE\n" +
         "Shows what the program does that runs with --status ADDRESS; q ends. The token of --status-token "
         "is\n" +
         "taken from the file, from --status-token or from the environment's " + kTokenVariable + ".\n";
}

// `top` interprets --once, --help and the address; parse_command() interprets all other arguments.
std::variant<TopCommand, int> parse(const CommandInput& process) {
  const Role role = process.role;
  const std::vector<std::string>& arguments = process.arguments;
  TopCommand top;
  CommandInput input = process;
  input.arguments.clear();
  input.plugin = {};
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const std::string& before = arguments[i - 1];
    const bool is_value =
        before.starts_with('-') && !before.ends_with("-once") && before.find('=') == before.npos;
    if (word == "--help" || word == "-h") return std::fputs(usage(role).c_str(), stdout) < 0 ? 1 : 0;
    if (word == "--once" || word == "-once") {
      top.once = true;
    } else if (!word.starts_with('-') && !is_value) {
      input.arguments.insert(input.arguments.end(), {"--status", word});
    } else {
      input.arguments.push_back(word);
    }
  }
  if (const char* token = std::getenv(kTokenVariable); token && *token)
    input.arguments.insert(input.arguments.begin(), {"--status-token", token});
  // Validation requires a token for an address that is not loopback. Whether the token is right is up to the
  // server at that address.
  ParsedCommand parsed = parse_command(input);
  if (const auto* refusal = std::get_if<StartupError>(&parsed)) {
    std::fprintf(stderr, "%s\n", refusal->line.c_str());
    return refusal->exit_code;
  }
  const auto* run = std::get_if<RunTunnels>(&parsed);
  if (!run || !run->tunnels.front().profile.status) {
    std::fputs(usage(role).c_str(), stderr);
    return 2;
  }
  top.address = *run->tunnels.front().profile.status;
  top.token = run->tunnels.front().profile.status_token;
  return top;
}

Result<bool> look(const TopCommand& command, TopView& view) {
  const Result<std::string> body = fetch_status(command.address, command.token, "/status.json");
  if (!body) return Error{body.error()};
  return view.handle_status(body.value());
}

// Fetches two statuses, because rates need an interval.
int run_once(Role role, const TopCommand& command) {
  TopView view;
  if (const Result<bool> first = look(command, view); !first) return refuse(role, 1, first.error());
  std::this_thread::sleep_for(kPeriod);
  if (const Result<bool> second = look(command, view); !second) return refuse(role, 1, second.error());
  std::fputs(view.frame(kPlainSize, TopView::Style::kPlain).c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

volatile sig_atomic_t resized = 0;
volatile sig_atomic_t ended = 0;

// Switches to the terminal's alternate screen without echo or line buffering, and restores both on
// destruction.
class Terminal {
 public:
  Terminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) handle(number, [](int) { ended = 1; });
    handle(SIGWINCH, [](int) { resized = 1; });
    write("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    write("\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  TopView::Size size() const {
    winsize now{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) != 0 || now.ws_col == 0 || now.ws_row == 0) return {};
    return {now.ws_col, now.ws_row};
  }
  // Writes the frame at once and clears each line to its end, which avoids flicker.
  void draw(const std::string& frame) const {
    std::string out = "\x1b[H";
    for (const char c : frame) out += c == '\n' ? std::string("\x1b[K\r\n") : std::string(1, c);
    write(out + "\x1b[J");
  }

 private:
  static void handle(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;  // without SA_RESTART, poll() returns on a signal
    sigaction(number, &action, nullptr);
  }
  static void write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  termios before_{};
};

void draw(const Terminal& terminal, const TopView& view, const std::string& trouble) {
  TopView::Size size = terminal.size();
  if (size.rows > 0) --size.rows;  // the last row is for errors, and keeps the frame from scrolling
  terminal.draw(view.frame(size, TopView::Style::kTerminal) + trouble.substr(0, size.columns));
}

// Waits until the next update is due. Returns true if the user quits.
bool wait_for_key(Clock::time_point until, const std::function<void()>& redraw) {
  while (!ended) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return false;
    pollfd keyboard{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&keyboard, 1, static_cast<int>(left));
    if (resized) {
      resized = 0;
      redraw();
    }
    if (ready <= 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return true;
  }
  return true;
}

int run_in_terminal(const TopCommand& command) {
  const Terminal terminal;
  TopView view;
  std::string trouble;
  for (;;) {
    const Clock::time_point next = Clock::now() + kPeriod;
    const Result<bool> seen = look(command, view);
    trouble = seen ? "" : "no answer: " + seen.error();
    draw(terminal, view, trouble);
    if (wait_for_key(next, [&] { draw(terminal, view, trouble); })) return 0;
  }
}

}  // namespace

int run_top(const CommandInput& process) {
  const Role role = process.role;
  const std::variant<TopCommand, int> parsed = parse(process);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  const TopCommand& command = std::get<TopCommand>(parsed);
  if (command.once) return run_once(role, command);
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
    return refuse(role, 2, "this is no terminal; --once prints one frame");
  TopView first;  // reports a wrong address as one line, before the screen changes
  if (const Result<bool> seen = look(command, first); !seen) return refuse(role, 1, seen.error());
  return run_in_terminal(command);
}

}  // namespace kcptun
