# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# What most sources include, parsed once instead of for each. Sources still include what they use; the
# presets of clang (tidy, fuzz) compile without this, and see what is missing.
# Not with sanitizers, whose instrumentation makes g++ warn of Abseil's code: Abseil switches such
# warnings off where it stands, which precompiling forgets.
if(PINBOARD_SANITIZE)
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()
set(pinboard_common_headers
  <algorithm> <cmath> <cstdint> <functional> <map> <memory> <optional> <string> <utility> <vector>
  "<absl/container/flat_hash_map.h>" "<absl/status/statusor.h>" "<absl/strings/str_cat.h>"
  "<absl/strings/str_split.h>" "<absl/synchronization/mutex.h>" "<absl/time/clock.h>" "<absl/types/span.h>")

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cc CONTENT "")

# For libraries; programs are not many.
add_library(pinboard_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
target_link_libraries(pinboard_precompiled PRIVATE pinboard_options absl::statusor absl::flat_hash_map)
target_precompile_headers(pinboard_precompiled PRIVATE ${pinboard_common_headers})

# For tests. They are optimised a little: what they call is optimised as always.
if(PINBOARD_TESTS)
  add_library(pinboard_test_options INTERFACE)
  target_compile_options(pinboard_test_options INTERFACE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O1>)
  target_link_libraries(pinboard_test_options INTERFACE GTest::gmock GTest::gtest_main pinboard_options)
  add_executable(pinboard_precompiled_tests EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/precompiled.cc)
  target_link_libraries(pinboard_precompiled_tests PRIVATE pinboard_test_options absl::statusor absl::flat_hash_map)
  target_precompile_headers(pinboard_precompiled_tests PRIVATE ${pinboard_common_headers}
                            <random> <set> <thread> <gmock/gmock.h> <gtest/gtest.h>)
endif()
