// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard stat` as a person runs it, beside a real pinboardd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/app/program.h"
#include "tests/app/refusal.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/free_port.h"
#include "tests/support/listening_socket.h"

namespace pinboard::app {
namespace {

using cache_service::ConnectOverUcx;
using cache_service::kTestPageBytes;
using cache_service::TestPage;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<std::string> Stat(const std::string& service,
                              const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {BuiltProgram("pinboard"), "stat", "--service", service};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<nlohmann::json> Objects(const std::string& lines) {
  std::vector<nlohmann::json> objects;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(lines, '\n', absl::SkipEmpty()))) {
    objects.push_back(nlohmann::json::parse(line));
  }
  return objects;
}

class StatProgram : public ::testing::Test {
 protected:
  void Publish(std::uint32_t pages) {
    for (std::uint32_t i = 0; i < pages; ++i) {
      ASSERT_EQ(PublishTestPage(*store_, TestPage(next_page_++)), absl::OkStatus());
    }
  }

  cache_service::Daemon daemon_{64 * kTestPageBytes};
  const std::unique_ptr<cache_service::PageStore> store_ = *ConnectOverUcx(daemon_.address());
  std::uint32_t next_page_ = 0;
};

TEST_F(StatProgram, PrintsWhatTheServiceHolds) {
  Publish(3);
  ASSERT_EQ(FetchTestPage(*store_, TestPage(1)).pin.status(), absl::OkStatus());
  EXPECT_FALSE(FetchTestPage(*store_, TestPage(9)).pin.ok());
  Program program(Stat(daemon_.address()));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Err(), IsEmpty());
  EXPECT_THAT(program.Out(), ContainsRegex("arena +256 KiB"));
  EXPECT_THAT(program.Out(), ContainsRegex("  used +12 KiB +4.7 %"));
  EXPECT_THAT(program.Out(), ContainsRegex("clients, this one too +2"));
  EXPECT_THAT(program.Out(), ContainsRegex("pages published +3 +-"));
  EXPECT_THAT(program.Out(), ContainsRegex("hits +1 +-"));
  EXPECT_THAT(program.Out(), ContainsRegex("misses: unknown +1 +-"));
}

TEST_F(StatProgram, LeavesTheServiceAsItWas) {
  Publish(2);
  for (int i = 0; i < 3; ++i) {
    Program program(Stat(daemon_.address(), {"--json", "-"}));
    ASSERT_EQ(program.Wait(), 0) << program.Err();
    const auto object = Objects(program.Out()).at(0);
    EXPECT_EQ(object["pages"], 2);
    EXPECT_EQ(object["slabs"]["leased"], 0);
    EXPECT_EQ(object["slabs"]["quarantined"], 0);
    EXPECT_EQ(object["arena_used_bytes"], 2 * kTestPageBytes);
    EXPECT_EQ(object["clients"], 2) << "those before have left";
    EXPECT_TRUE(object["per_second"].is_null());
  }
}

TEST(StatProgramGoodbye, IsSaidAndNotLeftToTheEndOfTheProcess) {
  Program service({BuiltProgram("pinboardd"), "--listen", "127.0.0.1:0", "--arena", "1MiB",
                   "--metrics", "none"});
  const std::string ready = "listening on ";
  WaitUntil([&] { return absl::StrContains(service.Out(), "\n") || !service.Running(); });
  const std::string out = service.Out();
  ASSERT_THAT(out, HasSubstr(ready)) << service.Err();
  const std::size_t begin = out.find(ready) + ready.size();
  Program program(Stat(out.substr(begin, out.size() - 1 - begin)));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  service.Signal(SIGTERM);
  EXPECT_EQ(service.Wait(), 0);
  EXPECT_THAT(service.Err(), ContainsRegex("pinboard stat \\(process [0-9]+ at [0-9.:]+\\) left"));
  EXPECT_THAT(service.Err(), Not(HasSubstr("lost pinboard stat")));
}

TEST_F(StatProgram, WatchesAServiceUnderLoadUntilInterrupted) {
  Program program(Stat(daemon_.address(), {"--watch", "0.1", "--json", "-"}));
  // More pages than there is room for, and each fetched: hits and evictions.
  while (std::ranges::count(program.Out(), '\n') < 6 && program.Running()) {
    Publish(40);
    for (std::uint32_t page = next_page_ - 40; page < next_page_; ++page) {
      ASSERT_TRUE(FetchTestPage(*store_, TestPage(page)).pin.ok());
    }
  }
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130);
  EXPECT_THAT(program.Err(), IsEmpty());
  const std::vector<nlohmann::json> samples = Objects(program.Out());
  ASSERT_THAT(samples.size(), ::testing::Ge(6U));
  EXPECT_TRUE(samples.front()["per_second"].is_null());
  double fastest = 0;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    EXPECT_GT(samples[i]["unix_seconds"], samples[i - 1]["unix_seconds"]);
    EXPECT_GE(samples[i]["pages_fetched_total"], samples[i - 1]["pages_fetched_total"]);
    fastest = std::max(fastest, samples[i]["per_second"]["pages_fetched_total"].get<double>());
  }
  EXPECT_GT(fastest, 0);
  EXPECT_GT(samples.back()["evictions_total"]["same_size"], 0);
}

TEST_F(StatProgram, AWatchedServiceThatDiesIsOneLine) {
  Program program(Stat(daemon_.address(), {"--watch", "0.1"}));
  WaitUntil([&] { return program.Out().find("a second") != std::string::npos; });
  daemon_.process().Signal(SIGKILL);
  EXPECT_EQ(program.Wait(), 1);
  EXPECT_THAT(program.Err(), StartsWith("pinboard: the cache service at " + daemon_.address()));
  EXPECT_TRUE(IsOneLine(program.Err())) << program.Err();
}

TEST(StatProgramErrors, NobodyListeningIsTheLineOfTheOtherPrograms) {
  const std::string nowhere = FreeLoopbackAddress();
  EXPECT_THAT(Refusal(Stat(nowhere), 1), AllOf(HasSubstr("cache service: "), HasSubstr(nowhere),
                                               HasSubstr(": start pinboardd there first")));
}

TEST(StatProgramErrors, SomebodyElseListeningIsNamed) {
  const std::string metrics = FreeLoopbackAddress();
  Program service({BuiltProgram("pinboardd"), "--listen", "127.0.0.1:0", "--arena", "1MiB",
                   "--metrics", metrics});
  WaitUntil([&] { return absl::StrContains(service.Out(), "\n") || !service.Running(); });
  EXPECT_THAT(Refusal(Stat(metrics), 1),
              HasSubstr("what listens at " + metrics + " is no pinboardd"));
}

TEST(StatProgramErrors, CtrlCEndsItWhileItConnects) {
  const ListeningSocket silent;
  Program program(Stat(absl::StrCat("127.0.0.1:", silent.port()), {"--watch", "1"}));
  const int connection = silent.Accept();
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130);
  EXPECT_THAT(program.Err(), IsEmpty()) << "it did not wait for an answer";
  close(connection);
}

TEST(StatProgramErrors, WrongUsageIsOneLineAndExitCodeTwo) {
  EXPECT_THAT(Refusal(Stat("somewhere"), 2), HasSubstr("--service: "));
  EXPECT_THAT(Refusal(Stat("127.0.0.1:7700", {"--watch", "-1"}), 2),
              HasSubstr("--watch is -1: use 0.1 to 86400 seconds"));
  EXPECT_THAT(Refusal(Stat("127.0.0.1:7700", {"--watch", "nan"}), 2), HasSubstr("--watch is nan"));
  EXPECT_THAT(Refusal(Stat("127.0.0.1:7700", {"--json", "x"}), 2),
              HasSubstr("samples go to standard output"));
}

}  // namespace
}  // namespace pinboard::app
