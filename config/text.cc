#include "config/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace kcptun {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr Character kInvalid{kNoCharacter, 1};

/// For a lead byte: the length of its character in bytes (0: not a lead byte), its value bits, and the
/// smallest value that needs that length.
struct Lead {
  std::size_t size;
  char32_t bits;
  char32_t least;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if (byte >= 0xc0 && byte < 0xe0) return {2, byte & 0x1fu, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return {3, byte & 0x0fu, 0x800};
  if (byte >= 0xf0 && byte < 0xf8) return {4, byte & 0x07u, 0x10000};
  return {0, 0, 0};
}

/// UTF-16 with the byte order mark that Windows editors and shells write.
bool is_utf16(std::string_view text) { return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"); }

}  // namespace

bool Character::valid() const { return value != kNoCharacter; }

Character first_character(std::string_view text) {
  const auto [size, bits, least] = lead_of(static_cast<unsigned char>(text.front()));
  if (size == 0 || size > text.size()) return kInvalid;
  char32_t value = bits;
  for (const char c : text.substr(1, size - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) return kInvalid;
    value = value << 6 | (byte & 0x3fu);
  }
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < least || value > 0x10ffff || surrogate) return kInvalid;
  return {value, size};
}

std::string code_point_name(char32_t value) {
  std::array<char, 12> name{};
  std::snprintf(name.data(), name.size(), "U+%04X", static_cast<unsigned>(value));
  return name.data();
}

bool is_blank(char32_t value) {
  if (value == ' ' || (value >= '\t' && value <= '\r')) return true;
  constexpr std::array<char32_t, 8> kOthers{0x85, 0xa0, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff};
  return (value >= 0x2000 && value <= 0x200f) || std::ranges::find(kOthers, value) != kOthers.end();
}

std::string_view without_blanks(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = first_character(text.substr(at));
    if (!is_blank(c.value)) {
      begin = std::min(begin, at);
      end = at + c.size;
    }
    at += c.size;
  }
  return begin < end ? text.substr(begin, end - begin) : text.substr(0, 0);
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    c.valid() ? out.append(text.substr(0, c.size)) : out.append("\xef\xbf\xbd");
    text.remove_prefix(c.size);
  }
  return out;
}

Result<std::string> text_of_file(std::string text) {
  if (is_utf16(text)) return Error{"is in UTF-16; save it as UTF-8"};
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

bool is_name(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return text.size() <= kMaxNameSize && text.find_first_not_of(kAllowed) == text.npos;
}

}  // namespace kcptun
