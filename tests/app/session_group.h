// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The ranks of a session as threads of the test, with a page store in memory.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/session/rank_session.h"
#include "tests/support/memory_page_store.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::app {

/// Runs `body` once per rank, all at once, each with a session of its own. `pages` may be null: no
/// service.
inline void OnSessions(int tp, const SessionOptions& options, cache_service::MemoryPages* pages,
                       const std::function<void(RankSession&)>& body) {
  transport::LocalGroup group(tp);
  std::vector<std::thread> ranks;
  for (int r = 0; r < tp; ++r) {
    ranks.emplace_back([&, r] {
      const auto communicator = group.Join(r);
      std::unique_ptr<cache_service::MemoryPageStore> store;
      if (pages != nullptr) store = std::make_unique<cache_service::MemoryPageStore>(*pages);
      const RankContext context{r, tp, communicator.get(), store.get()};
      auto session = RankSession::Open(options, context);
      ASSERT_TRUE(session.ok()) << session.status();
      body(**session);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

}  // namespace pinboard::app
