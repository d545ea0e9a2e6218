// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/inbox.h"

#include <gtest/gtest.h>
#include <malloc.h>

namespace pinboard::transport {
namespace {

Inbox::Message Typed(std::uint8_t type) { return {.type = type, .payload = {}}; }

TEST(InboxTest, GivesMessagesInTheOrderOfTheirNumbers) {
  Inbox inbox;
  EXPECT_FALSE(inbox.Take().has_value());
  inbox.Deliver(2, Typed(12));
  inbox.Deliver(0, Typed(10));
  EXPECT_EQ(inbox.Take()->type, 10);
  EXPECT_FALSE(inbox.Take().has_value()) << "message 1 is not here";
  inbox.Deliver(1, Typed(11));
  EXPECT_EQ(inbox.Take()->type, 11);
  EXPECT_EQ(inbox.Take()->type, 12);
  EXPECT_EQ(inbox.taken(), 3U);
}

TEST(InboxTest, ExpectsEachNumberOnceAndNoneFarAhead) {
  Inbox inbox;
  inbox.Deliver(0, Typed(0));
  inbox.Deliver(2, Typed(0));
  inbox.Take();
  EXPECT_FALSE(inbox.Expects(0)) << "taken";
  EXPECT_TRUE(inbox.Expects(1));
  EXPECT_FALSE(inbox.Expects(2)) << "here";
  EXPECT_TRUE(inbox.Expects(Inbox::kMaxAhead));
  EXPECT_FALSE(inbox.Expects(Inbox::kMaxAhead + 1));
}

// Its sender chose the number: before, room was made for all that it says are missing.
TEST(InboxTest, AMessageFarAheadTakesRoomForItselfAlone) {
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  Inbox inbox;
  inbox.Deliver(Inbox::kMaxAhead - 1, Typed(0));
  EXPECT_LT(mallinfo2().uordblks + mallinfo2().hblkhd - before, 65536U);
}

}  // namespace
}  // namespace pinboard::transport
