# Before cpack packs a tree: what Debian wants and an installation by hand has not. Manual pages and the changelog
# compressed, a copyright file, examples below /etc.
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(source ${CPACK_KCPTUN_SOURCE})
set(doc ${root}/usr/share/doc/kcptun-uv)

file(GLOB pages ${root}/usr/share/man/man?/*.[15])
foreach(page IN LISTS pages)
  execute_process(COMMAND gzip -9n ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()

file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
execute_process(COMMAND gzip -9n ${doc}/changelog COMMAND_ERROR_IS_FATAL ANY)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${doc}/changelog.Debian
  "kcptun-uv (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) bookworm; urgency=medium\n\n"
  "  * Packaged from the source; its changes are in changelog.gz.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
execute_process(COMMAND gzip -9n ${doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${doc}/LICENSE)
file(READ ${source}/LICENSE license)
string(REGEX MATCH "Copyright[^\n]*" holder "${license}")
string(REGEX REPLACE "^Copyright *(\\(c\\))? *" "" holder "${holder}")
string(REGEX REPLACE "^.*\n(Permission is hereby)" "\\1" license "${license}")
string(REGEX REPLACE "\n\n" "\n.\n" license "${license}")
string(REGEX REPLACE "\n+$" "" license "${license}")
string(REPLACE "\n" "\n " license "${license}")
file(WRITE ${doc}/copyright
  "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: kcptun-uv\n\n"
  "Files: *\nCopyright: ${holder}\nLicense: Expat\n ${license}\n")

file(MAKE_DIRECTORY ${root}/etc/kcptun-uv)
foreach(role client server) # not file(INSTALL), which would heed cpack's DESTDIR
  configure_file(${source}/docs/examples/profile-${role}.json ${root}/etc/kcptun-uv/${role}.json.example COPYONLY)
endforeach()
# Everything may be read, and only its owner may write it, whatever the umask was.
execute_process(COMMAND chmod -R u=rwX,go=rX ${root}/etc ${root}/usr COMMAND_ERROR_IS_FATAL ANY)
