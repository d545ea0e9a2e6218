// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank of a group over NCCL: started, stopped and killed by nccl_processes_test.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/cuda/device_buffer.h"
#include "tests/transport/nccl_group.cuh"

namespace pinboard::transport {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kVictim = 1;
constexpr std::size_t kLength = 1 << 20;

void Say(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

void Must(const absl::Status& status) {
  if (status.ok()) return;
  Say("unexpected: " + status.ToString());
  std::exit(1);
}

class Rank {
 public:
  explicit Rank(std::unique_ptr<NcclCommunicator> communicator)
      : communicator_(std::move(communicator)) {
    Must(cuda::ToStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"));
    auto buffer = cuda::DeviceBuffer<float>::Make(kLength);
    Must(buffer.status());
    buffer_ = *std::move(buffer);
  }

  int rank() const { return communicator_->rank(); }
  NcclCommunicator& communicator() { return *communicator_; }

  absl::Status Sum(absl::Time deadline) {
    const std::vector<float> ones(kLength, 1);
    std::vector<float> sums(kLength);
    PB_RETURN_IF_ERROR(buffer_.CopyFrom(ones, stream_));
    PB_RETURN_IF_ERROR(communicator_->LaunchSumFloat({buffer_.data(), kLength}, stream_, deadline));
    PB_RETURN_IF_ERROR(communicator_->Await(stream_, deadline));
    PB_RETURN_IF_ERROR(buffer_.CopyTo(absl::MakeSpan(sums), stream_));
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream_), "stream"));
    const auto size = static_cast<float>(communicator_->size());
    for (const float sum : sums) {
      if (sum != size) return absl::DataLossError("sum");
    }
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<NcclCommunicator> communicator_;
  cudaStream_t stream_ = nullptr;
  cuda::DeviceBuffer<float> buffer_;
};

// Until a rank is lost; the driver kills one. A survivor that has said so stands still until the
// driver continues it: one that left would be a second lost rank to a slower one.
void SumUntilLost(Rank& rank) {
  for (int i = 0;; ++i) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    const absl::Status status = rank.Sum(deadline);
    if (i == 5) Say("running");
    if (status.ok()) continue;
    Say(absl::Now() < deadline ? status.ToString() : "after the deadline: " + status.ToString());
    raise(SIGSTOP);
    return;
  }
}

// The victim stops itself in front of a collective; the driver continues it when all others are
// late. Then all form the group anew.
void StopAndFormAnew(Rank& rank) {
  for (int i = 0; i < 5; ++i) Must(rank.Sum(absl::Now() + kPatience));
  const bool victim = rank.rank() == kVictim;
  if (victim) raise(SIGSTOP);
  const absl::Status status = rank.Sum(absl::Now() + absl::Seconds(1));
  if (status.ok()) Must(absl::InternalError("a collective without a stopped rank is done"));
  if (!victim) Say(status.ToString());
  Must(rank.communicator().Reform(absl::Now() + kPatience));
  for (int i = 0; i < 5; ++i) Must(rank.Sum(absl::Now() + kPatience));
}

int Run(const std::string& mode, int rank, int size, const std::string& rendezvous) {
  setenv("NCCL_DEBUG_FILE", "/dev/stderr", 1);  // standard output is the driver's
  ChooseHost(rank);
  auto communicator = MakeNcclGroup(rank, size, rendezvous, absl::Now() + kPatience);
  Must(communicator.status());
  Rank self(*std::move(communicator));
  if (mode == "until-lost") SumUntilLost(self);
  if (mode == "stop") StopAndFormAnew(self);
  Say("done");
  return 0;
}

}  // namespace
}  // namespace pinboard::transport

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return pinboard::transport::Run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), argv[4]);
}
