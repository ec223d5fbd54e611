// The table of cipher suites: all differences between the rows of docs/develop/protocol.md section 3.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "core/base/settings.h"
#include "core/crypt/packet_cipher.h"
#include "core/crypt/suite.h"

namespace kcptun {

enum class PacketFormat : std::uint8_t { kChecksummed, kGcm, kPlain, kSession, kNoise };

struct SuiteRow {
  Cipher cipher;
  PacketFormat format;
  std::size_t key_size;    // bytes, from the start of the master key
  std::size_t block_size;  // bytes; 0 if it is not a block cipher
  int gcrypt_algorithm;    // 0 if libgcrypt is not used
  /// Makes the cipher of a checksummed packet from this row and key_size bytes. Null for other formats.
  std::unique_ptr<PacketCipher> (*make)(const SuiteRow& row, Bytes key, Dispatch dispatch);
  // What it protects and what it does not, for the log; docs/security.md has the details.
  std::string_view protects;
  KeyDerivation derivation = KeyDerivation::kPbkdf2;
  std::string_view argon_salt{};  // 16 bytes; for kArgon2id. Part of the protocol.
};

/// One row for each Cipher, in the order of the enumeration.
extern const std::array<SuiteRow, kCipherNames.size()> kSuiteTable;

const SuiteRow& suite_row(Cipher cipher);

/// REQUIRES: the row's format is kChecksummed.
std::unique_ptr<PacketCipher> make_packet_cipher(const SuiteRow& row, const MasterKey& key,
                                                 Dispatch dispatch);

}  // namespace kcptun
