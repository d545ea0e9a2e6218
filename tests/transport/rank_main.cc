// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank of a group of processes: started, stopped and killed by processes_test.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::transport {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kVictim = 1;

void Say(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

[[noreturn]] void Fail(const absl::Status& status) {
  Say("unexpected: " + status.ToString());
  std::exit(1);
}

void MustSum(Communicator& communicator, std::size_t length) {
  std::vector<float> data(length, static_cast<float>(communicator.rank() + 1));
  const absl::Status status = communicator.SumFloat(absl::MakeSpan(data), absl::Now() + kPatience);
  if (!status.ok()) Fail(status);
  const int size = communicator.size();
  for (const float value : data) {
    if (value != static_cast<float>(size * (size + 1) / 2)) Fail(absl::DataLossError("sum"));
  }
}

void SumALot(Communicator& communicator) {
  for (int i = 0; i < 100; ++i) MustSum(communicator, i % 10 == 0 ? 300'000 : 100 * i);
}

// Until a rank is lost; the driver kills one. A survivor that has said so stands still until the
// driver continues it: one that left would be a second lost rank to a slower one.
void SumUntilLost(Communicator& communicator, std::size_t length) {
  for (int i = 0;; ++i) {
    std::vector<float> data(length);
    const absl::Status status =
        communicator.SumFloat(absl::MakeSpan(data), absl::Now() + kPatience);
    if (i == 5) Say("running");
    if (status.ok()) continue;
    Say(status.ToString());
    raise(SIGSTOP);
    return;
  }
}

// The victim stops itself in front of collective 5; the driver continues it when all others are
// late.
void StopAndContinue(Communicator& communicator) {
  for (int i = 0; i < 5; ++i) MustSum(communicator, 10);
  const bool victim = communicator.rank() == kVictim;
  if (victim) raise(SIGSTOP);
  std::vector<float> data(10);
  const absl::Status status = communicator.SumFloat(
      absl::MakeSpan(data), absl::Now() + (victim ? kPatience : absl::Milliseconds(200)));
  if (!victim) Say(status.ToString());
  for (int i = 0; i < 5; ++i) MustSum(communicator, 10);
}

int Run(const std::string& mode, int rank, int size, const std::string& rendezvous) {
  auto fabric = MakeUcxFabric();
  if (!fabric.ok()) Fail(fabric.status());
  auto communicator =
      MakeHostCommunicator(*std::move(fabric), rank, size, rendezvous, absl::Now() + kPatience);
  if (!communicator.ok()) Fail(communicator.status());
  if (mode == "sum") SumALot(**communicator);
  if (mode == "small-until-lost") SumUntilLost(**communicator, 10);
  if (mode == "large-until-lost") SumUntilLost(**communicator, 1'000'000);
  if (mode == "stop") StopAndContinue(**communicator);
  Say("done");
  return 0;
}

}  // namespace
}  // namespace pinboard::transport

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return pinboard::transport::Run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), argv[4]);
}
