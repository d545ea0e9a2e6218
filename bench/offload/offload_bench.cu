// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Offload and recall of pages whose rows lie scattered in a pool of 8 GiB: straight between the
// cache and registered host memory (a shared mapping, as the service's is here), by way of flat
// device memory and one copy, and block by block with cudaMemcpyAsync and cudaMemcpyBatchAsync;
// beside the ceiling of one large copy in the same run. Medians of CUDA events; tags are checked on
// the host.
//
// usage: offload_bench [--json FILE]
#include <cuda_runtime_api.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/host_registration.h"
#include "base/status_macros.h"
#include "bench/device_report.cuh"
#include "bench/median.h"
#include "bench/offload/transfer.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"
#include "kernels/splitmix64.h"

namespace pinboard::kernels {
namespace {

using bench::Allocate;
using bench::Require;

constexpr int kRepetitions = 9;

__global__ void FillKernel(std::uint64_t* words, std::size_t count) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x) {
    words[i] = SplitMix64(i);
  }
}

const Layout kLayouts[] = {
    {"MLA row", {1, 576, 512, true, DType::kBF16}, 1},
    {"8 KV heads x 128, row", {8, 128, 128, false, DType::kBF16}, 1},
    {"2 KV heads x 128, block of 16", {2, 128, 128, false, DType::kBF16}, 16},
    {"MLA, block of 64", {1, 576, 512, true, DType::kBF16}, 64}};

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
  return bench::Median(std::move(times));
}

/// Prints rows, GB/s and the share of the ceiling, out and back, and collects them.
class Table {
 public:
  Table(double ceiling_out, double ceiling_back)
      : ceiling_out_(ceiling_out), ceiling_back_(ceiling_back) {}

  void Row(const Layout& layout, const std::string& way, double out, double back) {
    std::printf("| %7zu | %-30s | %-32s | %5.1f | %3.0f %% | %5.1f | %3.0f %% |\n",
                layout.block_bytes(), layout.name, way.c_str(), out, 100 * out / ceiling_out_, back,
                100 * back / ceiling_back_);
    std::fflush(stdout);
    char row[192];
    std::snprintf(row, sizeof(row),
                  "  {\"block_bytes\": %zu, \"way\": \"%s\", \"out\": %.2f, \"back\": %.2f}",
                  layout.block_bytes(), way.c_str(), out, back);
    rows_ += (rows_.empty() ? "" : ",\n") + std::string(row);
  }

  /// All rows, in GB/s.
  void WriteJson(const std::string& path) const {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) Require(absl::UnavailableError("cannot write " + path));
    std::fprintf(file,
                 "{\"one_copy\": {\"out\": %.2f, \"back\": %.2f},\n \"transfers\": [\n%s\n ]}\n",
                 ceiling_out_, ceiling_back_, rows_.c_str());
    std::fclose(file);
  }

 private:
  double ceiling_out_;
  double ceiling_back_;
  std::string rows_;
};

double GigabytesPerSecond(std::size_t bytes, float ms) { return 1e-6 * bytes / ms; }

void Measure(const Layout& layout, Transfer transfer, cudaStream_t stream, Table& table) {
  const auto rate = [&](const Work& work) {
    return GigabytesPerSecond(transfer.bytes(), MedianMs(stream, work));
  };
  const std::size_t page_bytes = PageBytes(layout.shape);
  table.Row(layout, "ours",
            rate([&] { return transfer.Gather(transfer.to_host(), BlocksToHost(page_bytes)); }),
            rate([&] { return transfer.Scatter(transfer.from_host(), kBlocksFromHost); }));
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
  // An eighth of the blocks: each costs the same, and there are many.
  const std::size_t some = transfer.blocks() / 8;
  const auto each = [&](cudaMemcpyKind kind) {
    return GigabytesPerSecond(some * layout.block_bytes(),
                              MedianMs(stream, [&] { return transfer.CopyEachBlock(kind, some); }));
  };
  table.Row(layout, "cudaMemcpyAsync", each(cudaMemcpyDeviceToHost), each(cudaMemcpyHostToDevice));
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

void Run(const std::string& json) {
  cudaDeviceProp device;
  Require(cudaGetDeviceProperties(&device, 0));
  cudaStream_t stream;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  auto* const pool = Allocate<std::byte>(kPoolBytes);
  auto* const staging = Allocate<std::byte>(kTransferBytes);
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
  Table table(out, back);
  for (const Layout& layout : kLayouts) {
    Measure(layout, Transfer(layout, pool, host, staging, stream), stream, table);
  }
  if (!json.empty()) table.WriteJson(json);
  std::printf(
      "\nA device copy of 512 MiB beside them takes longer by\n\n"
      "| pool | thread blocks | out | back |\n|---|---|---|---|\n");
  for (const Layout& layout : {kLayouts[0], kLayouts[1]}) {
    MeasureBeside(layout, Transfer(layout, pool, host, staging, stream), pool, stream);
  }
}

}  // namespace
}  // namespace pinboard::kernels

int main(int argc, char** argv) {
  const bool writes = argc == 3 && std::string(argv[1]) == "--json";
  if (argc > 1 && !writes) {
    std::fprintf(stderr, "usage: offload_bench [--json FILE]\n");
    return 2;
  }
  pinboard::kernels::Run(writes ? argv[2] : "");
}
