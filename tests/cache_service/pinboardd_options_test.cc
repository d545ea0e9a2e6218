// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboardd/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinboard::app {
namespace {

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const auto options = ParseDaemonOptions(arguments);
  EXPECT_TRUE(absl::IsInvalidArgument(options.status())) << options.status();
  return std::string(options.status().message());
}

TEST(PinboarddOptionsTest, DefaultsAreLoopback) {
  const auto options = ParseDaemonOptions({});
  ASSERT_EQ(options.status(), absl::OkStatus());
  EXPECT_EQ(options->listen, "127.0.0.1:7700");
  EXPECT_EQ(options->metrics, "127.0.0.1:9400");
  EXPECT_EQ(options->arena_bytes, std::uint64_t{1} << 30);
  EXPECT_EQ(options->key_file, "");
  EXPECT_FALSE(options->exit_with_parent);
  EXPECT_EQ(options->watermarks.high, 0.98);
  EXPECT_EQ(options->watermarks.low, 0.95);
}

TEST(PinboarddOptionsTest, TheDrainDeadlineIsATime) {
  EXPECT_EQ(ParseDaemonOptions({})->drain_deadline, absl::Seconds(10));
  EXPECT_EQ(ParseDaemonOptions({"--drain-deadline", "0"})->drain_deadline, absl::ZeroDuration());
  EXPECT_EQ(ParseDaemonOptions({"--drain-deadline=1m"})->drain_deadline, absl::Minutes(1));
  for (const char* wrong : {"-1s", "5", "2h", ""}) {
    EXPECT_EQ(ErrorOf({"--drain-deadline", wrong}),
              "--drain-deadline: a time of 0 to 1h is needed, such as 30s");
  }
}

TEST(PinboarddOptionsTest, ValuesFollowOrAreJoinedByAnEqualsSign) {
  const auto options = ParseDaemonOptions(
      {"--listen=:0", "--arena", "64 MiB", "--metrics", "none", "--exit-with-parent",
       "--log-level=debug", "--address-file", "a=b", "--eviction=lru", "--watermarks", "90:80.5",
       "--keys", "k", "--tenants=t"});
  ASSERT_EQ(options.status(), absl::OkStatus());
  EXPECT_EQ(options->listen, "127.0.0.1:0");
  EXPECT_EQ(options->arena_bytes, 64 << 20);
  EXPECT_EQ(options->metrics, "");
  EXPECT_EQ(options->key_file, "k");
  EXPECT_EQ(options->tenant_file, "t");
  EXPECT_TRUE(options->exit_with_parent);
  EXPECT_EQ(options->log_level, LogLevel::kDebug);
  EXPECT_EQ(options->address_file, "a=b");
  EXPECT_EQ(options->eviction->Value({.mean_information = 1, .last_used_ns = 0}), 0);
  EXPECT_EQ(options->watermarks.high, 0.9);
  EXPECT_EQ(options->watermarks.low, 0.805);
}

TEST(PinboarddOptionsTest, MistakesAreNamed) {
  EXPECT_THAT(ErrorOf({"--arean", "1GiB"}), ::testing::HasSubstr("--arean"));
  EXPECT_THAT(ErrorOf({"--arena"}), ::testing::HasSubstr("--arena needs a value"));
  EXPECT_THAT(ErrorOf({"--arena", "lots"}), ::testing::StartsWith("--arena: "));
  EXPECT_THAT(ErrorOf({"--listen", "nowhere"}), ::testing::StartsWith("--listen: "));
  EXPECT_THAT(ErrorOf({"--log-level", "loud"}), ::testing::StartsWith("--log-level: "));
  EXPECT_THAT(ErrorOf({"--keys="}), ::testing::StartsWith("--keys: "));
  EXPECT_THAT(ErrorOf({"--eviction", "mru"}), ::testing::StartsWith("--eviction: "));
  EXPECT_THAT(ErrorOf({"--watermarks", "80:90"}), ::testing::StartsWith("--watermarks: "));
  EXPECT_THAT(ErrorOf({"--help=yes"}), ::testing::HasSubstr("takes no value"));
  EXPECT_THAT(ErrorOf({"stray"}), ::testing::HasSubstr("stray"));
}

TEST(PinboarddOptionsTest, MembersComeFromAListOrFromEtcd) {
  const auto listed = ParseDaemonOptions({"--members", "10.0.0.1:7700,10.0.0.2:7700=3"});
  ASSERT_EQ(listed.status(), absl::OkStatus());
  ASSERT_EQ(listed->membership.members.size(), 2U);
  EXPECT_EQ(listed->membership.members[1].weight, 3U);

  const auto etcd = ParseDaemonOptions({"--etcd",
                                        "https://10.0.0.9:2379,https://etcd-1.example:2379/",
                                        "--cluster",
                                        "west",
                                        "--etcd-ttl=30s",
                                        "--etcd-cacert",
                                        "ca.pem",
                                        "--etcd-cert",
                                        "c.pem",
                                        "--etcd-key",
                                        "k.pem",
                                        "--etcd-user",
                                        "pin",
                                        "--etcd-password-file",
                                        "secret",
                                        "--member-name",
                                        "node-1",
                                        "--weight",
                                        "64",
                                        "--advertise",
                                        "10.0.0.1:7700"});
  ASSERT_EQ(etcd.status(), absl::OkStatus());
  const MembershipOptions& options = etcd->membership;
  EXPECT_THAT(options.etcd.endpoints,
              ::testing::ElementsAre("https://10.0.0.9:2379", "https://etcd-1.example:2379"));
  EXPECT_EQ(options.etcd.prefix, "/pinboard/west/members/");
  EXPECT_EQ(options.etcd.time_to_live, absl::Seconds(30));
  EXPECT_EQ(options.etcd.tls.authorities, "ca.pem");
  EXPECT_EQ(options.etcd.tls.certificate, "c.pem");
  EXPECT_EQ(options.etcd.tls.key, "k.pem");
  EXPECT_EQ(options.etcd.credentials.user, "pin");
  EXPECT_EQ(options.etcd.credentials.password_file, "secret");
  EXPECT_EQ(DescribeSelf(options, "0.0.0.0:7700", 5).value(),
            (cache_service::Member{
                .name = "node-1", .address = "10.0.0.1:7700", .weight = 64, .incarnation = 5}));
}

TEST(PinboarddOptionsTest, AMemberIsReachedWhereItListensOrAsItSays) {
  EXPECT_EQ(DescribeSelf({}, "10.0.0.1:7700", 1)->name, "10.0.0.1:7700");
  const absl::Status nowhere = DescribeSelf({}, "0.0.0.0:7700", 1).status();
  EXPECT_THAT(std::string(nowhere.message()), ::testing::HasSubstr("--advertise"));
}

TEST(PinboarddOptionsTest, MistakesAboutMembersAreNamed) {
  const std::string etcd = "http://127.0.0.1:2379";
  using Arguments = std::vector<std::string>;
  const std::pair<Arguments, const char*> mistakes[] = {
      {{"--members", "node-a:7700"}, "--members: "},
      {{"--members", "127.0.0.1:1", "--etcd", etcd}, "exclude each other"},
      {{"--members", "127.0.0.1:1", "--weight", "2"}, "need --etcd"},
      {{"--advertise", "127.0.0.1:1"}, "--advertise needs"},
      {{"--advertise", "127.0.0.1:0", "--etcd", etcd}, "--advertise: "},
      {{"--etcd", "127.0.0.1:2379"}, "http://HOST:PORT"},
      {{"--etcd", "http://127.0.0.1"}, "http://HOST:PORT"},
      {{"--etcd", "http://pin:secret@127.0.0.1:2379"}, "--etcd: "},
      {{"--etcd", etcd + "/v3"}, "--etcd: "},
      {{"--cluster", "west"}, "--cluster needs --etcd"},
      {{"--etcd", etcd, "--cluster", "a/b"}, "--cluster: "},
      {{"--etcd", etcd, "--etcd-prefix", "/p"}, "end with /"},
      {{"--etcd", etcd, "--etcd-prefix", "/p/", "--cluster", "west"}, "give one"},
      {{"--etcd", etcd, "--etcd-ttl", "1s"}, "--etcd-ttl: "},
      {{"--etcd", etcd, "--etcd-ttl", "2500ms"}, "--etcd-ttl: "},
      {{"--etcd-ttl", "5s"}, "need --etcd"},
      {{"--etcd", etcd, "--etcd-user", "pin"}, "--etcd-password-file"},
      {{"--etcd", etcd, "--etcd-cacert", "ca.pem"}, "https://"},
      {{"--etcd", "https://127.0.0.1:2379", "--etcd-cert", "c.pem"}, "--etcd-key"},
      {{"--etcd", etcd, "--member-name", "a/b"}, "--member-name: "},
      {{"--etcd", etcd, "--weight", "0"}, "--weight: "},
  };
  for (const auto& [arguments, named] : mistakes) {
    EXPECT_THAT(ErrorOf(arguments), ::testing::HasSubstr(named));
  }
}

TEST(PinboarddOptionsTest, HelpNamesEveryOption) {
  for (const auto& [name, setter] : MembershipSetters()) {
    EXPECT_THAT(DaemonHelp(), ::testing::HasSubstr("  " + name + " "));
  }
  for (const char* option :
       {"--listen", "--arena", "--eviction", "--watermarks", "--keys", "--tenants", "--metrics",
        "--log-level", "--log-format", "--address-file", "--replicas", "--drain-deadline",
        "--exit-with-parent"}) {
    EXPECT_THAT(DaemonHelp(), ::testing::HasSubstr(std::string("\n  ") + option + " "));
  }
  for (const char* option : {"--help", "--version"}) {
    EXPECT_THAT(DaemonHelp(), ::testing::HasSubstr(option));
  }
}

}  // namespace
}  // namespace pinboard::app
