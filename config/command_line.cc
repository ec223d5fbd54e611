#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "config/suggest.h"
#include "config/text.h"

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

std::string_view dashes_of(std::string_view name) { return name.size() == 1 ? "-" : "--"; }

std::string dashed(const Option& option) { return std::string(dashes_of(option.flag)).append(option.flag); }

bool asks_for_help(std::string_view word) { return word == "help" || word == "h"; }

/// "--key:SECRET" and "-keySECRET" without what may be the secret.
std::string_view without_secret(std::string_view name) {
  for (const auto& option : all_options())
    if (is_secret(option.id) && name.starts_with(option.flag)) return name.substr(0, option.flag.size());
  return name.substr(0, std::min(name.find(':'), name.size()));
}

/// `argument`: as it was written.
std::string unknown_flag_error(std::string_view argument, Role role) {
  std::vector<std::string_view> known;
  for (const auto& option : all_options()) {
    if (!option.applies_to(role) || option.group == OptionGroup::kHidden) continue;
    known.push_back(option.flag);
    if (!option.alias.empty()) known.push_back(option.alias);
  }
  const auto name = split_flag(argument).name;
  const auto nearest = nearest_name(name, known);
  const auto shown = nearest.empty() ? without_secret(name) : name;
  std::string error = (argument.starts_with("--") ? "--" : "-") + printable(shown);
  error.append(shown.size() < name.size() ? "...: unknown flag" : ": unknown flag");
  if (!nearest.empty())
    error.append(" (did you mean ").append(dashes_of(nearest)).append(nearest).append("?)");
  return error;
}

/// Of a flag that went through a word processor: its dash is no hyphen. "" if `word` is none.
std::string typographic_dash_error(std::string_view word) {
  if (word.empty()) return {};
  const char32_t first = first_character(word).value;
  if ((first < 0x2010 || first > 0x2015) && first != 0x2212) return {};
  return "an argument begins with a dash (" + code_point_name(first) + ") where a flag has a hyphen";
}

/// A word that is no flag.
std::string stray_word_error(std::string_view word, bool behind_secret) {
  if (auto error = typographic_dash_error(word); !error.empty()) return error;
  if (behind_secret)
    return "unexpected argument behind a secret (hidden); a value with blanks stands in quotes";
  std::string error = '"' + printable(word) + "\": unexpected argument";
  const bool is_bool = value_from_text(option_of(OptionId::kQuiet), word).ok();
  return is_bool ? error + " (a switch takes its value after '=', as in -nocomp=true)" : error;
}

std::string stranger_error(const NormalArguments& normal, Role role) {
  const std::string& word = *normal.stranger;
  if (!is_flag(word)) return stray_word_error(word, normal.behind_secret);
  if (find_flag(role, split_flag(word).name))
    return printable(word.substr(0, word.find('='))) + ": unexpected argument after --";
  return unknown_flag_error(word, role);
}

/// CLI11's options, one of each row, writing their text into `texts` by id.
using Texts = std::array<std::string, kOptionCount>;
std::vector<CLI::Option*> add_options(CLI::App& app, Texts& texts, Role role) {
  std::vector<CLI::Option*> added(kOptionCount, nullptr);
  for (const auto& option : all_options()) {
    if (!option.applies_to(role)) continue;
    const auto index = static_cast<std::size_t>(option.id);
    added[index] = app.add_option(dashed(option), texts[index]);
    const bool list = option.kind == OptionKind::kList;
    added[index]->multi_option_policy(list ? CLI::MultiOptionPolicy::Join : CLI::MultiOptionPolicy::TakeLast);
  }
  return added;
}

Result<std::vector<FlagAssignment>> typed_assignments(const std::vector<CLI::Option*>& options,
                                                      const Texts& texts) {
  std::vector<FlagAssignment> assignments;
  for (const auto& option : all_options()) {
    const auto index = static_cast<std::size_t>(option.id);
    if (!options[index] || options[index]->count() == 0) continue;
    std::string text = texts[index];
    // CLI11 joins by line feeds.
    if (option.kind == OptionKind::kList) std::ranges::replace(text, '\n', ',');
    auto value = value_from_text(option, text);
    if (!value) return Error{flag_message(option, text, value.error())};
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
      normal.stranger = *argument;
      return normal;
    }
    normal.words.push_back(dashed(*option));
    normal.behind_secret = is_secret(option->id);
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
  NormalArguments normal = normalise_arguments(arguments, role);
  if (normal.stranger) {
    if (asks_for_help(*normal.stranger)) return std::vector<FlagAssignment>{{OptionId::kHelp, Value{true}}};
    return Error{stranger_error(normal, role)};
  }
  auto& words = normal.words;
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
