# core as a library for other programs: headers, archive, find_package(kcptun-core) and a .pc file. Component
# "development": packages of the programs leave it out. See docs/develop/core-library.md.
include(CMakePackageConfigHelpers)
install(TARGETS kcptun_core ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/core DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kcptun-core COMPONENT development
        FILES_MATCHING PATTERN "*.h")
if(KCPTUN_ISAL)
  set(KCPTUN_CORE_ISAL " libisal")
endif()
set(kcptun_core_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/kcptun-core)
configure_package_config_file(core/kcptun-core-config.cmake.in ${CMAKE_BINARY_DIR}/kcptun-core-config.cmake
                              INSTALL_DESTINATION ${kcptun_core_cmake})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kcptun-core-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/kcptun-core-config.cmake ${CMAKE_BINARY_DIR}/kcptun-core-config-version.cmake
        DESTINATION ${kcptun_core_cmake} COMPONENT development)
# The prefix is known at installation.
install(CODE "set(PROJECT_VERSION ${PROJECT_VERSION})
  set(KCPTUN_CORE_ISAL \"${KCPTUN_CORE_ISAL}\")
  set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
  configure_file(${CMAKE_SOURCE_DIR}/core/kcptun-core.pc.in ${CMAKE_BINARY_DIR}/kcptun-core.pc @ONLY)
  file(INSTALL ${CMAKE_BINARY_DIR}/kcptun-core.pc DESTINATION \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig)"
        COMPONENT development)
