// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/local/local_communicator.h"
#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_threads.h"

namespace pinboard::transport {
namespace {

struct Local : RankThreads {
  static std::vector<int> Sizes() { return {2, 3, 4, 8}; }
  absl::Mutex mutex;
  std::unique_ptr<LocalGroup> group;

  std::unique_ptr<Communicator> Make(int rank, int size) {
    absl::MutexLock lock(&mutex);
    if (group == nullptr) group = std::make_unique<LocalGroup>(size);
    return group->Join(rank);
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Local, CommunicatorConformance, Local);

}  // namespace
}  // namespace pinboard::transport
