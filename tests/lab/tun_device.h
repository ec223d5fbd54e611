// A TUN device: whole IP packets, one per read and write.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun::lab {

class TunDevice {
 public:
  /// Makes device `name` (down, without addresses) in the network namespace that the file `name_space` stands
  /// for
  /// (/run/netns/NAME, /proc/PID/ns/net). The caller's own namespace is the same as before. Needs
  /// CAP_NET_ADMIN.
  static Result<TunDevice> make(const std::string& name_space, const std::string& name);

  int descriptor() const { return descriptor_.get(); }
  /// The next packet that the namespace sends, its size; 0: none waits. REQUIRES: `into` holds a packet of
  /// the device's MTU.
  std::size_t read(std::span<std::uint8_t> into);
  /// Gives the namespace a packet. False: it took none, because the device is down or memory is short.
  bool write(std::span<const std::uint8_t> packet);

 private:
  explicit TunDevice(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  FileDescriptor descriptor_;
};

}  // namespace kcptun::lab
