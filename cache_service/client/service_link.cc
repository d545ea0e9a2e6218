// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/client/connect.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"
#include "cache_service/protocol/send_message.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

// A service that takes nothing in is treated as one that is not there.
constexpr std::size_t kMaxWaiting = 1024;

absl::Status NotConnected(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("no connection to the cache service at ", address));
}

}  // namespace

ServiceLink::ServiceLink(std::unique_ptr<transport::Fabric> fabric, std::string address,
                         PageStoreOptions options, Handlers handlers)
    : fabric_(std::move(fabric)),
      address_(std::move(address)),
      options_(std::move(options)),
      process_(CurrentProcess()),
      handlers_(std::move(handlers)) {
  fabric_->OnClosed([this](PeerId peer, absl::Status reason) { OnClosed(peer, reason); });
  Register(&ServiceLink::OnWelcome);
  Register(&ServiceLink::OnSegments);
  Register(&ServiceLink::OnLeaseReply);
  Register(&ServiceLink::OnFetchReply);
  Register(&ServiceLink::OnFetchMisses);
  Register(&ServiceLink::OnError);
}

ServiceLink::~ServiceLink() {
  ending_ = true;
  current_ = nullptr;
  lives_.clear();
  fabric_.reset();
}

template <typename Message>
void ServiceLink::Register(absl::Status (ServiceLink::*handler)(const Envelope<Message>&)) {
  const auto receive = [this, handler](PeerId peer, absl::Span<const std::byte> payload) {
    if (ending_ || !IsPartner(peer)) return;
    const absl::StatusOr<Envelope<Message>> envelope = DecodeMessage<Message>(payload);
    const absl::Status status = envelope.ok() ? (this->*handler)(*envelope) : envelope.status();
    if (status.ok()) return;
    EndConnection(peer, absl::UnavailableError(
                            absl::StrCat("the cache service at ", address_,
                                         " broke the protocol: ", std::string(status.message()))));
  };
  fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType), receive);
}

template <typename Message>
void ServiceLink::Send(std::uint64_t request, const Message& message) {
  if (current_ == nullptr) return;
  ++sends_in_flight_;
  SendMessage(*fabric_, current_->peer, request, message, [this](absl::Status) {
    if (!ending_) --sends_in_flight_;
  });
}

template <typename Message, typename Element>
void ServiceLink::SendInBatches(std::vector<Element> Message::*list,
                                const std::vector<Element>& elements) {
  for (std::size_t begin = 0; begin < elements.size(); begin += kMaxListElements) {
    const std::size_t end = std::min<std::size_t>(elements.size(), begin + kMaxListElements);
    Message message;
    (message.*list).assign(elements.begin() + begin, elements.begin() + end);
    Send(0, message);
  }
}

bool ServiceLink::IsPartner(PeerId peer) const {
  return greeting_.has_value() ? greeting_->peer == peer
                               : current_ != nullptr && current_->peer == peer;
}

bool ServiceLink::Congested() const { return sends_in_flight_ + after_puts_.size() > kMaxWaiting; }

absl::Status ServiceLink::Connect(absl::Time deadline) {
  PB_ASSIGN_OR_RETURN(const PeerId peer, ConnectToService(*fabric_, address_, deadline));
  Hello hello;
  hello.features = kFeatures;
  hello.group = options_.group;
  hello.process = process_;
  hello.name = options_.name;
  greeting_.emplace(Greeting{.peer = peer, .hello = hello});
  SendMessage(*fabric_, peer, 0, hello);
  while (!greeting_->outcome.has_value() && absl::Now() < deadline) fabric_->WaitUntil(deadline);
  const absl::Status outcome = greeting_->outcome.value_or(DoesNotAnswer(address_));
  greeting_.reset();
  if (!outcome.ok()) fabric_->Close(peer);
  return outcome;
}

absl::Status ServiceLink::OnWelcome(const Envelope<Welcome>& envelope) {
  if (!greeting_.has_value()) return absl::FailedPreconditionError("Welcome came twice");
  const absl::Status agreed = CheckAgreed(greeting_->hello, envelope.message);
  if (!agreed.ok()) {
    greeting_->outcome = agreed;
    return absl::OkStatus();
  }
  greeting_->welcome = envelope.message;
  return absl::OkStatus();
}

absl::Status ServiceLink::OnSegments(const Envelope<Segments>& envelope) {
  if (greeting_.has_value()) {
    if (!greeting_->welcome.has_value()) return absl::FailedPreconditionError("no Welcome");
    lives_.push_back(std::make_unique<Life>());
    current_ = lives_.back().get();
    current_->peer = greeting_->peer;
    current_->client = greeting_->welcome->client;
    current_->incarnation = greeting_->welcome->incarnation;
    current_->features = greeting_->welcome->features;
    current_->same_host = greeting_->welcome->host == process_.host;
    greeting_->outcome = absl::OkStatus();
  }
  for (const SegmentEntry& entry : envelope.message.segments) {
    PB_ASSIGN_OR_RETURN(auto segment, fabric_->Map(current_->peer, entry.remote_key));
    if (segment->size_bytes() < entry.bytes) {
      return absl::InvalidArgumentError("a segment is smaller than announced");
    }
    absl::StatusOr<std::unique_ptr<MemoryRegistration>> registration = RegisterMemory(*segment);
    if (!registration.ok()) {
      EndConnection(current_->peer, registration.status());
      return absl::OkStatus();
    }
    if (segment->direct().empty()) SayOnceThatPagesAreCopied(current_->same_host);
    current_->segments[entry.segment] = {std::move(segment), *std::move(registration)};
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MemoryRegistration>> ServiceLink::RegisterMemory(
    transport::RemoteSegment& segment) const {
  if (!options_.register_memory) return nullptr;
  if (!segment.direct().empty()) return options_.register_memory(segment.direct());
  return absl::FailedPreconditionError(
      absl::StrCat("the memory of the cache service at ", address_,
                   " cannot be mapped, and a device is to reach it: the service must run on this "
                   "host, and UCX_TLS allow shared memory"));
}

void ServiceLink::SayOnceThatPagesAreCopied(bool mapping_expected) {
  if (std::exchange(said_copied_, true)) return;
  if (mapping_expected) {
    LogWarning("the memory of the cache service at ", address_,
               " cannot be mapped though it is on this host: pages are copied (UCX_TLS must allow "
               "shared memory)");
  } else {
    LogInfo("the cache service at ", address_, " is on another host: pages are copied");
  }
}

absl::Status ServiceLink::OnError(const Envelope<Error>& envelope) {
  const absl::Status error(static_cast<absl::StatusCode>(envelope.message.code),
                           envelope.message.text);
  if (greeting_.has_value()) {
    greeting_->outcome = error;
  } else {
    LogError("the cache service at ", address_,
             " closes the connection: ", std::string(error.message()));
  }
  return absl::OkStatus();
}

void ServiceLink::OnClosed(PeerId peer, const absl::Status& reason) {
  if (ending_) return;
  if (greeting_.has_value() && greeting_->peer == peer) {
    if (!greeting_->outcome.has_value() || greeting_->outcome->ok()) greeting_->outcome = reason;
  }
  if (current_ != nullptr && current_->peer == peer) Disconnect(reason);
}

void ServiceLink::EndConnection(PeerId peer, const absl::Status& reason) {
  fabric_->Close(peer);
  OnClosed(peer, reason);
}

void ServiceLink::Disconnect(const absl::Status& reason) {
  current_->open = false;
  current_ = nullptr;
  const absl::Status gone = absl::UnavailableError(
      absl::StrCat("the cache service at ", address_, " is gone: ", std::string(reason.message())));
  for (const auto& [request, lease] : std::exchange(pending_leases_, {})) {
    handlers_.leased(request, gone);
  }
  std::vector<std::uint64_t> fetches;
  for (const auto& [request, fetch] : pending_fetches_) fetches.push_back(request);
  for (const std::uint64_t request : fetches) ResolveAll(request, gone);
  handlers_.closed(gone);
}

void ServiceLink::Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes) {
  if (current_ == nullptr) return handlers_.leased(request, NotConnected(address_));
  pending_leases_[request] = {count, bytes};
  InOrder([this, request, count, bytes] {
    if (pending_leases_.contains(request)) Send(request, LeaseRequest{count, bytes});
  });
}

absl::Status ServiceLink::CheckLocation(const SlabLocation& location, std::uint64_t bytes) const {
  const auto segment = current_->segments.find(location.segment);
  if (segment != current_->segments.end()) {
    const std::uint64_t size = segment->second.memory->size_bytes();
    if (location.offset <= size && bytes <= size - location.offset) return absl::OkStatus();
  }
  return absl::InvalidArgumentError("a slab lies outside the announced segments");
}

absl::Status ServiceLink::OnLeaseReply(const Envelope<LeaseReply>& envelope) {
  const LeaseReply& reply = envelope.message;
  const auto pending = pending_leases_.find(envelope.request);
  if (pending == pending_leases_.end()) {
    return absl::FailedPreconditionError("a lease that was not asked for");
  }
  const auto [count, bytes] = pending->second;
  if (reply.slabs.size() != (reply.code == 0 ? count : 0)) {
    return absl::InvalidArgumentError("a lease of another number of slabs than asked for");
  }
  for (const SlabLocation& location : reply.slabs) {
    PB_RETURN_IF_ERROR(CheckLocation(location, bytes));
  }
  pending_leases_.erase(pending);
  if (reply.code != 0) {
    handlers_.leased(envelope.request,
                     absl::Status(static_cast<absl::StatusCode>(reply.code), reply.text));
    return absl::OkStatus();
  }
  std::vector<LeasedMemory> leased;
  leased.reserve(reply.slabs.size());
  for (const SlabLocation& location : reply.slabs) leased.push_back(HoldLease(location, bytes));
  handlers_.leased(envelope.request, std::move(leased));
  return absl::OkStatus();
}

LeasedMemory ServiceLink::HoldLease(const SlabLocation& location, std::uint64_t bytes) {
  const HoldId hold(next_hold_++);
  HeldLease& lease = leases_[hold];
  lease = {current_, location, nullptr};
  ++current_->holds;
  const absl::Span<std::byte> direct = current_->segments.at(location.segment).memory->direct();
  if (!direct.empty()) return {hold, direct.subspan(location.offset, bytes)};
  lease.staging = std::shared_ptr<std::byte[]>(new std::byte[bytes]);
  return {hold, absl::MakeSpan(lease.staging.get(), bytes)};
}

void ServiceLink::Return(absl::Span<const HoldId> leases) {
  std::vector<std::uint64_t> slabs;
  for (const HoldId hold : leases) {
    const auto node = leases_.extract(hold);
    --node.mapped().life->holds;
    if (node.mapped().life == current_) slabs.push_back(node.mapped().location.slab);
  }
  SendInBatches(&ReturnSlabs::slabs, slabs);
}

void ServiceLink::InOrder(std::function<void()> step) {
  after_puts_.push_back(std::move(step));
  while (puts_in_flight_ == 0 && !after_puts_.empty()) {
    const std::function<void()> next = std::move(after_puts_.front());
    after_puts_.pop_front();
    next();
  }
}

void ServiceLink::Publish(const std::vector<PageToPublish>& pages) {
  InOrder([this, pages] { PublishNow(pages); });
}

void ServiceLink::PublishNow(const std::vector<PageToPublish>& pages) {
  publishing_.clear();
  puts_ok_ = true;
  for (const PageToPublish& page : pages) {
    const auto node = leases_.extract(page.hold);
    const HeldLease& lease = node.mapped();
    if (lease.life == current_) {
      publishing_.push_back({lease.location.slab, page.header});
      if (lease.staging != nullptr) StartPut(lease, page.header.bytes);
    }
    --lease.life->holds;
  }
  if (puts_in_flight_ == 0) SendInBatches(&cache_service::Publish::pages, publishing_);
}

void ServiceLink::StartPut(const HeldLease& lease, std::uint32_t bytes) {
  ++puts_in_flight_;
  ++lease.life->holds;
  const absl::Span<const std::byte> from(lease.staging.get(), bytes);
  fabric_->Put(*lease.life->segments.at(lease.location.segment).memory, lease.location.offset, from,
               [this, life = lease.life, staging = lease.staging](absl::Status status) {
                 if (!ending_) OnPutDone(life, status);
               });
}

void ServiceLink::OnPutDone(Life* life, const absl::Status& status) {
  --life->holds;
  puts_ok_ = puts_ok_ && status.ok() && life == current_;
  if (--puts_in_flight_ > 0) return;
  // Without a connection the service keeps the slabs from others until this process lets go.
  if (puts_ok_) SendInBatches(&cache_service::Publish::pages, publishing_);
  InOrder([] {});
}

void ServiceLink::Fetch(const std::vector<PageRef>& pages, absl::Time deadline) {
  for (std::size_t begin = 0; begin < pages.size(); begin += kMaxListElements) {
    const std::size_t end = std::min<std::size_t>(pages.size(), begin + kMaxListElements);
    const std::uint64_t request = next_fetch_++;
    PendingFetch& pending = pending_fetches_[request];
    pending.pages.assign(pages.begin() + begin, pages.begin() + end);
    pending.resolved.resize(pending.pages.size());
    pending.left = pending.pages.size();
    pending.deadline = deadline;
    if (current_ == nullptr) {
      ResolveAll(request, NotConnected(address_));
    } else if (Congested()) {
      ResolveAll(request, absl::UnavailableError(absl::StrCat("the cache service at ", address_,
                                                              " takes no requests in")));
    } else {
      InOrder([this, request] { SendFetch(request); });
    }
  }
}

void ServiceLink::SendFetch(std::uint64_t request) {
  const auto pending = pending_fetches_.find(request);
  if (pending == pending_fetches_.end()) return;  // expired meanwhile
  Send(request, cache_service::Fetch{pending->second.pages});
}

absl::Status ServiceLink::OnFetchReply(const Envelope<FetchReply>& envelope) {
  std::vector<std::uint64_t> late;
  for (const FetchedPage& fetched : envelope.message.pages) {
    const auto pending = pending_fetches_.find(envelope.request);
    if (pending == pending_fetches_.end()) {
      if (fetched.miss == MissCause::kNone) late.push_back(fetched.location.slab);
      continue;
    }
    if (fetched.index >= pending->second.pages.size() || pending->second.resolved[fetched.index]) {
      return absl::InvalidArgumentError("a page that was not asked for, or asked for once");
    }
    PB_RETURN_IF_ERROR(
        Take(envelope.request, PageRef(pending->second.pages[fetched.index]), fetched));
  }
  SendInBatches(&cache_service::Unpin::slabs, late);
  return absl::OkStatus();
}

absl::Status ServiceLink::OnFetchMisses(const Envelope<FetchMisses>& envelope) {
  if (current_ == nullptr || (current_->features & kFeatureShortMisses) == 0) {
    return absl::FailedPreconditionError("short misses were not agreed on");
  }
  Envelope<FetchReply> reply{.request = envelope.request};
  for (const MissedPage& page : envelope.message.pages) {
    if (page.miss == MissCause::kNone) return absl::InvalidArgumentError("a miss without a cause");
    reply.message.pages.push_back({.index = page.index, .miss = page.miss});
  }
  return OnFetchReply(reply);
}

absl::Status ServiceLink::Take(std::uint64_t request, const PageRef& page,
                               const FetchedPage& fetched) {
  if (fetched.miss != MissCause::kNone) {
    Resolve(request, fetched.index, {},
            absl::NotFoundError(absl::StrCat("page ", MissCauseName(fetched.miss))));
    return absl::OkStatus();
  }
  if (!(page == PageRef{fetched.header.key, fetched.header.generation})) {
    return absl::InvalidArgumentError("another page than the one asked for");
  }
  PB_RETURN_IF_ERROR(CheckLocation(fetched.location, fetched.header.bytes));
  const absl::Span<const std::byte> direct =
      current_->segments.at(fetched.location.segment).memory->direct();
  if (direct.empty()) {
    StartGet(request, fetched);
    return absl::OkStatus();
  }
  const HoldId hold(next_hold_++);
  pins_[hold] = {current_, fetched.location.slab};
  ++current_->holds;
  Resolve(request, fetched.index, fetched.header,
          FetchedMemory{hold, direct.subspan(fetched.location.offset, fetched.header.bytes), {}});
  return absl::OkStatus();
}

void ServiceLink::StartGet(std::uint64_t request, const FetchedPage& fetched) {
  // Shared between the transfer and the pin that follows it.
  const std::shared_ptr<std::byte[]> copy(new std::byte[fetched.header.bytes]);
  ++current_->holds;
  fabric_->Get(*current_->segments.at(fetched.location.segment).memory, fetched.location.offset,
               absl::MakeSpan(copy.get(), fetched.header.bytes),
               [this, life = current_, request, fetched, copy](absl::Status status) {
                 if (ending_) return;
                 --life->holds;
                 if (life == current_) {
                   Send(0, cache_service::Unpin{{fetched.location.slab}});
                 }
                 if (!status.ok()) {
                   return Resolve(request, fetched.index, {},
                                  absl::UnavailableError(status.message()));
                 }
                 Resolve(request, fetched.index, fetched.header,
                         FetchedMemory{{}, {copy.get(), fetched.header.bytes}, copy});
               });
}

void ServiceLink::Resolve(std::uint64_t request, std::uint32_t index, const PageHeader& header,
                          absl::StatusOr<FetchedMemory> memory) {
  const auto found = pending_fetches_.find(request);
  if (found == pending_fetches_.end()) return;
  PendingFetch& pending = found->second;
  if (pending.resolved[index]) return;
  pending.resolved[index] = true;
  const PageRef page = pending.pages[index];
  if (--pending.left == 0) pending_fetches_.erase(found);
  handlers_.fetched(page, header, std::move(memory));
}

void ServiceLink::ResolveAll(std::uint64_t request, const absl::Status& status) {
  const auto node = pending_fetches_.extract(request);
  const PendingFetch& pending = node.mapped();
  for (std::size_t i = 0; i < pending.pages.size(); ++i) {
    if (!pending.resolved[i]) handlers_.fetched(pending.pages[i], {}, status);
  }
}

void ServiceLink::Unpin(absl::Span<const HoldId> pins) {
  std::vector<std::uint64_t> slabs;
  for (const HoldId hold : pins) {
    const auto node = pins_.extract(hold);
    --node.mapped().life->holds;
    if (node.mapped().life == current_) slabs.push_back(node.mapped().slab);
  }
  SendInBatches(&cache_service::Unpin::slabs, slabs);
}

void ServiceLink::Drop(const std::vector<PageRef>& pages) {
  if (Congested()) return;  // what is not dropped leaves in its turn
  InOrder([this, pages] { SendInBatches(&cache_service::Drop::pages, pages); });
}

void ServiceLink::DropSequence(std::uint64_t sequence) {
  if (Congested()) return;
  InOrder([this, sequence] { Send(0, cache_service::DropSequence{sequence}); });
}

void ServiceLink::Tick(absl::Time now) {
  std::vector<std::uint64_t> expired;
  for (const auto& [request, pending] : pending_fetches_) {
    if (pending.deadline <= now) expired.push_back(request);
  }
  for (const std::uint64_t request : expired) {
    ResolveAll(request, absl::DeadlineExceededError("the page did not come in time"));
  }
  LetGoOfEndedLives();
}

absl::Time ServiceLink::next_deadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [request, pending] : pending_fetches_) next = std::min(next, pending.deadline);
  return next;
}

void ServiceLink::LetGoOfEndedLives() {
  for (auto life = lives_.begin(); life != lives_.end();) {
    Life& ended = **life;
    if (ended.open || ended.holds > 0) {
      ++life;
      continue;
    }
    ended.segments.clear();
    if (current_ == nullptr) {
      ++life;
      continue;
    }
    if (current_->incarnation == ended.incarnation) Send(0, Goodbye{ended.client});
    life = lives_.erase(life);
  }
}

void ServiceLink::Shutdown(absl::Time deadline) {
  if (current_ == nullptr) return;
  Send(0, Goodbye{current_->client});
  fabric_->Close(current_->peer);
  while (current_ != nullptr && absl::Now() < deadline) fabric_->WaitUntil(deadline);
}

}  // namespace pinboard::cache_service
