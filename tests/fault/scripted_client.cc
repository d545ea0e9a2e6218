// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/scripted_client.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/time/clock.h"
#include "app/service_load/page_values.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "kernels/page_transfer/page_transfer.h"

namespace pinboard::testing {
namespace {

using cache_service::FetchedHeader;
using cache_service::FetchResult;
using cache_service::PageHeader;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kPatience = absl::Milliseconds(50);
// For what a service may wait for, as nobody has published it: a hit, which is wrong, comes sooner.
constexpr absl::Duration kShortPatience = absl::Milliseconds(2);
constexpr int kMostPages = 4;

std::size_t PageBytes(int tenant) { return tenant == 0 ? kFaultPageBytes : kTenantPageBytes; }

/// What a tenant's pages begin with, so that they are known wherever they lie.
using Mark = std::uint64_t;
constexpr Mark kFirstMark = 0x5ea1ed0000000000;

struct Page {
  PageHeader header;
  std::vector<std::byte> bytes;
};

Page MakePage(const PageRef& ref, int tenant) {
  PageRef values = ref;
  values.key.shard = static_cast<std::uint16_t>(tenant);
  Page page;
  page.bytes.resize(PageBytes(tenant));
  app::FillPage(values, absl::MakeSpan(page.bytes));
  const Mark mark = kFirstMark + tenant;
  if (tenant != 0) std::memcpy(page.bytes.data(), &mark, sizeof(mark));
  page.header = app::HeaderOf(values, page.bytes.size());
  page.header.key = ref.key;
  page.header.tag = kernels::PageTag(page.bytes, {ref.key, ref.generation});
  return page;
}

bool IsOfAnotherTenant(absl::Span<const std::byte> memory, int tenant) {
  Mark mark = 0;
  std::memcpy(&mark, memory.data(), sizeof(mark));
  return mark > kFirstMark && mark <= kFirstMark + kMostTenants && mark != kFirstMark + tenant;
}

/// In two halves, between which the process may be stopped or killed.
void Write(const std::vector<std::byte>& bytes, absl::Span<std::byte> memory) {
  const std::size_t half = bytes.size() / 2;
  std::copy_n(bytes.begin(), half, memory.begin());
  FaultPoint(kPageHalfWritten);
  std::copy(bytes.begin() + half, bytes.end(), memory.begin() + half);
}

bool Matches(const FetchedHeader& fetched, const PageHeader& published) {
  return fetched.tag == published.tag && fetched.bytes == published.bytes &&
         fetched.mean_information == published.mean_information;
}

std::size_t CountDifferent(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += a[i] != b[i];
  return different;
}

}  // namespace

absl::Status PutPages(PageStore& store, const std::vector<PageRef>& pages, absl::Time deadline,
                      int tenant, std::uint64_t* foreign) {
  auto leases = store.Lease(static_cast<int>(pages.size()), PageBytes(tenant), deadline);
  if (!leases.ok()) return leases.status();
  std::vector<PageHeader> headers;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const absl::Span<std::byte> memory = (*leases)[i].memory();
    if (foreign != nullptr && IsOfAnotherTenant(memory, tenant)) ++*foreign;
    const Page page = MakePage(pages[i], tenant);
    Write(page.bytes, memory);
    headers.push_back(page.header);
  }
  store.Publish(*std::move(leases), headers);
  return absl::OkStatus();
}

Verdict Judge(const FetchResult& fetched, int tenant) {
  // A copy: who damages memory does so at any time.
  const std::vector<std::byte> bytes(fetched.pin->bytes().begin(), fetched.pin->bytes().end());
  const Page own = MakePage(fetched.page, tenant);
  if (bytes.size() != own.bytes.size() || !Matches(fetched.header, own.header)) {
    return Verdict::kWrong;
  }
  const std::size_t different = CountDifferent(bytes, own.bytes);
  if (different == 0) return Verdict::kIntact;
  return different == 1 ? Verdict::kCorrupted : Verdict::kWrong;
}

ScriptedClient::ScriptedClient(PageStore& store, Board& board, int index, std::uint32_t seed,
                               Forgets forgets)
    : store_(store),
      board_(board),
      index_(index),
      tenant_(TenantOf(board, index)),
      forgets_(forgets),
      counts_(board.clients[index]),
      random_(seed * 1'000'003 + static_cast<std::uint32_t>(index)) {}

void ScriptedClient::Run(std::uint32_t keys_given) {
  std::uint64_t protocol_errors = 0;
  while (!board_.stop.load() && board_.keys_given[tenant_].load() == keys_given) {
    const int draw = random_.Int(1, 40);
    if (draw == 1) {
      GetUnpublished();
    } else if (draw <= 3) {
      Drop();
    } else if (draw <= 6) {
      GetForgotten();
    } else if (draw <= 20) {
      Put();
    } else {
      Get();
    }
    const std::uint64_t seen = store_.stats().protocol_errors;
    counts_.protocol_errors += seen - std::exchange(protocol_errors, seen);
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

int ScriptedClient::SomeOwner() {
  const int sequences =
      (board_.client_count.load() - 1 - ClientOf(board_, tenant_, 0)) / Turns(board_);
  return ClientOf(board_, tenant_, static_cast<std::uint64_t>(random_.Int(0, sequences)));
}

void ScriptedClient::NoteReturn(absl::Time deadline) {
  const std::int64_t late_us = absl::ToInt64Microseconds(SteadyNow() - deadline);
  if (late_us > counts_.latest_us.load()) counts_.latest_us.store(late_us);
}

void ScriptedClient::Put() {
  std::vector<PageRef> refs;
  const std::uint32_t generation = ++board_.generation[index_];
  const std::uint64_t connection = store_.stats().connections;
  for (const std::uint32_t page : SomePages()) {
    board_.confirmed[index_][page].store(0);
    published_over_[page] = connection;
    refs.push_back(NameOf(index_, page, generation));
  }
  const absl::Time deadline = SteadyNow() + kPatience;
  std::uint64_t foreign = 0;
  const absl::Status put = PutPages(store_, refs, deadline, tenant_, &foreign);
  NoteReturn(deadline);
  counts_.foreign += foreign;
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
    const int owner = own ? index_ : SomeOwner();
    const std::uint32_t generation = board_.latest[owner][page].load();
    if (generation != 0) refs.push_back(NameOf(owner, page, generation));
  }
  Fetch(refs, kPatience, [this, life](const FetchResult& fetched) { Take(fetched, life); });
}

void ScriptedClient::Fetch(const std::vector<PageRef>& pages, absl::Duration patience,
                           const Taken& taken) {
  if (pages.empty()) return;
  const absl::Time deadline = SteadyNow() + patience;
  store_.Fetch(pages, deadline);
  std::size_t resolved = 0;
  // Without a limit of its own: the store has to keep to the deadline.
  while (resolved < pages.size() && store_.WaitFetched(absl::InfiniteFuture())) {
    for (const FetchResult& fetched : store_.TakeFetched()) {
      ++resolved;
      taken(fetched);
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
  switch (Judge(fetched, tenant_)) {
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
  const bool mine = OwnerOf(page) == index_;
  if (mine && board_.latest[index_][page.key.page].load() == page.generation) {
    board_.confirmed[index_][page.key.page].store(Confirmation(life, page.generation));
    Forget({page.key, page.generation - 1});
  }
}

void ScriptedClient::Drop() {
  const bool whole_sequence = random_.OneIn(16);
  std::vector<std::uint32_t> pages = SomePages();
  if (whole_sequence) {
    pages.resize(kPagesOfClient);
    std::iota(pages.begin(), pages.end(), 0);
  }
  std::vector<PageRef> dropped;
  for (const std::uint32_t page : pages) {
    const std::uint32_t generation = board_.latest[index_][page].exchange(0);
    board_.confirmed[index_][page].store(0);
    if (generation != 0) dropped.push_back(NameOf(index_, page, generation));
  }
  const std::uint64_t connection = store_.stats().connections;
  if (whole_sequence) {
    store_.DropSequence(SequenceOf(board_, index_));
  } else {
    store_.Drop(dropped);
  }
  Fetch(dropped, whole_sequence ? kShortPatience : kPatience, [&](const FetchResult& fetched) {
    // What is said over one connection takes effect in this order; a drop may be lost with it.
    const bool in_order = published_over_[fetched.page.key.page] == connection &&
                          store_.stats().connections == connection;
    if (in_order) TakeForgotten(fetched);
    if (fetched.pin.status().message() == "page dropped") Forget(fetched.page);
  });
}

void ScriptedClient::GetForgotten() {
  std::vector<PageRef> refs;
  const int owner = SomeOwner();
  for (const std::uint32_t page : SomePages()) {
    const auto latest = static_cast<int>(board_.forgotten[owner][page].load());
    if (latest == 0) continue;
    const int first = std::max(1, latest - 3);  // most are pages that were there a moment ago
    refs.push_back(NameOf(owner, page, static_cast<std::uint32_t>(random_.Int(first, latest))));
  }
  Fetch(refs, kShortPatience, [this](const FetchResult& fetched) { TakeForgotten(fetched); });
}

void ScriptedClient::GetUnpublished() {
  std::vector<PageRef> refs;
  for (const std::uint32_t page : SomePages()) {
    refs.push_back(NameOf(index_, page, board_.generation[index_].load() + 1));
  }
  Fetch(refs, kShortPatience, [this](const FetchResult& fetched) {
    ++(fetched.pin.ok() ? counts_.stale : counts_.had_to_miss);
  });
}

void ScriptedClient::TakeForgotten(const FetchResult& fetched) {
  if (fetched.pin.ok() && forgets_ == Forgets::kMaybe) {
    if (Judge(fetched, tenant_) != Verdict::kIntact) ++counts_.wrong;
    return;
  }
  if (fetched.pin.ok()) {
    ++counts_.stale;
    return;
  }
  if (absl::IsNotFound(fetched.pin.status())) ++counts_.had_to_miss;
}

void ScriptedClient::Forget(const PageRef& page) {
  std::atomic<std::uint32_t>& forgotten = board_.forgotten[OwnerOf(page)][page.key.page];
  forgotten.store(std::max(forgotten.load(), page.generation));
}

}  // namespace pinboard::testing
