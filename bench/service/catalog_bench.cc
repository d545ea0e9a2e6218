// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a page costs the service's bookkeeping, in time and bytes, with 10^4, 10^6 and 10^7 pages in
// it. Needs no memory for the pages themselves; 10^7 need about 3 GiB and half a minute.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {
namespace {

constexpr ClientId kClient{1};
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kChunkBytes = std::uint64_t{2} << 20;
// A sequence: 8 rounds, each of 8 pages in each of 32 layers.
constexpr std::uint32_t kLayers = 32;
constexpr std::uint32_t kRoundPages = 8;
constexpr std::uint32_t kRounds = 8;
constexpr std::uint64_t kRound = std::uint64_t{kLayers} * kRoundPages;
constexpr std::uint64_t kSequencePages = kRound * kRounds;
constexpr int kFetched = 64;  // pages of a sequence that a step asks for

std::size_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "catalog_bench: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

/// `pages` pages, or the multiple of a sequence above, in an arena that holds them and one more
/// sequence.
class World {
 public:
  explicit World(std::uint64_t pages)
      : sequences_((pages + kSequencePages - 1) / kSequencePages),
        bytes_before_(AllocatedBytes()),
        inventory_(
            Arena({(sequences_ + 1) * kSequencePages * kPageBytes + kChunkBytes}, kChunkBytes),
            AgedInformation(absl::Minutes(10)), {1, 1}, clock_) {
    inventory_.AddClient(kClient, GroupId(1));
    while (next_sequence_ < sequences_) PutSequence();
    bytes_per_page_ = static_cast<double>(AllocatedBytes() - bytes_before_) /
                      static_cast<double>(sequences_ * kSequencePages);
  }

  /// One round of the sequence that is being put.
  void PutRound() {
    const auto leased = inventory_.Lease(kClient, kRound, kPageBytes);
    if (!leased.ok()) Fail(leased.status());
    PageHeader header{.generation = 1, .bytes = kPageBytes};
    header.key.sequence = next_sequence_;
    auto slab = leased->begin();
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      header.key.layer = static_cast<std::uint16_t>(layer);
      for (std::uint32_t page = 0; page < kRoundPages; ++page) {
        header.key.page = round_ * kRoundPages + page;
        header.mean_information = static_cast<std::int32_t>(random_() >> 8);
        const absl::Status status = inventory_.Publish(kClient, (slab++)->slab, header);
        if (!status.ok()) Fail(status);
      }
    }
    if (++round_ < kRounds) return;
    round_ = 0;
    ++next_sequence_;
  }
  void PutSequence() {
    for (std::uint32_t round = 0; round < kRounds; ++round) PutRound();
  }
  /// Fetches pages of one sequence and lets them go.
  void Get() {
    const std::uint64_t sequence = oldest_ + random_() % sequences_;
    std::array<PageRef, kFetched> pages;
    for (PageRef& page : pages) {
      page = {.key = {.sequence = sequence,
                      .page = static_cast<std::uint32_t>(random_() % (kRounds * kRoundPages)),
                      .layer = static_cast<std::uint16_t>(random_() % kLayers)},
              .generation = 1};
    }
    std::array<SlabId, kFetched> slabs;
    inventory_.Pin(kClient, pages, [&](std::size_t page, const Inventory::PinResult& pinned) {
      if (pinned.miss != MissCause::kNone) Fail(absl::NotFoundError(MissCauseName(pinned.miss)));
      headers_[page] = pinned.header->fetched();
      slabs[page] = pinned.slab.slab;
    });
    if (const absl::Status status = inventory_.Unpin(kClient, slabs); !status.ok()) Fail(status);
  }
  /// The next answer of a walk over all that is there.
  void InspectOn() {
    const InspectReply reply = inventory_.Inspect(cursor_);
    cursor_ = reply.next;
    benchmark::DoNotOptimize(reply.extents.data());
  }
  void DropOldest() { inventory_.DropSequence(kClient, oldest_++); }

  double bytes_per_page() const { return bytes_per_page_; }

 private:
  const RealClock clock_;
  const std::uint64_t sequences_;
  const std::size_t bytes_before_;
  Inventory inventory_;
  std::mt19937 random_{1};
  std::array<FetchedHeader, kFetched> headers_;  // of the fetch, as its reply would hold them
  std::uint64_t oldest_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::uint32_t round_ = 0;
  std::uint64_t cursor_ = 0;
  double bytes_per_page_ = 0;
};

World& WorldOf(std::uint64_t pages) {
  static std::unique_ptr<World> world;
  static std::uint64_t size = 0;
  if (size != pages) {
    world.reset();
    world = std::make_unique<World>(pages);
    size = pages;
  }
  return *world;
}

void Report(benchmark::State& state, const World& world, std::uint64_t pages_an_iteration) {
  state.counters["bytes/page"] = world.bytes_per_page();
  state.counters["time/page"] =
      benchmark::Counter(static_cast<double>(state.iterations() * pages_an_iteration),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Leases and publishes a sequence.
void BenchPut(benchmark::State& state) {
  World& world = WorldOf(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    world.PutSequence();
    state.PauseTiming();
    world.DropOldest();
    state.ResumeTiming();
  }
  Report(state, world, kSequencePages);
}

void BenchGet(benchmark::State& state) {
  World& world = WorldOf(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) world.Get();
  Report(state, world, kFetched);
}

/// What the service works on one Inspect.
void BenchInspect(benchmark::State& state) {
  World& world = WorldOf(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) world.InspectOn();
}

/// Drops a whole sequence.
void BenchDrop(benchmark::State& state) {
  World& world = WorldOf(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    world.PutSequence();
    state.ResumeTiming();
    world.DropOldest();
  }
  Report(state, world, kSequencePages);
}

/// As Put, into a full arena: each lease lets the least valued pages leave. Last, as it empties
/// sequences that Get looks for.
void BenchPutIntoAFullArena(benchmark::State& state) {
  World& world = WorldOf(static_cast<std::uint64_t>(state.range(0)));
  for (int i = 0; i < 2; ++i) world.PutSequence();
  for (auto _ : state) world.PutRound();
  Report(state, world, kRound);
}

/// By size first: a world is filled once.
void RegisterAll() {
  for (const std::int64_t pages : {10'000, 1'000'000, 10'000'000}) {
    const auto add = [pages](const char* name, void (*function)(benchmark::State&)) {
      benchmark::RegisterBenchmark(name, function)
          ->Arg(pages)
          ->MinTime(0.3)
          ->Unit(benchmark::kMicrosecond);
    };
    add("Put", BenchPut);
    add("Get", BenchGet);
    add("Inspect", BenchInspect);
    add("Drop", BenchDrop);
    add("PutIntoAFullArena", BenchPutIntoAFullArena);
  }
}

}  // namespace
}  // namespace pinboard::cache_service

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  pinboard::cache_service::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
