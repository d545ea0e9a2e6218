// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The steps at which tests/fault kills, stops and delays a client or the service.
#pragma once

namespace pinboard::cache_service::fault {

// In a client's process, on its store's thread.
inline constexpr char kLeaseAsked[] = "client.lease.asked";  // the request has been sent
inline constexpr char kLeaseHeld[] = "client.lease.held";    // and answered; the rank waits
inline constexpr char kPublishSent[] = "client.publish.sent";
inline constexpr char kFetchSent[] = "client.fetch.sent";
inline constexpr char kPagePinned[] = "client.page.pinned";  // the answer is here, for a hit
inline constexpr char kUnpinSent[] = "client.unpin.sent";
// In pinboardd, on its reactor's thread.
inline constexpr char kWelcomed[] = "service.welcomed";  // no segment is announced yet
inline constexpr char kAnnounced[] = "service.announced";
inline constexpr char kLeaseGranted[] = "service.lease.granted";    // not answered yet
inline constexpr char kPagePublished[] = "service.page.published";  // of a message with more pages
inline constexpr char kFetchPinned[] = "service.fetch.pinned";      // not answered yet
inline constexpr char kEvicting[] = "service.evicting";  // one page, in the background or not
inline constexpr char kGoodbye[] = "service.goodbye";
inline constexpr char kTick[] = "service.tick";
// In one of several that are members: who has the page, and who gets it.
inline constexpr char kOffering[] = "service.copy.pinned";  // the offer is not sent yet
inline constexpr char kOfferAnswered[] = "service.copy.answered";
inline constexpr char kIntakeLeased[] = "service.intake.leased";
inline constexpr char kIntakeRead[] = "service.intake.read";            // not checked yet
inline constexpr char kIntakePublished[] = "service.intake.published";  // not answered yet
inline constexpr char kPullAsked[] = "service.pull.asked";
inline constexpr char kPullAnswered[] = "service.pull.answered";  // with pages and misses
// In a member that ends.
inline constexpr char kDrainBegun[] = "service.drain.begun";      // nothing is offered yet
inline constexpr char kHandOverSent[] = "service.drain.offered";  // to one heir
inline constexpr char kHandOverAnswered[] = "service.drain.answered";
inline constexpr char kDrained[] = "service.drained";  // its connections are open still

inline constexpr const char* kClientPoints[] = {kLeaseAsked, kLeaseHeld,  kPublishSent,
                                                kFetchSent,  kPagePinned, kUnpinSent};
inline constexpr const char* kServicePoints[] = {
    kWelcomed, kAnnounced, kLeaseGranted, kPagePublished, kFetchPinned, kEvicting, kGoodbye, kTick};
inline constexpr const char* kMemberPoints[] = {kOffering,    kOfferAnswered,   kIntakeLeased,
                                                kIntakeRead,  kIntakePublished, kPullAsked,
                                                kPullAnswered};
inline constexpr const char* kDrainPoints[] = {kDrainBegun, kHandOverSent, kHandOverAnswered,
                                               kDrained};

}  // namespace pinboard::cache_service::fault
