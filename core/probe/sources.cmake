# Sources of core/probe.
foreach(name mtu_search ping_train reply_count)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
