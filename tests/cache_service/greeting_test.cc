// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The service's half of the handshake, spoken by hand.
#include "cache_service/access/greeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "cache_service/access/challenge.h"
#include "cache_service/access/refusal.h"

namespace pinboard::cache_service {
namespace {

const std::string kKey = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kOtherKey = "hex:" + std::string(64, 'b');
constexpr std::uint64_t kIncarnation = 9;
const absl::Time kNow = absl::FromUnixSeconds(1800000000);

const KeyRing& Ring() {
  static const KeyRing& ring = *new KeyRing(*KeyRing::Parse(
      "acme k1 " + kKey + "\nacme old " + kKey + " 2026-01-01T00:00:00Z\nzeta z1 " + kOtherKey));
  return ring;
}

Credentials Show(const std::string& tenant, const std::string& id, const std::string& key) {
  return {tenant, id, *AccessKey::Parse(key)};
}

Hello Offer(std::uint64_t features = kFeatures | kFeatureChallenge) {
  return {1, 1, features, 4, {5, 6, 7}, "rank 0"};
}

/// Answer, without a client's care.
Proof Forge(const Credentials& shown, const Hello& hello, const Challenge& challenge) {
  Proof proof{.service_nonce = challenge.nonce,
              .client_nonce = RandomNonce(),
              .tenant = shown.tenant,
              .key_id = shown.key_id};
  proof.mac = TranscriptMac(shown.key, hello, challenge, proof);
  return proof;
}

Challenge Challenged(Greeting& greeting, const Hello& hello = Offer()) {
  const auto challenge = greeting.OnHello(hello, &Ring(), kIncarnation, kNow);
  EXPECT_EQ(challenge.status(), absl::OkStatus());
  EXPECT_FALSE(greeting.admitted());
  return challenge->value();
}

TEST(GreetingTest, WithoutKeysEverybodyIsTheDefaultTenant) {
  for (const std::uint64_t features : {std::uint64_t{0}, Offer().features}) {
    Greeting greeting;
    EXPECT_EQ(*greeting.OnHello(Offer(features), nullptr, kIncarnation, kNow), std::nullopt);
    EXPECT_TRUE(greeting.admitted());
    EXPECT_EQ(greeting.tenant(), "default");
    EXPECT_EQ(greeting.agreed().features & kFeatureChallenge, 0);
    EXPECT_EQ(greeting.CheckStands(nullptr, kNow), absl::OkStatus());
  }
}

TEST(GreetingTest, AdmitsWhoHasTheKey) {
  Greeting greeting;
  const Challenge challenge = Challenged(greeting);
  EXPECT_EQ(challenge.incarnation, kIncarnation);
  EXPECT_EQ(challenge.features, kFeatures | kFeatureChallenge);
  const Proof proof = *Answer(Show("acme", "k1", kKey), Offer(), challenge);
  EXPECT_EQ(greeting.OnProof(proof, &Ring(), kNow, kNow), absl::OkStatus());
  EXPECT_TRUE(greeting.admitted());
  EXPECT_EQ(greeting.CheckAdmitted(), absl::OkStatus());
  EXPECT_EQ(greeting.tenant(), "acme");
}

TEST(GreetingTest, NoTwoChallengesOrProofsAreAlike) {
  Greeting a;
  Greeting b;
  const Challenge first = Challenged(a);
  EXPECT_NE(first.nonce, Challenged(b).nonce);
  const Credentials shown = Show("acme", "k1", kKey);
  EXPECT_NE(Answer(shown, Offer(), first)->mac, Answer(shown, Offer(), first)->mac);
}

TEST(GreetingTest, AChallengeOutsideTheOfferIsNotAnswered) {
  Greeting greeting;
  const Challenge challenge = Challenged(greeting);
  const Credentials shown = Show("acme", "k1", kKey);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Answer(shown, Offer(kFeatureChallenge), challenge).status()));
}

TEST(GreetingTest, TheTranscriptIsAsDocumented) {
  // Computed with Python's hmac from docs/wire_protocol.md.
  Challenge challenge{.version = 1, .features = 7, .incarnation = 9};
  challenge.nonce.fill(1);
  Proof proof{.service_nonce = challenge.nonce, .tenant = "acme", .key_id = "k1"};
  proof.client_nonce.fill(2);
  const Digest mac = TranscriptMac(*AccessKey::Parse(kKey), Offer(7), challenge, proof);
  std::string hex;
  for (const std::uint8_t byte : mac) hex += absl::StrCat(absl::Hex(byte, absl::kZeroPad2));
  EXPECT_EQ(hex, "ca2aa4fd51c8ffdb6c77c20a9ef5f44ee8d3a2ffcca8ecb3d7adfa6a08c55c5a");
}

struct Attempt {
  const char* what;
  RefusalReason reason;
  std::function<absl::Status(Greeting&)> make;
};

absl::Status Prove(Greeting& greeting, const Credentials& shown,
                   const std::function<void(Hello&, Challenge&)>& bend = nullptr,
                   absl::Duration later = absl::ZeroDuration()) {
  Hello hello = Offer();
  Challenge challenge = Challenged(greeting);
  if (bend) bend(hello, challenge);
  return greeting.OnProof(Forge(shown, hello, challenge), &Ring(), kNow + later, kNow);
}

const Attempt kAttempts[] = {
    {"no key offered", RefusalReason::kUnauthenticated,
     [](Greeting& greeting) {
       return greeting.OnHello(Offer(kFeatures), &Ring(), kIncarnation, kNow).status();
     }},
    {"an unknown tenant", RefusalReason::kWrongTenant,
     [](Greeting& greeting) { return Prove(greeting, Show("nobody", "k1", kKey)); }},
    {"a key id of another tenant", RefusalReason::kWrongKey,
     [](Greeting& greeting) { return Prove(greeting, Show("zeta", "k1", kKey)); }},
    {"a key of another tenant", RefusalReason::kWrongKey,
     [](Greeting& greeting) { return Prove(greeting, Show("acme", "k1", kOtherKey)); }},
    {"an expired key, not had", RefusalReason::kWrongKey,
     [](Greeting& greeting) { return Prove(greeting, Show("acme", "old", kOtherKey)); }},
    {"an expired key", RefusalReason::kExpiredKey,
     [](Greeting& greeting) { return Prove(greeting, Show("acme", "old", kKey)); }},
    {"an answer too late", RefusalReason::kExpiredNonce,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey), nullptr, kChallengeLife);
     }},
    {"no answer at all", RefusalReason::kExpiredNonce,
     [](Greeting& greeting) {
       Challenged(greeting);
       EXPECT_EQ(greeting.CheckStands(&Ring(), kNow), absl::OkStatus());
       return greeting.CheckStands(&Ring(), kNow + kChallengeLife);
     }},
    {"no Hello at all", RefusalReason::kUnauthenticated,
     [](Greeting& greeting) {
       greeting.Begin(kNow);
       EXPECT_EQ(greeting.CheckStands(&Ring(), kNow), absl::OkStatus());
       return greeting.CheckStands(&Ring(), kNow + kChallengeLife);
     }},
    {"the proof of another connection", RefusalReason::kReplayed,
     [](Greeting& greeting) {
       Greeting other;
       const Proof proof = Forge(Show("acme", "k1", kKey), Offer(), Challenged(other));
       Challenged(greeting);
       return greeting.OnProof(proof, &Ring(), kNow, kNow);
     }},
    {"that proof with this nonce written in", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       Greeting other;
       Proof proof = Forge(Show("acme", "k1", kKey), Offer(), Challenged(other));
       proof.service_nonce = Challenged(greeting).nonce;
       return greeting.OnProof(proof, &Ring(), kNow, kNow);
     }},
    {"the same proof twice", RefusalReason::kReplayed,
     [](Greeting& greeting) {
       const Proof proof = Forge(Show("acme", "k1", kKey), Offer(), Challenged(greeting));
       EXPECT_EQ(greeting.OnProof(proof, &Ring(), kNow, kNow), absl::OkStatus());
       return greeting.OnProof(proof, &Ring(), kNow, kNow);
     }},
    {"a second try at one nonce", RefusalReason::kWrongOrder,
     [](Greeting& greeting) {
       const Challenge challenge = Challenged(greeting);
       const Proof wrong = Forge(Show("acme", "k1", kOtherKey), Offer(), challenge);
       EXPECT_FALSE(greeting.OnProof(wrong, &Ring(), kNow, kNow).ok());
       return greeting.OnProof(Forge(Show("acme", "k1", kKey), Offer(), challenge), &Ring(), kNow,
                               kNow);
     }},
    {"another group", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey), [](Hello& h, Challenge&) { h.group = 5; });
     }},
    {"another process", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey),
                    [](Hello& h, Challenge&) { ++h.process.pid; });
     }},
    {"other features offered", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey),
                    [](Hello& h, Challenge&) { h.features = 2; });
     }},
    {"another version agreed on", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey), [](Hello&, Challenge& c) { ++c.version; });
     }},
    {"another incarnation", RefusalReason::kWrongKey,
     [](Greeting& greeting) {
       return Prove(greeting, Show("acme", "k1", kKey),
                    [](Hello&, Challenge& c) { ++c.incarnation; });
     }},
    {"Hello twice", RefusalReason::kWrongOrder,
     [](Greeting& greeting) {
       Challenged(greeting);
       return greeting.OnHello(Offer(), &Ring(), kIncarnation, kNow).status();
     }},
    {"a proof before Hello", RefusalReason::kWrongOrder,
     [](Greeting& greeting) { return greeting.OnProof({}, &Ring(), kNow, kNow); }},
    {"a proof that was not asked for", RefusalReason::kWrongOrder,
     [](Greeting& greeting) {
       EXPECT_EQ(greeting.OnHello(Offer(), nullptr, kIncarnation, kNow).status(), absl::OkStatus());
       return greeting.OnProof({.client_nonce = {1}}, nullptr, kNow, kNow);
     }},
    {"something else before Hello", RefusalReason::kWrongOrder,
     [](Greeting& greeting) { return greeting.CheckAdmitted(); }},
    {"something else before the proof", RefusalReason::kWrongOrder,
     [](Greeting& greeting) {
       Challenged(greeting);
       return greeting.CheckAdmitted();
     }},
    {"something after Goodbye", RefusalReason::kWrongOrder,
     [](Greeting& greeting) {
       EXPECT_EQ(greeting.OnHello(Offer(), nullptr, kIncarnation, kNow).status(), absl::OkStatus());
       greeting.Leave();
       return greeting.CheckAdmitted();
     }},
    {"a key that is no longer there", RefusalReason::kWithdrawnKey,
     [](Greeting& greeting) {
       EXPECT_EQ(Prove(greeting, Show("acme", "k1", kKey)), absl::OkStatus());
       EXPECT_EQ(greeting.CheckStands(&Ring(), kNow), absl::OkStatus());
       const KeyRing changed = *KeyRing::Parse("acme k1 " + kOtherKey);
       return greeting.CheckStands(&changed, kNow);
     }},
};

TEST(GreetingTest, TheseAttemptsAreRefusedForTheseReasons) {
  for (const Attempt& attempt : kAttempts) {
    Greeting greeting;
    const absl::Status refused = attempt.make(greeting);
    EXPECT_FALSE(refused.ok()) << attempt.what;
    const auto reason = ReasonOf(refused);
    ASSERT_TRUE(reason.has_value()) << attempt.what << ": " << refused;
    EXPECT_STREQ(RefusalReasonName(*reason), RefusalReasonName(attempt.reason)) << attempt.what;
  }
}

TEST(GreetingTest, WhatIsRefusedStaysRefused) {
  for (const Attempt& attempt : kAttempts) {
    if (attempt.reason == RefusalReason::kWithdrawnKey) continue;  // is closed where that is found
    Greeting greeting;
    attempt.make(greeting).IgnoreError();
    EXPECT_FALSE(greeting.admitted()) << attempt.what;
    EXPECT_FALSE(greeting.OnProof({}, &Ring(), kNow, kNow).ok()) << attempt.what;
  }
}

TEST(GreetingTest, WhatIsBeingClosedIsRefusedNoSecondTime) {
  const KeyRing changed = *KeyRing::Parse("acme k1 " + kOtherKey);
  Greeting silent, challenged, admitted;
  silent.Begin(kNow);
  Challenged(challenged);
  EXPECT_EQ(Prove(admitted, Show("acme", "k1", kKey)), absl::OkStatus());
  for (Greeting* greeting : {&silent, &challenged, &admitted}) {
    EXPECT_FALSE(greeting->CheckStands(&changed, kNow + kChallengeLife).ok());
    greeting->Refuse();
    EXPECT_EQ(greeting->CheckStands(&changed, kNow + kChallengeLife), absl::OkStatus());
  }
}

TEST(GreetingTest, NobodyLearnsWhichTenantsAndKeysThereAre) {
  std::vector<absl::Status> told;
  for (const Credentials& shown :
       {Show("nobody", "k1", kKey), Show("acme", "nothing", kKey), Show("acme", "k1", kOtherKey),
        Show("zeta", "k1", kKey), Show("acme", "old", kOtherKey)}) {
    Greeting greeting;
    const absl::Status refused = Prove(greeting, shown);
    told.emplace_back(refused.code(), refused.message());
  }
  for (const absl::Status& status : told) EXPECT_EQ(status, told.front());
}

}  // namespace
}  // namespace pinboard::cache_service
