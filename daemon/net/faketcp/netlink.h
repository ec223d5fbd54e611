// Writes and parses netlink messages for nf_tables: nested attributes, one transaction, its answers.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A builder of attributes. Numbers are big-endian, as nf_tables requires.
class NetlinkAttributes {
 public:
  NetlinkAttributes& number(std::uint16_t type, std::uint32_t value);
  NetlinkAttributes& number64(std::uint16_t type, std::uint64_t value);
  NetlinkAttributes& text(std::uint16_t type, std::string_view value);
  NetlinkAttributes& raw(std::uint16_t type, Bytes value);
  NetlinkAttributes& nested(std::uint16_t type, const NetlinkAttributes& inner);
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// The value of the attribute `type` at the top level of `attributes`; nothing if it is absent or a length is
/// invalid.
std::optional<Bytes> find_attribute(Bytes attributes, std::uint16_t type);

/// One nf_tables message.
struct NftRequest {
  std::uint16_t type = 0;   // NFT_MSG_...
  std::uint16_t flags = 0;  // NLM_F_..., beside NLM_F_REQUEST
  NetlinkAttributes attributes;
};

/// A netlink socket to nf_tables in the network namespace that was current at its creation. Calls block until
/// the kernel answers, usually within microseconds. Errors of the kernel are returned as errno values.
class NftSocket {
 public:
  /// Receives the attributes of one object that the kernel reported.
  using Told = std::function<void(std::uint16_t type, Bytes attributes)>;

  static Result<NftSocket> open();
  /// Executes all requests or none. Returns 0, or the errno of the first rejected request. `told` receives
  /// the created objects for requests with NLM_F_ECHO.
  int transact(const std::vector<NftRequest>& requests, const Told& told = {});
  /// Lists objects. Returns 0 or an errno.
  int dump(const NftRequest& request, const Told& told);
  /// Unique among the netlink sockets of the network namespace.
  std::uint32_t port() const { return port_; }

 private:
  explicit NftSocket(FileDescriptor fd) : fd_(std::move(fd)) {}
  int send(Bytes message);
  int read_answers(std::size_t acknowledgments, const Told& told);

  FileDescriptor fd_;
  std::uint32_t port_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace kcptun
