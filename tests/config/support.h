// A start with files from memory, and short ways to look at what became of it.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/command.h"

namespace kcptun::test {

struct Start {
  Role role = Role::kClient;
  std::vector<std::string> arguments{};
  std::optional<std::string> environment_key{};
  std::map<std::string, std::string> files{};
  PluginEnvironment plugin{};
  std::map<std::string, std::string> key_files{};
};

inline ParsedCommand run(const Start& start) {
  const auto read = [&](const std::string& path) -> Result<std::string> {
    const auto file = start.files.find(path);
    if (file == start.files.end()) return Error{"No such file or directory"};
    return file->second;
  };
  const auto read_key = [&](const std::string& path) -> Result<std::string> {
    const auto file = start.key_files.find(path);
    if (file == start.key_files.end()) return Error{"cannot be read: No such file or directory"};
    return file->second;
  };
  const auto random = [] {
    std::array<std::uint8_t, 32> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 8);
    return bytes;
  };
  return parse_command({start.role,
                        start.arguments,
                        start.environment_key,
                        start.plugin,
                        "libuv 1.44",
                        read,
                        {},
                        read_key,
                        random});
}

inline ParsedCommand run_flags(std::vector<std::string> arguments, Role role = Role::kClient) {
  return run({.role = role, .arguments = std::move(arguments)});
}

/// As `-c x.json`.
inline ParsedCommand run_json(const std::string& text, Role role = Role::kClient) {
  return run({.role = role, .arguments = {"-c", "x.json"}, .files = {{"x.json", text}}});
}

inline std::string refusal_line(const ParsedCommand& command) {
  const auto* refusal = std::get_if<StartupError>(&command);
  return refusal ? refusal->line : "not refused";
}

inline int exit_code(const ParsedCommand& command) {
  const auto* refusal = std::get_if<StartupError>(&command);
  return refusal ? refusal->exit_code : 0;
}

inline const RunTunnels& started(const ParsedCommand& command) {
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<RunTunnels>(command));
  return std::get<RunTunnels>(command);
}

/// Of a start or of --check; without those about a remoteaddr that is not set and about a short key, as most
/// of the starts here have none and a short one.
inline std::vector<std::string> warnings_of(const ParsedCommand& command) {
  const auto* print = std::get_if<PrintText>(&command);
  std::vector<std::string> warnings = print ? print->warnings : started(command).warnings;
  std::erase_if(warnings, [](const std::string& line) {
    return line.find("remoteaddr is not set") != line.npos || line.find("so it can be guessed") != line.npos;
  });
  return warnings;
}

inline const Profile& profile_of(const ParsedCommand& command) {
  return started(command).tunnels.front().profile;
}

/// As -c reads them: with comments.
inline nlohmann::json fields_of(const std::string& json) {
  return nlohmann::json::parse(json, nullptr, true, true);
}

inline const std::string& printed(const ParsedCommand& command) {
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<PrintText>(command));
  return std::get<PrintText>(command).text;
}

}  // namespace kcptun::test
