#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "config/suggest.h"

namespace kcptun {
namespace {

constexpr std::string_view kEnd = "--";

/// One argument taken apart: "-flag=value", "--flag".
struct Token {
  std::string_view name;
  std::string_view value;
  bool has_value = false;
};

Token split_flag(std::string_view argument) {
  argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
  const auto equals = argument.find('=');
  if (equals == argument.npos) return {argument, {}, false};
  return {argument.substr(0, equals), argument.substr(equals + 1), true};
}

bool is_flag(std::string_view argument) {
  return argument.starts_with('-') && !split_flag(argument).name.empty();
}

std::string dashed(const Option& option) {
  return (option.flag.size() == 1 ? "-" : "--") + std::string(option.flag);
}

bool asks_for_help(std::string_view word) { return word == "help" || word == "h"; }

std::string unknown_flag_error(std::string_view argument, Role role) {
  std::vector<std::string_view> known;
  for (const auto& option : all_options()) {
    if (option.applies_to(role) && option.group != OptionGroup::kHidden) known.push_back(option.flag);
  }
  const auto name = split_flag(argument).name;
  const auto nearest = nearest_name(name, known);
  std::string error = "--" + printable(name) + ": unknown flag";
  if (!nearest.empty()) error.append(" (did you mean --").append(nearest).append("?)");
  return error;
}

std::string stranger_error(const std::string& word, Role role) {
  if (is_flag(word) && find_flag(role, split_flag(word).name))
    return printable(word) + ": unexpected argument after --";
  if (is_flag(word)) return unknown_flag_error(word, role);
  std::string error = '"' + printable(word) + "\": unexpected argument";
  const bool is_bool = value_from_text(option_of(OptionId::kQuiet), word).ok();
  return is_bool ? error + " (a switch takes its value after '=', as in -nocomp=true)" : error;
}

/// CLI11's options, one of each row, writing their text into `texts` by id.
using Texts = std::array<std::string, kOptionCount>;
std::vector<CLI::Option*> add_options(CLI::App& app, Texts& texts, Role role) {
  std::vector<CLI::Option*> added(kOptionCount, nullptr);
  for (const auto& option : all_options()) {
    if (!option.applies_to(role)) continue;
    const auto index = static_cast<std::size_t>(option.id);
    added[index] = app.add_option(dashed(option), texts[index]);
    added[index]->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  return added;
}

Result<std::vector<FlagAssignment>> typed_assignments(const std::vector<CLI::Option*>& options,
                                                      const Texts& texts) {
  std::vector<FlagAssignment> assignments;
  for (const auto& option : all_options()) {
    const auto index = static_cast<std::size_t>(option.id);
    if (!options[index] || options[index]->count() == 0) continue;
    auto value = value_from_text(option, texts[index]);
    if (!value) return Error{flag_message(option, texts[index], value.error())};
    assignments.push_back({option.id, std::move(value.value())});
  }
  return assignments;
}

/// "--mode: needs a value" for a flag that ends the line; CLI11 would say it in its own words.
std::string missing_value_error(const std::vector<std::string>& words) {
  return words.size() % 2 == 1 ? words.back() + ": needs a value" : std::string();
}

}  // namespace

NormalArguments normalise_arguments(const std::vector<std::string>& arguments, Role role) {
  NormalArguments normal;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (*argument == kEnd) {
      if (argument + 1 != arguments.end()) normal.stranger = argument[1];
      return normal;
    }
    const Token token = is_flag(*argument) ? split_flag(*argument) : Token{};
    const Option* option = token.name.empty() ? nullptr : find_flag(role, token.name);
    if (!option) {
      normal.stranger = token.name.empty() ? *argument : "--" + std::string(token.name);
      return normal;
    }
    normal.words.push_back(dashed(*option));
    if (token.has_value) {
      normal.words.emplace_back(token.value);
    } else if (option->kind == OptionKind::kSwitch) {
      normal.words.emplace_back("true");
    } else if (argument + 1 != arguments.end()) {
      normal.words.push_back(*++argument);  // whatever it looks like: -1 and -secret are values here
    }
  }
  return normal;
}

Result<std::vector<FlagAssignment>> parse_flags(const std::vector<std::string>& arguments, Role role) {
  auto [words, stranger] = normalise_arguments(arguments, role);
  if (stranger) {
    if (asks_for_help(*stranger)) return std::vector<FlagAssignment>{{OptionId::kHelp, Value{true}}};
    return Error{stranger_error(*stranger, role)};
  }
  const auto missing = missing_value_error(words);
  if (!missing.empty()) return Error{missing};
  CLI::App app;
  app.set_help_flag();
  Texts texts;
  const auto options = add_options(app, texts, role);
  std::ranges::reverse(words);  // as CLI11 wants it
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& fault) {
    return Error{printable(fault.what())};
  }
  return typed_assignments(options, texts);
}

}  // namespace kcptun
