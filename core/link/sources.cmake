# Sources of core/link.
foreach(name demux demux_by_session link path_mtu replay_window replay_cache anti_replay session_limiter)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
