// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Attempts at a service with keys that must be refused, counted and logged: spoken by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "cache_service/client/stats_client.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/raw_client.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKeys = kTwoTenants + "alpha old " + kAlphaKey + " 2026-01-01T00:00:00Z\n";

Hello Offer(std::uint64_t features = kFeatures | kFeatureChallenge) {
  return {.features = features, .group = 1, .process = CurrentProcess(), .name = "raw"};
}

struct Attempt {
  const char* what;
  const char* reason;
  absl::StatusCode told;
  std::function<void(RawClient&, const std::string& address)> make;
};

/// Shows a key that is to be refused.
std::function<void(RawClient&, const std::string&)> Prove(const Credentials& shown) {
  return [shown](RawClient& client, const std::string&) {
    client.Send(*Answer(shown, Offer(), client.OfferKey(Offer())));
  };
}

const Attempt kAttempts[] = {
    {"a client without a key", "unauthenticated", absl::StatusCode::kUnauthenticated,
     [](RawClient& client, const std::string&) { client.Send(Offer(kFeatures)); }},
    {"a client of before there were keys", "unauthenticated", absl::StatusCode::kUnauthenticated,
     [](RawClient& client, const std::string&) { client.Send(Offer(0)); }},
    {"no greeting at all", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) {
       client.Send(LeaseRequest{1, kTestPageBytes});
     }},
    {"the challenge passed over", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) {
       client.OfferKey(Offer());
       client.Send(Fetch{{TestPage(1)}});
     }},
    {"the counts before the proof", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) {
       client.OfferKey(Offer());
       client.Send(StatsRequest{});
     }},
    {"Hello again, without a key", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) {
       client.OfferKey(Offer());
       client.Send(Offer(0));
     }},
    {"a proof before Hello", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) { client.Send(Proof{}); }},
    {"an unknown tenant", "wrong_tenant", absl::StatusCode::kPermissionDenied,
     Prove(Show("nobody", "1", kAlphaKey))},
    {"an unknown key id", "wrong_key", absl::StatusCode::kPermissionDenied,
     Prove(Show("alpha", "2", kAlphaKey))},
    {"a wrong key", "wrong_key", absl::StatusCode::kPermissionDenied,
     Prove(Show("alpha", "1", "hex:" + std::string(64, 'c')))},
    {"another tenant's key", "wrong_key", absl::StatusCode::kPermissionDenied,
     Prove(Show("alpha", "1", kBetaKey))},
    {"an expired key", "expired_key", absl::StatusCode::kUnauthenticated,
     Prove(Show("alpha", "old", kAlphaKey))},
    {"a proof that was heard elsewhere", "replayed", absl::StatusCode::kPermissionDenied,
     [](RawClient& client, const std::string& address) {
       RawClient heard(address);
       const Proof proof = *Answer(Alpha(), Offer(), heard.OfferKey(Offer()));
       heard.Ask<Welcome>(proof);
       client.OfferKey(Offer());
       client.Send(proof);
     }},
    {"that proof for this challenge", "wrong_key", absl::StatusCode::kPermissionDenied,
     [](RawClient& client, const std::string& address) {
       RawClient heard(address);
       Proof proof = *Answer(Alpha(), Offer(), heard.OfferKey(Offer()));
       heard.Ask<Welcome>(proof);
       proof.service_nonce = client.OfferKey(Offer()).nonce;
       client.Send(proof);
     }},
    {"a proof twice", "replayed", absl::StatusCode::kPermissionDenied,
     [](RawClient& client, const std::string&) {
       const Proof proof = *Answer(Alpha(), Offer(), client.OfferKey(Offer()));
       client.Ask<Welcome>(proof);
       client.Send(proof);
     }},
    {"a proof for another group", "wrong_key", absl::StatusCode::kPermissionDenied,
     [](RawClient& client, const std::string&) {
       Hello other = Offer();
       other.group = 2;
       client.Send(*Answer(Alpha(), Offer(), client.OfferKey(other)));
     }},
    {"something after Goodbye", "wrong_order", absl::StatusCode::kFailedPrecondition,
     [](RawClient& client, const std::string&) {
       client.Send(Goodbye{client.GreetAs(Alpha()).client});
       client.Send(LeaseRequest{1, kTestPageBytes});
     }},
};

TEST(AccessAttemptsTest, EachIsRefusedCountedAndLoggedAndTakesNothing) {
  ::testing::internal::CaptureStderr();
  {
    KeyedService service(4, kKeys, "");
    for (const Attempt& attempt : kAttempts) {
      const double before = service.Refused(attempt.reason);
      RawClient client(service.address());
      attempt.make(client, service.address());
      const Error error = client.Receive<Error>().message;
      EXPECT_EQ(static_cast<absl::StatusCode>(error.code), attempt.told)
          << attempt.what << ": " << error.text;
      EXPECT_TRUE(client.IsClosedByService()) << attempt.what;
      EXPECT_TRUE(service.Eventually([&] { return service.Refused(attempt.reason) > before; }))
          << attempt.what << " is to be counted as " << attempt.reason;
    }
    EXPECT_EQ(service.Metric("pinboard_service_refused_connections_total"), std::size(kAttempts));
    RawClient client(service.address());
    client.GreetAs(Alpha());
    EXPECT_EQ(client.Ask<LeaseReply>(LeaseRequest{8, kTestPageBytes}).slabs.size(), 8)
        << "alpha's half of the arena";
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  for (const Attempt& attempt : kAttempts) {
    EXPECT_THAT(log, HasSubstr(absl::StrCat("[", attempt.reason, "]")));
  }
  EXPECT_THAT(log, Not(HasSubstr(std::string(16, 'a')))) << "a key was logged";
}

TEST(AccessAttemptsTest, OfManyEachIsCountedAndFewAreLogged) {
  constexpr int kMany = 40;
  const absl::Time start = SteadyNow();
  ::testing::internal::CaptureStderr();
  {
    KeyedService service(4, kKeys, "");
    for (int i = 0; i < kMany; ++i) {
      RawClient client(service.address());
      client.Send(Proof{});
      client.Receive<Error>();
    }
    EXPECT_TRUE(service.Eventually([&] { return service.Refused("wrong_order") == kMany; }));
    absl::SleepFor(absl::Seconds(1));
    RawClient client(service.address());
    client.Send(Proof{});
    client.Receive<Error>();
  }
  const auto seconds = absl::ToInt64Seconds(SteadyNow() - start);
  const std::string log = ::testing::internal::GetCapturedStderr();
  int lines = 0;
  int not_logged = 0;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    if (!absl::StrContains(line, "closing the connection of ")) continue;
    ++lines;
    int before = 0;
    const auto at = line.find("; ");
    if (at != line.npos) {
      std::sscanf(std::string(line.substr(at)).c_str(), "; %d before it not logged", &before);
    }
    not_logged += before;
  }
  EXPECT_LE(lines, 33 + seconds);
  if (seconds < kMany - 33) {
    EXPECT_GT(not_logged, 0);
  }
  EXPECT_EQ(lines + not_logged, kMany + 1) << log;
}

TEST(AccessAttemptsTest, NobodyLearnsFromTheAnswerWhichTenantsAndKeysThereAre) {
  KeyedService service(4, kKeys, "");
  std::vector<std::vector<std::byte>> answers;
  for (const Credentials& shown : {Show("nobody", "1", kAlphaKey), Show("alpha", "2", kAlphaKey),
                                   Show("alpha", "1", kBetaKey), Show("alpha", "old", kBetaKey)}) {
    RawClient client(service.address());
    Prove(shown)(client, service.address());
    answers.push_back(client.ReceiveBytes<Error>());
  }
  for (const std::vector<std::byte>& answer : answers) EXPECT_EQ(answer, answers.front());
}

TEST(AccessAttemptsTest, AKeyThatIsTakenOutEndsItsConnectionsAndANewOneAdmits) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha());
  beta.GreetAs(Beta());
  service.key_file().Replace("alpha 2 " + kAlphaKey + "\nbeta 1 " + kBetaKey);
  EXPECT_EQ(alpha.Receive<Error>().message.code,
            static_cast<int>(absl::StatusCode::kUnauthenticated));
  EXPECT_TRUE(alpha.IsClosedByService());
  EXPECT_TRUE(service.Eventually([&] { return service.Refused("withdrawn_key") == 1; }));
  RawClient again(service.address());
  again.GreetAs(Show("alpha", "2", kAlphaKey));
  EXPECT_EQ(beta.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes}).slabs.size(), 1);
}

absl::Status ConnectStore(const std::string& address, std::optional<Credentials> shown) {
  return ConnectPageStore([] { return transport::MakeUcxFabric(); }, {address},
                          {.group = 1, .credentials = std::move(shown)})
      .status();
}
absl::Status ConnectStats(const std::string& address, std::optional<Credentials> shown) {
  return StatsClient::Connect(*transport::MakeUcxFabric(), address, "test", std::move(shown),
                              Soon())
      .status();
}

TEST(AccessAttemptsTest, AClientIsToldInOneLine) {
  KeyedService service(4, kKeys, "");
  for (const auto& connect : {ConnectStore, ConnectStats}) {
    EXPECT_EQ(connect(service.address(), Alpha()), absl::OkStatus());
    const absl::Status without = connect(service.address(), std::nullopt);
    EXPECT_TRUE(absl::IsUnauthenticated(without)) << without;
    EXPECT_THAT(std::string(without.message()), HasSubstr("give --service-key FILE"));
    const absl::Status wrong = connect(service.address(), Show("alpha", "1", kBetaKey));
    EXPECT_TRUE(absl::IsPermissionDenied(wrong)) << wrong;
    EXPECT_THAT(std::string(wrong.message()), Not(HasSubstr("\n")));
  }
}

TEST(AccessAttemptsTest, AClientWithAKeyDoesNotUseAServiceThatAsksForNone) {
  const Daemon daemon(16 * kTestPageBytes);
  for (const auto& connect : {ConnectStore, ConnectStats}) {
    const absl::Status status = connect(daemon.address(), Alpha());
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("leave --service-key out"));
    EXPECT_EQ(connect(daemon.address(), std::nullopt), absl::OkStatus());
  }
}

}  // namespace
}  // namespace pinboard::cache_service
