// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/control_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace pinboard::transport {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kBodyBytesAt = 8;

struct Ends {
  UniqueFd sender;
  UniqueFd receiver;
};

Ends ConnectedEnds() {
  std::array<int, 2> fds{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Hello SomeHello() {
  Hello hello;
  hello.peer_id = 7;
  hello.nonce = 0x01020304;
  hello.worker = std::vector<std::byte>(100, std::byte{0x5a});
  return hello;
}

/// The bytes of a hello as they travel.
std::vector<std::byte> HelloFrame() {
  Ends ends = ConnectedEnds();
  EXPECT_TRUE(ControlLink(std::move(ends.sender)).SendHello(SomeHello()).ok());
  std::vector<std::byte> frame(4096);
  const ssize_t count = recv(ends.receiver.get(), frame.data(), frame.size(), 0);
  frame.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return frame;
}

absl::Status ReceiveBytes(const std::vector<std::byte>& bytes) {
  Ends ends = ConnectedEnds();
  EXPECT_EQ(send(ends.sender.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  return ControlLink(std::move(ends.receiver)).Receive();
}

TEST(ControlLink, CarriesAHelloAndAGoodbye) {
  Ends ends = ConnectedEnds();
  ControlLink sender(std::move(ends.sender));
  ControlLink receiver(std::move(ends.receiver));
  ASSERT_TRUE(sender.SendHello(SomeHello()).ok());
  ASSERT_TRUE(sender.SendGoodbye({42}).ok());
  ASSERT_TRUE(receiver.Receive().ok());
  const auto hello = receiver.TakeHello();
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->peer_id, 7U);
  EXPECT_EQ(hello->nonce, 0x01020304U);
  EXPECT_EQ(hello->worker, SomeHello().worker);
  const auto goodbye = receiver.TakeGoodbye();
  ASSERT_TRUE(goodbye.has_value());
  EXPECT_EQ(goodbye->messages_sent, 42U);
}

TEST(ControlLink, AHelloThatComesInPiecesWaitsForItsLast) {
  const std::vector<std::byte> frame = HelloFrame();
  Ends ends = ConnectedEnds();
  ControlLink receiver(std::move(ends.receiver));
  for (std::size_t i = 0; i < frame.size(); ++i) {
    EXPECT_FALSE(receiver.TakeHello().has_value()) << "after " << i << " bytes";
    ASSERT_EQ(send(ends.sender.get(), frame.data() + i, 1, 0), 1);
    ASSERT_TRUE(receiver.Receive().ok());
  }
  EXPECT_TRUE(receiver.TakeHello().has_value());
}

TEST(ControlLink, NoDamagedBodyReachesUcx) {
  const std::vector<std::byte> frame = HelloFrame();
  ASSERT_GT(frame.size(), kHeaderBytes);
  for (std::size_t at = kHeaderBytes; at < frame.size(); ++at) {
    std::vector<std::byte> damaged = frame;
    damaged[at] ^= std::byte{0x10};
    const absl::Status status = ReceiveBytes(damaged);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << "byte " << at << ": " << status;
  }
}

TEST(ControlLink, SaysWhatIsWrongWithAHeader) {
  std::vector<std::byte> stranger = HelloFrame();
  stranger[0] ^= std::byte{0xff};
  EXPECT_THAT(ReceiveBytes(stranger).ToString(), HasSubstr("not a Pinboard peer"));

  std::vector<std::byte> newer = HelloFrame();
  newer[kVersionAt] = std::byte{9};
  EXPECT_THAT(ReceiveBytes(newer).ToString(), HasSubstr("speaks version 9"));

  std::vector<std::byte> endless = HelloFrame();
  const std::uint32_t bytes = ControlLink::kMaxBodyBytes + 1;
  std::memcpy(endless.data() + kBodyBytesAt, &bytes, sizeof(bytes));
  EXPECT_THAT(ReceiveBytes(endless).ToString(), HasSubstr("frame too long"));
}

TEST(ControlLink, TheEndOfThePeerIsUnavailable) {
  Ends ends = ConnectedEnds();
  ends.sender = UniqueFd();
  EXPECT_TRUE(absl::IsUnavailable(ControlLink(std::move(ends.receiver)).Receive()));
}

}  // namespace
}  // namespace pinboard::transport
