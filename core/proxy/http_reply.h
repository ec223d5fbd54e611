// Replies to HTTP CONNECT.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kcptun {

/// A reply with a status line and a line of text, after which the server closes. `more_fields`: header
/// fields, each with its line end.
std::vector<std::uint8_t> http_failure(std::string_view status, std::string_view text,
                                       std::string_view more_fields = {});

}  // namespace kcptun
