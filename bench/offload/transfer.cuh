// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages of one transfer: rows scattered over a pool on the device, flat memory on the host, and
// the ways between them.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "bench/device_report.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"

namespace pinboard::kernels {

inline constexpr std::size_t kPoolBytes = std::size_t{8} << 30;
inline constexpr std::size_t kTransferBytes = std::size_t{256} << 20;

/// What one token-layer, or one block of them, looks like in a pool.
struct Layout {
  const char* name;
  KvShape shape;
  int block_size;

  std::size_t block_bytes() const { return shape.RowBytes() * block_size; }
};

/// A pool, the blocks of one transfer in it, and places for its pages elsewhere.
class Transfer {
 public:
  Transfer(const Layout& layout, std::byte* pool, std::byte* host, std::byte* staging,
           cudaStream_t stream)
      : layout_(layout), pool_(pool), host_(host), staging_(staging), stream_(stream) {
    page_bytes_ = PageBytes(layout.shape);
    const std::size_t unit = std::max(page_bytes_, layout.block_bytes());
    bytes_ = kTransferBytes / unit * unit;
    pages_ = static_cast<int>(bytes_ / page_bytes_);
    std::vector<std::int32_t> pool_blocks(kPoolBytes / layout.block_bytes());
    std::iota(pool_blocks.begin(), pool_blocks.end(), 0);
    std::shuffle(pool_blocks.begin(), pool_blocks.end(), std::mt19937_64(20261128));
    table_.assign(pool_blocks.begin(),
                  pool_blocks.begin() + static_cast<std::ptrdiff_t>(bytes_ / layout.block_bytes()));
    layer_ = bench::Copy(std::vector<PageTransferLayer>{{View(), bench::Copy(table_)}});
    tags_ = bench::Allocate<std::uint64_t>(pages_);
    outcomes_ = bench::Allocate<ScatterOutcome>(pages_);
    to_host_ = bench::Copy(Gathers(host));
    to_staging_ = bench::Copy(Gathers(staging));
    bench::Require(Gather(to_host_, 0));
    bench::Require(cudaStreamSynchronize(stream));
    from_host_ = bench::Copy(Scatters(host));
    from_staging_ = bench::Copy(Scatters(staging));
  }

  std::size_t bytes() const { return bytes_; }
  const PageToGather* to_host() const { return to_host_; }
  const PageToGather* to_staging() const { return to_staging_; }
  const PageToScatter* from_host() const { return from_host_; }
  const PageToScatter* from_staging() const { return from_staging_; }

  absl::Status Gather(const PageToGather* pages, int max_blocks) const {
    return LaunchPageGather(
        {layer_, pages, tags_, pages_, layout_.shape, layout_.block_size, max_blocks}, stream_);
  }
  absl::Status Scatter(const PageToScatter* pages, int max_blocks) const {
    return LaunchPageScatter(
        {layer_, pages, outcomes_, pages_, layout_.shape, layout_.block_size, max_blocks}, stream_);
  }
  absl::Status CopyPages(cudaMemcpyKind kind) const {
    const bool leaves = kind == cudaMemcpyDeviceToHost;
    return cuda::ToStatus(cudaMemcpyAsync(leaves ? host_ : staging_, leaves ? staging_ : host_,
                                          bytes_, kind, stream_),
                          "copy the pages");
  }
  /// One copy a block, of so many blocks.
  absl::Status CopyEachBlock(cudaMemcpyKind kind, std::size_t blocks) const {
    const std::size_t block_bytes = layout_.block_bytes();
    const bool leaves = kind == cudaMemcpyDeviceToHost;
    for (std::size_t i = 0; i < blocks; ++i) {
      std::byte* const in_pool = pool_ + table_[i] * block_bytes;
      std::byte* const on_host = host_ + i * block_bytes;
      const cudaError_t error = cudaMemcpyAsync(
          leaves ? on_host : in_pool, leaves ? in_pool : on_host, block_bytes, kind, stream_);
      if (error != cudaSuccess) return cuda::ToStatus(error, "copy a block");
    }
    return absl::OkStatus();
  }
  std::size_t blocks() const { return table_.size(); }
  absl::Status CopyBlocks(cudaMemcpyKind kind) {
    const std::size_t block_bytes = layout_.block_bytes();
    if (blocks_.empty()) {
      for (std::size_t i = 0; i < table_.size(); ++i) {
        blocks_.push_back(pool_ + table_[i] * block_bytes);
        flat_.push_back(host_ + i * block_bytes);
      }
      sizes_.assign(table_.size(), block_bytes);
    }
    cudaMemcpyAttributes attributes{};
    attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    std::size_t first = 0;
    const bool leaves = kind == cudaMemcpyDeviceToHost;
    return cuda::ToStatus(
        cudaMemcpyBatchAsync((leaves ? flat_ : blocks_).data(), (leaves ? blocks_ : flat_).data(),
                             sizes_.data(), sizes_.size(), &attributes, &first, 1, stream_),
        "copy the blocks");
  }

  /// Pages on the host have the tags that the last gather gave, and the last scatter took them all.
  bool Verify() const {
    std::vector<std::uint64_t> tags(pages_);
    std::vector<ScatterOutcome> outcomes(pages_);
    bench::Require(cudaMemcpy(tags.data(), tags_, tags.size() * 8, cudaMemcpyDeviceToHost));
    bench::Require(cudaMemcpy(outcomes.data(), outcomes_, outcomes.size(), cudaMemcpyDeviceToHost));
    for (int page = 0; page < pages_; page += 97) {
      if (PageTag({host_ + page * page_bytes_, page_bytes_}, Identity(page)) != tags[page]) {
        return false;
      }
    }
    return std::count(outcomes.begin(), outcomes.end(), ScatterOutcome::kWritten) == pages_;
  }

 private:
  static PageIdentity Identity(int page) {
    return {{1, static_cast<std::uint32_t>(page), 2, 3}, 4};
  }

  KvLayerView View() const {
    const auto row = static_cast<std::int64_t>(layout_.shape.RowBytes());
    const auto key = static_cast<std::int64_t>(layout_.shape.KeyBytes());
    const auto plane = [&](std::byte* base) {
      return KvPlane{base, row * layout_.block_size, row, key / layout_.shape.kv_heads};
    };
    return {plane(pool_), layout_.shape.value_in_key ? KvPlane{} : plane(pool_ + key)};
  }

  std::vector<PageToGather> Gathers(std::byte* flat) const {
    std::vector<PageToGather> pages(pages_);
    for (int p = 0; p < pages_; ++p) {
      pages[p] = {Identity(p), flat + p * page_bytes_, 0};
      std::iota(pages[p].rows, pages[p].rows + kPageRows, p * kPageRows);
    }
    return pages;
  }

  std::vector<PageToScatter> Scatters(std::byte* flat) const {
    std::vector<std::uint64_t> tags(pages_);
    bench::Require(cudaMemcpy(tags.data(), tags_, tags.size() * 8, cudaMemcpyDeviceToHost));
    std::vector<PageToScatter> pages(pages_);
    for (int p = 0; p < pages_; ++p) {
      pages[p] = {Identity(p), tags[p], flat + p * page_bytes_, 0, p * kPageRows};
    }
    return pages;
  }

  const Layout& layout_;
  std::byte* const pool_;
  std::byte* const host_;
  std::byte* const staging_;
  const cudaStream_t stream_;
  std::size_t page_bytes_;
  std::size_t bytes_;
  int pages_;
  std::vector<std::int32_t> table_;
  const PageTransferLayer* layer_;
  std::uint64_t* tags_;
  ScatterOutcome* outcomes_;
  const PageToGather* to_host_;
  const PageToGather* to_staging_;
  const PageToScatter* from_host_;
  const PageToScatter* from_staging_;
  std::vector<void*> blocks_;  // of the pool
  std::vector<void*> flat_;    // where they lie on the host
  std::vector<std::size_t> sizes_;
};

}  // namespace pinboard::kernels
