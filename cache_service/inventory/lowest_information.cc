// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/lowest_information.h"

#include <tuple>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"

namespace pinboard::cache_service {
namespace {

class LowestInformation final : public EvictionPolicy {
 public:
  void Add(const EvictionCandidate& candidate) override {
    const Rank rank{candidate.mean_information, candidate.published_order, candidate.slab};
    order_.insert(rank);
    ranks_[candidate.slab] = rank;
  }
  void Remove(SlabIndex slab) override {
    const auto found = ranks_.find(slab);
    order_.erase(found->second);
    ranks_.erase(found);
  }
  SlabIndex First() const override { return std::get<SlabIndex>(*order_.begin()); }
  std::size_t size() const override { return order_.size(); }

 private:
  using Rank = std::tuple<std::int32_t, std::uint64_t, SlabIndex>;
  absl::btree_set<Rank> order_;
  absl::flat_hash_map<SlabIndex, Rank> ranks_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> NewLowestInformationPolicy() {
  return std::make_unique<LowestInformation>();
}

}  // namespace pinboard::cache_service
