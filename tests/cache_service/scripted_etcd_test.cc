// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What etcd seldom says, when it is wanted: its answers are scripted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "cache_service/membership/etcd/http_client.h"
#include "cache_service/membership/etcd_membership.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr char kPrefix[] = "/pinboard/default/members/";

std::string Answer(const std::string& fields) {
  return R"({"header":{"revision":"7"})" + (fields.empty() ? "" : "," + fields) + "}";
}
std::string Line(const std::string& fields) { return "{\"result\":" + Answer(fields) + "}"; }

std::string Pair(const std::string& name) {
  const std::string record =
      R"({"address":"10.0.0.1:7700","weight":1,"incarnation":"c","state":"joined"})";
  return absl::StrCat(R"({"key":")", absl::Base64Escape(kPrefix + name), R"(","value":")",
                      absl::Base64Escape(record), "\"}");
}

/// Posts are answered by path; the lines of each stream are its own, and an empty one is its end.
class Script {
 public:
  void SetAnswer(const std::string& path, const std::string& body) {
    const absl::MutexLock lock(&mutex_);
    answers_[path] = body;
  }
  void AddStream(std::deque<std::string> lines) {
    const absl::MutexLock lock(&mutex_);
    streams_.push_back(std::move(lines));
  }
  /// Adds a line to the stream that is open.
  void Say(const std::string& line) {
    const absl::MutexLock lock(&mutex_);
    lines_.push_back(line);
  }
  /// Waits until so many requests came for a path, or for an endpoint's; returns their bodies.
  std::vector<std::string> Requests(const std::string& path, std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto came = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return requests_[path].size() >= count;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&came), kPatience)) << path;
    return requests_[path];
  }

 private:
  friend class ScriptedHttpClient;
  absl::Mutex mutex_;
  std::map<std::string, std::string> answers_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::deque<std::string>> streams_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);  // of the open one
  std::map<std::string, std::vector<std::string>> requests_ ABSL_GUARDED_BY(mutex_);
};

class ScriptedHttpClient final : public etcd::HttpClient {
 public:
  explicit ScriptedHttpClient(Script& script) : script_(script) {}

  absl::StatusOr<etcd::HttpAnswer> Post(const etcd::HttpRequest& request, absl::Duration) override {
    const absl::MutexLock lock(&script_.mutex_);
    if (cancelled_) return absl::CancelledError("cancelled");
    Note(request);
    return etcd::HttpAnswer{.status = 200, .body = script_.answers_[PathOf(request)]};
  }
  void OpenStream(const etcd::HttpRequest& request) override {
    const absl::MutexLock lock(&script_.mutex_);
    Note(request);
    script_.lines_.clear();
    if (script_.streams_.empty()) return;
    script_.lines_ = std::move(script_.streams_.front());
    script_.streams_.pop_front();
  }
  void CloseStream() override {}
  absl::StatusOr<std::optional<std::string>> NextLine(absl::Duration timeout) override {
    absl::MutexLock lock(&script_.mutex_);
    const auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(script_.mutex_) {
      return woken_ || !script_.lines_.empty();
    };
    script_.mutex_.AwaitWithTimeout(absl::Condition(&some), timeout);
    if (cancelled_) return absl::CancelledError("cancelled");
    if (script_.lines_.empty()) {
      woken_ = false;
      return std::nullopt;
    }
    const std::string line = std::move(script_.lines_.front());
    script_.lines_.pop_front();
    if (line.empty()) return absl::UnavailableError("the stream has ended");
    return line;
  }
  void Sleep(absl::Duration time) override {
    absl::MutexLock lock(&script_.mutex_);
    script_.mutex_.AwaitWithTimeout(absl::Condition(&woken_), time);
    woken_ = cancelled_;
  }
  void Wake() override {
    const absl::MutexLock lock(&script_.mutex_);
    woken_ = true;
  }
  void Cancel() override {
    const absl::MutexLock lock(&script_.mutex_);
    cancelled_ = woken_ = true;
  }

 private:
  static std::string PathOf(const etcd::HttpRequest& request) {
    return request.url.substr(request.url.find("/v3/"));
  }
  void Note(const etcd::HttpRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(script_.mutex_) {
    for (const std::string& name : {PathOf(request), request.url}) {
      script_.requests_[name].push_back(request.body);
    }
  }
  Script& script_;
  bool woken_ ABSL_GUARDED_BY(script_.mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(script_.mutex_) = false;
};

class ScriptedEtcdTest : public ::testing::Test {
 protected:
  ScriptedEtcdTest() {
    script_.SetAnswer("/v3/lease/grant", Answer(R"("ID":"5","TTL":"3600")"));
    script_.SetAnswer("/v3/lease/keepalive", Line(R"("ID":"5","TTL":"3600")"));
    script_.SetAnswer("/v3/kv/put", Answer(""));
    script_.SetAnswer("/v3/kv/range", Answer("\"kvs\":[" + Pair("a") + "]"));
  }
  void Start(std::vector<std::string> endpoints = {"http://127.0.0.1:1"}) {
    const EtcdOptions options = {.endpoints = std::move(endpoints),
                                 .time_to_live = absl::Seconds(1)};
    membership_ =
        MakeEtcdMembership(options, std::make_unique<ScriptedHttpClient>(script_), *metrics_);
  }
  void AwaitNames(const std::vector<std::string>& names) const {
    const absl::Time deadline = absl::Now() + kPatience;
    while (Names() != names && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(Names(), names);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const Member& member : membership_->View()->members) names.push_back(member.name);
    return names;
  }

  Script script_;
  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  std::unique_ptr<Membership> membership_;
};

TEST_F(ScriptedEtcdTest, WatchesFromTheRevisionAfterTheList) {
  script_.AddStream({Line(R"("created":true)")});
  Start();
  const std::string watch = script_.Requests("/v3/watch", 1)[0];
  EXPECT_THAT(watch, ::testing::HasSubstr(R"("start_revision":"8")"));
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(ScriptedEtcdTest, ListsAnewWhenRevisionsHaveBeenCompacted) {
  script_.AddStream(
      {Line(R"("created":true)"), Line(R"("canceled":true,"compact_revision":"90")")});
  Start();
  script_.Requests("/v3/watch", 2);
  script_.Requests("/v3/kv/range", 2);
}

// It may be gone without a word: another try there would take what is left of the lease.
TEST_F(ScriptedEtcdTest, GoesToTheNextEndpointWhereTheOneThatWasWellEnds) {
  script_.AddStream({Line(R"("created":true)"), ""});
  script_.AddStream({Line(R"("created":true)")});
  Start({"http://127.0.0.1:1", "http://127.0.0.1:2"});
  script_.Requests("http://127.0.0.1:2/v3/watch", 1);
  EXPECT_EQ(script_.Requests("http://127.0.0.1:1/v3/watch", 1).size(), 1);
}

// etcd says so of its streams when it ends; a membership once took it for its own end.
TEST_F(ScriptedEtcdTest, GoesOnWhenEtcdSaysCancelled) {
  script_.AddStream({R"({"error":{"grpc_code":1,"http_code":408,"message":"context canceled"}})"});
  Start();
  script_.Requests("/v3/watch", 2);
}

TEST_F(ScriptedEtcdTest, GoesOnAfterAnswersThatAreNone) {
  for (const std::string line :
       {"", "rubbish", "{}", R"({"result":5})", R"({"error":7})", R"({"error":{"message":5}})"}) {
    script_.AddStream({line});
  }
  Start();
  script_.Requests("/v3/watch", 7);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(ScriptedEtcdTest, JoinsAgainUnderANewLeaseWhenAPutFindsItGone) {
  script_.SetAnswer("/v3/kv/put", R"({"error":"etcdserver: requested lease not found",)"
                                  R"("message":"etcdserver: requested lease not found","code":5})");
  Start();
  ASSERT_EQ(membership_->Join({.name = "b", .address = "10.0.0.2:1", .incarnation = 2}),
            absl::OkStatus());
  script_.Requests("/v3/kv/put", 1);
  script_.SetAnswer("/v3/lease/grant", Answer(R"("ID":"6","TTL":"3600")"));
  // The next lease may have been granted before that answer was there, the one after it was not.
  for (int puts = 2;
       script_.Requests("/v3/kv/put", puts).back().find(R"("lease":"6")") == std::string::npos;
       ++puts) {
  }
  script_.SetAnswer("/v3/kv/put", Answer(""));
  script_.Requests("/v3/watch", 1);
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(ScriptedEtcdTest, ANameThatAnotherHasTakenIsLeftToIt) {
  Start();
  script_.Requests("/v3/watch", 1);
  ASSERT_EQ(membership_->Join({.name = "b", .address = "10.0.0.2:1", .incarnation = 2}),
            absl::OkStatus());
  script_.Requests("/v3/kv/put", 1);
  script_.Say(Line("\"events\":[{\"kv\":" + Pair("b") + "},{\"kv\":" + Pair("c") + "}]"));
  AwaitNames({"a", "b", "c"});
  script_.Say(Line("\"events\":[{\"kv\":" + Pair("d") + "}]"));
  AwaitNames({"a", "b", "c", "d"});  // so it has had its turn to put
  membership_->Announce(MemberState::kDraining);
  script_.Requests("/v3/kv/put", 2);
  membership_->Announce(MemberState::kJoined);
  const std::vector<std::string> puts = script_.Requests("/v3/kv/put", 3);
  EXPECT_NE(puts[0], puts[1]) << "put again though nothing new was to be said";
  EXPECT_NE(puts[1], puts[2]);
}

TEST_F(ScriptedEtcdTest, AnEventOfAnotherPrefixIsNoMember) {
  script_.AddStream({Line(R"("created":true)"),
                     Line("\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":\"\"}},{\"kv\":" +
                          Pair("b") + "},{\"type\":\"DELETE\",\"kv\":" + Pair("a") + "}]")});
  Start();
  AwaitNames({"b"});
}

}  // namespace
}  // namespace pinboard::cache_service
