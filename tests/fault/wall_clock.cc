// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/wall_clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "tests/cache_service/child_process.h"

namespace pinboard::testing {

WallClock::WallClock(std::string path) : path_(std::move(path)) { Set(0); }

WallClock::~WallClock() { unlink(path_.c_str()); }

std::vector<std::string> WallClock::Environment() const {
  return {"LD_PRELOAD=" + BuiltProgram("tests/fault/libfault_clock.so"),
          "PINBOARD_TEST_CLOCK=" + path_};
}

void WallClock::Set(std::int64_t seconds) const {
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (pwrite(fd, &seconds, sizeof(seconds), 0) != sizeof(seconds)) std::abort();
  close(fd);
}

}  // namespace pinboard::testing
