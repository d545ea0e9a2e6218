// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard inspect` as a person runs it, beside a real pinboardd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "cache_service/protocol/send_message.h"
#include "tests/app/program.h"
#include "tests/app/refusal.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/free_port.h"

namespace pinboard::app {
namespace {

using cache_service::ConnectOverUcx;
using cache_service::Daemon;
using cache_service::KeyedService;
using cache_service::kTestPageBytes;
using cache_service::PublishTestPage;
using cache_service::TestPage;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Inspect(const std::string& service,
                                 const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {BuiltProgram("pinboard"), "inspect", "--service", service};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

nlohmann::json InspectedJson(const std::string& service,
                             std::vector<std::string> more = {"--json", "-"}) {
  Program program(Inspect(service, more));
  EXPECT_EQ(program.Wait(), 0) << program.Err();
  return nlohmann::json::parse(program.Out());
}

TEST(InspectProgram, ShowsWhatEngineHasWhichPages) {
  const Daemon daemon(64 * kTestPageBytes);
  const auto large = *ConnectOverUcx(daemon.address(), 0xfeed);
  const auto small = *ConnectOverUcx(daemon.address(), 2);
  for (std::uint32_t i = 0; i < 20; ++i) {
    ASSERT_EQ(PublishTestPage(*large, TestPage(i, 3, 5)), absl::OkStatus());
  }
  ASSERT_EQ(PublishTestPage(*large, TestPage(7, 4, 6)), absl::OkStatus());
  ASSERT_EQ(PublishTestPage(*small, TestPage(1)), absl::OkStatus());
  large->Drop({TestPage(2, 3, 5)});
  // What was sent before has come once these are answered.
  EXPECT_FALSE(FetchTestPage(*large, TestPage(2, 3, 5)).pin.ok());
  EXPECT_TRUE(FetchTestPage(*small, TestPage(1)).pin.ok());
  Program program(Inspect(daemon.address()));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Err(), IsEmpty());
  EXPECT_THAT(program.Out(), ContainsRegex("group 000000000000feed +3 +0-19 +1 +20 +80 KiB "
                                           "+0 +1 +3-4 +0.00\n"
                                           "  sequence 5 +3 +0-19 +1 +19 +76 KiB +0 +1 +3 .*\n"
                                           "  sequence 6 +3 +7 +1 +1 +4 KiB +0 +0 +4 .*\n"
                                           "group 0000000000000002 .*\n"
                                           "  sequence 7 .*\n"
                                           "all +3 +0-19 +1 +21 +84 KiB"));
}

TEST(InspectProgram, SeesMoreExtentsThanOneAnswerTellsOf) {
  constexpr int kSequences = 600;
  const Daemon daemon(500 * kTestPageBytes);  // so that pages are evicted
  const auto store = *ConnectOverUcx(daemon.address());
  for (int i = 0; i < kSequences; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(0, 1, 1000 + i)), absl::OkStatus());
  }
  EXPECT_TRUE(FetchTestPage(*store, TestPage(0, 1, 1000 + kSequences - 1)).pin.ok());
  const auto object = InspectedJson(daemon.address());
  EXPECT_EQ(object["extents"], kSequences);
  const int pages = object["pages"];
  EXPECT_GT(pages, 450);
  EXPECT_EQ(object["evicted"], kSequences - pages);
  EXPECT_EQ(object["bytes"], pages * kTestPageBytes);
  EXPECT_EQ(object["groups"][0]["sequences"].size(), kSequences);
}

TEST(InspectProgram, WithAKeySeesItsTenantAlone) {
  KeyedService service(4, cache_service::kTwoTenants, "");
  ScratchFile alpha("alpha 1 " + cache_service::kAlphaKey + "\n");
  ScratchFile beta("beta 1 " + cache_service::kBetaKey + "\n");
  const auto store = *cache_service::ConnectPageStore(
      [] { return transport::MakeUcxFabric(); }, {service.address()},
      {.group = 9, .name = "test", .credentials = cache_service::Alpha()});
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  EXPECT_TRUE(FetchTestPage(*store, TestPage(1)).pin.ok());
  EXPECT_EQ(
      InspectedJson(service.address(), {"--service-key", alpha.path(), "--json", "-"})["pages"], 1);
  const auto others =
      InspectedJson(service.address(), {"--service-key", beta.path(), "--json", "-"});
  EXPECT_EQ(others["extents"], 0);
  EXPECT_TRUE(others["groups"].empty());
  ScratchFile wrong("alpha 1 " + cache_service::kBetaKey + "\n");
  EXPECT_THAT(Refusal(Inspect(service.address(), {"--service-key", wrong.path()}), 1),
              HasSubstr("does not admit this tenant with this key"));
  EXPECT_THAT(Refusal(Inspect(service.address()), 1), HasSubstr("give --service-key FILE"));
}

TEST(InspectProgramErrors, AnOlderServiceIsNamedAsOne) {
  const auto fabric = *transport::MakeUcxFabric();
  fabric->OnMessage(static_cast<std::uint8_t>(cache_service::MessageType::kHello),
                    [&](transport::PeerId peer, absl::Span<const std::byte> /*hello*/) {
                      SendMessage(*fabric, peer, 0, cache_service::Welcome{.version = 1});
                    });
  const std::string address = *fabric->Listen("127.0.0.1:0");
  std::atomic<bool> stop = false;
  std::thread serve([&] {
    while (!stop) fabric->WaitUntil(absl::InfiniteFuture());
  });
  EXPECT_THAT(Refusal(Inspect(address), 1),
              HasSubstr(address + " is an older pinboardd that cannot be inspected"));
  stop = true;
  fabric->Wake();
  serve.join();
}

TEST(InspectProgramErrors, NobodyListeningIsTheLineOfTheOtherPrograms) {
  const std::string nowhere = FreeLoopbackAddress();
  EXPECT_THAT(Refusal(Inspect(nowhere), 1), AllOf(HasSubstr("cache service: "), HasSubstr(nowhere),
                                                  HasSubstr(": start pinboardd there first")));
}

TEST(InspectProgramErrors, WrongUsageIsOneLineAndExitCodeTwo) {
  EXPECT_THAT(Refusal(Inspect("somewhere"), 2), HasSubstr("--service: "));
  EXPECT_THAT(Refusal(Inspect("127.0.0.1:7700", {"--json", "x"}), 2),
              HasSubstr("the object goes to standard output"));
}

}  // namespace
}  // namespace pinboard::app
