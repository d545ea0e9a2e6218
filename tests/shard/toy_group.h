// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A group of ToyRanks on threads of one process, sharing one in-memory page service.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "tests/shard/toy_rank.h"
#include "tests/support/memory_page_store.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::testing {

/// Puts itself between a rank and its group: a decorator, or the communicator itself.
using Decorate = std::function<std::unique_ptr<transport::Communicator>(
    int rank, std::unique_ptr<transport::Communicator>)>;

class ToyGroup {
 public:
  ToyGroup(const ToyModel& model, int tp, const ShardOptions& options, bool with_store = true,
           const Decorate& decorate = nullptr)
      : group_(tp) {
    for (int rank = 0; rank < tp; ++rank) {
      auto communicator = group_.Join(rank);
      if (decorate) communicator = decorate(rank, std::move(communicator));
      communicators_.push_back(std::move(communicator));
      stores_.push_back(with_store ? std::make_unique<cache_service::MemoryPageStore>(pages_)
                                   : nullptr);
      ranks_.push_back(std::make_unique<ToyRank>(model, communicators_.back().get(),
                                                 stores_.back().get(), options));
    }
  }

  /// The same calls on every rank, each on a thread of its own.
  void OnEach(const std::function<void(ToyRank&, int rank)>& run) {
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      threads.emplace_back([&, rank] { run(*ranks_[rank], static_cast<int>(rank)); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  ToyRank& rank(int index) { return *ranks_[index]; }
  int size() const { return static_cast<int>(ranks_.size()); }
  cache_service::MemoryPages& pages() { return pages_; }

 private:
  transport::LocalGroup group_;
  cache_service::MemoryPages pages_;
  std::vector<std::unique_ptr<transport::Communicator>> communicators_;
  std::vector<std::unique_ptr<cache_service::MemoryPageStore>> stores_;
  std::vector<std::unique_ptr<ToyRank>> ranks_;
};

inline ShardOptions ToyOptions() {
  ShardOptions options;
  options.top_k = 16;
  options.census = true;
  options.wait_for_pages = true;
  return options;
}

inline SequenceOptions ToyPolicy(const std::string& policy = "pinboard") {
  SequenceOptions options;
  options.policy = policy;
  options.window = 16;
  options.budget = 0.15;
  options.band = 0.4;
  options.recall_pages = 4;
  return options;
}

#define ASSERT_PB_OK(expr)                      \
  do {                                          \
    const ::pinboard::Status pb_ok = (expr);    \
    ASSERT_TRUE(pb_ok.ok()) << pb_ok.message(); \
  } while (false)

}  // namespace pinboard::testing
