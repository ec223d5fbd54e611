#include "config/json_fault.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "config/settings.h"
#include "config/text.h"

namespace kcptun {
namespace {

constexpr std::size_t kMaxReason = 200;

bool is_word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.' || c == '_';
}

/// Returns the position behind the string that begins at `begin`: behind its closing quote, or at the end of
/// its line.
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin + 1; at < text.size(); ++at) {
    if (text[at] == '\n') return at;
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return text.size();
}

/// Returns the position behind the comment that begins at `begin`, or `begin` if there is no comment.
std::size_t end_of_comment(std::string_view text, std::size_t begin) {
  const auto rest = text.substr(begin);
  if (!rest.starts_with("//") && !rest.starts_with("/*")) return begin;
  const std::string_view last = rest[1] == '/' ? "\n" : "*/";
  const auto end = rest.find(last, 2);
  return end == rest.npos ? text.size() : begin + end + last.size();
}

/// A string, a word, a number or a single character, which is as much of JSON's grammar as locating a fault
/// needs.
struct Token {
  std::size_t begin;
  std::size_t end;
};

/// The first token at or behind `from`; empty at the end of the text.
Token next_token(std::string_view text, std::size_t from) {
  std::size_t begin = from;
  while (begin < text.size()) {
    const auto behind = end_of_comment(text, begin);
    if (behind == begin && std::isspace(static_cast<unsigned char>(text[begin])) == 0) break;
    begin = std::max(behind, begin + (behind == begin ? 1 : 0));
  }
  if (begin == text.size()) return {begin, begin};
  if (text[begin] == '"') return {begin, end_of_string(text, begin)};
  std::size_t end = begin;
  while (end < text.size() && is_word_byte(text[end])) ++end;
  return {begin, end > begin ? end : begin + first_character(text.substr(begin)).size};
}

struct Place {
  Token token;     // contains the byte, or follows it
  Token before{};  // empty at the beginning of the text
};

Place find_place(std::string_view text, std::size_t offset) {
  Place place{next_token(text, 0)};
  while (place.token.end <= offset && place.token.end < text.size()) {
    place.before = place.token;
    place.token = next_token(text, place.token.end);
  }
  return place;
}

/// A character that looks like a character of JSON, and the intended one.
struct Lookalike {
  char32_t first;
  char32_t last;
  std::string_view name;
  char meant;
};
constexpr std::array<Lookalike, 10> kLookalikes{{
    {0x2018, 0x201b, "a curly quote", '"'},
    {0x201c, 0x201f, "a curly quote", '"'},
    {0xab, 0xab, "an angled quote", '"'},
    {0xbb, 0xbb, "an angled quote", '"'},
    {0xff02, 0xff02, "a full-width quote", '"'},
    {0xff0c, 0xff0c, "a full-width comma", ','},
    {0x3001, 0x3001, "an ideographic comma", ','},
    {0xff1a, 0xff1a, "a full-width colon", ':'},
    {0xff5b, 0xff5b, "a full-width brace", '{'},
    {0xff5d, 0xff5d, "a full-width brace", '}'},
}};

const Lookalike* find_lookalike(char32_t value) {
  const auto row = std::ranges::find_if(
      kLookalikes, [value](const Lookalike& one) { return value >= one.first && value <= one.last; });
  return row == kLookalikes.end() ? nullptr : &*row;
}

std::string strange_character(char32_t value) {
  const std::string name = value == kNoCharacter ? "a byte that is not UTF-8" : code_point_name(value);
  if (const auto* row = find_lookalike(value))
    return std::string(row->name) + " (" + name + ") stands where JSON has " + row->meant;
  if (is_blank(value)) return "a blank (" + name + ") that JSON does not know: write an ordinary one";
  return "the character " + name + " cannot stand outside of quotes";
}

/// Explains a string that the end of its line cuts off. A curly quote in it was meant to end it.
std::string unclosed_string(std::string_view string) {
  std::string reason = "the quote that ends this text is missing on its line";
  while (!string.empty()) {
    const Character c = first_character(string);
    const auto* row = find_lookalike(c.value);
    if (row && row->meant == '"')
      return reason + "; " + std::string(row->name) + " (" + code_point_name(c.value) + ") ends none";
    string.remove_prefix(c.size);
  }
  return reason;
}

std::string strange_word(char first, bool in_key) {
  if (first == '\'') return "a single quote stands where JSON has \"";
  if (first == '#') return "a comment begins with //";
  if (first == ';') return "a semicolon stands where JSON has a comma";
  if (first == '=') return "an equals sign stands where JSON has a colon";
  return in_key ? "the name of a field stands in quotes"
                : "a word without quotes is true, false, null or a number; text stands in quotes";
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

/// Our explanation of the fault, or "" to use the parser's.
std::string own_reason(std::string_view text, const Place& place, std::string_view reason) {
  const auto token = text.substr(place.token.begin, place.token.end - place.token.begin);
  if (next_token(text, 0).begin == text.size()) return "the file is empty";
  if (token.empty()) return {};
  const Character first = first_character(token);
  if (first.value == 0) return "a NUL byte stands here, as UTF-16 has them: save the file as UTF-8";
  if (contains(reason, "U+000A") || contains(reason, "U+000D")) return unclosed_string(token);
  if (contains(reason, "U+0009")) return "a tab stands in quotes as \\t";
  if (contains(reason, "number overflow")) return "a number is out of range";
  if (first.value >= 0x80) return strange_character(first.value);
  if (contains(reason, "invalid literal")) return strange_word(token.front(), contains(reason, "object key"));
  const bool begins_value =
      token.front() == '"' || token.front() == '{' || token.front() == '[' || is_word_byte(token.front());
  if (begins_value && (contains(reason, "parsing object -") || contains(reason, "parsing array -")))
    return "a comma is missing before this";
  if (begins_value && contains(reason, "object separator")) return "a colon is missing before this";
  const bool closes = token.front() == '}' || token.front() == ']';
  const bool behind_comma = place.before.end > place.before.begin && text[place.before.begin] == ',';
  return closes && behind_comma ? "the comma before this is one too many" : std::string();
}

}  // namespace

std::string line_and_column(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return std::to_string(1 + std::ranges::count(before, '\n')) + ':' +
         std::to_string(1 + std::ranges::count_if(line, begins_character));
}

std::string explain_json_fault(std::string_view text, std::size_t offset, std::string_view reason) {
  // The parser rejects a line break inside a string.
  const bool end_of_line = contains(reason, "U+000A") || contains(reason, "U+000D");
  const Place place = find_place(text, end_of_line && offset > 0 ? offset - 1 : offset);
  if (const std::string own = own_reason(text, place, reason); !own.empty())
    return line_and_column(text, place.token.begin) + ": " + own;
  return line_and_column(text, offset) + ": " + printable(reason, kMaxReason);
}

std::size_t find_text_behind(std::string_view text) {
  std::size_t depth = 0;
  for (Token token = next_token(text, 0); token.end > token.begin; token = next_token(text, token.end)) {
    const char c = text[token.begin];
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (depth == 0) return next_token(text, token.end).begin;
  }
  return text.size();
}

}  // namespace kcptun
