#include "daemon/status/page.h"

#include <sodium.h>

#include <array>

#include "core/base/check.h"

namespace kcptun {

extern const unsigned char kPageBytes[];  // in page_bytes.cc, which the build generates from page.html
extern const std::size_t kPageSize;

namespace {

// 'sha256-...' of the content between the page's only <name> and </name> (CSP 3 section 2.3.1).
std::string hash_of_element(std::string_view name) {
  const std::string open = '<' + std::string(name) + '>', close = "</" + std::string(name) + '>';
  const std::size_t begin = page_html().find(open), end = page_html().find(close);
  KCPTUN_CHECK(begin != std::string_view::npos && end != std::string_view::npos);
  const std::string_view text = page_html().substr(begin + open.size(), end - begin - open.size());
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash;
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  std::array<char, sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)>
      base64;
  sodium_bin2base64(base64.data(), base64.size(), hash.data(), hash.size(), sodium_base64_VARIANT_ORIGINAL);
  return "'sha256-" + std::string(base64.data()) + '\'';
}

}  // namespace

std::string_view page_html() { return {reinterpret_cast<const char*>(kPageBytes), kPageSize}; }

std::string page_policy() {
  return "default-src 'none'; style-src " + hash_of_element("style") + "; script-src " +
         hash_of_element("script") +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace kcptun
