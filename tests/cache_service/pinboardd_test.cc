// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// pinboardd as its operator meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cache_service/child_process.h"
#include "tests/cache_service/scratch_file.h"
#include "tests/support/documented_metrics.h"
#include "tests/support/free_port.h"
#include "tests/support/listening_socket.h"
#include "tests/support/open_metrics_parser.h"

namespace pinboard {
namespace {

const std::string kReady = "pinboardd: listening on 127.0.0.1:";

std::vector<std::string> Command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), BuiltProgram("bin/pinboardd"));
  return arguments;
}

/// Exit status and the one line of standard error.
std::pair<int, std::string> Fail(const std::string& arguments) {
  const std::string command = BuiltProgram("bin/pinboardd") + " " + arguments + " 2>&1 >/dev/null";
  ChildProcess shell({"/bin/sh", "-c", command});
  std::string text = shell.ReadLine();
  EXPECT_EQ(shell.ReadLine(), "") << "more than one line";
  return {shell.Wait(), text};
}

TEST(PinboarddTest, SaysWhereItListensAndEndsCleanlyOnASignal) {
  const auto file =
      std::filesystem::temp_directory_path() / ("pinboardd_test." + std::to_string(getpid()));
  for (const int signal : {SIGTERM, SIGINT}) {
    ChildProcess daemon(Command({"--listen", "127.0.0.1:0", "--arena", "1MiB", "--metrics", "none",
                                 "--log-level", "error", "--address-file", file.string()}));
    const std::string line = daemon.ReadLine();
    EXPECT_THAT(line, ::testing::StartsWith(kReady));
    std::ifstream written(file);
    std::string address;
    EXPECT_TRUE(std::getline(written, address));
    EXPECT_EQ("pinboardd: listening on " + address, line);
    daemon.Signal(signal);
    EXPECT_EQ(daemon.Wait(), 0);
  }
  std::filesystem::remove(file);
}

TEST(PinboarddTest, EndsWithTheProcessThatStartedItWhenAsked) {
  const std::string command = BuiltProgram("bin/pinboardd") +
                              " --listen 127.0.0.1:0 --arena 1MiB --metrics none"
                              " --log-level error --exit-with-parent & wait";
  ChildProcess shell({"/bin/sh", "-c", command});
  EXPECT_THAT(shell.ReadLine(), ::testing::StartsWith(kReady));
  shell.Signal(SIGKILL);
  EXPECT_EQ(shell.ReadLine(), "");  // the end of the output: the daemon closed it, too
}

TEST(PinboarddTest, LogsObjectsWithTheClientAndTheRequest) {
  const auto log =
      std::filesystem::temp_directory_path() / ("pinboardd_log." + std::to_string(getpid()));
  const std::string command = "exec " + BuiltProgram("bin/pinboardd") +
                              " --listen 127.0.0.1:0 --arena 1MiB --metrics none --log-level debug"
                              " --log-format json 2>" +
                              log.string();
  ChildProcess daemon({"/bin/sh", "-c", command});
  const std::string line = daemon.ReadLine();
  ASSERT_THAT(line, ::testing::StartsWith(kReady));
  ChildProcess stat({BuiltProgram("bin/pinboard"), "stat", "--service",
                     line.substr(kReady.size() - std::string("127.0.0.1:").size())});
  EXPECT_EQ(stat.Wait(), 0);
  const std::string port = line.substr(line.rfind(':') + 1);
  ChildProcess stranger({"/bin/bash", "-c", "echo GET / >/dev/tcp/127.0.0.1/" + port});
  EXPECT_EQ(stranger.Wait(), 0);
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  std::ifstream file(log);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(log);
  std::smatch connected;
  const std::regex connects(
      " at 127[.]0[.]0[.]1:[0-9]+\\) connected\",\"client\":\"([0-9]+)\"\\}\n");
  ASSERT_TRUE(std::regex_search(text, connected, connects)) << text;
  EXPECT_THAT(text, ::testing::ContainsRegex(
                        "\"level\":\"debug\".*\"operation\":\"other\",\"client\":\"" +
                        connected.str(1) + "\",\"request\":\"1\",\"us\":\"[0-9]+\"}\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex(
                        "a connection from 127[.]0[.]0[.]1:[0-9]+ ended before it was open: "));
}

/// The answer of /PATH, fetched by the shell: curl is not everywhere.
std::string Fetch(const std::string& port, const std::string& path, const std::string& filter,
                  const std::string& accept = "*/*") {
  ChildProcess shell({"/bin/bash", "-c",
                      "exec 3<>/dev/tcp/127.0.0.1/" + port + " && printf 'GET " + path +
                          " HTTP/1.0\\r\\nAccept: " + accept +
                          "\\r\\n\\r\\n' >&3 && sed '1,/^\\r*$/d' <&3 | " + filter});
  std::string text;
  for (std::string line; !(line = shell.ReadLine()).empty();) text += line + "\n";
  return text;
}

TEST(PinboarddTest, ItsMetricsAreInOrderAndItSaysThatItIsReady) {
  const std::string address = FreeLoopbackAddress();
  const std::string port = address.substr(address.rfind(':') + 1);
  ChildProcess daemon(Command({"--listen", "127.0.0.1:0", "--arena", "1MiB", "--metrics", address,
                               "--log-level", "error"}));
  EXPECT_THAT(daemon.ReadLine(), ::testing::StartsWith(kReady));
  EXPECT_EQ(Fetch(port, "/healthz", "cat"), "healthy\n");
  EXPECT_EQ(Fetch(port, "/readyz", "cat"), "ready\n");
  EXPECT_EQ(Fetch(port, "/metrics", "grep -c pinboard_service_pages_fetched_total.0"), "1\n");
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool, of Debian's package prometheus, is not installed";
  }
  EXPECT_EQ(Fetch(port, "/metrics", "promtool check metrics 2>&1; echo status $?"), "status 0\n");
}

/// A daemon that has every metric there is, at `address`.
class FullyMeteredDaemon {
 public:
  FullyMeteredDaemon() { EXPECT_THAT(daemon_.ReadLine(), ::testing::StartsWith(kReady)); }

  std::string port() const { return address_.substr(address_.rfind(':') + 1); }
  std::set<std::string> Exposed() const {
    return ExposedMetrics("pinboard_", Fetch(port(), "/metrics", "grep '^# TYPE'"));
  }
  /// What has a tenant's label comes with the daemon's first turn.
  void AwaitExposed(const std::set<std::string>& metrics) const {
    const absl::Time give_up = absl::Now() + absl::Seconds(10);
    while (Exposed() != metrics && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(5));
  }

 private:
  const ScratchFile keys_ = ScratchFile("acme 1 hex:" + std::string(64, 'a') + "\n");
  const std::string address_ = FreeLoopbackAddress();
  ChildProcess daemon_ = ChildProcess(Command(
      {"--listen", "127.0.0.1:0", "--arena", "1MiB", "--metrics", address_, "--log-level", "off",
       "--keys", keys_.path(), "--etcd", "http://" + FreeLoopbackAddress()}));  // where nobody is
};

TEST(PinboarddTest, ItsMetricsAreThoseOfTheDocument) {
  const std::set<std::string> documented = DocumentedMetrics("pinboard_service_");
  const FullyMeteredDaemon daemon;
  daemon.AwaitExposed(documented);
  EXPECT_EQ(daemon.Exposed(), documented);
}

TEST(PinboarddTest, ItsOpenMetricsAreReadByAParserThatIsNotOurs) {
  if (!HasOpenMetricsParser()) GTEST_SKIP() << kNoOpenMetricsParser;
  const std::set<std::string> documented = DocumentedMetrics("pinboard_service_");
  const FullyMeteredDaemon daemon;
  daemon.AwaitExposed(documented);
  const std::string read =
      Fetch(daemon.port(), "/metrics", kOpenMetricsParser, "application/openmetrics-text");
  EXPECT_EQ(ExposedMetrics("pinboard_", read), documented) << read;
}

/// The addresses, as /proc has them, that a process listens on with IP version 4.
std::vector<std::string> ListensOn(pid_t pid) {
  std::set<std::string> sockets;
  for (const auto& fd :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code closed_meanwhile;
    sockets.insert(std::filesystem::read_symlink(fd.path(), closed_meanwhile));
  }
  std::ifstream table("/proc/net/tcp");
  std::vector<std::string> addresses;
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    constexpr char kListens[] = "0A";
    if (fields[3] == kListens && sockets.contains("socket:[" + fields[9] + "]")) {
      addresses.push_back(fields[1].substr(0, fields[1].find(':')));
    }
  }
  return addresses;
}

TEST(PinboarddTest, OnLoopbackUcxStaysThereToo) {
  ChildProcess daemon({"/bin/sh", "-c",
                       "unset UCX_NET_DEVICES; exec " + BuiltProgram("bin/pinboardd") +
                           " --listen 127.0.0.1:0 --arena 1MiB --metrics none --log-level error"});
  const std::string line = daemon.ReadLine();
  ASSERT_THAT(line, ::testing::StartsWith(kReady));
  const std::string address = line.substr(line.rfind(' ') + 1);
  ChildProcess client({"/bin/sh", "-c",
                       "UCX_TLS=tcp exec " + BuiltProgram("bin/pinboard") + " stat --service " +
                           address + " --watch 1 >/dev/null"});
  std::vector<std::string> addresses;
  while ((addresses = ListensOn(daemon.pid())).size() < 2) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_THAT(addresses, ::testing::Each("0100007F"));
  client.Signal(SIGINT);
  client.Wait();
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST(PinboarddTest, BeyondLoopbackWithoutKeysItWarns) {
  const auto log =
      std::filesystem::temp_directory_path() / ("pinboardd_open." + std::to_string(getpid()));
  ChildProcess daemon({"/bin/sh", "-c",
                       "exec " + BuiltProgram("bin/pinboardd") +
                           " --listen 0.0.0.0:0 --arena 1MiB --metrics none 2>" + log.string()});
  EXPECT_THAT(daemon.ReadLine(), ::testing::HasSubstr("listening on 0.0.0.0:"));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  std::ifstream file(log);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(log);
  EXPECT_THAT(text, ::testing::HasSubstr("no --keys: who reaches 0.0.0.0:0"));
}

TEST(PinboarddTest, ItSaysWhenItsLoopIsStuck) {
  const std::string address = FreeLoopbackAddress();
  const std::string port = address.substr(address.rfind(':') + 1);
  setenv("PINBOARD_FAULT", "service.tick=2:delay:60000", 1);
  ChildProcess daemon(Command({"--listen", "127.0.0.1:0", "--arena", "1MiB", "--metrics", address,
                               "--log-level", "error"}));
  unsetenv("PINBOARD_FAULT");
  EXPECT_THAT(daemon.ReadLine(), ::testing::StartsWith(kReady));
  EXPECT_EQ(Fetch(port, "/healthz", "cat"), "healthy\n");
  const absl::Time limit = absl::Now() + absl::Seconds(50);
  while (Fetch(port, "/healthz", "cat") != "stuck\n" && absl::Now() < limit) {
    absl::SleepFor(absl::Milliseconds(200));
  }
  EXPECT_EQ(Fetch(port, "/healthz", "cat"), "stuck\n");
}

TEST(PinboarddTest, AWrongOptionIsOneLineAndExitStatus2) {
  EXPECT_EQ(Fail("--nope").first, 2);
  const auto [status, line] = Fail("--arena 5MB");
  EXPECT_EQ(status, 2);
  EXPECT_THAT(line, ::testing::StartsWith("pinboardd: --arena: "));
}

TEST(PinboarddTest, APortInUseIsOneLineAndExitStatus1) {
  const ListeningSocket taken;
  const auto [status, line] =
      Fail("--log-level error --metrics none --listen 127.0.0.1:" + std::to_string(taken.port()));
  EXPECT_EQ(status, 1);
  EXPECT_THAT(line, ::testing::HasSubstr("in use"));
}

TEST(PinboarddTest, AMetricsPortInUseIsOneLineAndExitStatus1) {
  const ListeningSocket taken;
  const auto [status, line] =
      Fail("--log-level error --listen 127.0.0.1:0 --arena 1MiB --metrics 127.0.0.1:" +
           std::to_string(taken.port()));
  EXPECT_EQ(status, 1);
  EXPECT_THAT(line, ::testing::HasSubstr("in use"));
}

TEST(PinboarddTest, AnArenaLargerThanMemoryIsOneLineAndExitStatus1) {
  const auto [status, line] =
      Fail("--log-level error --metrics none --listen 127.0.0.1:0 --arena 900TiB");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(line, ::testing::HasSubstr("--arena 900 TiB does not fit"));
}

TEST(PinboarddTest, AKeyFileThatCannotBeUsedIsOneLineWithoutTheKey) {
  const std::string key(64, 'a');
  ScratchFile file("acme 1 hex:" + key + " tomorrow");
  const std::string command =
      "--log-level error --metrics none --listen 127.0.0.1:0 --arena 1MiB --keys ";
  const auto [status, line] = Fail(command + file.path());
  EXPECT_EQ(status, 1);
  EXPECT_THAT(line, ::testing::HasSubstr(file.path() + ": line 1: "));
  EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr(key)));
  file.Replace("acme 1 hex:" + key, 0644);
  EXPECT_THAT(Fail(command + file.path()).second, ::testing::HasSubstr("chmod o="));
  EXPECT_THAT(Fail(command + file.path() + ".not").second, ::testing::HasSubstr("cannot read"));
}

TEST(PinboarddTest, AnArenaThatHoldsNoPageIsRefused) {
  const auto [status, line] =
      Fail("--log-level error --metrics none --listen 127.0.0.1:0 --arena 20");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(line, ::testing::HasSubstr("holds no page"));
}

}  // namespace
}  // namespace pinboard
