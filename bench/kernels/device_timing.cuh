// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What benchmarks of device operations share: memory, medians of graph replays, and floors.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"

namespace pinboard::bench {

inline void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}
inline void Require(cudaError_t error) { Require(cuda::ToStatus(error, "benchmark")); }

/// Device memory that lives until the program ends.
template <typename T>
T* Allocate(std::size_t count) {
  void* data = nullptr;
  Require(cudaMalloc(&data, count * sizeof(T)));
  return static_cast<T*>(data);
}
template <typename T>
T* Copy(const std::vector<T>& host) {
  T* const device = Allocate<T>(host.size());
  Require(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

/// Standard normal values: a block of them repeated, which no operation notices.
inline std::vector<float> Normals(std::size_t count) {
  constexpr std::size_t kBlock = (std::size_t{1} << 22) + 8;  // no multiple of a row
  std::mt19937_64 random(20261128);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = i < kBlock ? normal(random) : values[i - kBlock];
  return values;
}
inline std::uint16_t* Bf16OnDevice(const std::vector<float>& values) {
  std::vector<std::uint16_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), FloatToBFloat16);
  return Copy(bits);
}

using Launch = std::function<absl::Status(cudaStream_t)>;

/// Of 20 replays of the graph that `launch` captures to.
inline double MedianMs(const Launch& launch) {
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
  for (int i = 0; i < 23; ++i) {
    Require(cudaEventRecord(begin, stream));
    Require(cudaGraphLaunch(replay, stream));
    Require(cudaEventRecord(end, stream));
    Require(cudaStreamSynchronize(stream));
    float ms = 0.0F;
    Require(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 3) times.push_back(ms);
  }
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

/// The fewest milliseconds that work takes: bytes read and written once at the bandwidth of a copy
/// measured here, or single-precision instructions at 128 a multiprocessor and clock.
class Floor {
 public:
  Floor() {
    constexpr std::size_t kBytes = std::size_t{1} << 30;
    auto* const from = Allocate<std::byte>(kBytes);
    auto* const to = Allocate<std::byte>(kBytes);
    bytes_per_ms_ =
        2.0 * kBytes / MedianMs([&](cudaStream_t stream) {
          return cuda::ToStatus(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, stream),
                                "copy");
        });
    Require(cudaFree(from));
    Require(cudaFree(to));
    int multiprocessors = 0;
    int clock_khz = 0;
    Require(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    Require(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0));
    instructions_per_ms_ = 128.0 * multiprocessors * clock_khz;
    std::printf("copies %.0f GB/s, %.1f T float instructions/s\n", bytes_per_ms_ * 1e-6,
                instructions_per_ms_ * 1e-9);
  }

  void Report(const char* name, double bytes, double instructions, const Launch& launch) const {
    const double ms = MedianMs(launch);
    const double floor = std::max(bytes / bytes_per_ms_, instructions / instructions_per_ms_);
    std::printf("| %-58s | %9.4f | %9.4f | %5.1f |\n", name, ms, floor, ms / floor);
  }

 private:
  double bytes_per_ms_;
  double instructions_per_ms_;
};

}  // namespace pinboard::bench
