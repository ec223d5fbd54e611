// The head of an HTTP CONNECT request.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/proxy/socks5_address.h"

namespace kcptun {

/// The destination, or the complete reply that refuses the request. Header fields are ignored. `head`: from
/// the request line to the empty line.
std::variant<Socks5Address, std::vector<std::uint8_t>> parse_connect_head(std::string_view head);

}  // namespace kcptun
