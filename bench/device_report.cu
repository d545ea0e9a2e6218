// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/device_report.cuh"

#include <utility>

#include "bench/median.h"

namespace pinboard::bench {
namespace {

// Reads what the L2 cache holds out of it.
__global__ void FlushKernel(const uint4* values, std::size_t count, std::uint32_t* never) {
  std::uint32_t all = 0;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x) {
    all |= values[i].x;
  }
  if (all == 1) *never = all;
}

// A device copy by its multiprocessors: a memcpy node of a graph is a copy engine's, which is
// slower.
template <int kAtOnce>
__global__ __launch_bounds__(512) void CopyKernel(const uint4* from, uint4* to) {
  const std::size_t first = blockIdx.x * std::size_t{kAtOnce} * blockDim.x + threadIdx.x;
  uint4 values[kAtOnce];
#pragma unroll
  for (int i = 0; i < kAtOnce; ++i) values[i] = __ldcs(from + first + i * blockDim.x);
#pragma unroll
  for (int i = 0; i < kAtOnce; ++i) __stcs(to + first + i * blockDim.x, values[i]);
}

template <int kAtOnce>
double CopyMs(const std::uint16_t* from, std::uint16_t* to, std::size_t bytes) {
  constexpr unsigned kThreads = 512;
  const auto blocks = static_cast<unsigned>(bytes / (kAtOnce * kThreads * sizeof(uint4)));
  return MedianMs([=](cudaStream_t stream) {
    CopyKernel<kAtOnce><<<blocks, kThreads, 0, stream>>>(reinterpret_cast<const uint4*>(from),
                                                         reinterpret_cast<uint4*>(to));
    return cuda::ToStatus(cudaGetLastError(), "copy");
  });
}

}  // namespace

double MedianMs(const Launch& launch, int replays) {
  constexpr std::size_t kFlushedBytes = std::size_t{256} << 20;
  constexpr int kWarmUps = 3;
  static const auto* const flushed = Bf16Normals(kFlushedBytes / 2);
  static auto* const never = Allocate<std::uint32_t>(1);
  cudaStream_t stream;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
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
  for (int i = 0; i < replays + kWarmUps; ++i) {
    FlushKernel<<<1024, 256, 0, stream>>>(reinterpret_cast<const uint4*>(flushed),
                                          kFlushedBytes / sizeof(uint4), never);
    Require(cudaEventRecord(begin, stream));
    Require(cudaGraphLaunch(replay, stream));
    Require(cudaEventRecord(end, stream));
    Require(cudaStreamSynchronize(stream));
    float ms = 0.0F;
    Require(cudaEventElapsedTime(&ms, begin, end));
    if (i >= kWarmUps) times.push_back(ms);
  }
  Require(cudaEventDestroy(begin));
  Require(cudaEventDestroy(end));
  Require(cudaGraphExecDestroy(replay));
  Require(cudaGraphDestroy(graph));
  Require(cudaStreamDestroy(stream));
  return Median(std::move(times));
}

double CopyBytesPerMs() {
  constexpr std::size_t kBytes = std::size_t{2} << 30;
  auto* const from = Bf16Normals(kBytes / 2);
  auto* const to = Allocate<std::uint16_t>(kBytes / 2);
  const double ms = std::min(
      {CopyMs<2>(from, to, kBytes), CopyMs<4>(from, to, kBytes), CopyMs<8>(from, to, kBytes)});
  Require(cudaFree(from));
  Require(cudaFree(to));
  return 2.0 * kBytes / ms;
}

}  // namespace pinboard::bench
