# Sources of core/link.
foreach(name anti_replay datagram_queue datagram_reassembler datagram_receiver demux demux_by_session hello_gate link link_context
             link_datagrams mtu_prober noise_session packet_decoder packet_sender path_mtu path_validator replay_cache replay_window
             saturation_monitor session_limiter shared_rate stream_codec)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
