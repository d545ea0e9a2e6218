// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace pinboard {
namespace {

/// As many threads as it gives, up to `count`.
template <typename Work>
std::vector<std::jthread> Start(std::size_t count, Work work) {
  std::vector<std::jthread> started;
  started.reserve(count);
  try {
    while (started.size() < count) started.emplace_back(work);
  } catch (const std::system_error&) {  // the work gets done by those that there are
  }
  return started;
}

}  // namespace

void ForEachInParallel(std::size_t count, int threads, absl::FunctionRef<void(std::size_t)> body) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) body(i);
  };
  const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int workers = std::max(1, std::min(threads, cores));
  const std::vector<std::jthread> others = Start(std::min<std::size_t>(workers - 1, count), work);
  work();
}

}  // namespace pinboard
