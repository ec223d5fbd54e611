#include "daemon/metrics/time_layout.h"

#include <array>
#include <cstdlib>
#include <cstring>

namespace kcptun {
namespace {

constexpr std::array<const char*, 12> kMonths{"January",   "February", "March",    "April",
                                              "May",       "June",     "July",     "August",
                                              "September", "October",  "November", "December"};
constexpr std::array<const char*, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                           "Thursday", "Friday", "Saturday"};
constexpr std::size_t kShortName = 3;

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

bool is_lower_at(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= 'a' && text[at] <= 'z';
}

std::string padded(long value, std::size_t width, char fill) {
  std::string digits = std::to_string(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), fill);
  return digits;
}

std::string two(long value) { return padded(value, 2, '0'); }

// The part of an offset after the hours: nothing, minutes, or minutes and seconds, with the given separator.
std::string offset_text(long seconds, std::size_t parts, std::string_view colon) {
  const long size = std::labs(seconds);
  std::string text(1, seconds < 0 ? '-' : '+');
  text += two(size / 3600);
  if (parts > 1) text.append(colon).append(two(size / 60 % 60));
  if (parts > 2) text.append(colon).append(two(size % 60));
  return text;
}

// The abbreviation of a zone, or its offset if it has none.
std::string zone_text(const std::tm& fields) {
  if (fields.tm_zone && *fields.tm_zone) return fields.tm_zone;
  return offset_text(fields.tm_gmtoff, fields.tm_gmtoff % 3600 == 0 ? 1 : 2, "");
}

long hour_of_twelve(const std::tm& fields) { return fields.tm_hour % 12 == 0 ? 12 : fields.tm_hour % 12; }

struct Element {
  std::string_view text;
  bool is_word;  // only if no lower-case letter follows: "Month" is not "Mon" and "th"
  std::string (*value)(const std::tm& fields);
};

// The longest of elements with a common prefix comes first.
constexpr std::array kElements{
    Element{"January", false, [](const std::tm& t) { return std::string(kMonths[t.tm_mon]); }},
    Element{"Jan", true, [](const std::tm& t) { return std::string(kMonths[t.tm_mon], kShortName); }},
    Element{"Monday", false, [](const std::tm& t) { return std::string(kDays[t.tm_wday]); }},
    Element{"Mon", true, [](const std::tm& t) { return std::string(kDays[t.tm_wday], kShortName); }},
    Element{"MST", false, zone_text},
    Element{"01", false, [](const std::tm& t) { return two(t.tm_mon + 1); }},
    Element{"02", false, [](const std::tm& t) { return two(t.tm_mday); }},
    Element{"03", false, [](const std::tm& t) { return two(hour_of_twelve(t)); }},
    Element{"04", false, [](const std::tm& t) { return two(t.tm_min); }},
    Element{"05", false, [](const std::tm& t) { return two(t.tm_sec); }},
    Element{"06", false, [](const std::tm& t) { return two((t.tm_year + 1900) % 100); }},
    Element{"002", false, [](const std::tm& t) { return padded(t.tm_yday + 1, 3, '0'); }},
    Element{"15", false, [](const std::tm& t) { return two(t.tm_hour); }},
    Element{"1", false, [](const std::tm& t) { return std::to_string(t.tm_mon + 1); }},
    Element{"2006", false, [](const std::tm& t) { return padded(t.tm_year + 1900, 4, '0'); }},
    Element{"2", false, [](const std::tm& t) { return std::to_string(t.tm_mday); }},
    Element{"_2006", false,
            [](const std::tm& t) { return std::string(1, '_').append(padded(t.tm_year + 1900, 4, '0')); }},
    Element{"_2", false, [](const std::tm& t) { return padded(t.tm_mday, 2, ' '); }},
    Element{"__2", false, [](const std::tm& t) { return padded(t.tm_yday + 1, 3, ' '); }},
    Element{"3", false, [](const std::tm& t) { return std::to_string(hour_of_twelve(t)); }},
    Element{"4", false, [](const std::tm& t) { return std::to_string(t.tm_min); }},
    Element{"5", false, [](const std::tm& t) { return std::to_string(t.tm_sec); }},
    Element{"PM", false, [](const std::tm& t) { return std::string(t.tm_hour >= 12 ? "PM" : "AM"); }},
    Element{"pm", false, [](const std::tm& t) { return std::string(t.tm_hour >= 12 ? "pm" : "am"); }},
    Element{"-070000", false, [](const std::tm& t) { return offset_text(t.tm_gmtoff, 3, ""); }},
    Element{"-07:00:00", false, [](const std::tm& t) { return offset_text(t.tm_gmtoff, 3, ":"); }},
    Element{"-0700", false, [](const std::tm& t) { return offset_text(t.tm_gmtoff, 2, ""); }},
    Element{"-07:00", false, [](const std::tm& t) { return offset_text(t.tm_gmtoff, 2, ":"); }},
    Element{"-07", false, [](const std::tm& t) { return offset_text(t.tm_gmtoff, 1, ""); }},
};

// "Z0700" is like "-0700", but "Z" if the offset is zero. The other four are analogous.
const Element* offset_behind_z(std::string_view rest) {
  for (const Element& element : kElements)
    if (element.text[0] == '-' && rest.substr(1).starts_with(element.text.substr(1))) return &element;
  return nullptr;
}

const Element* element_at(std::string_view rest) {
  for (const Element& element : kElements)
    if (rest.starts_with(element.text) && !(element.is_word && is_lower_at(rest, element.text.size())))
      return &element;
  return nullptr;
}

// Length of a fraction of a second at the start of `rest`: a point or comma, then only zeros or only nines,
// and no other digit.
std::size_t fraction_length(std::string_view rest) {
  if ((rest[0] != '.' && rest[0] != ',') || rest.size() < 2 || (rest[1] != '0' && rest[1] != '9')) return 0;
  std::size_t end = 1;
  while (end < rest.size() && rest[end] == rest[1]) ++end;
  return is_digit_at(rest, end) ? 0 : end;
}

// `pattern` was matched by fraction_length(). Nines drop trailing zeros, and the whole fraction if it is
// zero.
std::string fraction_text(std::string_view pattern, long nanoseconds) {
  std::string digits = padded(nanoseconds, 9, '0');
  if (pattern.size() - 1 < digits.size()) digits.resize(pattern.size() - 1);
  if (pattern[1] == '9') digits.erase(digits.find_last_not_of('0') + 1);
  return digits.empty() ? std::string() : pattern[0] + digits;
}

}  // namespace

std::string format_time(std::string_view layout, const WallTime& time) {
  std::string text;
  while (!layout.empty()) {
    std::size_t taken = 1;
    if (const std::size_t fraction = fraction_length(layout)) {
      taken = fraction;
      text += fraction_text(layout.substr(0, fraction), time.nanoseconds);
    } else if (const Element* offset = layout[0] == 'Z' ? offset_behind_z(layout) : nullptr) {
      taken = offset->text.size();
      text += time.fields.tm_gmtoff == 0 ? "Z" : offset->value(time.fields);
    } else if (const Element* element = element_at(layout)) {
      taken = element->text.size();
      text += element->value(time.fields);
    } else {
      text += layout[0];
    }
    layout.remove_prefix(taken);
  }
  return text;
}

}  // namespace kcptun
