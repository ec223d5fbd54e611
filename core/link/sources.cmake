# Sources of core/link.
foreach(name demux demux_sessions link path_mtu replay_window session_gate session_guard session_places)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
