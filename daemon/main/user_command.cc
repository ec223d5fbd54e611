#include "daemon/main/user_command.h"

#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "config/exit_codes.h"
#include "config/init.h"
#include "config/static_key.h"
#include "config/users.h"
#include "core/base/wipe.h"
#include "daemon/main/own_host.h"
#include "daemon/main/share_report.h"
#include "daemon/system/replaced_file.h"

namespace kcptun {
namespace {

constexpr std::string_view kReload =
    "A running server takes this over when it reloads: SIGHUP, or systemctl reload.\n";

int report_user_error(std::string_view line, int code) {
  std::fprintf(stderr, "kcptun-server: %.*s\n", static_cast<int>(line.size()), line.data());
  return code;
}

std::string usage() {
  const Subcommand& user = *find_subcommand(Role::kServer, "user");
  return "usage: kcptun-server user " + std::string(user.usage);
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : kExitFailure;
}

/// The users in the text of a file, which may be new.
Result<std::vector<User>> users_in(const std::string& text) {
  return parse_users(text.empty() ? std::string(kNoUsers) : text);
}

struct NewUser {
  std::string entry;        // NAME=KEY and the fields
  std::string private_key;  // "": the user has made its own
};

/// NAME, NAME;FIELDS or NAME=KEY;FIELDS. Without a key one is made.
NewUser with_key(const std::string& word) {
  const auto fields = std::min(word.find(';'), word.size());
  if (word.substr(0, fields).find('=') != std::string::npos) return {word, {}};
  StaticKey secret;
  randombytes_buf(secret.data(), secret.size());
  NewUser made{word.substr(0, fields) + '=' + to_text(public_key_of(secret)) + word.substr(fields),
               to_text(secret)};
  wipe(secret.data(), secret.size());
  return made;
}

std::string name_in(std::string_view entry) {
  return std::string(entry.substr(0, entry.find_first_of("=;")));
}

/// The pairing string of a user whose private key was made here.
Result<std::string> pairing_for(const RunSubcommand& run, const std::string& private_key) {
  std::string host;
  if (wants_own_address(run.settings)) {
    auto own = own_host();
    if (!own) return Error{own.error()};
    host = std::move(own.value());
  }
  const UserKeys keys{private_key, to_text(public_key_of(*run.profile.private_key))};
  auto pairing = pairing_of_user(run.settings, host, keys);
  if (const auto* refusal = std::get_if<StartupError>(&pairing)) return Error{refusal->line};
  return std::get<std::string>(std::move(pairing));
}

int add(const RunSubcommand& run, const std::string& path, const std::string& word) {
  NewUser user = with_key(word);
  std::optional<std::string> pairing;
  if (!user.private_key.empty()) {
    auto made = pairing_for(run, user.private_key);
    wipe(user.private_key);
    if (!made) return report_user_error(made.error(), kExitConfig);
    pairing = std::move(made.value());
  }
  const auto replaced = replace_text(path, [&user](const std::string& text) -> Result<std::string> {
    auto users = users_in(text);
    if (!users) return Error{users.error()};
    if (const auto bad = add_user(users.value(), user.entry))
      return Error{"gets no user \"" + printable(name_in(user.entry)) + "\", who " + *bad};
    return render_users(users.value());
  });
  if (!replaced)
    return report_user_error("user add: " + printable_path(path) + ' ' + replaced.error(), kExitConfig);
  std::string text =
      "Added " + name_in(user.entry) + " to " + printable_path(path) + ". " + std::string(kReload);
  if (pairing)
    text += '\n' + qr_part(*pairing) + "On the user's machine:\n\n" +
            pairing_command(Role::kClient, *pairing) +
            "\nThe string in quotes holds the user's private key, which is kept nowhere else:\n"
            "send it by a safe way.\n";
  return print(text);
}

int remove(const std::string& path, const std::string& name) {
  const auto replaced = replace_text(path, [&name](const std::string& text) -> Result<std::string> {
    auto users = users_in(text);
    if (!users) return Error{users.error()};
    if (std::erase_if(users.value(), [&name](const User& user) { return user.name == name; }) == 0)
      return Error{"has no user \"" + printable(name) + '"'};
    return render_users(users.value());
  });
  if (!replaced)
    return report_user_error("user remove: " + printable_path(path) + ' ' + replaced.error(), kExitConfig);
  return print("Removed " + name + " from " + printable_path(path) + ". " + std::string(kReload));
}

int list(const std::vector<User>& users) {
  std::string text;
  for (const User& user : users) text += to_text(user) + '\n';
  return print(text);
}

}  // namespace

int run_user(const RunSubcommand& run) {
  const std::vector<std::string>& words = run.words;
  const std::string action = words.empty() ? "" : words.front();
  if (action == "list" && words.size() == 1) return list(run.profile.users);
  if ((action != "add" && action != "remove") || words.size() != 2)
    return report_user_error(usage(), kExitUsage);
  const std::string& path = run.settings.text(OptionId::kUsersFile);
  if (path.empty())
    return report_user_error("user " + action + ": the profile has no users-file, which is what it edits",
                             kExitConfig);
  return action == "add" ? add(run, path, words[1]) : remove(path, words[1]);
}

}  // namespace kcptun
