# Sources of core/link.
foreach(name demux link)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
