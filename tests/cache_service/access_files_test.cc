// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What operators write: keys and limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache_service/access/access_control.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/access/tenant_file.h"
#include "tests/cache_service/scratch_file.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHexKey = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kBase64Key = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";  // the same
const std::string kOtherKey = "hex:" + std::string(64, 'a');

TEST(AccessKeyTest, SignsAsHmacSha256Does) {
  const std::string text = "what do ya want for nothing?";
  const auto key = AccessKey::Parse(kHexKey);
  ASSERT_EQ(key.status(), absl::OkStatus());
  const Digest digest = key->Sign({reinterpret_cast<const std::byte*>(text.data()), text.size()});
  std::string hex;
  for (const std::uint8_t byte : digest) hex += absl::StrCat(absl::Hex(byte, absl::kZeroPad2));
  // Python's hmac.new(bytes(range(32)), text, hashlib.sha256).
  EXPECT_EQ(hex, "099805f4ac310786968565c098db515cc50862b420ae31e20238312344bed36a");
}

TEST(AccessKeyTest, HexAndBase64AreTheSameKey) {
  EXPECT_TRUE(*AccessKey::Parse(kHexKey) == *AccessKey::Parse(kBase64Key));
  EXPECT_FALSE(*AccessKey::Parse(kHexKey) == *AccessKey::Parse(kOtherKey));
  EXPECT_FALSE(AccessKey::Random() == AccessKey::Random());
}

TEST(AccessKeyTest, WhatIsNoKeyIsRefusedAndNotRepeated) {
  for (const std::string& text :
       {std::string("secretsecretsecretsecretsecretsecret"), "hex:" + std::string(62, 'b'),
        "hex:" + std::string(130, 'b'), "hex:" + std::string(64, 'g'),
        "hex:" + std::string(63, 'b'), std::string("base64:bbbb"), std::string("base64:%%%%"),
        std::string()}) {
    const absl::Status status = AccessKey::Parse(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("openssl rand -hex 32"));
    if (text.size() <= 8) continue;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(text.substr(8))));
  }
}

TEST(KeyRingTest, ReadsKeysCommentsAndExpiries) {
  const auto ring = KeyRing::Parse("# tenant id key\n\nacme old " + kHexKey +
                                   " 2026-01-01T00:00:00Z\n  acme\tnew " + kOtherKey +
                                   "  # for ever\r\nzeta-1 k.1_ " + kBase64Key + "\n");
  ASSERT_EQ(ring.status(), absl::OkStatus());
  EXPECT_THAT(ring->tenants(), ElementsAre("acme", "zeta-1"));
  EXPECT_EQ(ring->size(), 3);
  const absl::Time old_expires = absl::FromCivil(absl::CivilDay(2026, 1, 1), absl::UTCTimeZone());
  EXPECT_EQ(ring->Find("acme", "old")->expires, old_expires);
  EXPECT_EQ(ring->Find("acme", "new")->expires, absl::InfiniteFuture());
  EXPECT_EQ(ring->Find("acme", "k.1_"), nullptr);
  EXPECT_TRUE(ring->HasTenant("acme"));
  EXPECT_FALSE(ring->HasTenant("acm"));
  EXPECT_EQ(ring->CredentialsOf("acme", absl::InfinitePast())->key_id, "new");
  EXPECT_TRUE(absl::IsNotFound(ring->CredentialsOf("nobody", absl::InfinitePast()).status()));
}

TEST(KeyRingTest, AnExpiredKeyIsNoCredential) {
  const auto ring = KeyRing::Parse("acme old " + kHexKey + " 2026-01-01T00:00:00Z");
  const absl::Time expires = ring->Find("acme", "old")->expires;
  EXPECT_EQ(ring->CredentialsOf("acme", expires - absl::Seconds(1)).status(), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(ring->CredentialsOf("acme", expires).status()));
}

TEST(KeyRingTest, AMistakeIsOneLineWithItsNumberAndWithoutAKey) {
  const struct {
    std::string text;
    std::string says;
  } mistakes[] = {
      {"", "no key: a line is TENANT KEY-ID KEY [EXPIRES]"},
      {"# nothing\n", "no key"},
      {"\nacme k1\n", "line 2: 2 words"},
      {"acme k1 " + kHexKey + " 2026-01-01T00:00:00Z more", "line 1: 5 words"},
      {"ac/me k1 " + kHexKey, "line 1: a tenant is"},
      {"acme k=1 " + kHexKey, "line 1: a key id is"},
      {"acme " + std::string(65, 'k') + " " + kHexKey, "line 1: a key id is"},
      {"acme k1 " + kHexKey.substr(4), "line 1: a key is hex: or base64:"},
      {"acme k1 " + kHexKey + " tomorrow", "line 1: \"tomorrow\" is no time"},
      {"acme k1 " + kHexKey + "\nacme k1 " + kOtherKey, "line 2: tenant acme has a key k1 already"},
  };
  for (const auto& mistake : mistakes) {
    const absl::Status status = KeyRing::Parse(mistake.text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << mistake.text;
    const std::string line(status.message());
    EXPECT_THAT(line, HasSubstr(mistake.says));
    EXPECT_THAT(line, Not(HasSubstr(kHexKey.substr(4, 16))));
    EXPECT_THAT(line, Not(HasSubstr("\n")));
  }
}

TEST(CredentialsTest, AClientsFileHasOneKeyAndIsItsOwners) {
  ScratchFile file("acme k1 " + kHexKey + "\n");
  const auto credentials = LoadCredentials(file.path());
  ASSERT_EQ(credentials.status(), absl::OkStatus());
  EXPECT_EQ(credentials->tenant, "acme");
  EXPECT_EQ(credentials->key_id, "k1");
  const auto error = [&file] {
    const absl::Status status = LoadCredentials(file.path()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr(file.path()));
    return std::string(status.message());
  };
  file.Replace("acme k1 " + kHexKey + "\nacme k2 " + kOtherKey);
  EXPECT_THAT(error(), HasSubstr("has 2 keys"));
  file.Replace("acme k1 " + kHexKey, 0644);
  EXPECT_THAT(error(), HasSubstr("chmod o="));
  file.Replace("acme");
  EXPECT_THAT(error(), HasSubstr("line 1"));
  EXPECT_THAT(std::string(LoadCredentials(file.path() + ".not").status().message()),
              HasSubstr(".not: No such file"));
  EXPECT_THAT(std::string(LoadCredentials("/tmp").status().message()),
              HasSubstr("/tmp is not a file"));
}

TEST(TenantFileTest, ReadsLimits) {
  const auto tenants =
      ParseTenantFile("acme bytes=2GiB pages=10 extents=3 priority=-5 # all\nguest\n");
  ASSERT_EQ(tenants.status(), absl::OkStatus());
  const TenantLimits& acme = tenants->at("acme");
  EXPECT_EQ(acme.bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(acme.pages, 10);
  EXPECT_EQ(acme.extents, 3);
  EXPECT_EQ(acme.priority, -5);
  EXPECT_EQ(tenants->at("guest").bytes, std::nullopt);
}

TEST(TenantFileTest, AMistakeIsOneLineWithItsNumber) {
  for (const char* text : {"a bytes", "a bytes=lots", "a pages=0", "a extents=-1", "a priority=x",
                           "a quota=3", "a/b pages=1", "a pages=1 pages"}) {
    const absl::Status status = ParseTenantFile(std::string("ok\n") + text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 2: ")) << text;
  }
  EXPECT_THAT(std::string(ParseTenantFile("a\na").status().message()),
              HasSubstr("line 2: tenant a has a line already"));
}

TEST(AccessControlTest, WithoutAFileEverybodyIsTheDefaultTenant) {
  auto access = AccessControl::Load("", "");
  ASSERT_EQ(access.status(), absl::OkStatus());
  EXPECT_EQ(access->keys(), nullptr);
  EXPECT_THAT(access->tenants(), ElementsAre("default"));
  EXPECT_FALSE(access->Refresh());
  EXPECT_TRUE(absl::IsInvalidArgument(AccessControl::Load("", "limits").status()));
}

TEST(AccessControlTest, AFileThatChangesIsReadAgainAndABadOneChangesNothing) {
  ScratchFile keys("acme k1 " + kHexKey);
  ScratchFile limits("acme pages=1");
  auto access = AccessControl::Load(keys.path(), limits.path());
  ASSERT_EQ(access.status(), absl::OkStatus());
  EXPECT_FALSE(access->Refresh());

  keys.Replace("acme k2 " + kOtherKey + "\nzeta k1 " + kHexKey);
  EXPECT_TRUE(access->Refresh());
  EXPECT_FALSE(access->Refresh());
  EXPECT_EQ(access->keys()->Find("acme", "k1"), nullptr);
  EXPECT_THAT(access->tenants(), ElementsAre("acme", "zeta"));

  ::testing::internal::CaptureStderr();
  for (const int mode : {0600, 0644}) {
    keys.Replace(mode == 0600 ? "acme k3" : "acme k3 " + kHexKey, mode);
    EXPECT_FALSE(access->Refresh());
    EXPECT_FALSE(access->Refresh()) << "and it is said once";
    EXPECT_NE(access->keys()->Find("acme", "k2"), nullptr);
  }
  limits.Replace("nobody pages=2");
  EXPECT_FALSE(access->Refresh());
  EXPECT_EQ(access->LimitsOf("acme").pages, 1);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3) << log;
  EXPECT_THAT(log, Not(HasSubstr(kHexKey.substr(4, 16))));

  limits.Replace("zeta pages=2");
  EXPECT_TRUE(access->Refresh());
  EXPECT_EQ(access->LimitsOf("acme").pages, TenantLimits{}.pages);
  EXPECT_EQ(access->LimitsOf("zeta").pages, 2);
}

TEST(AccessControlTest, LimitsThatCameBeforeTheirTenantsKeyAreReadWithIt) {
  ScratchFile keys("acme k1 " + kHexKey);
  ScratchFile limits("acme pages=1");
  auto access = AccessControl::Load(keys.path(), limits.path());
  ASSERT_EQ(access.status(), absl::OkStatus());
  limits.Replace("zeta pages=2");
  EXPECT_FALSE(access->Refresh());
  keys.Replace("acme k1 " + kHexKey + "\nzeta k1 " + kOtherKey);
  EXPECT_TRUE(access->Refresh());
  EXPECT_EQ(access->LimitsOf("zeta").pages, 2);
}

TEST(AccessControlTest, WhatCannotBeReadAtTheStartIsAnError) {
  ScratchFile keys("acme k1 " + kHexKey);
  ScratchFile limits("nobody pages=1");
  const absl::Status status = AccessControl::Load(keys.path(), limits.path()).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("tenant nobody has no key in"));
  EXPECT_TRUE(absl::IsInvalidArgument(AccessControl::Load(keys.path() + ".not", "").status()));
}

TEST(AccessControlTest, AReadThatFailsLeavesWhatWasReadBefore) {
  ScratchFile keys("acme k1 " + kHexKey);
  ScratchFile link("");
  std::filesystem::remove(link.path());
  std::filesystem::create_symlink(keys.path(), link.path());
  auto access = AccessControl::Load(link.path(), "");
  ASSERT_EQ(access.status(), absl::OkStatus());
  std::filesystem::remove(link.path());
  std::filesystem::create_symlink("/proc/self/mem", link.path());  // reading it is an I/O error
  EXPECT_FALSE(access->Refresh());
  EXPECT_EQ(access->tenants(), std::vector<std::string>{"acme"});
}

}  // namespace
}  // namespace pinboard::cache_service
