# What `cmake --install` puts beside the programs: units, the user, directories, documents, examples.
#
#   cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr && cmake --build --preset release
#   cmake --install build/release                        DESTDIR=/tmp/stage to look first
#   systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
#
# Paths inside the units are those of the prefix given to cmake at configuring: systemd wants them absolute (another is refused, in
# CMakeLists.txt: that must come before any other install). Nothing is started or enabled.
if(CMAKE_INSTALL_FULL_SYSCONFDIR MATCHES "^/etc(/|$)")
  set(MQ_ETC /etc/mailquorum)
else()
  set(MQ_ETC ${CMAKE_INSTALL_FULL_SYSCONFDIR}/mailquorum)
endif()

foreach(unit mailquorumd.service mailfeed.service)
  configure_file(packaging/systemd/${unit}.in ${PROJECT_BINARY_DIR}/packaging/${unit} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/packaging/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES packaging/sysusers.d/mailquorum.conf DESTINATION lib/sysusers.d)
install(FILES packaging/tmpfiles.d/mailquorum.conf DESTINATION lib/tmpfiles.d)

# An example is what the program itself prints: it cannot be out of date.
set(examples)
foreach(program mailquorumd mailfeed)
  if(TARGET ${program})
    set(example ${PROJECT_BINARY_DIR}/packaging/${program}.conf)
    add_custom_command(OUTPUT ${example}
      COMMAND ${program} --print-config > ${example}
      DEPENDS ${program}
      COMMENT "${program}.conf, as ${program} --print-config says"
      VERBATIM)
    list(APPEND examples ${example})
  endif()
endforeach()
add_custom_target(examples ALL DEPENDS ${examples})
file(GLOB topologies CONFIGURE_DEPENDS packaging/examples/*.ini)
install(FILES ${examples} ${topologies} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

file(GLOB documents CONFIGURE_DEPENDS docs/*.md)
install(FILES ${documents} README.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(FILES packaging/man/mq-replay.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
