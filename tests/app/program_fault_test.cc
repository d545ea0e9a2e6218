// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the program does where a service, a port or a rank is not there.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/app/program_fixture.h"
#include "tests/app/refusal.h"
#include "tests/cache_service/child_process.h"
#include "tests/support/free_port.h"
#include "tests/support/listening_socket.h"
#include "tests/support/temporary_folder.h"

namespace pinboard::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

/// What GET /metrics answers; empty where nobody listens.
std::string Scrape(const std::string& address) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(address, ':');
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(parts.second)));
  inet_pton(AF_INET, parts.first.c_str(), &to.sin_addr);
  std::string text;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char buffer[4096];
      for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(got));
      }
    }
  }
  close(fd);
  return text;
}

/// Waits until the program's metrics count steps; false where it ends before that.
bool HasMadeSteps(Program& program, const std::string& metrics) {
  bool found = false;
  WaitUntil([&] {
    found = Scrape(metrics).find("\npinboard_rank_steps_total ") != std::string::npos;
    return found || !program.Running();
  });
  return found;
}

/// A pinboardd that tests may kill and stop.
class ServiceUnderTest {
 public:
  ServiceUnderTest()
      : process_({pinboard::BuiltProgram("bin/pinboardd"), "--listen", address_, "--arena", "16MiB",
                  "--metrics", metrics_, "--log-level", "off", "--exit-with-parent"}) {
    process_.ReadLine();  // it is ready
  }
  const std::string& address() const { return address_; }
  void Signal(int signal) const { process_.Signal(signal); }
  bool HasPublishedPages() const {
    const std::string counts = Scrape(metrics_);
    return counts.find("\npinboard_service_pages_published_total ") != std::string::npos &&
           counts.find("\npinboard_service_pages_published_total 0\n") == std::string::npos;
  }

 private:
  const std::string address_ = FreeLoopbackAddress();
  const std::string metrics_ = FreeLoopbackAddress();
  const ChildProcess process_;
};

class ProgramFaults : public PinboardProgram {};

TEST_F(ProgramFaults, CtrlCEndsItWhileItsServiceStarts) {
  const TemporaryFolder folder;
  const std::string pinboard = folder.path() + "/pinboard";
  std::filesystem::copy_file(BuiltProgram("pinboard"), pinboard);
  const std::string service = folder.path() + "/pinboardd";  // it starts the one beside itself
  engine::testing::WriteFile(service, "#!/bin/sh\nexec sleep 1000\n");
  std::filesystem::permissions(service, std::filesystem::perms::owner_all);
  std::vector<std::string> command = GenerateFrom({"--ids", "5,6,7"});
  command[0] = pinboard;
  Program program(command);
  WaitUntil([&] { return !program.Children().empty() || !program.Running(); });
  const std::vector<pid_t> children = program.Children();
  ASSERT_THAT(children, SizeIs(1));
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(), 130) << program.Err();
  WaitUntil([&] { return IsGone(children[0]); });
}

TEST_F(ProgramFaults, AServiceThatCannotBeHadIsOneLine) {
  EXPECT_THAT(Refusal(Eval({"--policy", "pinboard", "--service", FreeLoopbackAddress()}), 1),
              AllOf(HasSubstr("cache service: "), HasSubstr(": start pinboardd there first")));
  EXPECT_THAT(Refusal(Eval({"--policy", "pinboard", "--service-arena", "1000TiB"}), 1),
              HasSubstr("--arena 1000 TiB does not fit"));
}

TEST_F(ProgramFaults, AModelOnADeviceThatIsNotThereIsOneLineThatNamesTheOtherBackend) {
  // Hides the devices of a machine that has some.
  ASSERT_EQ(setenv("CUDA_VISIBLE_DEVICES", "", 1), 0);
  const std::string line = Refusal(GenerateFrom({"--ids", "5,6,7", "--backend", "cuda"}), 1);
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_THAT(line, ::testing::AnyOf(HasSubstr("use --backend cpu"),
                                     HasSubstr("build with preset cuda-release")));
}

TEST_F(ProgramFaults, AMetricsPortInUseIsOneLine) {
  const ListeningSocket taken;
  EXPECT_THAT(
      Refusal(Eval({"--policy", "full", "--metrics", absl::StrCat("127.0.0.1:", taken.port())}), 1),
      HasSubstr(absl::StrCat(taken.port())));
}

TEST_F(ProgramFaults, ARankKilledInTheMiddleIsNamedInOneLine) {
  const std::string metrics = FreeLoopbackRange(2);
  Program program(Eval({"--policy", "pinboard:recall-pages=4", "--tp", "2", "--service-arena",
                        "16MiB", "--metrics", metrics},
                       "long.jsonl"));
  ASSERT_TRUE(HasMadeSteps(program, metrics)) << program.Err();
  const std::vector<pid_t> children = program.Children();  // the service, rank 0, rank 1
  ASSERT_THAT(children, SizeIs(3)) << program.Err();
  kill(children.back(), SIGKILL);
  EXPECT_EQ(program.Wait(), 1);
  EXPECT_THAT(program.Err(), StartsWith("pinboard: rank 1 was killed by signal 9 (Killed)"));
  EXPECT_TRUE(IsOneLine(program.Err())) << program.Err();
  for (const pid_t child : children) EXPECT_TRUE(IsGone(child));
}

TEST_F(ProgramFaults, AServiceKilledInTheMiddleCostsMissesAndTheRunFinishes) {
  const std::string metrics = FreeLoopbackRange(2);
  engine::testing::WriteFile(*directory_ / "some.jsonl", SuiteText(40));
  Program program(Eval({"--policy", "pinboard:recall-pages=4", "--tp", "2", "--service-arena",
                        "16MiB", "--metrics", metrics, "--json", "-"},
                       "some.jsonl"));
  ASSERT_TRUE(HasMadeSteps(program, metrics)) << program.Err();
  ASSERT_THAT(program.Children(), SizeIs(3)) << program.Err();
  kill(program.Children().front(), SIGKILL);
  ASSERT_EQ(program.Wait(), 0) << program.Err();
  const auto object = nlohmann::json::parse(program.Out())[0];
  EXPECT_GT(object["misses"], 0);
  EXPECT_EQ(object["questions"], 40);
  EXPECT_EQ(object["keepset_mismatches"], 0);
}

TEST_F(ProgramFaults, AFirstServiceKilledOrStoppedInTheMiddleIsReplacedByTheSecond) {
  engine::testing::WriteFile(*directory_ / "some.jsonl", SuiteText(40));
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const ServiceUnderTest first;
    const ServiceUnderTest second;
    Program program(Eval({"--policy", "pinboard:recall-pages=4", "--tp", "2", "--service",
                          absl::StrCat(first.address(), ",", second.address()), "--json", "-"},
                         "some.jsonl"));
    WaitUntil([&] { return first.HasPublishedPages() || !program.Running(); });
    EXPECT_FALSE(second.HasPublishedPages());
    first.Signal(signal);
    ASSERT_EQ(program.Wait(), 0) << program.Err();
    const auto object = nlohmann::json::parse(program.Out())[0];
    EXPECT_EQ(object["questions"], 40);
    EXPECT_EQ(object["keepset_mismatches"], 0);
    EXPECT_TRUE(second.HasPublishedPages()) << signal;
  }
}

}  // namespace
}  // namespace pinboard::app
