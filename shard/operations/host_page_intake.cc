// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "shard/operations/page_intake.h"

namespace pinboard {
namespace {

class HostPageIntake final : public PageIntake {
 public:
  explicit HostPageIntake(std::size_t page_bytes) : page_bytes_(page_bytes) {}

  absl::Status Start(std::vector<Arrival> pages) override {
    for (const Arrival& page : pages) copies_.push_back({page.identity, Verified(page)});
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Copy>> Poll() override { return std::exchange(copies_, {}); }
  absl::StatusOr<std::vector<Copy>> Wait() override { return Poll(); }

 private:
  /// The copy is checked, not what it was taken from, which may change.
  std::shared_ptr<const std::byte> Verified(const Arrival& page) const {
    const auto bytes = page.pin.bytes();
    if (bytes.size() != page_bytes_) return nullptr;
    const auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    if (kernels::PageTag(*copy, page.identity) != page.tag) return nullptr;
    return {copy, copy->data()};
  }

  const std::size_t page_bytes_;
  std::vector<Copy> copies_;
};

}  // namespace

std::unique_ptr<PageIntake> MakeHostPageIntake(std::size_t page_bytes) {
  return std::make_unique<HostPageIntake>(page_bytes);
}

}  // namespace pinboard
