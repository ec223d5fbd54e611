#include "config/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "config/suggest.h"
#include "config/text.h"

namespace kcptun {
namespace {

constexpr std::string_view kEnd = "--";

/// The parts of one argument, such as "-flag=value" or "--flag".
struct FlagToken {
  std::string_view name;
  std::string_view value;
  bool has_value = false;
};

FlagToken split_flag(std::string_view argument) {
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

/// Cuts "key:SECRET" and "keySECRET" before the part that may be a secret.
std::string_view without_secret(std::string_view name) {
  for (const auto& option : all_options())
    if (is_secret(option.id) && name.starts_with(option.flag)) return name.substr(0, option.flag.size());
  return name.substr(0, std::min(name.find(':'), name.size()));
}

/// `argument` includes its dashes.
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

/// The error for a word that begins with a typographic dash, as word processors insert; "" for other words.
std::string typographic_dash_error(std::string_view word) {
  if (word.empty()) return {};
  const char32_t first = first_character(word).value;
  if ((first < 0x2010 || first > 0x2015) && first != 0x2212) return {};
  return "an argument begins with a dash (" + code_point_name(first) + ") where a flag has a hyphen";
}

/// The error for a positional argument; the programs accept none.
std::string positional_error(std::string_view word, bool last_flag_is_secret) {
  if (auto error = typographic_dash_error(word); !error.empty()) return error;
  if (last_flag_is_secret)
    return "unexpected argument behind a secret (hidden); a value with blanks stands in quotes";
  std::string error = '"' + printable(word) + "\": unexpected argument";
  const bool is_bool = value_from_text(option_of(OptionId::kQuiet), word).ok();
  return is_bool ? error + " (a switch takes its value after '=', as in -nocomp=true)" : error;
}

std::string unexpected_error(const NormalArguments& normal, Role role) {
  const std::string& word = *normal.unexpected;
  if (!is_flag(word)) return positional_error(word, normal.last_flag_is_secret);
  if (find_flag(role, split_flag(word).name))
    return printable(word.substr(0, word.find('='))) + ": unexpected argument after --";
  return unknown_flag_error(word, role);
}

/// Adds a CLI11 option for each row of the table. CLI11 writes the value of option `id` to texts[id].
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
    // MultiOptionPolicy::Join separates values by line feeds.
    if (option.kind == OptionKind::kList) std::ranges::replace(text, '\n', ',');
    auto value = value_from_text(option, text);
    if (!value) return Error{flag_message(option, text, value.error())};
    assignments.push_back({option.id, std::move(value.value())});
  }
  return assignments;
}

/// The error for a last flag without a value. Checked before CLI11 runs, to have the wording of other errors.
std::string missing_value_error(const std::vector<std::string>& words) {
  return words.size() % 2 == 1 ? words.back() + ": needs a value" : std::string();
}

}  // namespace

NormalArguments normalise_arguments(const std::vector<std::string>& arguments, Role role) {
  NormalArguments normal;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (*argument == kEnd) {
      if (argument + 1 != arguments.end()) normal.unexpected = argument[1];
      return normal;
    }
    const FlagToken token = is_flag(*argument) ? split_flag(*argument) : FlagToken{};
    const Option* option = token.name.empty() ? nullptr : find_flag(role, token.name);
    if (!option) {
      normal.unexpected = *argument;
      return normal;
    }
    normal.words.push_back(dashed(*option));
    normal.last_flag_is_secret = is_secret(option->id);
    if (token.has_value) {
      normal.words.emplace_back(token.value);
    } else if (option->kind == OptionKind::kSwitch) {
      normal.words.emplace_back("true");
    } else if (argument + 1 != arguments.end()) {
      normal.words.push_back(*++argument);  // also if it begins with a dash: -1, -secret
    }
  }
  return normal;
}

Result<std::vector<FlagAssignment>> parse_flags(const std::vector<std::string>& arguments, Role role) {
  NormalArguments normal = normalise_arguments(arguments, role);
  if (normal.unexpected) {
    if (asks_for_help(*normal.unexpected)) return std::vector<FlagAssignment>{{OptionId::kHelp, Value{true}}};
    return Error{unexpected_error(normal, role)};
  }
  auto& words = normal.words;
  const auto missing = missing_value_error(words);
  if (!missing.empty()) return Error{missing};
  CLI::App app;
  app.set_help_flag();
  Texts texts;
  const auto options = add_options(app, texts, role);
  std::ranges::reverse(words);  // the order that App::parse(vector) expects
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& fault) {
    return Error{printable(fault.what())};
  }
  return typed_assignments(options, texts);
}

}  // namespace kcptun
