// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What device_bench measures with: inputs on the device, the median of graph replays, and a report.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"

namespace pinboard::kernels {

inline void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "device_bench: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}
inline void Require(cudaError_t error) { Require(cuda::ToStatus(error, "device_bench")); }

/// Device memory that lives until the program ends.
template <typename T>
T* Allocate(std::size_t count) {
  void* data = nullptr;
  Require(cudaMalloc(&data, count * sizeof(T)));
  return static_cast<T*>(data);
}
template <typename T>
T* Copy(const std::vector<T>& host) {
  T* device = Allocate<T>(host.size());
  Require(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

/// bf16 of standard normal values: a block of them repeated, which no operation notices.
inline std::uint16_t* Normals(std::size_t count, float deviation = 1.0F) {
  constexpr std::size_t kBlock = (std::size_t{1} << 24) + 8;  // no multiple of a row
  static const std::vector<float> block = [] {
    std::mt19937_64 random(20261128);
    std::normal_distribution<float> normal;
    std::vector<float> values(kBlock);
    for (float& value : values) value = normal(random);
    return values;
  }();
  std::vector<std::uint16_t> bits(std::min(count, kBlock));
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = FloatToBFloat16(block[i] * deviation);
  auto* device = Allocate<std::uint16_t>(count);
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t some = std::min(kBlock, count - at);
    Require(cudaMemcpy(device + at, bits.data(), some * 2, cudaMemcpyHostToDevice));
  }
  return device;
}

using Launch = std::function<absl::Status(cudaStream_t)>;

inline constexpr std::size_t kFlushedBytes = std::size_t{256} << 20;
inline constexpr double kMatrixFlops = 790e12;  // a large bf16 matrix product's rate on random data

/// Reads what the L2 cache holds out of it.
static __global__ void FlushKernel(const uint4* values, std::size_t count, std::uint32_t* never) {
  std::uint32_t all = 0;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x) {
    all |= values[i].x;
  }
  if (all == 1) *never = all;
}

inline double MedianMs(const Launch& launch) {
  static const auto* const flushed = Normals(kFlushedBytes / 2);
  static auto* const never = Allocate<std::uint32_t>(1);
  cudaStream_t stream;
  Require(cudaStreamCreate(&stream));
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  Require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  Require(launch(stream));
  Require(cudaStreamEndCapture(stream, &graph));
  Require(cudaGraphInstantiate(&replay, graph, 0));
  cudaEvent_t begin;
  cudaEvent_t end;
  Require(cudaEventCreate(&begin));
  Require(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 55; ++i) {
    FlushKernel<<<1024, 256, 0, stream>>>(reinterpret_cast<const uint4*>(flushed),
                                          kFlushedBytes / sizeof(uint4), never);
    Require(cudaEventRecord(begin, stream));
    Require(cudaGraphLaunch(replay, stream));
    Require(cudaEventRecord(end, stream));
    Require(cudaStreamSynchronize(stream));
    float ms = 0.0F;
    Require(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 5) times.push_back(ms);
  }
  std::nth_element(times.begin(), times.begin() + 25, times.end());
  return times[25];
}

/// Prints and collects what was measured.
class Report {
 public:
  explicit Report(std::string only) : only_(std::move(only)) {}

  bool Wants(const std::string& name) const { return name.rfind(only_, 0) == 0; }
  void MeasureCopy() {
    constexpr std::size_t kBytes = std::size_t{2} << 30;
    auto* from = Normals(kBytes / 2);
    auto* to = Allocate<std::uint16_t>(kBytes / 2);
    const double ms = MedianMs([&](cudaStream_t stream) {
      return cuda::ToStatus(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, stream),
                            "copy");
    });
    copy_bytes_per_ms_ = 2.0 * kBytes / ms;
    std::printf("device copy, 2 GiB: %.0f GB/s read and written\n", copy_bytes_per_ms_ * 1e-6);
    Require(cudaFree(from));
    Require(cudaFree(to));
  }
  void Add(const std::string& name, double bytes, double flops, const Launch& launch) {
    const double ms = MedianMs(launch);
    const double bytes_ms = bytes / copy_bytes_per_ms_;
    const double flops_ms = flops / (kMatrixFlops * 1e-3);
    const double floor_ms = std::max(bytes_ms, flops_ms);
    std::printf("%-48s %8.4f ms  floor %7.4f ms  %5.1fx\n", name.c_str(), ms, floor_ms,
                ms / floor_ms);
    std::fflush(stdout);
    char row[256];
    std::snprintf(row, sizeof(row),
                  "  \"%s\": {\"ms\": %.5f, \"bytes_ms\": %.5f, \"flops_ms\": %.5f}", name.c_str(),
                  ms, bytes_ms, flops_ms);
    rows_ += (rows_.empty() ? "" : ",\n") + std::string(row);
  }
  void WriteJson(const std::string& path) const {
    cudaDeviceProp device;
    int driver = 0;
    Require(cudaGetDeviceProperties(&device, 0));
    Require(cudaDriverGetVersion(&driver));
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) {
      std::fprintf(stderr, "device_bench: cannot write %s\n", path.c_str());
      std::exit(1);
    }
    std::fprintf(file,
                 "{\"device\": \"%s\", \"cuda_driver\": %d, \"copy_gb_per_s\": %.0f,\n"
                 " \"operations\": {\n%s\n }}\n",
                 device.name, driver, copy_bytes_per_ms_ * 1e-6, rows_.c_str());
    std::fclose(file);
  }

 private:
  const std::string only_;
  double copy_bytes_per_ms_ = 0.0;
  std::string rows_;
};

}  // namespace pinboard::kernels
