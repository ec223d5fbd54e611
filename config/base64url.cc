#include "config/base64url.h"

#include <sodium.h>

namespace kcptun {
namespace {

constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

}  // namespace

std::string to_base64url(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');  // including the terminating NUL
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kVariant);
  out.pop_back();
  return out;
}

std::optional<std::string> from_base64url(std::string_view digits) {
  std::string out(digits.size() * 3 / 4, '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), digits.data(),
                        digits.size(), nullptr, &size, nullptr, kVariant) != 0)
    return std::nullopt;
  out.resize(size);
  return out;
}

}  // namespace kcptun
