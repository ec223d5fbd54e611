# Sources of core/kcp.
foreach(name classic_detector congestion_table delivery_rate fixed_controller kcp kcp_controller kcp_output loss_detector path_state
             rack_detector receive_window redundant_transmissions rtt_estimator scoreboard send_buffer send_window
             bbr/bbr_controller bbr/inflight_hi bbr/loss_model bbr/model bbr/policed_rate bbr/policer bbr/probe_bw bbr/probe_rtt
             bbr/slowdown bbr/startup)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
