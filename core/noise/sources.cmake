# Sources of core/noise.
target_sources(kcptun_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/cipher_state.cc
  ${CMAKE_CURRENT_LIST_DIR}/cookie.cc
  ${CMAKE_CURRENT_LIST_DIR}/handshake.cc
  ${CMAKE_CURRENT_LIST_DIR}/hash.cc
  ${CMAKE_CURRENT_LIST_DIR}/initiation.cc
  ${CMAKE_CURRENT_LIST_DIR}/keys.cc
  ${CMAKE_CURRENT_LIST_DIR}/packet.cc
  ${CMAKE_CURRENT_LIST_DIR}/session_keys.cc
  ${CMAKE_CURRENT_LIST_DIR}/symmetric_state.cc)
