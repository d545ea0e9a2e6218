// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What launches of many pages add to the specification, which page_transfer_test.cc checks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/paged_cache.h"
#include "tests/kernels/pinned_buffer.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kLayers = 3;
constexpr int kRows = 300;
constexpr int kPagesOfLayer = kRows / kPageRows;
constexpr int kPages = kLayers * kPagesOfLayer;

/// `launch` as the replay of a graph that captured it.
template <typename LaunchFn>
absl::Status Replay(LaunchFn launch) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  const absl::Status status = launch(stream);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&replay, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(replay, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(replay), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  return status;
}

PageIdentity IdentityOf(int page) {
  const auto number = static_cast<std::uint32_t>(page);
  return {{9, number, static_cast<std::uint16_t>(page / kPagesOfLayer), 1}, number % 4};
}

/// Layers of one shape in host memory, and their caches on the device.
class ManyPagesOnDevice : public testing::TestWithParam<CacheCase> {
 protected:
  void SetUp() override {
    for (int layer = 0; layer < kLayers; ++layer) {
      auto cache = std::make_unique<PagedCache>(GetParam(), kRows, random_);
      const absl::Span<std::byte> extent =
          CacheExtent(cache->view(), cache->shape(), cache->block_size(), {cache->block_table()});
      copies_.push_back(
          std::make_unique<CacheCopies>(device_, cache->view(), cache->shape(), extent, 1));
      layers_.push_back({copies_.back()->view(0), device_.In(cache->block_table())});
      caches_.push_back(std::move(cache));
    }
    page_bytes_ = PageBytes(GetParam().shape);
  }

  /// Even pages lie in device memory, odd ones on the host.
  std::byte* PlaceOfPage(int page) const {
    return (page % 2 == 0 ? on_device_ : on_host_->bytes().data()) + page * page_bytes_;
  }

  template <typename Batch>
  void Describe(Batch& batch) {
    batch.layers = device_.In(layers_);
    batch.count = kPages;
    batch.shape = GetParam().shape;
    batch.block_size = GetParam().block_size;
    batch.max_blocks = random_.Pick<int>({0, 1, 7});
  }

  PageCopyArgs CopyArgs(int layer) const {
    const PagedCache& cache = *caches_[layer];
    return {cache.view(), cache.shape(), cache.block_size(), cache.block_table()};
  }

  SeededRandom random_;
  OnDevice device_;
  std::vector<std::unique_ptr<PagedCache>> caches_;
  std::vector<std::unique_ptr<CacheCopies>> copies_;
  std::vector<PageTransferLayer> layers_;
  std::size_t page_bytes_ = 0;
  std::byte* on_device_ = nullptr;
  std::unique_ptr<PinnedBuffer> on_host_;
};

TEST_P(ManyPagesOnDevice, GathersThoseOfManyLayersInOneLaunch) {
  on_device_ = device_.Out<std::byte>(kPages * page_bytes_);
  on_host_ = std::make_unique<PinnedBuffer>(kPages * page_bytes_);
  std::vector<PageToGather> pages;
  std::vector<std::uint64_t> expected_tags;
  std::vector<std::vector<std::byte>> expected;
  for (int page = 0; page < kPages; ++page) {
    PageToGather gathered{IdentityOf(page), PlaceOfPage(page), page / kPagesOfLayer};
    for (std::int32_t& row : gathered.rows) row = random_.Int(0, kRows - 1);
    std::vector<std::byte> bytes(page_bytes_);
    const auto tag = PageGather(CopyArgs(gathered.layer), gathered.rows, gathered.identity,
                                absl::MakeSpan(bytes));
    ASSERT_TRUE(tag.ok()) << tag.status();
    expected_tags.push_back(*tag);
    expected.push_back(std::move(bytes));
    pages.push_back(gathered);
  }
  PageGatherBatch batch;
  Describe(batch);
  batch.pages = device_.In(pages);
  batch.tags = device_.Out<std::uint64_t>(kPages);
  const absl::Status status =
      device_.Finish(Replay([&](cudaStream_t stream) { return LaunchPageGather(batch, stream); }));
  ASSERT_TRUE(status.ok()) << status;

  std::vector<std::uint64_t> tags(kPages);
  device_.Read(batch.tags, absl::MakeSpan(tags));
  EXPECT_EQ(tags, expected_tags);
  for (int page = 0; page < kPages; ++page) {
    std::vector<std::byte> bytes(page_bytes_);
    ASSERT_EQ(cudaMemcpy(bytes.data(), PlaceOfPage(page), page_bytes_, cudaMemcpyDefault),
              cudaSuccess);
    ASSERT_EQ(bytes, expected[page]) << page;
  }
}

TEST_P(ManyPagesOnDevice, ScattersAllButThoseThatDoNotVerify) {
  std::vector<std::byte> bytes(kPages * page_bytes_);
  std::generate(bytes.begin(), bytes.end(),
                [&] { return static_cast<std::byte>(random_.Int(0, 255)); });
  std::vector<std::uint64_t> tags;
  for (int page = 0; page < kPages; ++page) {
    tags.push_back(PageTag(absl::MakeConstSpan(bytes).subspan(page * page_bytes_, page_bytes_),
                           IdentityOf(page)));
  }
  std::vector<ScatterOutcome> expected(kPages, ScatterOutcome::kWritten);
  for (int page = 0; page < kPages; page += random_.Int(1, 9)) {
    bytes[page * page_bytes_ + random_.Int(0, static_cast<int>(page_bytes_) - 1)] ^= std::byte{4};
    expected[page] = ScatterOutcome::kRefused;
  }
  on_device_ = device_.In(bytes);
  on_host_ = std::make_unique<PinnedBuffer>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), on_host_->bytes().begin());

  std::vector<PageToScatter> pages;
  for (int page = 0; page < kPages; ++page) {
    const int layer = page / kPagesOfLayer;
    const PageToScatter scattered{IdentityOf(page), tags[page], PlaceOfPage(page), layer,
                                  page % kPagesOfLayer * kPageRows};
    pages.push_back(scattered);
    // The specification works on the host's cache; the device's is compared with it below.
    const auto of_page = absl::MakeConstSpan(bytes).subspan(page * page_bytes_, page_bytes_);
    EXPECT_EQ(
        PageScatter(CopyArgs(layer), scattered.first_row, scattered.identity, tags[page], of_page)
            .ok(),
        expected[page] == ScatterOutcome::kWritten);
  }
  PageScatterBatch batch;
  Describe(batch);
  batch.pages = device_.In(pages);
  batch.outcomes = device_.Out<ScatterOutcome>(kPages);
  const absl::Status status =
      device_.Finish(Replay([&](cudaStream_t stream) { return LaunchPageScatter(batch, stream); }));
  ASSERT_TRUE(status.ok()) << status;

  std::vector<ScatterOutcome> outcomes(kPages);
  device_.Read(batch.outcomes, absl::MakeSpan(outcomes));
  EXPECT_EQ(outcomes, expected);
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::vector<std::byte> by_specification = caches_[layer]->bytes();
    ASSERT_TRUE(copies_[layer]->ReadBack().ok());
    EXPECT_EQ(caches_[layer]->bytes(), by_specification) << "layer " << layer;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ManyPagesOnDevice,
    testing::Values(
        CacheCase{"GqaBf16", {8, 128, 128, false, DType::kBF16}, 32},
        CacheCase{"GqaBf16Hnd", {2, 64, 64, false, DType::kBF16}, 16, CacheLayout::kHndInterleaved},
        CacheCase{"GqaF32", {4, 32, 32, false, DType::kF32}, 64},
        CacheCase{"GqaF8", {8, 128, 128, false, DType::kF8E4M3}, 32},
        CacheCase{"MlaBf16", {1, 576, 512, true, DType::kBF16}, 16},
        CacheCase{"MlaF8DsMla", {1, 576, 512, true, DType::kF8DsMla}, 64}),
    [](const auto& info) { return info.param.name; });

TEST(PageTransferOnDevice, SaysWhatItDoesNotMove) {
  PageScatterBatch batch;
  batch.count = 1;
  batch.block_size = 16;
  batch.shape = {32, 128, 128, false, DType::kBF16};  // a page of 256 KiB
  EXPECT_EQ(LaunchPageScatter(batch, nullptr).code(), absl::StatusCode::kUnimplemented);
  batch.shape = {2, 12, 12, false, DType::kBF16};  // 24 bytes a head
  EXPECT_EQ(LaunchPageScatter(batch, nullptr).code(), absl::StatusCode::kUnimplemented);
  PageGatherBatch none;
  none.block_size = 16;
  none.shape = {1, 16, 16, false, DType::kBF16};
  EXPECT_TRUE(LaunchPageGather(none, nullptr).ok());
  none.count = -1;
  EXPECT_EQ(LaunchPageGather(none, nullptr).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
