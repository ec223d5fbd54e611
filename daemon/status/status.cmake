# What watching adds to kcptun_daemon, and the status page as bytes.
target_sources(kcptun_daemon PRIVATE
  status/access.cc status/gathering.cc status/history.cc status/http.cc status/page.cc status/render.cc status/status_server.cc
  ${CMAKE_CURRENT_BINARY_DIR}/page_bytes.cc)
target_link_libraries(kcptun_daemon PRIVATE ${HTTP_PARSER_LIBRARY} nlohmann_json::nlohmann_json)
add_custom_command(
  OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/page_bytes.cc
  COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_CURRENT_SOURCE_DIR}/status/page.html
          -DOUTPUT=${CMAKE_CURRENT_BINARY_DIR}/page_bytes.cc -P ${CMAKE_CURRENT_SOURCE_DIR}/status/embed.cmake
  DEPENDS status/page.html status/embed.cmake
  COMMENT "Writing page_bytes.cc" VERBATIM)
