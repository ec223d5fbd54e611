# Sources of core/kcp.
foreach(name congestion delivery_rate kcp kcp_output bbr_controller receive_window classic_detector loss_detector path_state rack_detector redundant_transmissions rtt_estimator scoreboard send_buffer send_window)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
