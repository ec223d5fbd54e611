# Sources of core/fec; libraries that only it needs are linked here.
find_library(KCPTUN_JERASURE NAMES Jerasure REQUIRED)
find_library(KCPTUN_GF_COMPLETE NAMES gf_complete REQUIRED)
target_sources(kcptun_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/erasure_code_cache.cc
  ${CMAKE_CURRENT_LIST_DIR}/fec_decoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/fec_encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/gf_kernels.cc
  ${CMAKE_CURRENT_LIST_DIR}/gf_kernels_x86.cc
  ${CMAKE_CURRENT_LIST_DIR}/parity_policy.cc
  ${CMAKE_CURRENT_LIST_DIR}/reed_solomon.cc
  ${CMAKE_CURRENT_LIST_DIR}/shard_evidence.cc)
target_link_libraries(kcptun_core PRIVATE ${KCPTUN_JERASURE} ${KCPTUN_GF_COMPLETE})
