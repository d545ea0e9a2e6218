// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the pages of a load are named: as those of sequences that ranks compress.
#pragma once

#include <cstdint>

#include "base/page.h"

namespace pinboard::app {

/// Client c's page p. Its pages fill sequence c, then sequence c + clients, and so on; in each they
/// count up through all layers before the page number does, as the pages of a round do.
class PageNames {
 public:
  explicit PageNames(int clients) : clients_(static_cast<std::uint64_t>(clients)) {}

  PageKey Of(std::uint64_t client, std::uint32_t page) const {
    return {.sequence = client + clients_ * (page / kSequencePages),
            .page = page % kSequencePages / kLayers,
            .layer = static_cast<std::uint16_t>(page % kLayers)};
  }
  std::uint32_t PageOf(const PageKey& key) const {
    return static_cast<std::uint32_t>(key.sequence / clients_) * kSequencePages +
           key.page * kLayers + key.layer;
  }

 private:
  static constexpr std::uint32_t kLayers = 32;
  static constexpr std::uint32_t kSequencePages = 64 * kLayers;

  std::uint64_t clients_;
};

}  // namespace pinboard::app
