// Reads the recorded test vectors: JSON files in tests/vectors, with byte strings in hexadecimal.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace kcptun::test {

nlohmann::json load_vectors(const std::string& file);

inline std::vector<std::uint8_t> from_hex(const std::string& text) {
  if (text.size() % 2) throw std::runtime_error("odd number of hexadecimal digits");
  std::vector<std::uint8_t> out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return out;
}

}  // namespace kcptun::test
