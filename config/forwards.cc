#include "config/forwards.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/address.h"
#include "config/entry_list.h"
#include "config/reverses.h"
#include "config/text.h"

namespace kcptun {
namespace {

// Bytes. RFC 1928 section 5: the length of a name is one byte.
constexpr std::size_t kMaxTargetHost = 255;

struct KindRow {
  ForwardKind kind;
  std::string_view scheme;
  std::string_view target_scheme;  // "": the application requests the target
  std::string_view example;
};
constexpr std::array<KindRow, 7> kKinds{{
    {ForwardKind::kTcp, "tcp", "tcp", "tcp://127.0.0.1:5432=tcp://db.internal:5432"},
    {ForwardKind::kUnix, "unix", "tcp", "unix:///run/db.sock=tcp://db.internal:5432"},
    {ForwardKind::kUdp, "udp", "udp", "udp://127.0.0.1:53=udp://192.0.2.53:53"},
    {ForwardKind::kSocks5, "socks5", "", "socks5://127.0.0.1:1080"},
    {ForwardKind::kHttp, "http", "", "http://127.0.0.1:8080"},
    {ForwardKind::kRedirect, "redirect", "", "redirect://:1081"},
    {ForwardKind::kTproxy, "tproxy", "", "tproxy://:1081"},
}};

const KindRow& row_of(ForwardKind kind) { return *std::ranges::find(kKinds, kind, &KindRow::kind); }

/// "tcp://, unix://, ... or tproxy://".
std::string known_schemes() {
  std::string text;
  for (const KindRow& row : kKinds) {
    if (!text.empty()) text.append(&row == &kKinds.back() ? " or " : ", ");
    text.append(row.scheme).append(kSchemeEnd);
  }
  return text;
}

bool may_be_path(ForwardKind kind) {
  return kind == ForwardKind::kUnix || kind == ForwardKind::kSocks5 || kind == ForwardKind::kHttp;
}

bool is_path(std::string_view address) {
  return address.starts_with('@') || address.find('/') != address.npos;
}

Result<Address> parse_listen(const KindRow& row, std::string_view text) {
  const bool path = is_path(text);
  if (row.kind == ForwardKind::kUnix && !path)
    return Error{"has no path behind unix://; write one like " + std::string(row.example)};
  if (path && row.kind == ForwardKind::kTcp) return Error{"listens at a path, which begins with unix://"};
  if (path && !may_be_path(row.kind))
    return Error{"listens at a path; write one like " + std::string(row.example)};
  const bool udp = row.kind == ForwardKind::kUdp;
  auto address = parse_address(text, udp ? AddressUse::kDatagramListen : AddressUse::kStreamListen);
  if (!address) return Error{"listens at an address that " + address.error()};
  const auto* host = std::get_if<HostPort>(&address.value());
  if (host && host->is_range()) return Error{"listens at an address that has a port range"};
  return address;
}

Result<HostPort> parse_target(const KindRow& row, std::string_view text) {
  const auto side = split_scheme(text);
  if (!side || side->scheme != row.target_scheme)
    return Error{"has a target that does not begin with " + std::string(row.target_scheme) +
                 "://; write one like " + std::string(row.example)};
  const bool udp = row.kind == ForwardKind::kUdp;
  if (is_path(side->address)) return Error{"has a target that is a path; the server dials host:port only"};
  const auto address =
      parse_address(side->address, udp ? AddressUse::kDatagramDial : AddressUse::kStreamDial);
  if (!address) return Error{"has a target that " + address.error()};
  const HostPort& target = std::get<HostPort>(address.value());
  if (target.is_range()) return Error{"has a target that has a port range"};
  if (target.host.empty()) return Error{"has a target that has no host"};
  if (target.host.size() > kMaxTargetHost)
    return Error{"has a target whose host is longer than " + std::to_string(kMaxTargetHost) + " bytes"};
  if (!std::ranges::all_of(target.host, [](char c) { return c > ' ' && c < 0x7f; }))
    return Error{
        "has a target whose host has characters beyond ASCII; write an international name as xn--..."};
  if (target.host.find('%') != target.host.npos)
    return Error{"has a target with a zone, which means something on this machine only"};
  return target;
}

bool same_port(const HostPort& one, const HostPort& other) {
  return one == other && one.port_min != 0;  // for port 0 the kernel chooses different ports
}

bool is_udp(const Forward& forward) { return forward.kind == ForwardKind::kUdp; }

bool have_same_listener(const Address& one, const Address& other) {
  const auto* a = std::get_if<HostPort>(&one);
  const auto* b = std::get_if<HostPort>(&other);
  return a && b ? same_port(*a, *b) : one == other;
}

std::optional<std::string> find_clash(const Forward& forward, const Profile& profile) {
  for (const Forward& other : profile.forwards)
    if (is_udp(other) == is_udp(forward) && have_same_listener(other.listen, forward.listen))
      return "listens where another forward does";
  if (profile.listens_at_local_address && !is_udp(forward) &&
      have_same_listener(profile.local_address, forward.listen))
    return "listens at localaddr";
  return std::nullopt;
}

}  // namespace

std::optional<SchemedAddress> split_scheme(std::string_view text) {
  const auto end = text.find(kSchemeEnd);
  if (end == text.npos) return std::nullopt;
  return SchemedAddress{text.substr(0, end), text.substr(end + kSchemeEnd.size())};
}

bool has_other_entrances(const Settings& settings) {
  return !settings.text(OptionId::kForward).empty() || !settings.text(OptionId::kReverse).empty();
}

std::string_view scheme_of(ForwardKind kind) { return row_of(kind).scheme; }

Result<Forward> parse_forward(std::string_view given) {
  const auto text = without_blanks(given);
  if (text.empty()) return Error{"is empty"};
  const auto equals = text.find('=');
  const auto side = split_scheme(without_blanks(text.substr(0, equals)));
  if (!side)
    return Error{"does not begin with " + known_schemes() + "; write one like " +
                 std::string(kKinds.front().example)};
  const auto row = std::ranges::find(kKinds, side->scheme, &KindRow::scheme);
  if (row == kKinds.end()) return Error{"does not begin with " + known_schemes()};
  const bool wants_target = !row->target_scheme.empty();
  if (wants_target && equals == text.npos)
    return Error{"has no target; write one like " + std::string(row->example)};
  if (!wants_target && equals != text.npos)
    return Error{"has a target, and with " + std::string(row->scheme) +
                 " each connection has its own; write one like " + std::string(row->example)};
  auto listen = parse_listen(*row, side->address);
  if (!listen) return Error{listen.error()};
  Forward forward{row->kind, std::move(listen.value()), std::nullopt};
  if (!wants_target) return forward;
  auto target = parse_target(*row, without_blanks(text.substr(equals + 1)));
  if (!target) return Error{target.error()};
  forward.target = std::move(target.value());
  return forward;
}

std::string listen_text(const Forward& forward) {
  return std::string(scheme_of(forward.kind)).append(kSchemeEnd).append(to_text(forward.listen));
}

std::string to_text(const Forward& forward) {
  std::string text = listen_text(forward);
  if (!forward.target) return text;
  return text.append("=").append(row_of(forward.kind).target_scheme).append(kSchemeEnd) +
         to_text(Address{*forward.target});
}

std::string local_text(const Profile& profile) {
  std::string text = profile.listens_at_local_address ? to_text(profile.local_address) : "";
  for (const Forward& forward : profile.forwards)
    text.append(text.empty() ? "" : ", ").append(to_text(forward));
  for (const Reverse& reverse : profile.reverses)
    text.append(text.empty() ? "" : ", ").append("reverse ").append(to_text(reverse));
  return text;
}

std::optional<ValidationError> read_forwards(const Settings& settings, Profile& profile) {
  return read_entries(settings, OptionId::kForward,
                      [&profile](const std::string& entry) -> std::optional<std::string> {
                        if (profile.forwards.size() == kMaxForwards)
                          return "is one more than " + std::to_string(kMaxForwards) + " forwards";
                        auto forward = parse_forward(entry);
                        if (!forward) return forward.error();
                        if (auto clash = find_clash(forward.value(), profile)) return clash;
                        profile.forwards.push_back(std::move(forward.value()));
                        return std::nullopt;
                      });
}

}  // namespace kcptun
