# Sources of core/proxy.
foreach(name address_class connect_head datagram_frame proxy_header proxy_request request_reader socks5_address socks5_client)
  target_sources(kcptun_core PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
endforeach()
