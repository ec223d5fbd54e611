# Sources of core/kcp.
foreach(name congestion_table delivery_rate fixed_controller kcp kcp_controller receive_window rtt_estimator send_window
             bbr/bbr_controller bbr/inflight_hi bbr/loss_model bbr/model bbr/policer bbr/probe_bw bbr/probe_rtt bbr/startup)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
