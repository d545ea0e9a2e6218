// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Carries packets between the nodes of a test's network, or fails to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {

/// What becomes of packets from one node to another.
struct Link {
  bool cut = false;
  double loss = 0;  // the share that is lost
  absl::Duration delay = absl::ZeroDuration();
};

/// On a thread of its own. Packets of one link stay in order, unless its delay is shortened.
class PacketRelay {
 public:
  /// `nodes`: a descriptor of each (NetworkNode::packets), which outlives this. Links are perfect
  /// until they are set.
  PacketRelay(std::vector<int> nodes, std::uint32_t seed);
  ~PacketRelay();
  PacketRelay(const PacketRelay&) = delete;
  PacketRelay& operator=(const PacketRelay&) = delete;

  /// Packets that are under way arrive as they would have.
  void Set(int from, int to, const Link& link);

 private:
  using Packet = std::vector<std::byte>;

  void Run();
  void Read(int from);
  void Deliver(absl::Time now);
  void Sleep();

  const std::vector<int> nodes_;
  int wake_ = -1;
  SeededRandom random_;                                          // the thread's
  std::multimap<absl::Time, std::pair<int, Packet>> under_way_;  // likewise; to the node
  absl::Mutex mutex_;
  std::map<std::pair<int, int>, Link> links_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pinboard::testing
