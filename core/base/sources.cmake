# Sources of core/base.
target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/buffer_pool.cc ${CMAKE_CURRENT_LIST_DIR}/sodium.cc)
