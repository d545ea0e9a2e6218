// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One-sided access to the memory of another process.
#include <signal.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cache_service/child_process.h"
#include "transport/fabric/ucx/fnv1a.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::transport {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uid_t kNobody = 65534;
constexpr std::uint8_t kLendMe = 4;

class SegmentProcesses : public ::testing::Test {
 protected:
  /// Until the owner has said how its segment is mapped.
  void Meet(const char* transports) {
    key_.clear();
    if (transports != nullptr) setenv("UCX_TLS", transports, 1);
    owner_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{BuiltProgram("tests/transport/transport_test_segment_owner")});
    auto fabric = MakeUcxFabric();
    unsetenv("UCX_TLS");
    ASSERT_TRUE(fabric.ok()) << fabric.status();
    fabric_ = *std::move(fabric);
    fabric_->OnMessage(1, [this](PeerId, absl::Span<const std::byte> key) {
      key_.assign(key.begin(), key.end());
    });
    fabric_->OnMessage(3, [this](PeerId, absl::Span<const std::byte> content) {
      content_.assign(content.begin(), content.end());
    });
    fabric_->OnClosed([this](PeerId, const absl::Status&) { closed_ = true; });
    address_ = owner_->ReadLine();
    const auto peer = fabric_->Connect(address_, absl::Now() + absl::Seconds(30));
    ASSERT_TRUE(peer.ok()) << peer.status();
    peer_ = *peer;
    WaitUntil([this] { return !key_.empty(); });
  }

  void BeLent() {
    fabric_->Send(peer_, kLendMe, {}, nullptr);
    Content();  // which is asked for, and so answered, after it
  }

  void Connect(const char* transports) {
    ASSERT_NO_FATAL_FAILURE(Meet(transports));
    BeLent();
    auto segment = fabric_->Map(peer_, key_);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
  }

  template <typename Condition>
  void WaitUntil(Condition condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(60);
    while (!condition()) {
      ASSERT_LT(absl::Now(), limit);
      fabric_->WaitUntil(limit);
    }
  }

  /// The segment as its owner sees it; empty: the owner has died.
  const Bytes& Content() {
    content_.clear();
    fabric_->Send(peer_, 2, {}, nullptr);
    WaitUntil([this] { return !content_.empty() || closed_; });
    return content_;
  }

  void PutAndGet() {
    const Bytes written(300'000, std::byte{7});
    Bytes read(written.size());
    int done = 0;
    const auto callback = [&done](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++done;
    };
    fabric_->Put(*segment_, 1000, written, callback);
    WaitUntil([&] { return done == 1; });
    fabric_->Get(*segment_, 1000, absl::MakeSpan(read), callback);
    WaitUntil([&] { return done == 2; });
    EXPECT_TRUE(read == written);
    EXPECT_EQ(Content()[1000], std::byte{7});
    EXPECT_EQ(Content()[999], std::byte{0});
  }

  std::unique_ptr<ChildProcess> owner_;
  std::string address_;
  std::unique_ptr<Fabric> fabric_;
  PeerId peer_;
  std::unique_ptr<RemoteSegment> segment_;
  Bytes key_;
  Bytes content_;
  bool closed_ = false;

 public:
  ~SegmentProcesses() override {
    segment_.reset();
    fabric_.reset();
  }
};

TEST_F(SegmentProcesses, ADirectWriteIsSeenByTheOwner) {
  ASSERT_NO_FATAL_FAILURE(Connect(nullptr));
  ASSERT_EQ(segment_->direct().size(), segment_->size_bytes());
  segment_->direct()[4321] = std::byte{9};
  EXPECT_EQ(Content()[4321], std::byte{9});
}

TEST_F(SegmentProcesses, WhatIsMappedIsPutAndGotWithoutItsOwner) {
  ASSERT_NO_FATAL_FAILURE(Connect(nullptr));
  ASSERT_FALSE(segment_->direct().empty());
  owner_->Signal(SIGSTOP);
  const Bytes written(300'000, std::byte{7});
  Bytes read(written.size());
  std::vector<absl::StatusCode> codes;
  const auto callback = [&codes](const absl::Status& status) { codes.push_back(status.code()); };
  fabric_->Put(*segment_, 1000, written, callback);
  fabric_->Get(*segment_, 1000, absl::MakeSpan(read), callback);
  EXPECT_TRUE(read == written);
  EXPECT_THAT(codes, ::testing::IsEmpty());
  fabric_->Progress();
  EXPECT_THAT(codes, ::testing::ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kOk));
}

TEST_F(SegmentProcesses, AKeyOfAnotherVersionIsRefusedAndOneOfAnEarlierAsThat) {
  ASSERT_NO_FATAL_FAILURE(Meet(nullptr));
  const std::pair<std::uint64_t, const char*> others[] = {{0x31594b4653424, "earlier Pinboard"},
                                                          {0x3259454b4250, "earlier Pinboard"},
                                                          {0x3459454b4250, "not a remote key"}};
  for (const auto& [magic, expected] : others) {
    std::memcpy(key_.data(), &magic, sizeof(magic));
    const absl::Status refused = fabric_->Map(peer_, key_).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr(expected));
  }
}

// UCX 1.13 destroys keys that it has not filled where it cannot attach to a dead owner's memory.
TEST_F(SegmentProcesses, AnOwnerThatDiedBeforeItsSegmentWasMappedIsUnavailable) {
  ASSERT_NO_FATAL_FAILURE(Meet(nullptr));
  owner_->Signal(SIGKILL);
  owner_->Wait();
  const auto segment = fabric_->Map(peer_, key_);
  EXPECT_EQ(segment.status().code(), absl::StatusCode::kUnavailable) << segment.status();
  WaitUntil([this] { return closed_; });
}

TEST_F(SegmentProcesses, PutAndGetWorkBesideTheMapping) {
  ASSERT_NO_FATAL_FAILURE(Connect(nullptr));
  PutAndGet();
}

TEST_F(SegmentProcesses, WhereTheKernelShowsTheOwnersFilesToOthersOnlyPutAndGetRemain) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be another user for a moment";
  ASSERT_NO_FATAL_FAILURE(Meet(nullptr));
  BeLent();
  setfsuid(kNobody);
  auto segment = fabric_->Map(peer_, key_);
  setfsuid(0);
  ASSERT_TRUE(segment.ok()) << segment.status();
  segment_ = *std::move(segment);
  EXPECT_TRUE(segment_->direct().empty());
  PutAndGet();
}

TEST_F(SegmentProcesses, WhereNothingCanBeMappedPutAndGetRemain) {
  ASSERT_NO_FATAL_FAILURE(Connect("tcp,self"));
  EXPECT_TRUE(segment_->direct().empty());
  PutAndGet();
}

void ExpectUnavailableAfterTheOwnersDeath(const std::vector<absl::Status>& outcomes) {
  for (const absl::Status& outcome : outcomes) {
    EXPECT_TRUE(outcome.ok() || outcome.code() == absl::StatusCode::kUnavailable) << outcome;
  }
  EXPECT_EQ(outcomes.back().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SegmentProcesses, AKilledOwnerEndsWhatIsUnderWayOnceAndTheMappingStaysReadable) {
  for (const char* transports : {static_cast<const char*>(nullptr), "tcp,self"}) {
    closed_ = false;
    segment_.reset();
    ASSERT_NO_FATAL_FAILURE(Connect(transports));
    std::vector<absl::Status> outcomes;
    const auto callback = [&](const absl::Status& status) { outcomes.push_back(status); };
    const Bytes large(1 << 20, std::byte{1});
    if (transports == nullptr) segment_->direct()[0] = std::byte{42};
    owner_->Signal(SIGSTOP);
    for (int i = 0; i < 50; ++i) {
      fabric_->Send(peer_, 2, large, callback);
      fabric_->Put(*segment_, 1 << 10, absl::MakeConstSpan(large).subspan(1 << 10), callback);
    }
    owner_->Signal(SIGKILL);
    WaitUntil([this] { return closed_; });
    fabric_->Put(*segment_, 0, large, callback);
    fabric_->Send(peer_, 2, large, callback);
    WaitUntil([&] { return outcomes.size() == 102; });
    ExpectUnavailableAfterTheOwnersDeath(outcomes);
    if (transports == nullptr) {
      EXPECT_EQ(segment_->direct().size(), segment_->size_bytes());
      EXPECT_EQ(segment_->direct()[0], std::byte{42});
    }
  }
}

/// A key with another value at `offset`, as its owner would have made it.
Bytes Forged(Bytes key, std::size_t offset, std::uint64_t value) {
  constexpr std::size_t kChecksumAt = 8;
  constexpr std::size_t kCheckedFrom = 16;
  std::memcpy(key.data() + offset, &value, sizeof(value));
  const std::uint64_t checksum = Fnv1a(absl::MakeConstSpan(key).subspan(kCheckedFrom));
  std::memcpy(key.data() + kChecksumAt, &checksum, sizeof(checksum));
  return key;
}

TEST_F(SegmentProcesses, WhoHasAKeyAndWasNotLentTheSegmentIsRefused) {
  ASSERT_NO_FATAL_FAILURE(Meet("tcp,self"));
  auto segment = fabric_->Map(peer_, key_);
  ASSERT_TRUE(segment.ok()) << segment.status();
  Bytes bytes(100'000, std::byte{1});
  std::vector<absl::StatusCode> codes;
  const auto callback = [&codes](const absl::Status& status) { codes.push_back(status.code()); };
  fabric_->Get(**segment, 0, absl::MakeSpan(bytes), callback);
  fabric_->Put(**segment, 0, bytes, callback);
  WaitUntil([&] { return codes.size() == 2; });
  EXPECT_THAT(codes, ::testing::Each(absl::StatusCode::kNotFound));
  EXPECT_THAT(Content(), ::testing::Each(std::byte{0}));
}

TEST_F(SegmentProcesses, AnOwnerGivesNothingBesideWhatItLends) {
  ASSERT_NO_FATAL_FAILURE(Connect("tcp,self"));
  constexpr std::size_t kSizeAt = 24;
  constexpr std::size_t kNameAt = 48;
  std::uint64_t name = 0;
  std::memcpy(&name, key_.data() + kNameAt, sizeof(name));
  const std::size_t size = segment_->size_bytes();
  const std::pair<Bytes, std::size_t> forged[] = {{Forged(key_, kNameAt, name + 1), 0},
                                                  {Forged(key_, kSizeAt, 2 * size), size - 1},
                                                  {Forged(key_, kSizeAt, 2 * size), size + 4096}};
  for (const auto& [key, offset] : forged) {
    auto segment = fabric_->Map(peer_, key);
    ASSERT_TRUE(segment.ok()) << segment.status();
    Bytes bytes(2, std::byte{1});
    std::vector<absl::StatusCode> codes;
    const auto callback = [&codes](const absl::Status& status) { codes.push_back(status.code()); };
    fabric_->Get(**segment, offset, absl::MakeSpan(bytes), callback);
    fabric_->Put(**segment, offset, bytes, callback);
    WaitUntil([&] { return codes.size() == 2; });
    EXPECT_THAT(codes, ::testing::Each(absl::StatusCode::kNotFound));
  }
  EXPECT_THAT(Content(), ::testing::Each(std::byte{0}));
}

// What it has asked for arrives when it cannot be answered any more; UCX's own one-sided operations
// abort the owner there.
TEST_F(SegmentProcesses, AReaderKilledWhileItsOwnerIsHeldUpHarmsNobodyElse) {
  for (int run = 0; run < 10; ++run) {
    ASSERT_NO_FATAL_FAILURE(Connect("tcp,self"));
    ChildProcess reader({BuiltProgram("tests/transport/transport_test_segment_reader"), address_});
    ASSERT_EQ(reader.ReadLine(), "reading");
    owner_->Signal(SIGSTOP);
    absl::SleepFor(absl::Milliseconds(20));
    reader.Signal(SIGKILL);
    reader.Wait();
    owner_->Signal(SIGCONT);
    EXPECT_EQ(Content().size(), segment_->size_bytes());
    ASSERT_TRUE(owner_->IsRunning());
    segment_.reset();
  }
}

}  // namespace
}  // namespace pinboard::transport
