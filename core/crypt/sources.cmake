# Sources of core/crypt; libraries that only it needs are linked here.
target_sources(kcptun_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/aes_cfb.cc
  ${CMAKE_CURRENT_LIST_DIR}/aes_ni.cc
  ${CMAKE_CURRENT_LIST_DIR}/aes_vaes256.cc
  ${CMAKE_CURRENT_LIST_DIR}/aes_vaes512.cc
  ${CMAKE_CURRENT_LIST_DIR}/checksummed_suite.cc
  ${CMAKE_CURRENT_LIST_DIR}/cpu.cc
  ${CMAKE_CURRENT_LIST_DIR}/crc32.cc
  ${CMAKE_CURRENT_LIST_DIR}/gcm.cc
  ${CMAKE_CURRENT_LIST_DIR}/gcm_suite.cc
  ${CMAKE_CURRENT_LIST_DIR}/gcm_vaes.cc
  ${CMAKE_CURRENT_LIST_DIR}/gcrypt.cc
  ${CMAKE_CURRENT_LIST_DIR}/gcrypt_cfb.cc
  ${CMAKE_CURRENT_LIST_DIR}/header_mask.cc
  ${CMAKE_CURRENT_LIST_DIR}/master_key.cc
  ${CMAKE_CURRENT_LIST_DIR}/nonce.cc
  ${CMAKE_CURRENT_LIST_DIR}/noise_gcm.cc
  ${CMAKE_CURRENT_LIST_DIR}/noise_suite.cc
  ${CMAKE_CURRENT_LIST_DIR}/salsa20.cc
  ${CMAKE_CURRENT_LIST_DIR}/salsa20_avx2.cc
  ${CMAKE_CURRENT_LIST_DIR}/salsa20_avx512.cc
  ${CMAKE_CURRENT_LIST_DIR}/stream_ciphers.cc
  ${CMAKE_CURRENT_LIST_DIR}/suite_table.cc
  ${CMAKE_CURRENT_LIST_DIR}/tea.cc
  ${CMAKE_CURRENT_LIST_DIR}/xchacha_suite.cc)
target_link_libraries(kcptun_core PUBLIC PkgConfig::LIBGCRYPT PkgConfig::LIBSODIUM)
if(KCPTUN_ISAL)  # CRC-32 here, CRC-32C in core/stream
  pkg_check_modules(LIBISAL REQUIRED IMPORTED_TARGET GLOBAL libisal)
  target_link_libraries(kcptun_core PUBLIC PkgConfig::LIBISAL)
  target_compile_definitions(kcptun_core PRIVATE KCPTUN_ISAL)
endif()
