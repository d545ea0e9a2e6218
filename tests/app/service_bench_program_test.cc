// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// `pinboard bench service` as a person runs it, against a real pinboardd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/service_load/workload.h"
#include "tests/app/program.h"
#include "tests/app/refusal.h"
#include "tests/cache_service/daemon.h"
#include "tests/support/free_port.h"

namespace pinboard::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Bench(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {BuiltProgram("pinboard"), "bench", "service"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

class ServiceBenchProgram : public ::testing::Test {
 protected:
  ServiceBenchProgram() {
    std::ofstream(workload_) << R"({"pages": 64, "page_bytes": [1000, 300],
      "batch": 8, "seconds": 0.2})";
  }
  ~ServiceBenchProgram() override { std::filesystem::remove(workload_); }

  cache_service::Daemon daemon_{8 << 20};
  const std::string workload_ = ::testing::TempDir() + "workload-" + std::to_string(getpid());
};

TEST_F(ServiceBenchProgram, ReadsWhatItPublishedAndSaysHowFast) {
  Program program(Bench({"--service", daemon_.address(), "--workload", workload_, "--json", "-"}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Err(), IsEmpty());
  const auto result = nlohmann::json::parse(program.Out());
  EXPECT_GT(result["get"]["pages"], 0);
  EXPECT_GT(result["put"]["pages"], 0);
  EXPECT_EQ(result["wrong_pages"], 0);
  EXPECT_EQ(result["workload"]["page_bytes"], nlohmann::json({1000, 300}));
  EXPECT_LE(result["get"]["p50_us"], result["get"]["p99_us"]);
}

TEST_F(ServiceBenchProgram, WithoutJsonItIsATable) {
  Program program(Bench({"--service", daemon_.address(), "--workload", workload_}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  EXPECT_THAT(program.Out(), AllOf(HasSubstr("ops/s"), HasSubstr("\nget, in place "),
                                   HasSubstr("\nput, copied "), HasSubstr(" 0 wrong; ")));
}

TEST_F(ServiceBenchProgram, WhatIsWrittenIntoTheServicesMemoryIsReadAgain) {
  std::ofstream(workload_) << R"({"pages": 64, "page_bytes": [1000, 300], "batch": 8,
      "read_share": 0, "put_in_place": true, "seconds": 0.2})";
  Program program(Bench({"--service", daemon_.address(), "--workload", workload_, "--json", "-"}));
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  const auto result = nlohmann::json::parse(program.Out());
  EXPECT_GT(result["put"]["pages"], 0);
  EXPECT_EQ(result["checked_pages"], result["put"]["operations"]);
  EXPECT_EQ(result["wrong_pages"], 0);
  EXPECT_EQ(result["misses"], 0);
  EXPECT_LE(result["put"]["p50_us"], result["put"]["p99_us"]);
}

TEST_F(ServiceBenchProgram, CtrlCEndsItEarlyAndShowsWhatItHasMeasured) {
  std::ofstream(workload_) << R"({"pages": 64, "page_bytes": [1000], "batch": 8, "seconds": 600})";
  Program program(Bench({"--service", daemon_.address(), "--workload", workload_, "--json", "-"}));
  WaitUntil([&] {
    Program stat({BuiltProgram("pinboard"), "stat", "--service", daemon_.address(), "--json", "-"});
    return stat.Wait() == 0 && nlohmann::json::parse(stat.Out())["pages_fetched_total"] > 0;
  });
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130);
  EXPECT_EQ(program.Err(), "pinboard: interrupted\n");
  const auto result = nlohmann::json::parse(program.Out());
  EXPECT_GT(result["get"]["pages"], 0);
  EXPECT_LT(result["seconds"], 600);
}

TEST_F(ServiceBenchProgram, MistakesAreOneLine) {
  std::ofstream(workload_) << R"({"page": 1})";
  EXPECT_THAT(Refusal(Bench({"--workload", workload_}), 2),
              HasSubstr(workload_ + ": page: unknown; there are clients"));
  EXPECT_THAT(Refusal(Bench({"--service", "here"}), 2), HasSubstr("--service: "));
  EXPECT_THAT(Refusal(Bench({"--service", FreeLoopbackAddress()}), 1),
              HasSubstr("cache service: "));
}

TEST(ServiceBenchWorkloads, TheFilesInTheRepositoryAreReadable) {
  const char* source = std::getenv("PINBOARD_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(source) /
                                                              "bench/service/workloads")) {
    if (file.path().extension() != ".json") continue;
    EXPECT_EQ(ReadWorkload(file.path()).status(), absl::OkStatus());
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace pinboard::app
