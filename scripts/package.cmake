# How cpack makes packages: cpack -G DEB in a build tree, or scripts/package.sh, which also checks what it made.
set(CPACK_PACKAGE_NAME kcptun-uv)
set(CPACK_PACKAGE_VENDOR "kcptun-uv")
set(CPACK_PACKAGE_CONTACT "kcptun-uv authors <kcptun-uv@users.noreply.github.com>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/scripts/package/stage.cmake)
set(CPACK_KCPTUN_SOURCE ${CMAKE_SOURCE_DIR})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_CONFLICTS kcptun)
set(CPACK_DEBIAN_PACKAGE_REPLACES kcptun)
set(CPACK_DEBIAN_PACKAGE_PROVIDES kcptun)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "kcptun-client accepts TCP connections and carries them over KCP, a reliable
protocol on UDP with forward error correction, to kcptun-server, which hands
each to a target. Wire protocol, flags and JSON fields are those of kcptun, so
either end can be replaced alone.")
foreach(script conffiles postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/scripts/package/${script})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};kcptun-uv;Unspecified;/")  # the programs, not the core library
include(CPack)
