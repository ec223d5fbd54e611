// Netlink messages for nf_tables, written and read: nested attributes, one transaction, its answers.
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

/// Attributes in the making. Numbers are big-endian, as nf_tables wants them.
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

/// The value of the attribute `type` at the top of `attributes`; nothing when it is absent or lengths lie.
std::optional<Bytes> find_attribute(Bytes attributes, std::uint16_t type);

/// What nf_tables is asked to do.
struct NftRequest {
  std::uint16_t type = 0;   // NFT_MSG_...
  std::uint16_t flags = 0;  // NLM_F_..., beside NLM_F_REQUEST
  NetlinkAttributes attributes;
};

/// A netlink socket to nf_tables in the network namespace of its creation. Blocks for as long as the kernel
/// takes, which is microseconds. What the kernel refuses comes back as errno values.
class NftSocket {
 public:
  /// Attributes of one object that the kernel tells of.
  using Told = std::function<void(std::uint16_t type, Bytes attributes)>;

  static Result<NftSocket> open();
  /// Does all of it or none; 0, or the errno of the first that was refused. `told` gets what was made and
  /// asked for by NLM_F_ECHO.
  int transact(const std::vector<NftRequest>& requests, const Told& told = {});
  /// Lists objects; 0 or an errno.
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
