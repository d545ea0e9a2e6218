// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A real etcd that wants to know who asks, and members that want to know who answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "tests/cache_service/etcd_server.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFailures[] = "pinboard_service_etcd_failures_total";
constexpr char kRenewals[] = "pinboard_service_etcd_lease_renewals_total";
constexpr char kPassword[] = "correct horse";

Member Described(const std::string& name) {
  return {.name = name, .address = "10.0.0.1:7700", .incarnation = 1};
}

class EtcdAccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HaveEtcd()) GTEST_SKIP() << "no etcd here: apt-get install etcd-server";
  }
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(name)) << text;
    std::filesystem::permissions(File(name), std::filesystem::perms(0600));
    return File(name);
  }
  void Shell(const std::string& command) const {
    ChildProcess shell({"/bin/sh", "-c", "cd " + folder_.path() + " && " + command});
    ASSERT_EQ(shell.Wait(), 0) << command;
  }

  /// Makes the user pin, who may use the default prefix and nothing else, and turns access on.
  void WantUsers(EtcdServer& etcd) const {
    const std::string range = "\"key\":\"" + absl::Base64Escape("/pinboard/default/members/") +
                              "\",\"range_end\":\"" +
                              absl::Base64Escape("/pinboard/default/members0") + "\"";
    const std::pair<const char*, std::string> requests[] = {
        {"user/add", R"({"name":"root","password":"r"})"},
        {"role/add", R"({"name":"root"})"},
        {"user/grant", R"({"user":"root","role":"root"})"},
        {"user/add", std::string(R"({"name":"pin","password":")") + kPassword + "\"}"},
        {"role/add", R"({"name":"members"})"},
        {"role/grant", R"({"name":"members","perm":{"permType":"READWRITE",)" + range + "}}"},
        {"user/grant", R"({"user":"pin","role":"members"})"},
        {"auth_enable", ""},
    };
    for (const auto& [path, body] : requests) {
      const bool enable = body.empty();
      const etcd::HttpAnswer answer = etcd.Ask(
          enable ? "/v3/auth/enable" : std::string("/v3/auth/") + path, enable ? "{}" : body);
      ASSERT_EQ(answer.status, 200) << path << ": " << answer.body;
    }
  }

  EtcdOptions WithPassword(const EtcdServer& etcd, const std::string& password) const {
    return {.endpoints = {etcd.endpoint()},
            .credentials = {.user = "pin", .password_file = Write("password", password + "\n")},
            .time_to_live = absl::Seconds(2)};
  }

  /// An authority, and what it says of a server and of a client.
  void MakeCertificates(const std::string& authority) const {
    const std::string key =
        "openssl req -batch -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes ";
    Shell(key + "-x509 -days 2 -subj /CN=" + authority + " -keyout " + authority + ".key -out " +
          authority + ".pem 2>/dev/null");
    // The gateway is a client of its own server, with the server's certificate.
    const std::pair<std::string, std::string> uses[] = {{"server", "serverAuth,clientAuth"},
                                                        {"client", "clientAuth"}};
    for (const auto& [who, use] : uses) {
      const std::string name = authority + "-" + who;
      Write(name + ".ext", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=" + use + "\n");
      Shell(key + "-subj /CN=" + who + " -keyout " + name + ".key -out " + name +
            ".csr 2>/dev/null && openssl x509 -req -days 2 -in " + name + ".csr -CA " + authority +
            ".pem -CAkey " + authority + ".key -CAcreateserial -extfile " + name + ".ext -out " +
            name + ".pem 2>/dev/null");
    }
  }
  etcd::TlsFiles ClientFiles(const std::string& authority) const {
    return {.authorities = File(authority + ".pem"),
            .certificate = File(authority + "-client.pem"),
            .key = File(authority + "-client.key")};
  }

  const TemporaryFolder folder_;
};

TEST(EtcdPasswordTest, IsTheFirstLineOfAFileThatIsNotOpenToEverybody) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/password";
  const auto message = [&path] { return std::string(etcd::ReadPassword(path).status().message()); };
  EXPECT_THAT(message(), HasSubstr("cannot read the file " + path));
  std::ofstream(path) << kPassword << " \nand a note\n";
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  EXPECT_THAT(message(), HasSubstr("chmod o= " + path));
  EXPECT_THAT(message(), Not(HasSubstr(kPassword)));
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  EXPECT_EQ(etcd::ReadPassword(path).value(), kPassword);
  std::ofstream(path) << "\n" << kPassword;
  EXPECT_THAT(message(), HasSubstr("no password in its first line"));
}

TEST_F(EtcdAccessTest, AUserWithAPasswordJoinsAndOthersDoNot) {
  EtcdServer etcd;
  WantUsers(etcd);
  EtcdOptions right = WithPassword(etcd, kPassword);
  right.time_to_live = absl::Seconds(60);  // passwords are slow to check, by intent
  WatchedMembership a(right);
  WatchedMembership b(right);
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(b.SeesNames({"a"}));

  ::testing::internal::CaptureStderr();
  EtcdOptions wrong = right;
  wrong.credentials.password_file = Write("wrong", "battery staple\n");
  EtcdOptions nobody = right;
  nobody.credentials = {};
  EtcdOptions elsewhere = right;
  elsewhere.prefix = "/pinboard/other/members/";
  for (const EtcdOptions& options : {wrong, nobody, elsewhere}) {
    WatchedMembership refused(options);
    ASSERT_EQ(refused->Join(Described("r")), absl::OkStatus());
    ASSERT_TRUE(refused.Counts(kFailures, 1));
    EXPECT_TRUE(refused.IsConnected(false));
    EXPECT_TRUE(refused.SeesNames({"r"})) << "itself";
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("authentication failed, invalid user ID or password"));
  EXPECT_THAT(log, HasSubstr("user name is empty"));
  EXPECT_THAT(log, HasSubstr("permission denied"));
  EXPECT_THAT(log, Not(HasSubstr("battery")));
  EXPECT_TRUE(a.SeesNames({"a"}));
}

TEST_F(EtcdAccessTest, ATokenThatHasExpiredIsReplacedAndAnotherPasswordIsRead) {
  EtcdServer etcd({"--auth-token-ttl", "1"});
  WantUsers(etcd);
  const EtcdOptions options = WithPassword(etcd, kPassword);
  WatchedMembership a(options);
  WatchedMembership b(options);
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(b.SeesNames({"a"}));
  // Renewals need no token, so the one that came first ages until it is wanted again.
  ASSERT_TRUE(a.Counts(kRenewals, a.Metric(kRenewals) + 4));
  a->Announce(MemberState::kDraining);
  ASSERT_TRUE(b.Sees([](const MembershipView& view) {
    const Member* member = view.Find("a");
    return member != nullptr && member->state == MemberState::kDraining;
  }));

  const etcd::HttpAnswer root =
      etcd.Ask("/v3/auth/authenticate", R"({"name":"root","password":"r"})");
  const std::string token = *etcd::ParseToken(root.body);
  etcd.Ask("/v3/auth/user/changepw", R"({"name":"pin","password":"new"})", token);
  Write("password", "new\n");
  etcd.Stop();  // forgets all tokens
  etcd.Start();
  a->Announce(MemberState::kJoined);
  ASSERT_TRUE(b.Sees([](const MembershipView& view) {
    const Member* member = view.Find("a");
    return member != nullptr && member->state == MemberState::kJoined;
  }));
}

TEST_F(EtcdAccessTest, CertificatesAreCheckedOnBothSides) {
  MakeCertificates("ours");
  MakeCertificates("theirs");
  const std::vector<std::string> arguments = {
      "--cert-file",        File("ours-server.pem"), "--key-file",    File("ours-server.key"),
      "--client-cert-auth", "--trusted-ca-file",     File("ours.pem")};
  EtcdServer etcd(arguments, ClientFiles("ours"), "https");
  const EtcdOptions right = {
      .endpoints = {etcd.endpoint()}, .tls = ClientFiles("ours"), .time_to_live = absl::Seconds(2)};
  WatchedMembership a(right);
  WatchedMembership b(right);
  ASSERT_EQ(a->Join(Described("a")), absl::OkStatus());
  ASSERT_TRUE(b.SeesNames({"a"}));

  const auto error_with = [&etcd](const etcd::TlsFiles& tls, const std::string& endpoint) {
    const auto answer =
        (*etcd::MakeHttpClient(tls))->Post({.url = endpoint + "/v3/kv/range"}, kPatience);
    EXPECT_TRUE(absl::IsUnavailable(answer.status())) << answer.status();
    return std::string(answer.status().message());
  };
  EXPECT_THAT(error_with(ClientFiles("theirs"), etcd.endpoint()), HasSubstr("certificate"))
      << "a server that another authority vouches for";
  EXPECT_THAT(error_with({}, etcd.endpoint()), HasSubstr("certificate"))
      << "one that the system's authorities do not";
  etcd::TlsFiles mixed = ClientFiles("theirs");
  mixed.authorities = File("ours.pem");
  EXPECT_NE(error_with(mixed, etcd.endpoint()), "") << "a client that the server does not trust";
  const std::string port = etcd.endpoint().substr(etcd.endpoint().rfind(':'));
  EXPECT_THAT(error_with(ClientFiles("ours"), "https://localhost" + port), HasSubstr("host name"))
      << "a certificate for another name";
}

}  // namespace
}  // namespace pinboard::cache_service
