// Lists every implementation of each cipher, so that tests cover all that this CPU supports.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/crypt/aes_cfb.h"
#include "core/crypt/checksummed_suite.h"
#include "core/crypt/gcm_suite.h"
#include "core/crypt/gcrypt_cfb.h"
#include "core/crypt/salsa20.h"
#include "core/crypt/suite.h"
#include "core/crypt/suite_table.h"
#include "core/crypt/tea.h"

namespace kcptun::test {

inline constexpr std::array<std::uint8_t, 32> kSeed = {1, 2, 3};

inline Cipher cipher_named(std::string_view name) {
  for (const CipherName& row : kCipherNames)
    if (row.name == name) return row.cipher;
  throw std::runtime_error("no such cipher");
}
inline std::string name_of(Cipher cipher) {
  return std::string(kCipherNames[static_cast<std::size_t>(cipher)].name);
}

struct CipherPath {
  std::string name;
  bool available;
  std::function<std::unique_ptr<PacketCipher>(Bytes key)> make;
};

inline void warn_once(const std::string& path) {
  static std::vector<std::string> seen;
  for (const std::string& s : seen)
    if (s == path) return;
  seen.push_back(path);
  WARN("skipped: this CPU cannot run the path " + path);
}

/// All implementations of a checksummed cipher. Those that the CPU lacks are reported and skipped.
inline std::vector<CipherPath> paths_of(Cipher cipher) {
  const SuiteRow& row = suite_row(cipher);
  std::vector<CipherPath> all;
  if (row.gcrypt_algorithm != 0) {
    all.push_back({"gcrypt", true, [&row](Bytes key) { return make_gcrypt_cfb(row.gcrypt_algorithm, key); }});
  }
  if (cipher == Cipher::kAes || cipher == Cipher::kAes128 || cipher == Cipher::kAes192) {
    for (auto [path, name] : {std::pair{AesPath::kAesNi, "aes-ni"}, std::pair{AesPath::kVaes256, "vaes-256"},
                              std::pair{AesPath::kVaes512, "vaes-512"}})
      all.push_back({name, cpu_can(path), [path = path](Bytes key) { return make_aes_cfb(key, path); }});
  }
  if (cipher == Cipher::kTea || cipher == Cipher::kXtea) {
    for (auto [path, name] :
         {std::pair{TeaPath::kPortable, "tea-portable"}, std::pair{TeaPath::kAvx2, "tea-avx2"},
          std::pair{TeaPath::kAvx512, "tea-avx512"}}) {
      all.push_back({name, cpu_can(path), [path = path, cipher](Bytes key) {
                       return cipher == Cipher::kTea ? make_tea_cfb(key, path) : make_xtea_cfb(key, path);
                     }});
    }
  }
  if (cipher == Cipher::kSalsa20) {
    for (auto [path, name] :
         {std::pair{Salsa20Path::kPortable, "salsa20-sodium"}, std::pair{Salsa20Path::kAvx2, "salsa20-avx2"},
          std::pair{Salsa20Path::kAvx512, "salsa20-avx512"}})
      all.push_back({name, cpu_can(path), [path = path](Bytes key) { return make_salsa20(key, path); }});
  }
  for (Dispatch dispatch : {Dispatch::kBest, Dispatch::kPortable}) {
    all.push_back({dispatch == Dispatch::kBest ? "best" : "portable", true,
                   [&row, dispatch](Bytes key) { return row.make(row, key, dispatch); }});
  }
  std::vector<CipherPath> usable;
  for (const CipherPath& path : all) {
    if (path.available) {
      usable.push_back(path);
    } else {
      warn_once(path.name);
    }
  }
  return usable;
}

inline constexpr std::array<std::pair<GcmPath, const char*>, 2> kGcmPaths{{
    {GcmPath::kPortable, "gcm-gcrypt"},
    {GcmPath::kVaes512, "gcm-vaes-512"},
}};

/// A suite with one implementation.
struct SuitePath {
  std::string name;
  std::unique_ptr<Suite> suite;
};
inline std::vector<SuitePath> suites_of(Cipher cipher, const MasterKey& key) {
  std::vector<SuitePath> suites;
  const SuiteRow& row = suite_row(cipher);
  if (row.format == PacketFormat::kChecksummed) {
    for (const CipherPath& path : paths_of(cipher)) {
      suites.push_back(
          {path.name, std::make_unique<ChecksummedSuite>(path.make(key.bytes().first(row.key_size)), kSeed)});
    }
    return suites;
  }
  if (row.format == PacketFormat::kGcm) {
    for (auto [path, name] : kGcmPaths) {
      if (cpu_can(path)) {
        suites.push_back(
            {name, std::make_unique<GcmSuite>(make_gcm(key.bytes().first(row.key_size), path), kSeed)});
      } else {
        warn_once(name);
      }
    }
  }
  for (Dispatch dispatch : {Dispatch::kBest, Dispatch::kPortable})
    suites.push_back(
        {dispatch == Dispatch::kBest ? "best" : "portable", Suite::make(cipher, key, kSeed, dispatch)});
  return suites;
}

inline std::vector<std::uint8_t> random_bytes(Random& random, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random.next32());
  return bytes;
}

inline const MasterKey& test_key() {
  static const MasterKey key("it's a secrect");
  return key;
}

}  // namespace kcptun::test
