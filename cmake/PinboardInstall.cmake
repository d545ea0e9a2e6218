# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# Libraries, public headers, programs, models and suites, and the package find_package(pinboard)
# finds. Everything declared with pinboard_library and pinboard_program is installed.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pinboard)

get_property(libraries GLOBAL PROPERTY PINBOARD_LIBRARIES)
install(TARGETS ${libraries} EXPORT pinboard-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT pinboard-targets NAMESPACE pinboard:: DESTINATION ${package_dir})
foreach(unit base shard)
  if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${unit}/include)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${unit}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
endforeach()

get_property(programs GLOBAL PROPERTY PINBOARD_PROGRAMS)
if(programs)
  install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(data models eval/suites)
  if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${data})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${data} DESTINATION ${CMAKE_INSTALL_DATADIR}/pinboard)
  endif()
endforeach()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/pinboard-config.cmake.in
                              ${PROJECT_BINARY_DIR}/pinboard-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pinboard-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pinboard-config.cmake
              ${PROJECT_BINARY_DIR}/pinboard-config-version.cmake
              ${CMAKE_CURRENT_LIST_DIR}/FindNCCL.cmake
        DESTINATION ${package_dir})
