// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/etcd_membership.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/steady_condition.h"
#include "cache_service/membership/current_view.h"
#include "cache_service/membership/etcd/member_record.h"
#include "cache_service/membership/etcd/member_table.h"

namespace pinboard::cache_service {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr absl::Duration kFirstPause = absl::Milliseconds(50);

class EtcdMembership final : public Membership {
 public:
  EtcdMembership(const EtcdOptions& options, std::unique_ptr<etcd::HttpClient> http,
                 MetricRegistry& metrics)
      : options_(options),
        patience_(absl::Trunc(options.time_to_live / 3, absl::Milliseconds(1))),
        http_(std::move(http)),
        client_(*http_, options.credentials, patience_),
        connected_gauge_(metrics.AddGauge("pinboard_service_etcd_connected",
                                          "Whether etcd is reached and its changes are seen.")),
        failures_(metrics.AddCounter("pinboard_service_etcd_failures_total",
                                     "Times that etcd could not be used, or no longer.")),
        renewals_(metrics.AddCounter("pinboard_service_etcd_lease_renewals_total",
                                     "Times that this member's lease was renewed.")),
        losses_(metrics.AddCounter("pinboard_service_etcd_lease_losses_total",
                                   "Times that this member's lease was found to have ended.")),
        view_(metrics),
        table_(options.prefix),
        thread_([this] { Run(); }) {}

  ~EtcdMembership() override {
    ending_ = true;
    http_->Cancel();
    thread_.join();
  }

  MembershipViewPtr View() const override { return view_.Get(); }
  void OnChange(std::function<void()> changed) override { view_.OnChange(std::move(changed)); }

  absl::Status Join(const Member& self) override {
    PB_RETURN_IF_ERROR(etcd::CheckMemberName(self.name));
    Want([&self, this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { self_ = self; });
    return absl::OkStatus();
  }

  void Announce(MemberState state) override {
    Want([state, this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      if (self_) self_->state = state;
    });
  }

  absl::Status Leave(absl::Time deadline) override {
    Want([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { leaving_ = self_.has_value(); });
    const absl::MutexLock lock(&mutex_);
    while (leaving_ && left_.WaitUntil(mutex_, deadline)) {
    }
    if (!leaving_) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat("etcd could not be told that this member leaves: the others will know in ",
                     absl::FormatDuration(options_.time_to_live)));
  }

 private:
  /// Changes what the others are to be told, from any thread.
  template <typename Change>
  void Want(const Change& change) {
    {
      const absl::MutexLock lock(&mutex_);
      change();
      Show();
    }
    http_->Wake();
  }

  /// What etcd says of the others, and of this member what it says itself.
  void Show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::map<std::string, Member> members = table_.members();
    if (self_) members.insert_or_assign(self_->name, *self_);
    std::vector<Member> shown;
    shown.reserve(members.size());
    for (auto& [name, member] : members) shown.push_back(std::move(member));
    view_.Replace(std::move(shown));
  }

  // All below runs on thread_.

  void Run() {
    std::size_t endpoint = 0;
    absl::Duration pause = kFirstPause;
    absl::BitGen random;
    while (true) {
      const absl::Status end = Session(options_.endpoints[endpoint]);
      if (ending_) return;  // etcd, too, says Cancelled when it ends
      client_.EndWatch();
      failures_.Increment();
      SayThatItEnded(options_.endpoints[endpoint], end);
      if (std::exchange(connected_, false)) {
        connected_gauge_.Set(0);
        pause = kFirstPause;
      }
      endpoint = (endpoint + 1) % options_.endpoints.size();
      http_->Sleep(pause * absl::Uniform(random, 0.5, 1.0));
      pause = std::min(2 * pause, patience_);
    }
  }

  /// Ends with an error alone.
  absl::Status Session(const std::string& endpoint) {
    PB_RETURN_IF_ERROR(client_.Connect(endpoint));
    renew_at_ = SteadyClock::now();  // whether the lease is still there is known only then
    PB_RETURN_IF_ERROR(TellOthers());
    PB_ASSIGN_OR_RETURN(const etcd::Range range, client_.List(options_.prefix));
    UpdateTable([&range](etcd::MemberTable& table) { table.Reset(range); });
    client_.Watch(options_.prefix, range.revision + 1);
    while (true) {
      PB_RETURN_IF_ERROR(TellOthers());
      PB_ASSIGN_OR_RETURN(const auto events, client_.NextEvents(UntilRenewal()));
      if (!events) continue;
      if (!std::exchange(connected_, true)) SayThatItBegan(endpoint);
      UpdateTable([&events](etcd::MemberTable& table) {
        for (const etcd::WatchEvent& event : *events) table.Apply(event);
      });
    }
  }

  template <typename Update>
  void UpdateTable(const Update& update) {
    const absl::MutexLock lock(&mutex_);
    update(table_);
    Show();
    if (!self_ || !published_) return;
    const auto found = table_.members().find(self_->name);
    if (found == table_.members().end()) {
      published_.reset();  // somebody deleted it
    } else if (found->second.incarnation != self_->incarnation) {
      LogError("another member calls itself ", self_->name, ", too, at ", found->second.address,
               ": give each a --member-name of its own");
    }
  }

  absl::Status TellOthers() {
    std::optional<Member> self;
    bool leaving;
    {
      const absl::MutexLock lock(&mutex_);
      self = self_;
      leaving = leaving_;
    }
    if (!self) return absl::OkStatus();
    if (leaving) return EndLease();
    PB_RETURN_IF_ERROR(HoldLease());
    if (published_ == self) return absl::OkStatus();
    absl::Status put =
        client_.Put(options_.prefix + self->name, etcd::MemberRecord(*self), lease_->id);
    if (absl::IsNotFound(put)) LoseLease();
    if (put.ok()) published_ = self;
    return put;
  }

  absl::Status HoldLease() {
    if (lease_ && SteadyClock::now() < renew_at_) return absl::OkStatus();
    if (lease_) {
      const auto alive = client_.KeepAlive(lease_->id);
      if (alive.ok()) {
        renewals_.Increment();
        RenewWithin(*alive);
        return absl::OkStatus();
      }
      if (!absl::IsNotFound(alive.status())) return alive.status();
      LoseLease();
    }
    PB_ASSIGN_OR_RETURN(lease_, client_.Grant(options_.time_to_live));
    RenewWithin(lease_->time_to_live);
    return absl::OkStatus();
  }

  absl::Status EndLease() {
    if (lease_) PB_RETURN_IF_ERROR(client_.Revoke(lease_->id));
    lease_.reset();
    published_.reset();
    const absl::MutexLock lock(&mutex_);
    self_.reset();
    leaving_ = false;
    left_.SignalAll();
    Show();
    return absl::OkStatus();
  }

  void LoseLease() {
    losses_.Increment();
    LogWarning("the lease in etcd has ended: this member joins again");
    lease_.reset();
    published_.reset();
  }

  void RenewWithin(absl::Duration time_to_live) {
    renew_at_ = SteadyClock::now() + absl::ToChronoNanoseconds(time_to_live / 3);
  }
  absl::Duration UntilRenewal() const {
    return lease_ ? absl::FromChrono(renew_at_ - SteadyClock::now()) : options_.time_to_live;
  }

  void SayThatItBegan(const std::string& endpoint) {
    connected_gauge_.Set(1);
    told_.erase(endpoint);
    LogInfo("etcd at ", endpoint, " is reached; known members: ", View()->members.size());
  }

  /// What lasts is said once.
  void SayThatItEnded(const std::string& endpoint, const absl::Status& end) {
    absl::Status& told = told_[endpoint];
    if (told == end) return;
    told = end;
    LogWarning("etcd at ", endpoint, ": ", std::string(end.message()),
               "; known members that stay in use: ", View()->members.size());
  }

  const EtcdOptions options_;
  const absl::Duration patience_;  // of a call, and between two attempts
  const std::unique_ptr<etcd::HttpClient> http_;
  etcd::EtcdClient client_;
  Gauge& connected_gauge_;
  Counter& failures_;
  Counter& renewals_;
  Counter& losses_;
  CurrentView view_;

  std::atomic<bool> ending_ = false;
  absl::Mutex mutex_;
  std::optional<Member> self_ ABSL_GUARDED_BY(mutex_);
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  SteadyCondition left_;  // leaving_ has become false
  etcd::MemberTable table_ ABSL_GUARDED_BY(mutex_);

  // Of thread_.
  bool connected_ = false;
  std::optional<etcd::Lease> lease_;
  SteadyClock::time_point renew_at_;
  std::optional<Member> published_;           // what etcd holds under the lease, as far as is known
  std::map<std::string, absl::Status> told_;  // by endpoint, until it is reached

  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Membership>> MakeEtcdMembership(const EtcdOptions& options,
                                                               MetricRegistry& metrics) {
  PB_ASSIGN_OR_RETURN(auto http, etcd::MakeHttpClient(options.tls));
  return MakeEtcdMembership(options, std::move(http), metrics);
}

std::unique_ptr<Membership> MakeEtcdMembership(const EtcdOptions& options,
                                               std::unique_ptr<etcd::HttpClient> http,
                                               MetricRegistry& metrics) {
  return std::make_unique<EtcdMembership>(options, std::move(http), metrics);
}

}  // namespace pinboard::cache_service
