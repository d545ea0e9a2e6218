// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// usage: nccl_collectives_bench RANK SIZE HOST:PORT
// One rank of a group; rank 0 prints medians of the time that a sum takes, until the host knows it.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/cuda/device_buffer.h"
#include "bench/median.h"
#include "tests/transport/nccl_group.cuh"

namespace pinboard::transport {
namespace {

constexpr int kWarmUps = 20;
constexpr int kRounds = 200;

absl::Time Patience() { return absl::Now() + absl::Seconds(60); }

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "nccl_collectives_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}
void Must(cudaError_t error) { Must(cuda::ToStatus(error, "CUDA")); }

double MedianMicroseconds(const std::function<void()>& round) {
  std::vector<double> times;
  for (int i = 0; i < kWarmUps + kRounds; ++i) {
    const absl::Time begin = absl::Now();
    round();
    if (i >= kWarmUps) times.push_back(absl::ToDoubleMicroseconds(absl::Now() - begin));
  }
  return bench::Median(std::move(times));
}

void Time(NcclCommunicator& communicator, std::size_t length) {
  cudaStream_t stream = nullptr;
  Must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  auto buffer = cuda::DeviceBuffer<std::int32_t>::Make(length);
  Must(buffer.status());
  std::vector<std::int32_t> on_host(length, communicator.rank());
  Must(buffer->CopyFrom(on_host, stream));
  const auto launch = [&] {
    Must(communicator.LaunchSumInt32({buffer->data(), length}, stream, Patience()));
  };
  const double launched = MedianMicroseconds([&] {
    launch();
    Must(communicator.Await(stream, Patience()));
  });

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  Must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  launch();
  Must(cudaStreamEndCapture(stream, &graph));
  Must(cudaGraphInstantiate(&executable, graph, 0));
  const double replayed = MedianMicroseconds([&] {
    Must(cudaGraphLaunch(executable, stream));
    Must(communicator.Await(stream, Patience()));
  });
  const double unwatched = MedianMicroseconds([&] {
    Must(cudaGraphLaunch(executable, stream));
    Must(cudaStreamSynchronize(stream));
  });
  Must(cudaGraphExecDestroy(executable));
  Must(cudaGraphDestroy(graph));
  Must(communicator.Await(stream, Patience()));

  const double staged =
      MedianMicroseconds([&] { Must(communicator.SumInt32(absl::MakeSpan(on_host), Patience())); });
  Must(cudaStreamDestroy(stream));
  if (communicator.rank() != 0) return;
  std::printf(
      "%d ranks, int32 sum of %zu: launched %.0f us, replayed %.0f us (%.0f us without Await), "
      "on host memory %.0f us\n",
      communicator.size(), length, launched, replayed, unwatched, staged);
}

}  // namespace
}  // namespace pinboard::transport

int main(int argc, char** argv) {
  using namespace pinboard::transport;  // NOLINT(google-build-using-namespace)
  if (argc != 4) return std::fprintf(stderr, "usage: %s RANK SIZE HOST:PORT\n", argv[0]), 2;
  const int rank = std::atoi(argv[1]);
  ChooseHost(rank);
  auto communicator = MakeNcclGroup(rank, std::atoi(argv[2]), argv[3], Patience());
  Must(communicator.status());
  for (const std::size_t length : {1 << 10, 1 << 20, 1 << 22}) Time(**communicator, length);
  return 0;
}
