// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/load_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "app/service_load/page_values.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/stream_copies.h"

namespace pinboard::app {
namespace {

using cache_service::FetchResult;
using cache_service::PagePin;
using cache_service::PageRef;

constexpr absl::Duration kOperationTimeout = absl::Seconds(10);

void AddLatency(absl::Duration latency, OperationCounts* counts) {
  counts->latency_us.push_back(absl::ToDoubleMicroseconds(latency));
  counts->busy_seconds += absl::ToDoubleSeconds(latency);
}

}  // namespace

LoadClient::LoadClient(LoadBoard& board, int client,
                       std::unique_ptr<cache_service::PageStore> store)
    : board_(board),
      workload_(board.workload),
      client_(static_cast<std::uint64_t>(client)),
      store_(std::move(store)),
      random_(workload_.seed * 1'000'003 + client),
      pages_(Batch() *
             *std::max_element(workload_.page_bytes.begin(), workload_.page_bytes.end())) {}

absl::Status LoadClient::PublishAll() {
  const auto sizes = static_cast<std::uint32_t>(workload_.page_bytes.size());
  for (std::uint32_t size = 0; size < sizes; ++size) {
    std::vector<std::uint32_t> pages;
    for (std::uint32_t page = size; page < Pages() && !board_.interrupted; page += sizes) {
      pages.push_back(page);
      if (pages.size() < Batch() && page + sizes < Pages()) continue;
      PB_RETURN_IF_ERROR(PutCopied(std::exchange(pages, {})));
    }
  }
  result_ = {.refused_leases = result_.refused_leases};
  return absl::OkStatus();
}

absl::Status LoadClient::RunUntil(absl::Time end) {
  while (SteadyNow() < end && !board_.interrupted) {
    const bool reads = std::uniform_real_distribution<>(0, 1)(random_) < workload_.read_share;
    PB_RETURN_IF_ERROR(reads                    ? Get()
                       : workload_.put_in_place ? PutInPlace(DrawOwn())
                                                : PutCopied(DrawOwn()));
  }
  return absl::OkStatus();
}

std::uint64_t LoadClient::DrawOwner() {
  const std::uint64_t tenants = workload_.tenants.size();
  const std::uint64_t tenant = client_ % tenants;
  const std::uint64_t members = (workload_.clients - tenant + tenants - 1) / tenants;
  return tenant + random_() % members * tenants;
}

void LoadClient::AppendRun(std::uint32_t first, std::vector<std::uint32_t>* pages) const {
  const auto sizes = static_cast<std::uint32_t>(workload_.page_bytes.size());
  std::uint32_t page = first;
  for (int i = 0; i < workload_.run && page < Pages() && pages->size() < Batch(); ++i) {
    pages->push_back(page);
    page += sizes;
  }
}

std::vector<std::uint32_t> LoadClient::DrawOwn() {
  const auto sizes = static_cast<std::uint32_t>(workload_.page_bytes.size());
  std::vector<std::uint32_t> pages;
  AppendRun(board_.zipf.Draw(random_), &pages);
  while (pages.size() < Batch()) {
    AppendRun(board_.zipf.Draw(random_) / sizes * sizes + pages[0] % sizes, &pages);
  }
  return pages;
}

LoadClient::Publication LoadClient::Prepare(std::vector<std::uint32_t> pages) {
  Publication prepared;
  for (const std::uint32_t page : pages) {
    prepared.refs.push_back({board_.names.Of(client_, page), ++next_generation_});
    prepared.headers.push_back(HeaderOf(prepared.refs.back(), BytesOf(page)));
  }
  prepared.pages = std::move(pages);
  return prepared;
}

absl::Status LoadClient::LeaseFor(Publication& publication, absl::Time deadline) {
  auto leases = store_->Lease(static_cast<int>(publication.pages.size()),
                              BytesOf(publication.pages[0]), deadline);
  if (absl::IsResourceExhausted(leases.status())) {
    ++result_.refused_leases;
    return absl::OkStatus();
  }
  PB_RETURN_IF_ERROR(leases.status());
  publication.leases = *std::move(leases);
  return absl::OkStatus();
}

void LoadClient::CountPut(const Publication& publication) {
  for (std::size_t i = 0; i < publication.pages.size(); ++i) {
    board_.GenerationOf(client_, publication.pages[i]).store(publication.refs[i].generation);
  }
  result_.put.pages += publication.pages.size();
  result_.put.bytes += publication.pages.size() * BytesOf(publication.pages[0]);
}

absl::Status LoadClient::PutCopied(std::vector<std::uint32_t> pages) {
  const std::size_t bytes = BytesOf(pages[0]);
  Publication put = Prepare(std::move(pages));
  for (std::size_t i = 0; i < put.refs.size(); ++i) {
    FillPage(put.refs[i], absl::MakeSpan(pages_).subspan(i * bytes, bytes));
  }
  const absl::Time start = SteadyNow();
  PB_RETURN_IF_ERROR(LeaseFor(put, start + kOperationTimeout));
  if (put.leases.empty()) return absl::OkStatus();
  const absl::Time leased = SteadyNow();
  {
    StreamCopies copies;
    for (std::size_t i = 0; i < put.leases.size(); ++i) {
      copies.Copy(put.leases[i].memory().data(), pages_.data() + i * bytes, bytes);
    }
  }
  result_.put.copy_seconds += absl::ToDoubleSeconds(SteadyNow() - leased);
  store_->Publish(std::move(put.leases), put.headers);
  AddLatency(SteadyNow() - start, &result_.put);
  CountPut(put);
  return absl::OkStatus();
}

absl::Status LoadClient::PutInPlace(std::vector<std::uint32_t> pages) {
  Publication next = Prepare(std::move(pages));
  Publication put = std::exchange(written_, {});
  const absl::Time start = SteadyNow();
  const absl::Time deadline = start + kOperationTimeout;
  if (!put.leases.empty()) store_->Publish(std::move(put.leases), put.headers);
  PB_RETURN_IF_ERROR(LeaseFor(next, deadline));
  if (!put.pages.empty()) {
    const Replies last = FetchAll({put.refs.back()}, deadline);
    AddLatency(SteadyNow() - start, &result_.put);
    CountPut(put);
    for (const auto& reply : last) {
      for (const FetchResult& fetched : reply) PB_RETURN_IF_ERROR(Check(fetched).status());
    }
  }
  if (next.leases.empty()) return absl::OkStatus();
  for (std::size_t i = 0; i < next.leases.size(); ++i) {
    FillPage(next.refs[i], next.leases[i].memory().subspan(0, next.headers[i].bytes));
  }
  written_ = std::move(next);
  return absl::OkStatus();
}

absl::Status LoadClient::Get() {
  std::vector<PageRef> refs;
  while (refs.size() < Batch()) {
    const std::uint64_t owner = DrawOwner();
    std::vector<std::uint32_t> pages;
    AppendRun(board_.zipf.Draw(random_), &pages);
    for (const std::uint32_t page : pages) {
      if (refs.size() == Batch()) break;
      refs.push_back({board_.names.Of(owner, page), board_.GenerationOf(owner, page).load()});
    }
  }
  // Of a page whose lease was refused there is no generation yet.
  std::erase_if(refs, [](const PageRef& ref) { return ref.generation == 0; });
  if (refs.empty()) return absl::OkStatus();
  const absl::Time start = SteadyNow();
  Replies replies = FetchAll(refs, start + kOperationTimeout);
  if (workload_.copy) {
    const absl::Time fetched = SteadyNow();
    CopyOut(replies);
    result_.get.copy_seconds += absl::ToDoubleSeconds(SteadyNow() - fetched);
  }
  AddLatency(SteadyNow() - start, &result_.get);
  for (const auto& reply : replies) {
    for (const FetchResult& fetched : reply) {
      PB_ASSIGN_OR_RETURN(const bool is_there, Check(fetched));
      if (!is_there) continue;
      ++result_.get.pages;
      result_.get.bytes += BytesOf(board_.names.PageOf(fetched.page.key));
    }
  }
  return absl::OkStatus();
}

LoadClient::Replies LoadClient::FetchAll(absl::Span<const PageRef> pages, absl::Time deadline) {
  store_->Fetch(pages, deadline);
  Replies replies;
  while (store_->WaitFetched(deadline)) replies.push_back(store_->TakeFetched());
  return replies;
}

void LoadClient::CopyOut(Replies& replies) {
  std::byte* to = pages_.data();
  for (std::vector<FetchResult>& reply : replies) {
    for (FetchResult& fetched : reply) {
      if (!fetched.pin.ok()) continue;
      const absl::Span<const std::byte> from = fetched.pin->bytes();
      // A page of another size than was published is wrong, and found so where it lies.
      if (from.size() != BytesOf(board_.names.PageOf(fetched.page.key))) continue;
      std::memcpy(to, from.data(), from.size());
      fetched.pin = PagePin(absl::MakeConstSpan(to, from.size()), nullptr);
      to += from.size();
    }
  }
}

absl::StatusOr<bool> LoadClient::Check(const FetchResult& fetched) {
  if (absl::IsNotFound(fetched.pin.status())) {
    ++result_.misses;
    return false;
  }
  PB_RETURN_IF_ERROR(fetched.pin.status());
  ++result_.checked_pages;
  const std::size_t bytes = BytesOf(board_.names.PageOf(fetched.page.key));
  if (!IsIntact(fetched.page, bytes, fetched)) ++result_.wrong_pages;
  return true;
}

}  // namespace pinboard::app
