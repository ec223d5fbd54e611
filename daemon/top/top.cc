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

// A little longer than a snapshot lives, so that each look sees a new one.
constexpr auto kPeriod = std::chrono::milliseconds(1050);
// As wide as a terminal at least is, so that it fits mails and reports.
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

// Everything but --once and the address is what the program itself understands.
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
  // An address elsewhere needs a token where it is served; whether there is one, the server there says.
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

// Two looks, for rates need them.
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

// The terminal, without echo and line by line input, on its second screen; given back as it was.
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
  // In one piece, each line cleared to its end: nothing flickers.
  void draw(const std::string& frame) const {
    std::string out = "\x1b[H";
    for (const char c : frame) out += c == '\n' ? std::string("\x1b[K\r\n") : std::string(1, c);
    write(out + "\x1b[J");
  }

 private:
  static void handle(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;  // no SA_RESTART: poll() returns
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
  if (size.rows > 0) --size.rows;  // the last one is for what is wrong, and keeps the frame from scrolling
  terminal.draw(view.frame(size, TopView::Style::kTerminal) + trouble.substr(0, size.columns));
}

// Until the next look is due; true when the user is done.
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
  TopView first;  // a wrong address is one line, before the screen changes
  if (const Result<bool> seen = look(command, first); !seen) return refuse(role, 1, seen.error());
  return run_in_terminal(command);
}

}  // namespace kcptun
