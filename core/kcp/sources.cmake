# Sources of core/kcp.
foreach(name congestion_table delivery_rate kcp kcp_controller bbr_controller receive_window rtt_estimator send_window)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
