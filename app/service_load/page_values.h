// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What each generation of each page holds, so that every byte that comes back can be checked.
#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "cache_service/page_store.h"

namespace pinboard::app {

/// Bytes that follow from the page's name and generation, and differ in every word from those of
/// any other.
void FillPage(const cache_service::PageRef& page, absl::Span<std::byte> memory);

/// The header that goes with them.
cache_service::PageHeader HeaderOf(const cache_service::PageRef& page, std::size_t bytes);

/// Whether header and bytes are those of this page and generation, whole.
bool IsIntact(const cache_service::PageRef& page, std::size_t bytes,
              const cache_service::FetchResult& fetched);

}  // namespace pinboard::app
