// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A host of a test's network: a network namespace with one interface, whose packets the test
// carries.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace pinboard::testing {

/// Why this process may not have such nodes; it needs root, or what allows as much.
absl::Status CheckMayMakeNetworks();

/// Node `index` has address 10.77.0.(index + 1) on kInterface, and loopback. It ends with its
/// thread; sockets made there, and programs started there, keep it alive without a way out. Aborts
/// where it cannot be made: see CheckMayMakeNetworks.
class NetworkNode {
 public:
  explicit NetworkNode(int index);
  ~NetworkNode();
  NetworkNode(const NetworkNode&) = delete;
  NetworkNode& operator=(const NetworkNode&) = delete;

  static constexpr char kInterface[] = "pb0";
  static std::string HostName(int index);
  /// What it sends can be read here, a packet at a time, and what is written arrives; does not
  /// block.
  int packets() const { return packets_; }
  /// Runs `task` on the node's thread and waits for it: programs and threads that it starts are of
  /// this node. They see its thread as their parent.
  void Run(std::function<void()> task);

 private:
  void Live(int index);

  int packets_ = -1;
  absl::Mutex mutex_;
  std::function<void()> task_ ABSL_GUARDED_BY(mutex_);
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool end_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pinboard::testing
