# Sources of core/smux; libraries that only it needs are linked here.
foreach(name smux smux_ends smux_opening smux_stalls stream_scheduler)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
