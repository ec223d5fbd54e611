#include "core/proxy/request_reader.h"

#include <algorithm>
#include <string_view>

#include "core/proxy/connect_head.h"
#include "core/proxy/http_reply.h"
#include "core/proxy/socks5_wire.h"

namespace kcptun {
namespace {

// RFC 1928 section 3.
constexpr std::uint8_t kNoAcceptableMethod = 0xff;
// Commands of RFC 1928 section 4, of "UDP in TCP", and of docs/develop/protocol.md section 16.
constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kBind = 2;
constexpr std::uint8_t kUdpAssociate = 3;
constexpr std::uint8_t kUdpInTcp = 5;
constexpr std::uint8_t kAccepted = 6;
constexpr std::size_t kListenerSize = 4;

constexpr std::string_view kHeadEnd = "\r\n\r\n";

// Methods of HTTP are upper-case letters by convention, and SOCKS versions are small numbers.
bool begins_http(std::uint8_t byte) { return byte >= 'A' && byte <= 'Z'; }

RequestCommand command_of(std::uint8_t byte) {
  switch (byte) {
    case kBind:
      return RequestCommand::kListen;
    case kUdpAssociate:
      return RequestCommand::kAssociate;
    case kUdpInTcp:
      return RequestCommand::kUdpInTcp;
    case kAccepted:
      return RequestCommand::kAccepted;
    default:
      return RequestCommand::kConnect;
  }
}

std::uint32_t network_u32(Bytes bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::string_view text_of(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::size_t RequestReader::handle_input(Bytes input) {
  std::size_t taken = 0;
  while (state_ == State::kReading && taken < input.size()) taken += read_part(input.subspan(taken));
  return taken;
}

// Stores more of the current part than it may need, and gives back what follows it.
std::size_t RequestReader::read_part(Bytes input) {
  const std::size_t known = stored_.size();
  const std::size_t take = std::min(input.size(), limit() - known);
  stored_.insert(stored_.end(), input.begin(), input.begin() + static_cast<std::ptrdiff_t>(take));
  const Part before = part_;
  const std::size_t size = parse(known);
  if (part_ != before || state_ != State::kReading) {
    stored_.clear();
    return size > known ? size - known : 0;
  }
  return take;
}

bool RequestReader::accepts_http() const {
  return accepted_ == Accepted::kSocks5AndHttp || accepted_ == Accepted::kHttpEntrance;
}

bool RequestReader::accepts(std::uint8_t command) const {
  if (accepted_ == Accepted::kServerStream) return command == kAccepted;
  if (command == kBind) return accepted_ == Accepted::kRequestStream;
  if (command == kUdpAssociate)
    return accepted_ == Accepted::kEntrance || accepted_ == Accepted::kHttpEntrance;
  return command == kConnect || command == kUdpInTcp;
}

std::size_t RequestReader::limit() const {
  switch (part_) {
    case Part::kFirstByte:
      return 1;
    case Part::kGreeting:
      return kMaxGreeting;
    case Part::kSocks5Request:
      return kMaxSocks5Request;
    case Part::kHttpHead:
      return kMaxHttpHead;
  }
  return 0;
}

// Returns 0 while the part is incomplete, then its size. `known`: bytes that an earlier call has seen.
std::size_t RequestReader::parse(std::size_t known) {
  switch (part_) {
    case Part::kFirstByte:
      return parse_first_byte();
    case Part::kGreeting:
      return parse_greeting();
    case Part::kSocks5Request:
      return parse_socks5_request();
    case Part::kHttpHead:
      return parse_http_head(known);
  }
  return 0;
}

// The byte stays: it belongs to the part that it chooses.
std::size_t RequestReader::parse_first_byte() {
  if (stored_[0] == socks5::kVersion) {
    part_ = Part::kGreeting;
  } else if (accepts_http() && begins_http(stored_[0])) {
    part_ = Part::kHttpHead;
  } else {
    state_ = State::kFailed;
  }
  return 0;
}

std::size_t RequestReader::parse_greeting() {
  constexpr std::size_t kHeader = 2;
  if (stored_.size() < kHeader) return 0;
  const std::size_t size = kHeader + stored_[1];
  if (stored_.size() < size) return 0;
  const auto methods = stored_.begin() + kHeader;
  const auto end = stored_.begin() + static_cast<std::ptrdiff_t>(size);
  if (std::find(methods, end, socks5::kNoAuthentication) == end) {
    fail({socks5::kVersion, kNoAcceptableMethod});
  } else {
    reply_ = {socks5::kVersion, socks5::kNoAuthentication};
    part_ = Part::kSocks5Request;
  }
  return size;
}

std::size_t RequestReader::parse_socks5_request() {
  constexpr std::size_t kHeader = 3;  // version, command, reserved
  if (stored_[0] != socks5::kVersion) return refuse(ReplyCode::kGeneralFailure);
  if (stored_.size() < kHeader) return 0;
  if (!accepts(stored_[1])) return refuse(ReplyCode::kCommandNotSupported);
  Socks5AddressInput input = read_socks5_address(Bytes(stored_).subspan(kHeader));
  switch (input.status) {
    case Socks5AddressStatus::kIncomplete:
      return 0;
    case Socks5AddressStatus::kUnknownType:
      return refuse(ReplyCode::kAddressTypeNotSupported);
    case Socks5AddressStatus::kBadName:
      return refuse(ReplyCode::kGeneralFailure);
    case Socks5AddressStatus::kComplete:
      break;
  }
  const std::size_t more = stored_[1] == kAccepted ? kListenerSize : 0;
  if (stored_.size() < kHeader + input.size + more) return 0;
  request_ = {RequestProtocol::kSocks5, command_of(stored_[1]), std::move(input.address),
              network_u32(Bytes(stored_).subspan(kHeader + input.size, more))};
  state_ = State::kComplete;
  return kHeader + input.size + more;
}

// Searches only what is new, so that a head that comes byte by byte costs no more than one that comes at
// once.
std::size_t RequestReader::parse_http_head(std::size_t known) {
  const std::string_view head = text_of(stored_);
  const std::size_t overlap = kHeadEnd.size() - 1;
  const std::size_t end = head.find(kHeadEnd, known > overlap ? known - overlap : 0);
  if (end == head.npos) {
    if (stored_.size() < kMaxHttpHead) return 0;
    return fail(http_failure("431 Request Header Fields Too Large", "the head of the request is too large"));
  }
  auto parsed = parse_connect_head(head.substr(0, end));
  if (auto* refusal = std::get_if<std::vector<std::uint8_t>>(&parsed)) {
    fail(*refusal);
  } else {
    request_ = {RequestProtocol::kHttpConnect, RequestCommand::kConnect, std::get<Socks5Address>(parsed), 0};
    state_ = State::kComplete;
  }
  return end + kHeadEnd.size();
}

// Takes everything stored.
std::size_t RequestReader::fail(const std::vector<std::uint8_t>& reply) {
  state_ = State::kFailed;
  reply_.insert(reply_.end(), reply.begin(), reply.end());
  return stored_.size();
}

}  // namespace kcptun
