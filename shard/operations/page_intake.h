// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages that have come from the store, on their way into memory of this rank's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache_service/page_store.h"
#include "kernels/page_transfer/page_transfer.h"

namespace pinboard {

/// Copies pages beside the engine's work and checks the copies against their tags: from then on
/// neither the service nor its death can change them. Thread-compatible.
class PageIntake {
 public:
  struct Arrival {
    kernels::PageIdentity identity;
    std::uint64_t tag = 0;
    cache_service::PagePin pin;
  };
  struct Copy {
    kernels::PageIdentity identity;
    /// In the operations' memory(), a whole page; null: it does not match its tag.
    std::shared_ptr<const std::byte> bytes;
  };

  virtual ~PageIntake() = default;

  /// Takes the pages over: their pins end with their copying. Never waits.
  virtual absl::Status Start(std::vector<Arrival> pages) = 0;
  /// The copies that have been made since the last call. Never waits.
  virtual absl::StatusOr<std::vector<Copy>> Poll() = 0;
  /// All that were started.
  virtual absl::StatusOr<std::vector<Copy>> Wait() = 0;
};

/// On the host, at once. Pages of other sizes than `page_bytes` do not match.
std::unique_ptr<PageIntake> MakeHostPageIntake(std::size_t page_bytes);

}  // namespace pinboard
