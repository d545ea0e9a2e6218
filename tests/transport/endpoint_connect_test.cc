// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// UCX connects to the worker of a peer that has come over sockets. This program has a connect() of
// its own, which sees how, and what happens if the peer dies just then.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/cache_service/child_process.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace {

int connects = 0;
int waiting_connects = 0;
std::function<void()> after_connect;

}  // namespace

extern "C" int connect(int fd, const sockaddr* address, socklen_t bytes) {
  static const auto real = reinterpret_cast<decltype(&connect)>(dlsym(RTLD_NEXT, "connect"));
  const int result = real(fd, address, bytes);
  const int error = errno;
  ++connects;
  if ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) ++waiting_connects;
  if (after_connect) after_connect();
  errno = error;
  return result;
}

namespace pinboard::transport {
namespace {

class EndpointConnectTest : public ::testing::Test {
 protected:
  EndpointConnectTest() {
    setenv("UCX_TLS", "tcp,self", 1);
    connects = waiting_connects = 0;
    Listen({});
  }
  void Listen(const UcxFabricOptions& options) {
    fabric_ = *MakeUcxFabric(options);
    address_ = *fabric_->Listen("127.0.0.1:0");
    fabric_->OnAccepted([this](PeerId peer) { open_.insert(peer); });
    fabric_->OnClosed([this](PeerId peer, const absl::Status&) { open_.erase(peer); });
  }
  ~EndpointConnectTest() override { after_connect = nullptr; }

  std::unique_ptr<ChildProcess> StartPeer() {
    return std::make_unique<ChildProcess>(std::vector<std::string>{
        BuiltProgram("tests/transport/transport_test_segment_reader"), address_});
  }
  template <typename Condition>
  void Await(Condition condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(60);
    while (!condition() && absl::Now() < limit) fabric_->WaitUntil(limit);
    ASSERT_TRUE(condition());
  }

  std::unique_ptr<Fabric> fabric_;
  std::string address_;
  std::set<PeerId> open_;
};

// Its address may be cut off, or made up: connect() would hold up everybody else for minutes.
TEST_F(EndpointConnectTest, NobodyWaitsForThePeersNetwork) {
  const auto peer = StartPeer();
  Await([this] { return open_.size() == 1; });
  EXPECT_GT(connects, 0);
  EXPECT_EQ(waiting_connects, 0);
}

// Where UCX 1.13 waits in connect(), what it sends next fails before it has noted whose the
// connection is, and an assertion ends the process.
TEST_F(EndpointConnectTest, APeerThatDiesAsItIsConnectedToHarmsNobodyElse) {
  const auto dies = StartPeer();
  after_connect = [&dies] {
    after_connect = nullptr;
    dies->Signal(SIGKILL);
    dies->Wait();
  };
  Await([this] { return !after_connect && open_.empty(); });
  const auto peer = StartPeer();
  Await([this] { return open_.size() == 1; });
}

// UCX does not sleep before the other side has taken the connection: the thread was busy for good.
TEST_F(EndpointConnectTest, APeerThatStopsAsItIsConnectedToIsLeft) {
  Listen({.handshake_timeout = absl::Milliseconds(200)});
  const auto stops = StartPeer();
  after_connect = [&stops] {
    after_connect = nullptr;
    stops->Signal(SIGSTOP);
    stops->WaitUntilStopped();
  };
  Await([] { return !after_connect; });
  const auto turns_in = [this](absl::Duration time) {
    int turns = 0;
    for (const absl::Time end = absl::Now() + time; absl::Now() < end; ++turns) {
      fabric_->WaitUntil(end);
    }
    return turns;
  };
  turns_in(absl::Milliseconds(400));
  EXPECT_LT(turns_in(absl::Milliseconds(200)), 50);
  EXPECT_TRUE(open_.empty());
}

}  // namespace
}  // namespace pinboard::transport
