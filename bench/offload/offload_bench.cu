// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Offload and recall of pages whose rows lie scattered in a pool of 8 GiB: straight between the
// cache and registered host memory (a shared mapping, as the service's is here), by way of flat
// device memory and one copy, and block by block with cudaMemcpyBatchAsync; beside the ceiling of
// one large copy in the same run. Medians of CUDA events; tags are checked on the host.
#include <cuda_runtime_api.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/host_registration.h"
#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/splitmix64.h"

namespace pinboard::kernels {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{8} << 30;
constexpr std::size_t kTransferBytes = std::size_t{256} << 20;
constexpr int kRepetitions = 9;

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "offload_bench: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}
void Require(cudaError_t error) { Require(cuda::ToStatus(error, "offload_bench")); }

template <typename T>
T* OnDevice(std::size_t count) {
  void* data = nullptr;
  Require(cudaMalloc(&data, count * sizeof(T)));
  return static_cast<T*>(data);
}
template <typename T>
T* OnDevice(const std::vector<T>& host) {
  T* const device = OnDevice<T>(host.size());
  Require(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

__global__ void FillKernel(std::uint64_t* words, std::size_t count) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x) {
    words[i] = SplitMix64(i);
  }
}

/// What one token-layer, or one block of them, looks like in a pool.
struct Layout {
  const char* name;
  KvShape shape;
  int block_size;

  std::size_t block_bytes() const { return shape.RowBytes() * block_size; }
};

const Layout kLayouts[] = {
    {"MLA row", {1, 576, 512, true, DType::kBF16}, 1},
    {"8 KV heads x 128, row", {8, 128, 128, false, DType::kBF16}, 1},
    {"2 KV heads x 128, block of 16", {2, 128, 128, false, DType::kBF16}, 16},
    {"MLA, block of 64", {1, 576, 512, true, DType::kBF16}, 64}};

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
    layer_ = OnDevice(std::vector<PageTransferLayer>{{View(), OnDevice(table_)}});
    tags_ = OnDevice<std::uint64_t>(pages_);
    outcomes_ = OnDevice<ScatterOutcome>(pages_);
    to_host_ = OnDevice(Gathers(host));
    to_staging_ = OnDevice(Gathers(staging));
    Require(Gather(to_host_, 0));
    Require(cudaStreamSynchronize(stream));
    from_host_ = OnDevice(Scatters(host));
    from_staging_ = OnDevice(Scatters(staging));
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
    Require(cudaMemcpy(tags.data(), tags_, tags.size() * 8, cudaMemcpyDeviceToHost));
    Require(cudaMemcpy(outcomes.data(), outcomes_, outcomes.size(), cudaMemcpyDeviceToHost));
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
    Require(cudaMemcpy(tags.data(), tags_, tags.size() * 8, cudaMemcpyDeviceToHost));
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

using Work = std::function<absl::Status()>;

/// Median over repetitions of `work` on `stream`, in milliseconds; `before` is not counted.
float MedianMs(cudaStream_t stream, const Work& work, const Work& before = absl::OkStatus) {
  cudaEvent_t begin;
  cudaEvent_t end;
  Require(cudaEventCreate(&begin));
  Require(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < kRepetitions + 2; ++i) {
    Require(before());
    Require(cudaEventRecord(begin, stream));
    Require(work());
    Require(cudaEventRecord(end, stream));
    Require(cudaStreamSynchronize(stream));
    float ms = 0.0F;
    Require(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 2) times.push_back(ms);
  }
  std::nth_element(times.begin(), times.begin() + kRepetitions / 2, times.end());
  return times[kRepetitions / 2];
}

/// Prints a row: GB/s and the share of the ceiling, out and back.
class Table {
 public:
  Table(double ceiling_out, double ceiling_back)
      : ceiling_out_(ceiling_out), ceiling_back_(ceiling_back) {}

  void Row(const Layout& layout, const std::string& way, double out, double back) const {
    std::printf("| %7zu | %-30s | %-32s | %5.1f | %3.0f %% | %5.1f | %3.0f %% |\n",
                layout.block_bytes(), layout.name, way.c_str(), out, 100 * out / ceiling_out_, back,
                100 * back / ceiling_back_);
  }

 private:
  double ceiling_out_;
  double ceiling_back_;
};

double GigabytesPerSecond(std::size_t bytes, float ms) { return 1e-6 * bytes / ms; }

void Measure(const Layout& layout, Transfer transfer, cudaStream_t stream, const Table& table) {
  const auto rate = [&](const Work& work) {
    return GigabytesPerSecond(transfer.bytes(), MedianMs(stream, work));
  };
  for (const int blocks : {4, 8, 12, 16, 32, 0}) {
    const std::string way =
        blocks == 0 ? "kernel, a block a page" : "kernel, " + std::to_string(blocks) + " blocks";
    table.Row(layout, way, rate([&] { return transfer.Gather(transfer.to_host(), blocks); }),
              rate([&] { return transfer.Scatter(transfer.from_host(), blocks); }));
  }
  if (!transfer.Verify()) std::printf("NOT VERIFIED: %s\n", layout.name);
  table.Row(layout, "kernel and one copy", rate([&] {
              PB_RETURN_IF_ERROR(transfer.Gather(transfer.to_staging(), 0));
              return transfer.CopyPages(cudaMemcpyDeviceToHost);
            }),
            rate([&] {
              PB_RETURN_IF_ERROR(transfer.CopyPages(cudaMemcpyHostToDevice));
              return transfer.Scatter(transfer.from_staging(), 0);
            }));
  if (!transfer.Verify()) std::printf("NOT VERIFIED: %s\n", layout.name);
  table.Row(layout, "cudaMemcpyBatchAsync",
            rate([&] { return transfer.CopyBlocks(cudaMemcpyDeviceToHost); }),
            rate([&] { return transfer.CopyBlocks(cudaMemcpyHostToDevice); }));
}

/// How much longer a copy within the device takes while pages move beside it.
void MeasureBeside(const Layout& layout, const Transfer& transfer, std::byte* pool,
                   cudaStream_t transfers) {
  cudaStream_t stream;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  constexpr std::size_t kCopied = std::size_t{512} << 20;
  const auto copy = [&] {
    return cuda::ToStatus(cudaMemcpyAsync(pool + kPoolBytes - kCopied, pool + kPoolBytes / 2,
                                          kCopied, cudaMemcpyDeviceToDevice, stream),
                          "copy");
  };
  const float alone = MedianMs(stream, copy);
  for (const int blocks : {8, 12, 16, 32, 0}) {
    const auto beside = [&](const Work& launch) {
      const float ms = MedianMs(stream, copy, [&] {
        Require(cudaStreamSynchronize(transfers));
        return launch();
      });
      Require(cudaStreamSynchronize(transfers));
      return 100.0 * (ms / alone - 1.0);
    };
    std::printf("| %s | %d | %.1f %% | %.1f %% |\n", layout.name, blocks,
                beside([&] { return transfer.Gather(transfer.to_host(), blocks); }),
                beside([&] { return transfer.Scatter(transfer.from_host(), blocks); }));
  }
}

void Run() {
  cudaDeviceProp device;
  Require(cudaGetDeviceProperties(&device, 0));
  cudaStream_t stream;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  auto* const pool = OnDevice<std::byte>(kPoolBytes);
  auto* const staging = OnDevice<std::byte>(kTransferBytes);
  FillKernel<<<1024, 256, 0, stream>>>(reinterpret_cast<std::uint64_t*>(pool), kPoolBytes / 8);
  Require(cudaGetLastError());
  void* const mapping =
      mmap(nullptr, kTransferBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    Require(absl::ResourceExhaustedError("no memory for the host's pages"));
  auto* const host = static_cast<std::byte*>(mapping);
  const auto registration = cuda::HostRegistration::Make(0, {host, kTransferBytes});
  Require(registration.status());

  const auto ceiling = [&](std::byte* to, std::byte* from) {
    return GigabytesPerSecond(
        kTransferBytes, MedianMs(stream, [&] {
          return cuda::ToStatus(
              cudaMemcpyAsync(to, from, kTransferBytes, cudaMemcpyDefault, stream), "copy");
        }));
  };
  const double out = ceiling(host, staging);
  const double back = ceiling(staging, host);
  std::printf("%s; one copy of 256 MiB: %.1f GB/s out, %.1f GB/s back\n\n", device.name, out, back);
  std::printf(
      "| block bytes | pool | way | out GB/s | of ceiling | back GB/s | of ceiling |\n"
      "|---|---|---|---|---|---|---|\n");
  const Table table(out, back);
  for (const Layout& layout : kLayouts) {
    Measure(layout, Transfer(layout, pool, host, staging, stream), stream, table);
  }
  std::printf(
      "\nA device copy of 512 MiB beside them takes longer by\n\n"
      "| pool | thread blocks | out | back |\n|---|---|---|---|\n");
  for (const Layout& layout : {kLayouts[0], kLayouts[1]}) {
    MeasureBeside(layout, Transfer(layout, pool, host, staging, stream), pool, stream);
  }
}

}  // namespace
}  // namespace pinboard::kernels

int main() { pinboard::kernels::Run(); }
