# Makes one manual page: cmake -DTEMPLATE=page.in -DPAGE=page -DPROGRAM=... -DFLAG=--help-man -DVERSION=... \
#                             -DEXAMPLES=docs/examples -P page.cmake
execute_process(COMMAND ${PROGRAM} ${FLAG} OUTPUT_VARIABLE OPTIONS COMMAND_ERROR_IS_FATAL ANY)
file(READ ${EXAMPLES}/profile-client.json PROFILE_CLIENT)
file(READ ${EXAMPLES}/profile-server.json PROFILE_SERVER)
configure_file(${TEMPLATE} ${PAGE} @ONLY)
file(TOUCH ${PAGE}) # configure_file leaves an unchanged page alone; the build goes by its time
