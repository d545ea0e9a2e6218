// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages between the device and the memory of a real pinboardd, with no copy in between.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/cuda/host_registration.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"
#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/checks/page_transfer_checks.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::cache_service {
namespace {

using kernels::PageIdentity;
using kernels::PageToGather;
using kernels::PageToScatter;
using kernels::ScatterOutcome;

constexpr int kPages = 24;
const kernels::CacheCase kCase{"Gqa", {8, 128, 128, false, DType::kBF16}, 32};

PageIdentity IdentityOf(int page) { return {{77, static_cast<std::uint32_t>(page), 3, 0}, 1}; }

std::unique_ptr<PageStore> ConnectRank(const Daemon& daemon) {
  auto store = ConnectPageStore(
      [] { return transport::MakeUcxFabric(); }, {daemon.address()},
      {.group = 1, .name = "test", .register_memory = [](absl::Span<std::byte> memory) {
         return cuda::HostRegistration::Make(0, memory);
       }});
  EXPECT_EQ(store.status(), absl::OkStatus());
  return *std::move(store);
}

/// A rank's cache on the device, and the same in host memory.
class RankOnDevice {
 public:
  explicit RankOnDevice(SeededRandom& random)
      : cache_(kCase, kPages * kPageRows, random),
        copies_(device_, cache_.view(), cache_.shape(),
                kernels::CacheExtent(cache_.view(), cache_.shape(), cache_.block_size(),
                                     {cache_.block_table()}),
                1),
        layer_(device_.In(std::vector<kernels::PageTransferLayer>{
            {copies_.view(0), device_.In(cache_.block_table())}})) {}

  kernels::PagedCache& cache() { return cache_; }
  std::size_t page_bytes() const { return kernels::PageBytes(cache_.shape()); }

  std::vector<std::uint64_t> Gather(const std::vector<PageToGather>& pages) {
    kernels::PageGatherBatch batch;
    batch.pages = device_.In(pages);
    batch.max_blocks = kernels::BlocksToHost(page_bytes());
    batch.tags = device_.Out<std::uint64_t>(pages.size());
    Launch(batch, pages.size(), kernels::LaunchPageGather);
    std::vector<std::uint64_t> tags(pages.size());
    device_.Read(batch.tags, absl::MakeSpan(tags));
    return tags;
  }

  std::vector<ScatterOutcome> Scatter(const std::vector<PageToScatter>& pages) {
    kernels::PageScatterBatch batch;
    batch.pages = device_.In(pages);
    batch.max_blocks = kernels::kBlocksFromHost;
    batch.outcomes = device_.Out<ScatterOutcome>(pages.size());
    Launch(batch, pages.size(), kernels::LaunchPageScatter);
    std::vector<ScatterOutcome> outcomes(pages.size());
    device_.Read(batch.outcomes, absl::MakeSpan(outcomes));
    EXPECT_TRUE(copies_.ReadBack().ok());
    return outcomes;
  }

 private:
  template <typename Batch, typename LaunchFn>
  void Launch(Batch& batch, std::size_t count, LaunchFn launch) {
    batch.layers = layer_;
    batch.count = static_cast<int>(count);
    batch.shape = cache_.shape();
    batch.block_size = cache_.block_size();
    EXPECT_EQ(device_.Finish(launch(batch, nullptr)), absl::OkStatus());
  }

  kernels::PagedCache cache_;
  kernels::OnDevice device_;
  kernels::CacheCopies copies_;
  const kernels::PageTransferLayer* layer_;
};

TEST(GpuOffloadTest, PagesGoIntoTheServiceAndComeBackButForOneThatWasDamagedThere) {
  SeededRandom random;
  const Daemon daemon(std::size_t{64} << 20);
  ASSERT_FALSE(daemon.address().empty());
  const auto store = ConnectRank(daemon);
  RankOnDevice origin(random);

  auto leases = store->Lease(kPages, origin.page_bytes(), Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  std::vector<PageToGather> leaving;
  for (int page = 0; page < kPages; ++page) {
    PageToGather& gathered = leaving.emplace_back();
    gathered.identity = IdentityOf(page);
    gathered.bytes = (*leases)[page].memory().data();
    const auto rows = kernels::checks::RandomPageRows(random, kPages * kPageRows);
    std::copy(rows.begin(), rows.end(), gathered.rows);
  }
  const std::vector<std::uint64_t> tags = origin.Gather(leaving);
  std::vector<PageHeader> headers;
  std::vector<PageRef> pages;
  for (int page = 0; page < kPages; ++page) {
    const PageRef& ref = pages.emplace_back(PageRef{IdentityOf(page).key, 1});
    headers.push_back(TestHeader(ref, page, origin.page_bytes()));
    headers.back().tag = tags[page];
  }
  store->Publish(*std::move(leases), headers);

  const auto other = ConnectRank(daemon);
  other->Fetch(pages, Soon());
  const std::vector<FetchResult> fetched = CollectFetched(*other);
  ASSERT_EQ(fetched.size(), pages.size());
  const int damaged = random.Int(0, kPages - 1);
  RankOnDevice destination(random);
  std::vector<PageToScatter> coming;
  for (int i = 0; i < kPages; ++i) {
    ASSERT_EQ(fetched[i].pin.status(), absl::OkStatus());
    const absl::Span<const std::byte> bytes = fetched[i].pin->bytes();
    if (i == damaged) const_cast<std::byte&>(bytes[bytes.size() / 2]) ^= std::byte{1};
    const PageRef& page = fetched[i].page;
    coming.push_back(
        {{page.key, page.generation}, fetched[i].header.tag, bytes.data(), 0, i * kPageRows});
  }
  std::vector<std::vector<std::byte>> before;
  for (int row = 0; row < kPages * kPageRows; ++row) {
    before.push_back(destination.cache().Row(row));
  }
  const std::vector<ScatterOutcome> outcomes = destination.Scatter(coming);
  for (int i = 0; i < kPages; ++i) {
    EXPECT_EQ(outcomes[i] == ScatterOutcome::kRefused, i == damaged) << i;
    const PageToGather& left = leaving[fetched[i].page.key.page];
    for (int row = 0; row < kPageRows; ++row) {
      const int at = i * kPageRows + row;
      EXPECT_EQ(destination.cache().Row(at),
                i == damaged ? before[at] : origin.cache().Row(left.rows[row]));
    }
  }
}

}  // namespace
}  // namespace pinboard::cache_service
