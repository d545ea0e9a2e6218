// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a client says to a service that it has lost for a while.
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "cache_service/client/service_link.h"
#include "tests/cache_service/loopback_service.h"

namespace pinboard::cache_service {
namespace {

class ServiceLinkTest : public ::testing::Test, private Releaser {
 protected:
  ServiceLinkTest() {
    fabric_->OnClosed([this](transport::PeerId peer, const absl::Status& reason) {
      router_.Closed(peer, reason);
    });
    Connect();
  }

  void Connect() { ASSERT_EQ(link_.Connect(Soon()), absl::OkStatus()); }
  /// Returns once the link has seen it.
  void Cut() {
    service_.hub().Cut(service_.fabric());
    while (link_.connected() && SteadyNow() < give_up_) fabric_->WaitUntil(give_up_);
    ASSERT_FALSE(link_.connected());
  }
  std::vector<HoldId> Lease(std::uint32_t count) {
    leased_.clear();
    link_.Lease(1, count, kTestPageBytes);
    while (leased_.size() < count && SteadyNow() < give_up_) fabric_->WaitUntil(give_up_);
    EXPECT_EQ(leased_.size(), count);
    return leased_;
  }
  void PublishOne(const PageRef& page) {
    link_.Publish({{Lease(1).at(0), TestHeader(page)}});
    fabric_->Progress();
  }

  LoopbackService service_{64 * kTestPageBytes};
  int registrations_ = 0;
  const std::unique_ptr<transport::Fabric> fabric_ = service_.hub().MakeFabric();
  ReplyRouter router_{*fabric_};
  ServiceLink link_{*fabric_, router_, service_.address(), Options(), Handlers(), *this};

  const absl::Time give_up_ = Soon();

 private:
  PageStoreOptions Options() {
    return {
        .group = 1,
        .name = "test",
        .register_memory =
            [this](absl::Span<std::byte>) -> absl::StatusOr<std::unique_ptr<MemoryRegistration>> {
          ++registrations_;
          return std::make_unique<MemoryRegistration>();
        }};
  }
  ServiceLink::Handlers Handlers() {
    return {.leased =
                [this](std::uint64_t, absl::StatusOr<std::vector<LeasedMemory>> leased) {
                  ASSERT_EQ(leased.status(), absl::OkStatus());
                  for (const LeasedMemory& lease : *leased) leased_.push_back(lease.hold);
                },
            .closed = [](const absl::Status&) {}};
  }
  void Release(std::uint64_t) override {}

  std::vector<HoldId> leased_;
};

constexpr char kPages[] = "pinboard_service_pages";
constexpr char kExtents[] = "pinboard_service_extents";
constexpr char kQuarantined[] = "pinboard_service_slabs{state=\"quarantined\"}";

// Its group stayed in the service for as long as the process lived.
TEST_F(ServiceLinkTest, OneThatEndsWithoutAConnectionConnectsOnceMoreToSayGoodbye) {
  PublishOne(TestPage(1));
  const std::vector<HoldId> leases = Lease(1);
  service_.Await(kPages, 1);
  Cut();
  service_.Await(kQuarantined, 1);
  link_.Return(leases);
  const int registrations = registrations_;
  link_.Shutdown(Soon());
  service_.Await(kQuarantined, 0);
  service_.Await(kPages, 0);
  EXPECT_EQ(registrations_, registrations) << "memory that nobody is to use";
}

// Only the next turn would have told of it, and there was none.
TEST_F(ServiceLinkTest, WhatIsLetGoOfAnEarlierConnectionAtTheEndIsTold) {
  const std::vector<HoldId> leases = Lease(1);
  Cut();
  service_.Await(kQuarantined, 1);
  Connect();
  link_.Return(leases);
  link_.Shutdown(Soon());
  service_.Await(kQuarantined, 0);
}

// Its extents stayed until the group ended, and a tenant with a quota of them could publish no
// more.
TEST_F(ServiceLinkTest, ASequenceDroppedWithoutAConnectionIsDroppedOverTheNextOne) {
  PublishOne(TestPage(1, 1, 7));
  PublishOne(TestPage(1, 1, 8));
  service_.Await(kExtents, 2);
  Cut();
  link_.DropSequence(7);
  Connect();
  service_.Await(kExtents, 1);
}

TEST_F(ServiceLinkTest, SequencesDroppedWhileTheServiceTakesNothingInAreDroppedLater) {
  constexpr std::uint64_t kMoreThanTheLinkSends = 5000;
  PublishOne(TestPage(1, 1, kMoreThanTheLinkSends));
  service_.Await(kExtents, 1);
  service_.hub().Stall(service_.fabric(), true);
  for (std::uint64_t sequence = 0; sequence <= kMoreThanTheLinkSends; ++sequence) {
    link_.DropSequence(sequence);
  }
  service_.hub().Stall(service_.fabric(), false);
  while (service_.Metric(kExtents) != 0 && SteadyNow() < give_up_) {
    fabric_->WaitUntil(SteadyNow() + absl::Milliseconds(1));
    link_.Tick(SteadyNow());
  }
  EXPECT_EQ(service_.Metric(kExtents), 0);
}

TEST_F(ServiceLinkTest, AServiceThatWasStartedAgainIsNotToldOfSequencesDroppedBefore) {
  Cut();
  link_.DropSequence(7);
  service_.Restart();
  const auto other = service_.Connect(1);
  ASSERT_EQ(PublishTestPage(*other, TestPage(1, 1, 7)), absl::OkStatus());
  service_.Await(kExtents, 1);
  Connect();
  PublishOne(TestPage(1, 1, 8));
  service_.Await(kPages, 2);
}

}  // namespace
}  // namespace pinboard::cache_service
