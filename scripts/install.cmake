# What cmake --install puts under the prefix: programs, manual pages, completions, example profiles, systemd's files.
# scripts/install.sh builds on it.
include(GNUInstallDirs)

if(KCPTUN_ONE_PROGRAM)
  install(PROGRAMS $<TARGET_FILE:kcptun> DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME kcptun-client)
  install(CODE "file(CREATE_LINK kcptun-client
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/kcptun-server\" SYMBOLIC)")
else()
  install(TARGETS kcptun-client kcptun-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES ${CMAKE_BINARY_DIR}/man/kcptun-client.1 ${CMAKE_BINARY_DIR}/man/kcptun-server.1
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/man/kcptun-uv.json.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
foreach(program kcptun-client kcptun-server) # bash-completion loads a file by the program's name
  install(FILES scripts/completions/kcptun.bash RENAME ${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
install(FILES scripts/completions/_kcptun DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES README.md LICENSE CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs # README's links lead there
        FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.png" PATTERN "*.csv" PATTERN "*.yaml"
        PATTERN "docs/examples/*" PATTERN "docs/examples/echo/*"
        PATTERN man EXCLUDE)
install(FILES docs/examples/profile-client.json docs/examples/profile-server.json
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# Units name the program's full path, which is known when the prefix is: at installation.
file(GLOB units CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/systemd/*.service)
if(units)
  install(CODE "set(units \"${units}\")
    set(unit_folder \"${CMAKE_BINARY_DIR}/systemd\")
    set(bin \"${CMAKE_INSTALL_BINDIR}\")")
  install(CODE [[
    if(NOT IS_ABSOLUTE "${bin}")
      set(bin "${CMAKE_INSTALL_PREFIX}/${bin}")
    endif()
    foreach(unit IN LISTS units)
      get_filename_component(name "${unit}" NAME)
      file(READ "${unit}" text)
      string(REPLACE "/usr/local/bin/" "${bin}/" text "${text}")
      file(WRITE "${unit_folder}/${name}" "${text}")
      file(INSTALL "${unit_folder}/${name}" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
    endforeach()]])
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/systemd/kcptun-uv.sysusers)
  install(FILES systemd/kcptun-uv.sysusers DESTINATION lib/sysusers.d RENAME kcptun-uv.conf)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/systemd/kcptun-uv.sysctl)
  install(FILES systemd/kcptun-uv.sysctl DESTINATION lib/sysctl.d RENAME 60-kcptun-uv.conf)
endif()
