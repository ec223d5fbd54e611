# Sources of core/stream; libraries that only it needs are linked here.
find_library(KCPTUN_SNAPPY NAMES snappy REQUIRED)
target_sources(kcptun_core PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/crc32c.cc
  ${CMAKE_CURRENT_LIST_DIR}/qpp.cc
  ${CMAKE_CURRENT_LIST_DIR}/snappy_frames.cc)
target_link_libraries(kcptun_core PRIVATE ${KCPTUN_SNAPPY} PkgConfig::LIBGCRYPT)
