// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/load_run.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "app/service_load/page_values.h"
#include "app/service_load/zipf.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

using cache_service::FetchResult;
using cache_service::PageLease;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kOperationTimeout = absl::Seconds(10);

/// What all clients know: the generation of each page that was published last.
struct Shared {
  explicit Shared(const Workload& workload)
      : workload(workload),
        zipf(static_cast<std::uint32_t>(workload.pages), workload.zipf),
        generations(static_cast<std::size_t>(workload.clients) * workload.pages) {}

  std::atomic<std::uint32_t>& GenerationOf(std::uint64_t client, std::uint32_t page) {
    return generations[client * workload.pages + page];
  }

  const Workload& workload;
  const Zipf zipf;
  std::vector<std::atomic<std::uint32_t>> generations;
};

class Client {
 public:
  Client(Shared& shared, int client, std::unique_ptr<PageStore> store)
      : shared_(shared),
        workload_(shared.workload),
        client_(client),
        store_(std::move(store)),
        random_(workload_.seed * 1'000'003 + client) {}

  absl::Status PublishAll() {
    const auto sizes = static_cast<std::uint32_t>(workload_.page_bytes.size());
    for (std::uint32_t size = 0; size < sizes; ++size) {
      std::vector<std::uint32_t> pages;
      for (std::uint32_t page = size; page < Pages(); page += sizes) {
        pages.push_back(page);
        if (pages.size() < Batch() && page + sizes < Pages()) continue;
        PB_RETURN_IF_ERROR(Put(std::exchange(pages, {})));
      }
    }
    result = {};
    return absl::OkStatus();
  }

  absl::Status RunUntil(absl::Time end) {
    while (absl::Now() < end) {
      const bool reads = std::uniform_real_distribution<>(0, 1)(random_) < workload_.read_share;
      PB_RETURN_IF_ERROR(reads ? Get() : Put(DrawOwn()));
    }
    return absl::OkStatus();
  }

  LoadResult result;

 private:
  std::uint32_t Pages() const { return static_cast<std::uint32_t>(workload_.pages); }
  std::size_t Batch() const { return static_cast<std::size_t>(workload_.batch); }
  std::size_t BytesOf(std::uint32_t page) const {
    return static_cast<std::size_t>(workload_.page_bytes[page % workload_.page_bytes.size()]);
  }

  /// Pages of one size: a lease is.
  std::vector<std::uint32_t> DrawOwn() {
    const auto sizes = static_cast<std::uint32_t>(workload_.page_bytes.size());
    std::vector<std::uint32_t> pages = {shared_.zipf.Draw(random_)};
    while (pages.size() < Batch()) {
      const std::uint32_t page = shared_.zipf.Draw(random_) / sizes * sizes + pages[0] % sizes;
      if (page < Pages()) pages.push_back(page);
    }
    return pages;
  }

  absl::Status Put(const std::vector<std::uint32_t>& pages) {
    const absl::Time start = absl::Now();
    const std::size_t bytes = BytesOf(pages[0]);
    auto leases = store_->Lease(static_cast<int>(pages.size()), bytes, start + kOperationTimeout);
    if (absl::IsResourceExhausted(leases.status())) {
      ++result.refused_leases;
      return absl::OkStatus();
    }
    PB_RETURN_IF_ERROR(leases.status());
    std::vector<PageRef> refs;
    std::vector<cache_service::PageHeader> headers;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::uint32_t generation = ++next_generation_;
      refs.push_back(
          {{.sequence = static_cast<std::uint64_t>(client_), .page = pages[i]}, generation});
      FillPage(refs[i], (*leases)[i].memory());
      headers.push_back(HeaderOf(refs[i], bytes));
    }
    store_->Publish(*std::move(leases), headers);
    for (const PageRef& ref : refs) {
      shared_.GenerationOf(client_, ref.key.page).store(ref.generation);
    }
    result.put.latency_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
    result.put.pages += pages.size();
    result.put.bytes += pages.size() * bytes;
    return absl::OkStatus();
  }

  absl::Status Get() {
    std::vector<PageRef> refs;
    for (std::size_t i = 0; i < Batch(); ++i) {
      const std::uint64_t owner = random_() % workload_.clients;
      const std::uint32_t page = shared_.zipf.Draw(random_);
      const std::uint32_t generation = shared_.GenerationOf(owner, page).load();
      if (generation == 0) continue;  // its lease was refused
      refs.push_back({{.sequence = owner, .page = page}, generation});
    }
    const absl::Time start = absl::Now();
    store_->Fetch(refs, start + kOperationTimeout);
    std::vector<FetchResult> results;
    while (store_->WaitFetched(start + kOperationTimeout)) {
      for (FetchResult& fetched : store_->TakeFetched()) results.push_back(std::move(fetched));
    }
    result.get.latency_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
    for (const FetchResult& fetched : results) PB_RETURN_IF_ERROR(Check(fetched));
    return absl::OkStatus();
  }

  absl::Status Check(const FetchResult& fetched) {
    if (absl::IsNotFound(fetched.pin.status())) {
      ++result.misses;
      return absl::OkStatus();
    }
    PB_RETURN_IF_ERROR(fetched.pin.status());
    const std::size_t bytes = BytesOf(fetched.page.key.page);
    if (!IsIntact(fetched.page, bytes, fetched)) ++result.wrong_pages;
    ++result.get.pages;
    result.get.bytes += bytes;
    return absl::OkStatus();
  }

  Shared& shared_;
  const Workload& workload_;
  const int client_;
  const std::unique_ptr<PageStore> store_;
  std::mt19937_64 random_;
  std::uint32_t next_generation_ = 0;
};

void Add(OperationCounts& more, OperationCounts* total) {
  total->pages += more.pages;
  total->bytes += more.bytes;
  total->latency_us.insert(total->latency_us.end(), more.latency_us.begin(), more.latency_us.end());
}

/// Runs `work` of every client at once; the first error.
template <typename Work>
absl::Status InParallel(std::vector<std::unique_ptr<Client>>& clients, Work work) {
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

absl::StatusOr<LoadResult> RunLoad(const Workload& workload, const StoreFactory& make_store) {
  Shared shared(workload);
  std::vector<std::unique_ptr<Client>> clients;
  for (int client = 0; client < workload.clients; ++client) {
    PB_ASSIGN_OR_RETURN(auto store, make_store(client));
    clients.push_back(std::make_unique<Client>(shared, client, std::move(store)));
  }
  PB_RETURN_IF_ERROR(InParallel(clients, [](Client& client) { return client.PublishAll(); }));
  const absl::Time start = absl::Now();
  const absl::Time end = start + absl::Seconds(workload.seconds);
  PB_RETURN_IF_ERROR(InParallel(clients, [end](Client& client) { return client.RunUntil(end); }));
  LoadResult total{.seconds = absl::ToDoubleSeconds(absl::Now() - start)};
  for (const auto& client : clients) {
    Add(client->result.get, &total.get);
    Add(client->result.put, &total.put);
    total.misses += client->result.misses;
    total.refused_leases += client->result.refused_leases;
    total.wrong_pages += client->result.wrong_pages;
  }
  std::sort(total.get.latency_us.begin(), total.get.latency_us.end());
  std::sort(total.put.latency_us.begin(), total.put.latency_us.end());
  return total;
}

}  // namespace pinboard::app
