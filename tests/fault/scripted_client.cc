// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/scripted_client.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "app/service_load/page_values.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "kernels/page_transfer/page_transfer.h"

namespace pinboard::testing {
namespace {

using cache_service::FetchResult;
using cache_service::PageHeader;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kPatience = absl::Milliseconds(50);
constexpr int kMostPages = 4;

PageRef NameOf(int client, std::uint32_t page, std::uint32_t generation) {
  return {{.sequence = static_cast<std::uint64_t>(client), .page = page}, generation};
}

/// In two halves, between which the process may be stopped or killed.
PageHeader WritePage(const PageRef& page, absl::Span<std::byte> memory) {
  std::vector<std::byte> bytes(memory.size());
  app::FillPage(page, absl::MakeSpan(bytes));
  const std::size_t half = bytes.size() / 2;
  std::copy_n(bytes.begin(), half, memory.begin());
  FaultPoint(kPageHalfWritten);
  std::copy(bytes.begin() + half, bytes.end(), memory.begin() + half);
  PageHeader header = app::HeaderOf(page, memory.size());
  header.tag = kernels::PageTag(bytes, {page.key, page.generation});
  return header;
}

std::size_t CountDifferent(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += a[i] != b[i];
  return different;
}

}  // namespace

absl::Status PutPages(PageStore& store, const std::vector<PageRef>& pages, absl::Time deadline) {
  auto leases = store.Lease(static_cast<int>(pages.size()), kFaultPageBytes, deadline);
  if (!leases.ok()) return leases.status();
  std::vector<PageHeader> headers;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    headers.push_back(WritePage(pages[i], (*leases)[i].memory()));
  }
  store.Publish(*std::move(leases), headers);
  return absl::OkStatus();
}

Verdict Judge(const FetchResult& fetched) {
  // A copy: who damages memory does so at any time.
  const std::vector<std::byte> bytes(fetched.pin->bytes().begin(), fetched.pin->bytes().end());
  std::vector<std::byte> own(kFaultPageBytes);
  app::FillPage(fetched.page, absl::MakeSpan(own));
  FetchResult copied{fetched.page, fetched.header};
  copied.pin = cache_service::PagePin(bytes, nullptr);
  copied.header.tag = app::HeaderOf(fetched.page, bytes.size()).tag;
  const std::uint64_t tag = kernels::PageTag(own, {fetched.page.key, fetched.page.generation});
  if (app::IsIntact(fetched.page, kFaultPageBytes, copied) && fetched.header.tag == tag) {
    return Verdict::kIntact;
  }
  const bool damaged =
      bytes.size() == own.size() && fetched.header.tag == tag && CountDifferent(bytes, own) == 1;
  return damaged ? Verdict::kCorrupted : Verdict::kWrong;
}

ScriptedClient::ScriptedClient(PageStore& store, Board& board, int index, std::uint32_t seed)
    : store_(store),
      board_(board),
      index_(index),
      counts_(board.clients[index]),
      random_(seed * 1'000'003 + static_cast<std::uint32_t>(index)) {}

void ScriptedClient::Run() {
  while (!board_.stop.load()) {
    const int draw = random_.Int(1, 20);
    if (draw == 1) {
      Drop();
    } else if (draw <= 8) {
      Put();
    } else {
      Get();
    }
  }
}

std::vector<std::uint32_t> ScriptedClient::SomePages() {
  std::vector<std::uint32_t> pages;
  const int first = random_.Int(0, kPagesOfClient - 1);
  const int count = random_.Int(1, kMostPages);
  for (int i = 0; i < count; ++i) {
    pages.push_back(static_cast<std::uint32_t>((first + i) % kPagesOfClient));
  }
  return pages;
}

void ScriptedClient::NoteReturn(absl::Time deadline) {
  const std::int64_t late_us = absl::ToInt64Microseconds(SteadyNow() - deadline);
  if (late_us > counts_.latest_us.load()) counts_.latest_us.store(late_us);
}

void ScriptedClient::Put() {
  std::vector<PageRef> refs;
  const std::uint32_t generation = ++board_.generation[index_];
  for (const std::uint32_t page : SomePages()) {
    board_.confirmed[index_][page].store(0);
    refs.push_back(NameOf(index_, page, generation));
  }
  const absl::Time deadline = SteadyNow() + kPatience;
  const absl::Status put = PutPages(store_, refs, deadline);
  NoteReturn(deadline);
  if (!put.ok()) {
    ++counts_.unavailable;
    if (absl::IsUnavailable(put)) absl::SleepFor(absl::Milliseconds(1));
    return;
  }
  for (const PageRef& ref : refs) board_.latest[index_][ref.key.page].store(ref.generation);
  counts_.published += refs.size();
}

void ScriptedClient::Get() {
  const std::uint32_t life = board_.life.load();
  std::vector<PageRef> refs;
  const bool own = random_.OneIn(2);
  for (const std::uint32_t page : SomePages()) {
    const int owner = own ? index_ : random_.Int(0, board_.client_count.load() - 1);
    const std::uint32_t generation = board_.latest[owner][page].load();
    if (generation != 0) refs.push_back(NameOf(owner, page, generation));
  }
  if (refs.empty()) return;
  const absl::Time deadline = SteadyNow() + kPatience;
  store_.Fetch(refs, deadline);
  std::size_t resolved = 0;
  // Without a limit of its own: the store has to keep to the deadline.
  while (resolved < refs.size() && store_.WaitFetched(absl::InfiniteFuture())) {
    for (const FetchResult& fetched : store_.TakeFetched()) {
      ++resolved;
      Take(fetched, life);
    }
  }
  NoteReturn(deadline);
}

void ScriptedClient::Take(const FetchResult& fetched, std::uint32_t life) {
  if (!fetched.pin.ok()) {
    if (absl::IsNotFound(fetched.pin.status())) {
      ++counts_.misses;
    } else {
      ++counts_.unavailable;
    }
    return;
  }
  switch (Judge(fetched)) {
    case Verdict::kIntact:
      ++counts_.hits;
      break;
    case Verdict::kCorrupted:
      ++counts_.corrupted;
      return;
    case Verdict::kWrong:
      ++counts_.wrong;
      return;
  }
  const PageRef& page = fetched.page;
  const bool mine = page.key.sequence == static_cast<std::uint64_t>(index_);
  if (mine && board_.latest[index_][page.key.page].load() == page.generation) {
    board_.confirmed[index_][page.key.page].store(Confirmation(life, page.generation));
  }
}

void ScriptedClient::Drop() {
  std::vector<PageRef> refs;
  for (const std::uint32_t page : SomePages()) {
    const std::uint32_t generation = board_.latest[index_][page].exchange(0);
    board_.confirmed[index_][page].store(0);
    if (generation != 0) refs.push_back(NameOf(index_, page, generation));
  }
  store_.Drop(refs);
}

}  // namespace pinboard::testing
