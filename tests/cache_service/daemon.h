// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A real pinboardd, and stores connected to it over UCX.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cache_service/remote_page_store.h"
#include "tests/cache_service/child_process.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {

/// pinboardd on a loopback address, ready when constructed. Unless told otherwise, what leaves
/// does not depend on time.
class Daemon {
 public:
  explicit Daemon(std::size_t arena_bytes, const std::string& listen = "127.0.0.1:0",
                  const std::string& eviction = "score", const std::string& watermarks = "none")
      : process_({BuiltProgram("bin/pinboardd"), "--listen", listen, "--arena",
                  std::to_string(arena_bytes), "--eviction", eviction, "--watermarks", watermarks,
                  "--metrics", "none", "--log-level", "error", "--exit-with-parent"}) {
    const std::string line = process_.ReadLine();
    const std::string ready = "pinboardd: listening on ";
    if (line.starts_with(ready)) address_ = line.substr(ready.size());
  }

  /// Empty where it did not start.
  const std::string& address() const { return address_; }
  ChildProcess& process() { return process_; }

 private:
  ChildProcess process_;
  std::string address_;
};

inline absl::StatusOr<std::unique_ptr<PageStore>> ConnectOverUcx(const std::string& address,
                                                                 std::uint64_t group = 1) {
  return ConnectPageStore([] { return transport::MakeUcxFabric(); }, {address},
                          {.group = group, .name = "test"});
}

}  // namespace pinboard::cache_service
