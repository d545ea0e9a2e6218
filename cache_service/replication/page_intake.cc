// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/page_intake.h"

#include <utility>

#include "base/clock.h"
#include "base/fault_point.h"
#include "cache_service/fault_points.h"

namespace pinboard::cache_service {

PageIntake::~PageIntake() {
  for (const auto& [id, flight] : flights_) flight.from->Abandon();
}

OfferOutcome PageIntake::Refuses(const ServiceConnection& from, const IncomingPage& page) const {
  const Inventory& inventory = store_.inventory;
  if (!inventory.KeepsGroup(page.group)) return OfferOutcome::kFailed;
  if (page.header.bytes == 0 || !from.CheckLocation(page.location, page.header.bytes).ok()) {
    return OfferOutcome::kFailed;
  }
  switch (inventory.Find(page.group, {page.header.key, page.header.generation})) {
    case MissCause::kNone:
    case MissCause::kGeneration:
      return OfferOutcome::kHad;
    case MissCause::kDropped:
      return OfferOutcome::kFailed;
    case MissCause::kUnknown:
    case MissCause::kEvicted:
      break;
  }
  if (page.origin.spilled && !store_.is_roomy(page.header.bytes)) return OfferOutcome::kNoRoom;
  return OfferOutcome::kTaken;
}

void PageIntake::Take(const ServiceConnectionPtr& from, const IncomingPage& page, Done done) {
  const OfferOutcome refuses = Refuses(*from, page);
  if (refuses != OfferOutcome::kTaken) return done(refuses);
  const absl::StatusOr<GrantedSlab> slab = store_.lease(page.header.bytes);
  if (!slab.ok()) return done(OfferOutcome::kNoRoom);
  FaultPoint(fault::kIntakeLeased);
  const std::uint64_t id = next_flight_++;
  flights_[id] = {from, page, *slab, SteadyNow(), true, std::move(done)};
  from->Get(page.location, store_.memory(slab->place).subspan(0, page.header.bytes),
            [this, id](const absl::Status& status) { OnRead(id, status); });
}

void PageIntake::OnRead(std::uint64_t id, const absl::Status& status) {
  FaultPoint(fault::kIntakeRead);
  const auto node = flights_.extract(id);
  const Flight& flight = node.mapped();
  const OfferOutcome outcome = Finish(flight, status);
  FaultPoint(fault::kIntakePublished);
  flight.done(outcome);
  if (outcome == OfferOutcome::kTaken) came_(flight.page.group, flight.page.header.key);
}

OfferOutcome PageIntake::Finish(const Flight& flight, const absl::Status& status) {
  Inventory& inventory = store_.inventory;
  const IncomingPage& page = flight.page;
  OfferOutcome outcome = OfferOutcome::kTaken;
  if (!status.ok() || !flight.wanted || !inventory.KeepsGroup(page.group)) {
    outcome = OfferOutcome::kFailed;
  } else if (options_.check &&
             !options_.check(page.header,
                             store_.memory(flight.slab.place).subspan(0, page.header.bytes))) {
    outcome = OfferOutcome::kCorrupt;
  }
  if (outcome != OfferOutcome::kTaken) {
    inventory.Return(store_.self, flight.slab.slab).IgnoreError();  // it is leased
    return outcome;
  }
  const absl::StatusOr<Inventory::Publication> published =
      inventory.PublishCopy(store_.self, flight.slab.slab, page.header, page.group, page.origin);
  if (!published.ok()) return OfferOutcome::kFailed;
  if (*published == Inventory::Publication::kRefused) return OfferOutcome::kNoRoom;
  return *published == Inventory::Publication::kStale ? OfferOutcome::kHad : OfferOutcome::kTaken;
}

void PageIntake::Drop(GroupId group, const PageRef& page) {
  for (auto& [id, flight] : flights_) {
    if (flight.page.group == group && flight.page.header.key == page.key &&
        flight.page.header.generation <= page.generation) {
      flight.wanted = false;
    }
  }
}

void PageIntake::DropSequence(GroupId group, std::uint64_t sequence) {
  for (auto& [id, flight] : flights_) {
    if (flight.page.group == group && flight.page.header.key.sequence == sequence) {
      flight.wanted = false;
    }
  }
}

bool PageIntake::IsLate(const ServiceConnection& from, absl::Time since) const {
  for (const auto& [id, flight] : flights_) {
    if (flight.from.get() == &from && flight.began < since) return true;
  }
  return false;
}

}  // namespace pinboard::cache_service
