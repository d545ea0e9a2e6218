# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and sanitizers, the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(PINBOARD_CCACHE ccache)
if(PINBOARD_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${PINBOARD_CCACHE})
  # Sources do not use __TIME__, nor define what changes the precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${PINBOARD_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PINBOARD_CCACHE})
endif()

add_library(pinboard_options INTERFACE)
target_compile_options(pinboard_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wno-missing-field-initializers>)
# Contraction would let a compiler's choice of fused multiply-add change a fixed-point result, on the
# device as on the host: what both share (kernels/*_core.h) then gives the same bits on both. Kernels
# whose floats decide nothing ask for it by name (__fmaf_rn).
target_compile_options(pinboard_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;--expt-relaxed-constexpr;-Xcompiler=-ffp-contract=off>")
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(pinboard_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>)
endif()
if(PINBOARD_SANITIZE)
  target_compile_options(pinboard_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${PINBOARD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(pinboard_options INTERFACE -fsanitize=${PINBOARD_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # which takes what its own instrumentation adds for uses
    target_compile_options(pinboard_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
  endif()
endif()
