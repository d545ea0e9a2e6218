// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The client's half of the handshake, spoken to by hand.
#include "cache_service/access/client_greeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache_service/access/challenge.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

const Credentials kShown = {"acme", "k1", *AccessKey::Parse("hex:" + std::string(64, 'a'))};
const std::string kAddress = "127.0.0.1:7700";

Hello Offer(std::uint64_t features) { return {1, 1, features, 4, {5, 6, 7}, "rank 0"}; }

ClientGreeting WithKey() { return {Offer(kFeatureChallenge), kShown, kAddress}; }
ClientGreeting WithoutKey() { return {Offer(0), std::nullopt, kAddress}; }

Challenge Asked() { return {.version = 1, .features = kFeatureChallenge, .incarnation = 9}; }
Welcome Welcomed(std::uint64_t features, std::uint64_t client = 1) {
  return {.version = 1, .features = features, .client = client};
}

TEST(ClientGreetingTest, WithAKeyIsAskedForItAndThenWelcome) {
  ClientGreeting greeting = WithKey();
  const auto proof = greeting.OnChallenge(Asked());
  ASSERT_TRUE(proof.ok() && proof->has_value()) << proof.status();
  EXPECT_EQ((*proof)->mac, TranscriptMac(kShown.key, greeting.hello(), Asked(), **proof));
  EXPECT_FALSE(greeting.welcome().has_value());
  EXPECT_EQ(greeting.OnWelcome(Welcomed(kFeatureChallenge)), absl::OkStatus());
  EXPECT_EQ(greeting.refused(), absl::OkStatus());
  EXPECT_TRUE(greeting.welcome().has_value());
}

TEST(ClientGreetingTest, AServiceThatDoesNotAskForTheKeyIsRefused) {
  ClientGreeting greeting = WithKey();
  EXPECT_EQ(greeting.OnWelcome(Welcomed(0)), absl::OkStatus()) << "the protocol allows it";
  EXPECT_EQ(greeting.refused().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(greeting.refused().message()), HasSubstr(kAddress + " admits everybody"));
  EXPECT_FALSE(greeting.welcome().has_value());
}

TEST(ClientGreetingTest, WhatWasNotOfferedIsRefused) {
  ClientGreeting greeting = WithoutKey();
  EXPECT_EQ(greeting.OnWelcome(Welcomed(kFeatureInspection)), absl::OkStatus());
  EXPECT_EQ(greeting.refused().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(greeting.welcome().has_value());

  ClientGreeting asked = WithKey();
  Challenge later = Asked();
  later.version = 2;
  const auto proof = asked.OnChallenge(later);
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_FALSE(proof->has_value()) << "no proof for a version that was not offered";
  EXPECT_EQ(asked.refused().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClientGreetingTest, ASecondWelcomeBreaksTheProtocolAndChangesNothing) {
  ClientGreeting greeting = WithoutKey();
  ASSERT_EQ(greeting.OnWelcome(Welcomed(0, 1)), absl::OkStatus());
  EXPECT_EQ(greeting.OnWelcome(Welcomed(0, 2)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(greeting.welcome()->client, 1);
}

TEST(ClientGreetingTest, AChallengeOutOfPlaceBreaksTheProtocol) {
  ClientGreeting keyless = WithoutKey();
  EXPECT_EQ(keyless.OnChallenge(Asked()).status().code(), absl::StatusCode::kFailedPrecondition);

  ClientGreeting twice = WithKey();
  ASSERT_TRUE(twice.OnChallenge(Asked()).ok());
  EXPECT_EQ(twice.OnChallenge(Asked()).status().code(), absl::StatusCode::kFailedPrecondition);

  ClientGreeting late = WithKey();
  ASSERT_TRUE(late.OnChallenge(Asked()).ok());
  ASSERT_EQ(late.OnWelcome(Welcomed(kFeatureChallenge)), absl::OkStatus());
  EXPECT_EQ(late.OnChallenge(Asked()).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace pinboard::cache_service
