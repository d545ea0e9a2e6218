// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages that are fetched here and may be at other members.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/replication/group_holds.h"
#include "cache_service/replication/replication_counts.h"

namespace pinboard::cache_service {

///   Start --> asked of the first member --hit--> on its way --came--> ended: a hit
///               ^         |                          +--corrupt, no room--+
///               |         +-- it has not, or is lost ---------------------+--> the next is asked,
///               +---------------------------------------------------------+    or ended: a miss
///
/// At the deadline it ends too; what comes later stays, as pages do. Each page is pulled once at a
/// time, whoever asks for it. Single-threaded.
class Pulls {
 public:
  static constexpr std::size_t kMost = 16'384;  // at a time

  struct Handlers {
    /// Asks a member. False: it is not connected.
    std::function<bool(PeerNumber, std::uint64_t request, const PeerFetch&)> ask;
    /// A hit: takes the page in, and answers once, maybe at once.
    std::function<void(PeerNumber, GroupId, const FetchedPage&,
                       std::function<void(OfferOutcome)> done)>
        take;
    /// A hit that nobody waits for any more.
    std::function<void(PeerNumber, const FetchedPage&)> unpin;
    std::function<void(GroupId, const PageKey&)> ended;
  };
  explicit Pulls(Handlers handlers) : handlers_(std::move(handlers)) {}

  struct Wish {
    PageRef page;
    std::vector<PeerNumber> members;  // in the order in which they are asked
  };
  /// Until `deadline`; those that are being pulled stay as they are.
  void Start(GroupId group, std::vector<Wish> wishes, absl::Time deadline);
  bool IsPulling(GroupId group, const PageRef& page) const {
    return pulls_.contains({group, page.key, page.generation});
  }

  /// False: it was not asked for so.
  bool OnFetched(PeerNumber from, std::uint64_t request, const std::vector<FetchedPage>& pages);
  void PeerLost(PeerNumber peer);
  /// Whether it was asked before `since` and has not answered.
  bool IsLate(PeerNumber peer, absl::Time since) const;
  void Expire(absl::Time now);
  /// InfiniteFuture where none waits.
  absl::Time next_deadline() const { return pulls_.empty() ? absl::InfiniteFuture() : next_; }

  std::size_t waiting() const { return pulls_.size(); }
  const std::array<std::uint64_t, kPullEnds>& ends() const { return ends_; }

 private:
  struct Name {
    GroupId group;
    PageKey key;
    std::uint32_t generation = 0;
    friend bool operator==(const Name&, const Name&) = default;
    template <typename H>
    friend H AbslHashValue(H state, const Name& name) {
      return H::combine(std::move(state), name.group, name.key, name.generation);
    }
  };
  struct Pull {
    std::vector<PeerNumber> members;
    std::size_t next = 0;          // to be asked
    PullEnd end = PullEnd::kMiss;  // where nobody is left
    absl::Time deadline;
  };
  struct Question {
    PeerNumber peer = 0;
    GroupId group;
    std::vector<PageRef> pages;
    std::vector<bool> answered;
    std::size_t left = 0;
    absl::Time asked;
  };

  /// Of the members left, asks the first for each; ends those for which none is.
  void AskNext(GroupId group, std::vector<PageRef> pages);
  void Take(PeerNumber from, GroupId group, const PageRef& page, const FetchedPage& fetched);
  void End(GroupId group, const PageRef& page, PullEnd end);

  const Handlers handlers_;
  absl::flat_hash_map<Name, Pull> pulls_;
  absl::flat_hash_map<std::uint64_t, Question> questions_;  // by request
  std::uint64_t next_request_ = 1;
  absl::Time next_ = absl::InfiniteFuture();  // not after the first deadline
  std::array<std::uint64_t, kPullEnds> ends_{};
};

}  // namespace pinboard::cache_service
