// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/load_run.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "app/service_load/load_client.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

void Add(const OperationCounts& more, OperationCounts* total) {
  total->pages += more.pages;
  total->bytes += more.bytes;
  total->busy_seconds += more.busy_seconds;
  total->copy_seconds += more.copy_seconds;
  total->latency_us.insert(total->latency_us.end(), more.latency_us.begin(), more.latency_us.end());
}

/// Runs `work` of every client at once; the first error.
template <typename Work>
absl::Status InParallel(std::vector<std::unique_ptr<LoadClient>>& clients, Work work) {
  std::vector<absl::Status> statuses(clients.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] { statuses[i] = work(*clients[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) PB_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadResult> RunLoad(const Workload& workload, const StoreFactory& make_store,
                                   const std::atomic<bool>& interrupted) {
  LoadBoard board(workload, interrupted);
  std::vector<std::unique_ptr<LoadClient>> clients;
  for (int client = 0; client < workload.clients; ++client) {
    PB_ASSIGN_OR_RETURN(auto store, make_store(client));
    clients.push_back(std::make_unique<LoadClient>(board, client, std::move(store)));
  }
  PB_RETURN_IF_ERROR(InParallel(clients, [](LoadClient& client) { return client.PublishAll(); }));
  const absl::Time start = SteadyNow();
  const absl::Time end = start + absl::Seconds(workload.seconds);
  PB_RETURN_IF_ERROR(
      InParallel(clients, [end](LoadClient& client) { return client.RunUntil(end); }));
  LoadResult total{.seconds = absl::ToDoubleSeconds(SteadyNow() - start)};
  for (const auto& client : clients) {
    Add(client->result().get, &total.get);
    Add(client->result().put, &total.put);
    total.checked_pages += client->result().checked_pages;
    total.misses += client->result().misses;
    total.refused_leases += client->result().refused_leases;
    total.wrong_pages += client->result().wrong_pages;
  }
  if (total.get.pages + total.put.pages == 0 && total.refused_leases > 0) {
    return absl::ResourceExhaustedError(
        "the service gave no room for a single batch: give it a larger arena or quota, or the "
        "workload smaller pages or batches");
  }
  std::sort(total.get.latency_us.begin(), total.get.latency_us.end());
  std::sort(total.put.latency_us.begin(), total.put.latency_us.end());
  return total;
}

}  // namespace pinboard::app
