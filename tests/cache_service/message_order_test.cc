// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a client says before what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/test_pages.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using transport::PeerId;

/// Has every page, grants every lease, and keeps which messages came.
class ListeningService {
 public:
  ListeningService() : fabric_(hub_.MakeFabric()), memory_(*fabric_->Allocate(kBytes)) {
    On<Hello>([this](PeerId peer, const Envelope<Hello>&) {
      SendMessage(*fabric_, peer, 0, Welcome{.version = 1});
      const auto key = memory_->remote_key();
      SendMessage(*fabric_, peer, 0, Segments{{{1, kBytes, {key.begin(), key.end()}}}});
    });
    On<Fetch>([this](PeerId peer, const Envelope<Fetch>& fetch) {
      PageListWriter<FetchReply> reply(fetch.message.pages.size());
      for (const PageRef& page : fetch.message.pages) {
        reply.Add(static_cast<std::uint32_t>(reply.size()), MissCause::kNone,
                  SlabLocation{.slab = 1, .segment = 1}, TestHeader(page, 0));
      }
      SendEncoded(*fabric_, peer, reply.Take(fetch.request));
    });
    On<LeaseRequest>([this](PeerId peer, const Envelope<LeaseRequest>& lease) {
      LeaseReply reply;
      reply.slabs.resize(lease.message.count, {.slab = 1, .segment = 1});
      SendMessage(*fabric_, peer, lease.request, reply);
    });
    On<Publish>([this](PeerId, const Envelope<Publish>& publish) {
      absl::MutexLock lock(&mutex_);
      published_.push_back(publish.message.pages.size());
    });
    On<Unpin>([](PeerId, const Envelope<Unpin>&) {});
    address_ = *fabric_->Listen("listening:0");
    thread_ = std::thread([this] {
      while (!stop_) fabric_->WaitUntil(absl::InfiniteFuture());
    });
  }
  ~ListeningService() {
    stop_ = true;
    fabric_->Wake();
    thread_.join();
  }

  std::unique_ptr<PageStore> Connect() {
    return *ConnectPageStore(
        [this]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          return hub_.MakeFabric();
        },
        {address_}, {.group = 1, .name = "test"});
  }
  /// Those after the greeting, once there are so many.
  std::vector<MessageType> Heard(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return heard_.size() >= count;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10));
    return heard_;
  }
  std::vector<std::size_t> published() {
    absl::MutexLock lock(&mutex_);
    return published_;
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{1} << 20;

  template <typename Message, typename Answer>
  void On(Answer answer) {
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType),
                       [this, answer](PeerId peer, absl::Span<const std::byte> payload) {
                         answer(peer, *DecodeMessage<Message>(payload));
                         absl::MutexLock lock(&mutex_);
                         if (Message::kType != MessageType::kHello)
                           heard_.push_back(Message::kType);
                       });
  }

  transport::LoopbackHub hub_;
  const std::unique_ptr<transport::Fabric> fabric_;
  const std::unique_ptr<transport::Segment> memory_;
  std::string address_;
  absl::Mutex mutex_;
  std::vector<MessageType> heard_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::size_t> published_ ABSL_GUARDED_BY(mutex_);  // pages of each message
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(MessageOrderTest, AFetchDoesNotWaitForTheEndsOfPins) {
  ListeningService service;
  const auto store = service.Connect();
  // A thread that is held up for long after a pin's end finds it told already.
  for (int round = 0; round < 100; ++round) {
    { const FetchResult pinned = FetchTestPage(*store, TestPage(1)); }
    { const FetchResult pinned = FetchTestPage(*store, TestPage(2)); }
    const std::vector<MessageType> heard = service.Heard(4 * round + 4);
    ASSERT_EQ(heard.size(), 4 * round + 4);
    if (heard[4 * round + 1] == MessageType::kFetch) return;
  }
  FAIL() << "each fetch came after the ends of the pins before it";
}

TEST(MessageOrderTest, ALeaseFindsTheRoomOfEndedPins) {
  ListeningService service;
  const auto store = service.Connect();
  { const FetchResult pinned = FetchTestPage(*store, TestPage(1)); }
  ASSERT_EQ(store->Lease(1, kTestPageBytes, Soon()).status(), absl::OkStatus());
  const std::vector<MessageType> heard = service.Heard(3);
  ASSERT_GE(heard.size(), 3);
  EXPECT_EQ(heard[1], MessageType::kUnpin);
  EXPECT_EQ(heard[2], MessageType::kLease);
}

TEST(MessageOrderTest, ManyPagesArePublishedInParts) {
  ListeningService service;
  const auto store = service.Connect();
  constexpr int kPages = 300;
  auto leases = store->Lease(kPages, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  std::vector<PageHeader> headers;
  headers.reserve(kPages);
  for (int i = 0; i < kPages; ++i) headers.push_back(TestHeader(TestPage(i), 0));
  store->Publish(*std::move(leases), headers);
  service.Heard(4);
  EXPECT_THAT(service.published(), ElementsAre(128, 128, 44));
}

}  // namespace
}  // namespace pinboard::cache_service
