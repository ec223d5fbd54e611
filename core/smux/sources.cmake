# Sources of core/smux; libraries that only it needs are linked here.
target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/smux.cc ${CMAKE_CURRENT_LIST_DIR}/smux_ends.cc
                                   ${CMAKE_CURRENT_LIST_DIR}/smux_opening.cc
                                   ${CMAKE_CURRENT_LIST_DIR}/smux_stalls.cc)
