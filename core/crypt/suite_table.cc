#include "core/crypt/suite_table.h"

#include <gcrypt.h>

#include "core/base/check.h"
#include "core/crypt/aes_cfb.h"
#include "core/crypt/checksummed_suite.h"
#include "core/crypt/gcm_suite.h"
#include "core/crypt/gcrypt_cfb.h"
#include "core/crypt/noise_gcm.h"
#include "core/crypt/noise_suite.h"
#include "core/crypt/salsa20.h"
#include "core/crypt/stream_ciphers.h"
#include "core/crypt/tea.h"
#include "core/crypt/xchacha_suite.h"

namespace kcptun {
namespace {

using Made = std::unique_ptr<PacketCipher>;

Made aes(const SuiteRow&, Bytes key, Dispatch dispatch) {
  return make_aes_cfb(key, dispatch == Dispatch::kBest ? best_aes_path() : AesPath::kPortable);
}
Made gcrypt(const SuiteRow& row, Bytes key, Dispatch) { return make_gcrypt_cfb(row.gcrypt_algorithm, key); }
TeaPath tea_path(Dispatch dispatch) {
  return dispatch == Dispatch::kBest ? best_tea_path() : TeaPath::kPortable;
}
Made tea(const SuiteRow&, Bytes key, Dispatch dispatch) { return make_tea_cfb(key, tea_path(dispatch)); }
Made xtea(const SuiteRow&, Bytes key, Dispatch dispatch) { return make_xtea_cfb(key, tea_path(dispatch)); }
Made salsa20(const SuiteRow&, Bytes key, Dispatch dispatch) {
  return make_salsa20(key, dispatch == Dispatch::kBest ? best_salsa20_path() : Salsa20Path::kPortable);
}
Made xor_table(const SuiteRow&, Bytes key, Dispatch) { return make_xor(key); }
Made none(const SuiteRow&, Bytes, Dispatch) { return make_none(); }

constexpr auto kSummed = PacketFormat::kChecksummed;

constexpr std::string_view kCfb =
    "hides the content; whoever is on the path can change packets and play recorded ones again; no forward "
    "secrecy";
constexpr std::string_view kStream =
    "hides the content; whoever is on the path can change packets bit by bit and play recorded ones again; "
    "no forward "
    "secrecy";
constexpr std::string_view kXor = "protects nothing: whoever sees a few packets reads and makes all others";
constexpr std::string_view kNothing = "protects nothing: anyone can read, change and make packets";
constexpr std::string_view kGcm =
    "hides the content and refuses changed packets; recorded packets can be played again; no forward secrecy";
constexpr std::string_view kSession =
    "hides the content and refuses packets that were changed, sent back or played again, also after a "
    "restart, if both "
    "ends have the right time; no forward secrecy";

constexpr std::string_view kNoiseSessions =
    "hides the content and refuses packets that were changed, sent back or played again, also after a "
    "restart, if both ends have the right time; forward secrecy from the server's first answer on";

/// null: no encryption layer.
class NullSuite final : public Suite {
 public:
  std::size_t header_size() const override { return 0; }
  std::size_t trailer_size() const override { return 0; }
  void seal(std::span<const Packet>) override {}
  std::size_t open(std::span<Packet>) override { return 0; }
};

}  // namespace

constexpr std::array<SuiteRow, kCipherNames.size()> kTable{{
    {Cipher::kAes, kSummed, 32, 16, GCRY_CIPHER_AES256, aes, kCfb},
    {Cipher::kAes128, kSummed, 16, 16, GCRY_CIPHER_AES128, aes, kCfb},
    {Cipher::kAes192, kSummed, 24, 16, GCRY_CIPHER_AES192, aes, kCfb},
    {Cipher::kSm4, kSummed, 16, 16, GCRY_CIPHER_SM4, gcrypt, kCfb},
    {Cipher::kTwofish, kSummed, 32, 16, GCRY_CIPHER_TWOFISH, gcrypt, kCfb},
    {Cipher::kBlowfish, kSummed, 32, 8, GCRY_CIPHER_BLOWFISH, gcrypt, kCfb},
    {Cipher::kCast5, kSummed, 16, 8, GCRY_CIPHER_CAST5, gcrypt, kCfb},
    {Cipher::kTripleDes, kSummed, 24, 8, GCRY_CIPHER_3DES, gcrypt, kCfb},
    {Cipher::kTea, kSummed, 16, 8, 0, tea, kCfb},
    {Cipher::kXtea, kSummed, 16, 8, 0, xtea, kCfb},
    {Cipher::kSalsa20, kSummed, 32, 0, 0, salsa20, kStream},
    {Cipher::kXor, kSummed, 32, 0, 0, xor_table, kXor},
    {Cipher::kNone, kSummed, 0, 0, 0, none, kNothing},
    {Cipher::kAes128Gcm, PacketFormat::kGcm, 16, 16, GCRY_CIPHER_AES128, nullptr, kGcm},
    {Cipher::kNull, PacketFormat::kPlain, 0, 0, 0, nullptr, kNothing},
    {Cipher::kXChaCha20Poly1305, PacketFormat::kSession, 32, 0, 0, nullptr, kSession,
     KeyDerivation::kArgon2id, "kcptun-uv aead 1"},
    {Cipher::kNoise, PacketFormat::kNoise, 32, 0, 0, nullptr, kNoiseSessions, KeyDerivation::kArgon2id,
     "kcptun-uv noise1"},
}};
constexpr bool rows_match_names() {
  for (std::size_t i = 0; i < kTable.size(); ++i)
    if (kTable[i].cipher != static_cast<Cipher>(i) || kTable[i].cipher != kCipherNames[i].cipher)
      return false;
  return true;
}
static_assert(rows_match_names(), "the table is indexed by Cipher and has a row for each name");

const std::array<SuiteRow, kCipherNames.size()> kSuiteTable = kTable;

const SuiteRow& suite_row(Cipher cipher) {
  const auto index = static_cast<std::size_t>(cipher);
  KCPTUN_CHECK(index < kTable.size());
  return kTable[index];
}

std::unique_ptr<PacketCipher> make_packet_cipher(const SuiteRow& row, const MasterKey& key,
                                                 Dispatch dispatch) {
  KCPTUN_CHECK(row.format == kSummed);
  return row.make(row, key.bytes().first(row.key_size), dispatch);
}

std::unique_ptr<Suite> Suite::make(Cipher cipher, const MasterKey& key,
                                   std::span<const std::uint8_t, 32> nonce_seed, Dispatch dispatch) {
  const SuiteRow& row = suite_row(cipher);
  switch (row.format) {
    case PacketFormat::kChecksummed:
      return std::make_unique<ChecksummedSuite>(make_packet_cipher(row, key, dispatch), nonce_seed);
    case PacketFormat::kGcm:
      return std::make_unique<GcmSuite>(
          make_gcm(key.bytes().first(row.key_size),
                   dispatch == Dispatch::kBest ? best_gcm_path() : GcmPath::kPortable),
          nonce_seed);
    case PacketFormat::kPlain:
      return std::make_unique<NullSuite>();
    case PacketFormat::kSession:
      return std::make_unique<XChaChaSuite>(key.bytes(), nonce_seed);
    case PacketFormat::kNoise:
      return make_noise(noise::Credentials::of_shared_key(noise::SecretKey(key.bytes())));
  }
  KCPTUN_CHECK(false);
  return nullptr;
}

std::unique_ptr<Suite> Suite::make_noise(const noise::Credentials& credentials) {
  noise::Credentials with_cipher = credentials;
  with_cipher.aes_gcm = fast_noise_gcm();
  return std::make_unique<NoiseSuite>(with_cipher);
}

}  // namespace kcptun
