// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/pulls.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/fault_point.h"
#include "cache_service/fault_points.h"

namespace pinboard::cache_service {

void Pulls::Start(GroupId group, std::vector<Wish> wishes, absl::Time deadline) {
  std::vector<PageRef> pages;
  std::vector<PageRef> too_many;
  for (Wish& wish : wishes) {
    const Name name{group, wish.page.key, wish.page.generation};
    if (pulls_.contains(name)) continue;
    if (pulls_.size() >= kMost) {
      ++ends_[static_cast<int>(PullEnd::kOverflow)];
      too_many.push_back(wish.page);
      continue;
    }
    pulls_[name] = {.members = std::move(wish.members), .deadline = deadline};
    pages.push_back(wish.page);
  }
  next_ = std::min(next_, deadline);
  AskNext(group, std::move(pages));
  for (const PageRef& page : too_many) handlers_.ended(group, page.key);
}

void Pulls::AskNext(GroupId group, std::vector<PageRef> pages) {
  while (!pages.empty()) {
    std::map<PeerNumber, std::vector<PageRef>> by_member;
    for (const PageRef& page : pages) {
      const auto pull = pulls_.find({group, page.key, page.generation});
      if (pull == pulls_.end()) continue;
      Pull& asking = pull->second;
      if (asking.next == asking.members.size()) {
        End(group, page, asking.end);
      } else {
        by_member[asking.members[asking.next++]].push_back(page);
      }
    }
    pages.clear();
    for (auto& [member, asked] : by_member) {
      const std::uint64_t request = next_request_++;
      if (handlers_.ask(member, request, {group.value(), asked})) {
        FaultPoint(fault::kPullAsked);
        const std::size_t count = asked.size();
        questions_[request] = {member, group,      std::move(asked), std::vector<bool>(count),
                               count,  SteadyNow()};
      } else {
        pages.insert(pages.end(), asked.begin(), asked.end());
      }
    }
  }
}

bool Pulls::OnFetched(PeerNumber from, std::uint64_t request,
                      const std::vector<FetchedPage>& pages) {
  FaultPoint(fault::kPullAnswered);
  const auto found = questions_.find(request);
  if (found == questions_.end() || found->second.peer != from) return false;
  Question& question = found->second;
  const GroupId group = question.group;
  std::vector<PageRef> missed;
  std::vector<std::pair<PageRef, const FetchedPage*>> hits;
  for (const FetchedPage& fetched : pages) {
    if (fetched.index >= question.pages.size() || question.answered[fetched.index]) return false;
    question.answered[fetched.index] = true;
    --question.left;
    const PageRef& page = question.pages[fetched.index];
    if (fetched.miss != MissCause::kNone) {
      missed.push_back(page);
    } else if (page == PageRef{fetched.header.key, fetched.header.generation}) {
      hits.emplace_back(page, &fetched);
    } else {
      return false;
    }
  }
  if (question.left == 0) questions_.erase(found);
  for (const auto& [page, fetched] : hits) Take(from, group, page, *fetched);
  AskNext(group, std::move(missed));
  return true;
}

void Pulls::Take(PeerNumber from, GroupId group, const PageRef& page, const FetchedPage& fetched) {
  if (!IsPulling(group, page)) return handlers_.unpin(from, fetched);
  handlers_.take(from, group, fetched, [this, group, page](OfferOutcome outcome) {
    const auto pull = pulls_.find({group, page.key, page.generation});
    if (pull == pulls_.end()) return;
    if (outcome == OfferOutcome::kTaken || outcome == OfferOutcome::kHad) {
      return End(group, page, PullEnd::kHit);
    }
    pull->second.end = outcome == OfferOutcome::kNoRoom    ? PullEnd::kNoRoom
                       : outcome == OfferOutcome::kCorrupt ? PullEnd::kCorrupt
                                                           : PullEnd::kTimeout;
    AskNext(group, {page});
  });
}

void Pulls::PeerLost(PeerNumber peer) {
  std::map<GroupId, std::vector<PageRef>> unanswered;
  for (auto question = questions_.begin(); question != questions_.end();) {
    if (question->second.peer != peer) {
      ++question;
      continue;
    }
    const Question& lost = question->second;
    for (std::size_t i = 0; i < lost.pages.size(); ++i) {
      if (lost.answered[i]) continue;
      const auto pull = pulls_.find({lost.group, lost.pages[i].key, lost.pages[i].generation});
      if (pull != pulls_.end()) pull->second.end = PullEnd::kTimeout;
      unanswered[lost.group].push_back(lost.pages[i]);
    }
    questions_.erase(question++);
  }
  for (auto& [group, pages] : unanswered) AskNext(group, std::move(pages));
}

bool Pulls::IsLate(PeerNumber peer, absl::Time since) const {
  for (const auto& [request, question] : questions_) {
    if (question.peer == peer && question.asked < since) return true;
  }
  return false;
}

void Pulls::Expire(absl::Time now) {
  if (now < next_deadline()) return;
  next_ = absl::InfiniteFuture();
  std::vector<std::pair<GroupId, PageRef>> late;
  for (const auto& [name, pull] : pulls_) {
    if (pull.deadline <= now) {
      late.emplace_back(name.group, PageRef{name.key, name.generation});
    } else {
      next_ = std::min(next_, pull.deadline);
    }
  }
  for (const auto& [group, page] : late) End(group, page, PullEnd::kTimeout);
}

void Pulls::End(GroupId group, const PageRef& page, PullEnd end) {
  pulls_.erase({group, page.key, page.generation});
  ++ends_[static_cast<int>(end)];
  handlers_.ended(group, page.key);
}

}  // namespace pinboard::cache_service
