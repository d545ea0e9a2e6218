// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// usage: nccl_communicator_test [RANKS]: every test with a group of RANKS processes, 2 by default.
#include <cstdlib>

#include "base/cuda/device.h"
#include "base/cuda/device_buffer.h"
#include "base/dtype.h"
#include "tests/conformance/communicator_conformance.h"
#include "tests/conformance/rank_processes.h"
#include "tests/support/free_port.h"
#include "tests/transport/nccl_group.cuh"

namespace pinboard::transport {
namespace {

int g_ranks = 2;

struct OverNccl : RankProcesses {
  static std::vector<int> Sizes() { return {g_ranks}; }

  static std::unique_ptr<NcclCommunicator> Make(int rank, int size) {
    const std::string rendezvous = Tell(rank == 0 ? FreeLoopbackAddress() : "", size);
    auto communicator = MakeNcclGroup(rank, size, rendezvous, Patience());
    EXPECT_TRUE(communicator.ok()) << communicator.status();
    return communicator.ok() ? *std::move(communicator) : nullptr;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(OverNccl, CommunicatorConformance, OverNccl);

// One rank of a group, with a stream and what a test does on it.
class Device {
 public:
  explicit Device(NcclCommunicator& communicator) : communicator_(communicator) {
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
  }
  ~Device() { (void)cudaStreamDestroy(stream_); }

  cudaStream_t stream() const { return stream_; }
  template <typename T>
  cuda::DeviceBuffer<T> Upload(const std::vector<T>& values) const {
    auto buffer = cuda::DeviceBuffer<T>::Make(values.size());
    EXPECT_TRUE(buffer.ok() && buffer->CopyFrom(values, stream_).ok());
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return *std::move(buffer);
  }
  template <typename T>
  std::vector<T> Download(const cuda::DeviceBuffer<T>& buffer) const {
    std::vector<T> values(buffer.size());
    EXPECT_TRUE(buffer.CopyTo(absl::MakeSpan(values), stream_).ok());
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return values;
  }
  absl::Status SumOne(const cuda::DeviceBuffer<float>& buffer, absl::Time deadline) {
    PB_RETURN_IF_ERROR(
        communicator_.LaunchSumFloat({buffer.data(), buffer.size()}, stream_, deadline));
    return communicator_.Await(stream_, deadline);
  }
  void ExpectItWorks() {
    const auto buffer = Upload<float>({1});
    const absl::Status summed = SumOne(buffer, Patience());
    EXPECT_TRUE(summed.ok()) << summed;
    EXPECT_EQ(Download(buffer)[0], communicator_.size());
  }

 private:
  NcclCommunicator& communicator_;
  cudaStream_t stream_ = nullptr;
};

// Leaves together; `size` ranks.
void RunRanks(int size, const std::function<void(NcclCommunicator&, Device&)>& body) {
  OverNccl::Run(size, [&](int rank) {
    auto communicator = OverNccl::Make(rank, size);
    ASSERT_NE(communicator, nullptr);
    {
      Device device(*communicator);
      body(*communicator, device);
    }
    OverNccl::Meet(size);
  });
}

TEST(NcclDeviceCollectives, AreDoneWhenOneAwaitReturns) {
  RunRanks(g_ranks, [](NcclCommunicator& communicator, Device& device) {
    const int rank = communicator.rank();
    const int size = communicator.size();
    const int ranks = size * (size + 1) / 2;
    for (const std::size_t length : {1, 4099, 1'000'003}) {
      const auto integers = device.Upload(std::vector<std::int32_t>(length, rank + 1));
      const auto halves =
          device.Upload(std::vector<std::uint16_t>(length, FloatToBFloat16(rank + 1)));
      const auto bytes = device.Upload(std::vector<std::byte>(length, std::byte(rank + 1)));
      const auto gathered = device.Upload(std::vector<std::byte>(length * size));
      const cudaStream_t stream = device.stream();
      const absl::Time deadline = Patience();
      ASSERT_TRUE(communicator.LaunchSumInt32({integers.data(), length}, stream, deadline).ok());
      ASSERT_TRUE(communicator.LaunchSumBFloat16({halves.data(), length}, stream, deadline).ok());
      ASSERT_TRUE(communicator
                      .LaunchAllGather({bytes.data(), length}, {gathered.data(), gathered.size()},
                                       stream, deadline)
                      .ok());
      const absl::Status awaited = communicator.Await(stream, deadline);
      ASSERT_TRUE(awaited.ok()) << awaited;
      EXPECT_EQ(device.Download(integers), std::vector<std::int32_t>(length, ranks));
      EXPECT_EQ(device.Download(halves),
                std::vector<std::uint16_t>(length, FloatToBFloat16(ranks)));
      const auto received = device.Download(gathered);
      for (std::size_t i = 0; i < received.size(); ++i) {
        ASSERT_EQ(received[i], std::byte(i / length + 1)) << i;
      }
    }
    EXPECT_EQ(communicator.launched(), 9U);
    EXPECT_EQ(communicator.issued(), 0U);
  });
}

TEST(NcclDeviceCollectives, GiveFloatSumsTheSameBitsOnEveryRank) {
  RunRanks(g_ranks, [](NcclCommunicator& communicator, Device& device) {
    const auto contribution = [](int rank, std::size_t i) {
      std::minstd_rand random(static_cast<unsigned>(rank * 1'000'003 + i % 8191 + 1));
      random.discard(2);
      return static_cast<float>(random()) / 1e9F - 1;
    };
    for (const std::size_t length : {1, 300, 16'385, 1'000'003}) {
      std::vector<float> values(length);
      for (std::size_t i = 0; i < length; ++i) values[i] = contribution(communicator.rank(), i);
      const auto buffer = device.Upload(values);
      ASSERT_TRUE(device.SumOne(buffer, Patience()).ok());
      values = device.Download(buffer);
      for (std::size_t i = 0; i < length; i += 1 + length / 5000) {
        double exact = 0;
        for (int rank = 0; rank < communicator.size(); ++rank) exact += contribution(rank, i);
        ASSERT_NEAR(values[i], exact, 1e-5) << i;
      }
      const std::size_t bytes = length * sizeof(float);
      std::vector<std::byte> all(bytes * communicator.size());
      ASSERT_TRUE(communicator
                      .AllGather({reinterpret_cast<const std::byte*>(values.data()), bytes},
                                 absl::MakeSpan(all), Patience())
                      .ok());
      for (int rank = 0; rank < communicator.size(); ++rank) {
        EXPECT_EQ(std::memcmp(all.data() + rank * bytes, values.data(), bytes), 0) << rank;
      }
    }
  });
}

// Owns a graph that adds up `buffer` over the ranks.
class CapturedSum {
 public:
  CapturedSum(NcclCommunicator& communicator, Device& device,
              const cuda::DeviceBuffer<float>& buffer) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal),
              cudaSuccess);
    const absl::Status launched =
        communicator.LaunchSumFloat({buffer.data(), buffer.size()}, device.stream(), Patience());
    EXPECT_TRUE(launched.ok()) << launched;
    EXPECT_EQ(cudaStreamEndCapture(device.stream(), &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&graph_, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  ~CapturedSum() { (void)cudaGraphExecDestroy(graph_); }
  void Replay(cudaStream_t stream) const {
    EXPECT_EQ(cudaGraphLaunch(graph_, stream), cudaSuccess);
  }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

TEST(NcclDeviceCollectives, AreReplayedByAGraphThatCapturedThem) {
  RunRanks(g_ranks, [](NcclCommunicator& communicator, Device& device) {
    const auto buffer = device.Upload(std::vector<float>(5000, 1));
    const CapturedSum graph(communicator, device, buffer);
    float expected = 1;
    for (int replay = 0; replay < 10; ++replay) {
      graph.Replay(device.stream());
      if (replay % 2 == 0) {
        const absl::Status awaited = communicator.Await(device.stream(), Patience());
        ASSERT_TRUE(awaited.ok()) << awaited;
      }
      expected *= static_cast<float>(communicator.size());
    }
    ASSERT_TRUE(communicator.Await(device.stream(), Patience()).ok());
    EXPECT_THAT(device.Download(buffer), ::testing::Each(expected));
    EXPECT_EQ(communicator.launched(), 1U);
  });
}

TEST(NcclDeviceCollectives, AreFormedAnewOnceTheirGraphsAreGone) {
  RunRanks(g_ranks, [](NcclCommunicator& communicator, Device& device) {
    const auto buffer = device.Upload<float>({1});
    auto graph = std::make_unique<CapturedSum>(communicator, device, buffer);
    const absl::Status held = communicator.Reform(absl::Now() + absl::Milliseconds(300));
    EXPECT_EQ(held.code(), absl::StatusCode::kDeadlineExceeded) << held;
    EXPECT_THAT(std::string(held.message()), ::testing::HasSubstr("graphs"));
    EXPECT_EQ(device.SumOne(buffer, Patience()).code(), absl::StatusCode::kFailedPrecondition);
    graph.reset();
    const absl::Status formed = communicator.Reform(Patience());
    ASSERT_TRUE(formed.ok()) << formed;
    EXPECT_EQ(communicator.formation(), 2U);
    device.ExpectItWorks();
  });
}

TEST(NcclDeviceCollectives, NameALateRankAndAreFormedAnewWithIt) {
  RunRanks(3, [](NcclCommunicator& communicator, Device& device) {
    device.ExpectItWorks();
    const auto buffer = device.Upload<float>({1});
    const bool late = communicator.rank() == 1;
    if (late) OverNccl::Meet(3);
    const absl::Status status = device.SumOne(buffer, absl::Now() + absl::Milliseconds(500));
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    if (!late) {
      EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("rank 1 has not joined"));
      OverNccl::Meet(3);
    }
    const absl::Status formed = communicator.Reform(Patience());
    ASSERT_TRUE(formed.ok()) << formed;
    device.ExpectItWorks();
  });
}

// A launch blocks where some thousand wait in front of it, and so does a synchronisation. `begin`
// puts a collective on the stream that rank 1 is late for.
void BlockBehindALateRank(NcclCommunicator& communicator, Device& device,
                          const std::function<absl::Status(absl::Time deadline)>& begin) {
  const auto bystander = device.Upload<float>({1});
  const bool late = communicator.rank() == 1;
  if (late) OverNccl::Meet(3);
  const absl::Time deadline = absl::Now() + absl::Seconds(1);
  absl::Status status = begin(deadline);
  if (!late) {
    for (int i = 0; i < 5000; ++i) {
      ASSERT_EQ(cudaMemsetAsync(bystander.data(), i, 4, device.stream()), cudaSuccess);
    }
    ASSERT_EQ(cudaStreamSynchronize(device.stream()), cudaSuccess);
  }
  status.Update(communicator.Await(device.stream(), deadline));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  if (late) return;
  EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("rank 1 has not joined"));
  OverNccl::Meet(3);
}

TEST(NcclDeviceCollectives, LetAThreadGoThatBlocksBehindALateRank) {
  RunRanks(3, [](NcclCommunicator& communicator, Device& device) {
    device.ExpectItWorks();
    const auto buffer = device.Upload<float>({1});
    BlockBehindALateRank(communicator, device, [&](absl::Time deadline) {
      return communicator.LaunchSumFloat({buffer.data(), 1}, device.stream(), deadline);
    });
    ASSERT_TRUE(communicator.Reform(Patience()).ok());
    device.ExpectItWorks();
  });
}

TEST(NcclDeviceCollectives, LetAThreadGoThatBlocksBehindAReplayThatALateRankLacks) {
  RunRanks(3, [](NcclCommunicator& communicator, Device& device) {
    const auto buffer = device.Upload<float>({1});
    auto graph = std::make_unique<CapturedSum>(communicator, device, buffer);
    graph->Replay(device.stream());
    ASSERT_TRUE(communicator.Await(device.stream(), Patience()).ok());
    BlockBehindALateRank(communicator, device, [&](absl::Time deadline) {
      communicator.BeginReplay(deadline);
      graph->Replay(device.stream());
      return absl::OkStatus();
    });
    graph.reset();
    ASSERT_TRUE(communicator.Reform(Patience()).ok());
    device.ExpectItWorks();
  });
}

TEST(NcclDeviceCollectives, NameRanksThatLaunchedOthers) {
  RunRanks(3, [](NcclCommunicator& communicator, Device& device) {
    const std::size_t length = communicator.rank() == 2 ? 100 : 200;
    const auto buffer = device.Upload(std::vector<float>(length));
    const absl::Status status = device.SumOne(buffer, Patience());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("rank 2"));
    ASSERT_TRUE(communicator.Reform(Patience()).ok());
    device.ExpectItWorks();
  });
}

TEST(NcclDeviceCollectives, OfAGroupOfOneLaunchNothing) {
  RunRanks(1, [](NcclCommunicator& communicator, Device& device) {
    device.ExpectItWorks();
    const auto send = device.Upload<std::byte>({std::byte{7}});
    const auto received = device.Upload<std::byte>({std::byte{0}});
    ASSERT_TRUE(
        communicator
            .LaunchAllGather({send.data(), 1}, {received.data(), 1}, device.stream(), Patience())
            .ok());
    EXPECT_EQ(device.Download(received)[0], std::byte{7});
    EXPECT_EQ(communicator.formation(), 0U);
  });
}

}  // namespace
}  // namespace pinboard::transport

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  using namespace pinboard::transport;  // NOLINT(google-build-using-namespace)
  if (argc > 1) g_ranks = std::atoi(argv[1]);
  if (g_ranks < 2) return std::fprintf(stderr, "usage: %s [RANKS]: at least 2\n", argv[0]), 2;
  return RankProcesses::RunAllTests(std::max(g_ranks, 3), ChooseHost);
}
