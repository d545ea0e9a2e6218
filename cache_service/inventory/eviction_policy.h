// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who leaves when the arena is full: the interface; one file per policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "cache_service/inventory/arena.h"

namespace pinboard::cache_service {

/// What a policy may know of a page that could leave.
struct EvictionCandidate {
  SlabIndex slab;
  std::int32_t mean_information = 0;
  std::uint64_t published_order = 0;  // counts up with each publication
};

/// The published pages of one slab size that nobody has pinned, in the order in which they would
/// leave. A page that is pinned is removed and added again afterwards. Deterministic. Thread-
/// compatible.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  /// Requires the slab not to be in here.
  virtual void Add(const EvictionCandidate& candidate) = 0;
  /// Requires the slab to be in here.
  virtual void Remove(SlabIndex slab) = 0;
  /// The page that leaves first. Requires size() > 0.
  virtual SlabIndex First() const = 0;
  virtual std::size_t size() const = 0;
};

using EvictionPolicyFactory = std::function<std::unique_ptr<EvictionPolicy>()>;

}  // namespace pinboard::cache_service
