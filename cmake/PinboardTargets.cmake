# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# One small target per unit.
#
#   pinboard_library(NAME unit_part SRCS a.cc HDRS a.h DEPS pinboard::base absl::status)
#     builds the static library pinboard_unit_part, alias pinboard::unit_part. Without SRCS it is
#     an interface library. Includes are written from the repository root: "kernels/select/select.h".
#
#   pinboard_program(NAME pinboardd SRCS main.cc DEPS ...)
#
#   pinboard_test(NAME select_test SRCS select_test.cc DEPS pinboard::kernels_select
#                 LABELS unit [TIMEOUT seconds])
#     builds a GoogleTest program. Labels: unit, gpu, multirank, net, fault, fuzz, install. A multirank test
#     counts as two processors, so that ctest runs little beside it; a gpu test says "no CUDA device
#     on this machine" where it is skipped.
function(pinboard_library)
  cmake_parse_arguments(arg "" "NAME" "SRCS;HDRS;DEPS" ${ARGN})
  set(target pinboard_${arg_NAME})
  if(arg_SRCS)
    add_library(${target} STATIC ${arg_SRCS} ${arg_HDRS})
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
    target_link_libraries(${target} PUBLIC ${arg_DEPS} PRIVATE $<BUILD_INTERFACE:pinboard_options>)
    target_precompile_headers(${target} REUSE_FROM pinboard_precompiled)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
    target_link_libraries(${target} INTERFACE ${arg_DEPS})
  endif()
  add_library(pinboard::${arg_NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${arg_NAME})
  pinboard_register_for_install(PINBOARD_LIBRARIES ${target})
endfunction()

# Remembers a target for PinboardInstall.cmake; what tests and benches build stays here.
function(pinboard_register_for_install property target)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}
             OUTPUT_VARIABLE directory)
  if(NOT directory MATCHES "^(tests|bench)(/|$)")
    set_property(GLOBAL APPEND PROPERTY ${property} ${target})
  endif()
endfunction()

function(pinboard_program)
  cmake_parse_arguments(arg "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${arg_NAME} ${arg_SRCS})
  target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} pinboard_options pinboard_sanitizer)
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  pinboard_register_for_install(PINBOARD_PROGRAMS ${arg_NAME})
endfunction()

function(pinboard_test)
  if(NOT PINBOARD_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "NAME;TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
    if("gpu" IN_LIST arg_LABELS)  # processes take turns on the device
      set(arg_TIMEOUT 400)
    endif()
  endif()
  add_executable(${arg_NAME} ${arg_SRCS})
  target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} pinboard_test_options pinboard_sanitizer)
  target_precompile_headers(${arg_NAME} REUSE_FROM pinboard_precompiled_tests)
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
  set_tests_properties(${arg_NAME} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "PINBOARD_SOURCE_DIR=${PROJECT_SOURCE_DIR};PINBOARD_BINARY_DIR=${PROJECT_BINARY_DIR};OPENBLAS_NUM_THREADS=1;UCX_NET_DEVICES=lo;UCX_LOG_LEVEL=error")
  if("gpu" IN_LIST arg_LABELS)  # listed as skipped where there is none
    target_link_libraries(${arg_NAME} PRIVATE pinboard_skip_without_device)
    set_tests_properties(${arg_NAME} PROPERTIES SKIP_REGULAR_EXPRESSION "no CUDA device on this machine")
  endif()
  if("multirank" IN_LIST arg_LABELS)
    set_tests_properties(${arg_NAME} PROPERTIES PROCESSORS 2)
  endif()
endfunction()
