#include "core/proxy/socks5_client.h"

#include <span>

#include "core/proxy/socks5_wire.h"

namespace kcptun {
namespace {

std::uint8_t command_byte(RequestCommand command) {
  switch (command) {
    case RequestCommand::kConnect:
      return 1;
    case RequestCommand::kListen:
      return 2;
    case RequestCommand::kAssociate:
      return 3;
    case RequestCommand::kUdpInTcp:
      return 5;
    case RequestCommand::kAccepted:
      return 6;
  }
  return 0;
}

}  // namespace

std::vector<std::uint8_t> socks5_opening(RequestCommand command, const Socks5Address& destination) {
  std::vector<std::uint8_t> bytes{socks5::kVersion,      1, socks5::kNoAuthentication, socks5::kVersion,
                                  command_byte(command), 0};
  const std::size_t fixed = bytes.size();
  bytes.resize(fixed + socks5_address_size(destination));
  write_socks5_address(destination, std::span(bytes).subspan(fixed));
  return bytes;
}

std::vector<std::uint8_t> accepted_opening(const IpEndpoint& from, std::uint32_t listener) {
  std::vector<std::uint8_t> bytes = socks5_opening(RequestCommand::kAccepted, socks5_endpoint(from));
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(listener >> shift));
  return bytes;
}

std::size_t Socks5ReplyReader::handle_input(Bytes input) {
  std::size_t taken = 0;
  while (taken < input.size() && state_ == State::kReading) handle_byte(input[taken++]);
  return taken;
}

void Socks5ReplyReader::expect(bool right, Part next) {
  part_ = next;
  if (!right) state_ = State::kNotSocks5;
}

void Socks5ReplyReader::handle_byte(std::uint8_t byte) {
  switch (part_) {
    case Part::kMethodVersion:
      return expect(byte == socks5::kVersion, Part::kMethod);
    case Part::kMethod:
      part_ = Part::kVersion;
      if (byte != socks5::kNoAuthentication) state_ = State::kUnauthorised;
      return;
    case Part::kVersion:
      return expect(byte == socks5::kVersion, Part::kCode);
    case Part::kCode:
      return handle_code(byte);
    case Part::kReserved:
      return expect(true, Part::kAddressType);
    case Part::kAddressType:
      return handle_address_type(byte);
    case Part::kNameSize:
      left_ = byte + socks5::kPortSize;
      part_ = Part::kAddress;
      return;
    case Part::kAddress:
      if (--left_ == 0) state_ = State::kComplete;
      return;
  }
}

void Socks5ReplyReader::handle_code(std::uint8_t byte) {
  code_ = static_cast<ReplyCode>(byte);
  part_ = Part::kReserved;
  if (code_ != ReplyCode::kSucceeded) state_ = State::kComplete;
}

void Socks5ReplyReader::handle_address_type(std::uint8_t byte) {
  if (byte == socks5::kTypeName) return expect(true, Part::kNameSize);
  left_ = (byte == socks5::kTypeIpv4 ? socks5::kIpv4Size : socks5::kIpv6Size) + socks5::kPortSize;
  expect(byte == socks5::kTypeIpv4 || byte == socks5::kTypeIpv6, Part::kAddress);
}

}  // namespace kcptun
