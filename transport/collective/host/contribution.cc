// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/host/contribution.h"

#include <cstring>
#include <utility>

namespace pinboard::transport {
namespace {

constexpr std::size_t kIdleSlots = 8;

}  // namespace

bool Arrivals::Add(int rank, absl::Span<const std::byte> message) {
  ContributionHeader header;
  if (message.size() < sizeof(header)) return false;
  std::memcpy(&header, message.data(), sizeof(header));
  if (header.number < number_ || header.number - number_ >= kMaxAhead) return false;
  if (header.phase > Phase::kGather) return false;
  Slot& slot = At(header.number - number_)[static_cast<int>(header.phase)][rank];
  if (slot.present) return false;
  slot.present = true;
  slot.shape = {header.kind, header.bytes};
  const auto bytes = message.subspan(sizeof(header));
  slot.bytes.assign(bytes.begin(), bytes.end());
  return true;
}

absl::Span<const Arrivals::Slot> Arrivals::current(Phase phase) {
  return At(0)[static_cast<int>(phase)];
}

void Arrivals::Next() {
  ++number_;
  if (window_.empty()) return;
  for (auto& slots : window_.front()) {
    for (Slot& slot : slots) slot.present = false;
  }
  if (idle_.size() < kIdleSlots) idle_.push_back(std::move(window_.front()));
  window_.pop_front();
}

Arrivals::Slots& Arrivals::At(std::uint64_t ahead) {
  while (window_.size() <= ahead) {
    if (idle_.empty()) {
      window_.push_back({std::vector<Slot>(size_), std::vector<Slot>(size_)});
    } else {
      window_.push_back(std::move(idle_.back()));
      idle_.pop_back();
    }
  }
  return window_[ahead];
}

}  // namespace pinboard::transport
