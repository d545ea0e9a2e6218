// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Answers as etcd 3.4.23 gave them, and what is asked.
#include "cache_service/membership/etcd/gateway_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache_service/membership/etcd/etcd_client.h"
#include "cache_service/membership/etcd/member_record.h"

namespace pinboard::cache_service::etcd {
namespace {

using ::testing::HasSubstr;

const std::string kHeader =
    R"("header":{"cluster_id":"18313758221820662318","member_id":"11474789679860133653",)"
    R"("revision":"3","raft_term":"2"})";

TEST(GatewayMessagesTest, RequestsAreProtocolBuffersInJson) {
  EXPECT_EQ(GrantRequest(absl::Seconds(10)), R"({"TTL":10})");
  EXPECT_EQ(LeaseRequest(LeaseId(3392796169386780677)), R"({"ID":"3392796169386780677"})");
  EXPECT_EQ(PutRequest("/p/a", "hello", LeaseId(5)),
            R"({"key":"L3AvYQ==","lease":"5","value":"aGVsbG8="})");
  EXPECT_EQ(RangeRequest("/p/"), R"({"key":"L3Av","range_end":"L3Aw"})");
  EXPECT_EQ(WatchRequest("/p/", 8),
            R"({"create_request":{"key":"L3Av","range_end":"L3Aw","start_revision":"8"}})");
  EXPECT_EQ(AuthenticateRequest("pin", "a\"b"), R"({"name":"pin","password":"a\"b"})");
}

TEST(GatewayMessagesTest, LeasesComeAndGo) {
  const auto lease = ParseGrant("{" + kHeader + R"(,"ID":"3392796169386780677","TTL":"2"})");
  ASSERT_EQ(lease.status(), absl::OkStatus());
  EXPECT_EQ(lease->id, LeaseId(3392796169386780677));
  EXPECT_EQ(lease->time_to_live, absl::Seconds(2));
  const auto alive = ParseKeepAlive("{\"result\":{" + kHeader + R"(,"ID":"5","TTL":"3"}})");
  ASSERT_EQ(alive.status(), absl::OkStatus());
  EXPECT_EQ(*alive, absl::Seconds(3));
  EXPECT_TRUE(
      absl::IsNotFound(ParseKeepAlive("{\"result\":{" + kHeader + R"(,"ID":"5"}})").status()));
  EXPECT_EQ(ParseDone("{" + kHeader + "}"), absl::OkStatus());
}

TEST(GatewayMessagesTest, ARangeHoldsPairsOfARevision) {
  const auto range = ParseRange(
      "{" + kHeader +
      R"(,"kvs":[{"key":"L3AvYQ==","create_revision":"2","mod_revision":"2","version":"1",)"
      R"("value":"aGVsbG8=","lease":"3392796169386780679"}],"count":"1"})");
  ASSERT_EQ(range.status(), absl::OkStatus());
  EXPECT_EQ(range->revision, 3);
  ASSERT_EQ(range->pairs.size(), 1U);
  EXPECT_EQ(range->pairs[0].key, "/p/a");
  EXPECT_EQ(range->pairs[0].value, "hello");
  EXPECT_TRUE(ParseRange("{" + kHeader + "}")->pairs.empty());
}

TEST(GatewayMessagesTest, AWatchTellsOfChangesInTheirOrder) {
  EXPECT_TRUE(ParseWatch("{\"result\":{" + kHeader + R"(,"created":true}})")->empty());
  const auto events = ParseWatch(
      "{\"result\":{" + kHeader +
      R"(,"events":[{"kv":{"key":"L3AvYQ==","mod_revision":"2","version":"1","value":"aGVsbG8="}},)"
      R"({"type":"DELETE","kv":{"key":"L3AvYQ==","mod_revision":"3"}}]}})");
  ASSERT_EQ(events.status(), absl::OkStatus());
  ASSERT_EQ(events->size(), 2U);
  EXPECT_FALSE((*events)[0].deleted);
  EXPECT_EQ((*events)[0].value, "hello");
  EXPECT_TRUE((*events)[1].deleted);
  EXPECT_EQ((*events)[1].key, "/p/a");
}

TEST(GatewayMessagesTest, AWatchThatEndsSaysWhy) {
  const auto end = [](const std::string& fields) {
    return ParseWatch("{\"result\":{" + kHeader + R"(,"canceled":true)" + fields + "}}").status();
  };
  EXPECT_TRUE(absl::IsOutOfRange(end(R"(,"compact_revision":"5")")));
  EXPECT_TRUE(absl::IsUnauthenticated(
      end(R"(,"watch_id":"-1","created":true,"cancel_reason":)"
          R"("rpc error: code = InvalidArgument desc = etcdserver: user name is empty")")));
  EXPECT_TRUE(absl::IsUnauthenticated(end(
      R"(,"cancel_reason":"rpc error: code = Unauthenticated desc = etcdserver: invalid auth token")")));
  EXPECT_TRUE(absl::IsPermissionDenied(end(
      R"(,"cancel_reason":"rpc error: code = PermissionDenied desc = etcdserver: permission denied")")));
  EXPECT_TRUE(absl::IsAborted(end("")));
  EXPECT_TRUE(absl::IsUnavailable(
      ParseWatch(R"({"error":{"grpc_code":14,"http_code":503,"message":"transport is closing"}})")
          .status()));
}

TEST(GatewayMessagesTest, ErrorsKeepTheirCodes) {
  const auto error = [](const std::string& message, int code) {
    return ParseDone("{\"error\":\"" + message + "\",\"message\":\"" + message +
                     "\",\"code\":" + std::to_string(code) + "}");
  };
  EXPECT_TRUE(absl::IsNotFound(error("etcdserver: requested lease not found", 5)));
  EXPECT_TRUE(absl::IsUnauthenticated(error("etcdserver: user name is empty", 3)));
  EXPECT_TRUE(absl::IsUnauthenticated(error("etcdserver: invalid auth token", 16)));
  EXPECT_TRUE(absl::IsPermissionDenied(error("etcdserver: permission denied", 7)));
  EXPECT_TRUE(absl::IsInvalidArgument(error("etcdserver: authentication failed", 3)));
  EXPECT_FALSE(error("odd", 0).ok());
  EXPECT_FALSE(error("odd", 99).ok());
  EXPECT_LE(error(std::string(100000, 'x'), 3).message().size(), 300U);
}

TEST(GatewayMessagesTest, WhatIsNoAnswerIsAnErrorThatShowsNothingOfIt) {
  for (const std::string answer : {"", "Not Found", "[]", "{}", R"({"token":"secret"})"}) {
    const absl::Status status = ParseToken(answer).status();
    EXPECT_TRUE(absl::IsUnknown(status)) << answer;
    EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("secret")));
    EXPECT_FALSE(ParseRange(answer).ok()) << answer;
    EXPECT_FALSE(ParseGrant(answer).ok()) << answer;
    EXPECT_FALSE(ParseKeepAlive(answer).ok()) << answer;
    EXPECT_FALSE(ParseWatch(answer).ok()) << answer;
  }
  EXPECT_FALSE(ParseToken("{" + kHeader + R"(,"token":"a\r\nb"})").ok()) << "another header";
  EXPECT_EQ(*ParseToken("{" + kHeader + R"(,"token":"mngQyAPcmnwGApiB.23"})"),
            "mngQyAPcmnwGApiB.23");
}

TEST(MemberRecordTest, ReadsWhatItWrites) {
  const Member member = {.name = "node-1",
                         .address = "[fd00::1]:7700",
                         .weight = 65535,
                         .incarnation = 0xfedcba9876543210,
                         .state = MemberState::kDraining};
  const std::string record = MemberRecord(member);
  EXPECT_EQ(record, R"({"address":"[fd00::1]:7700","incarnation":"fedcba9876543210",)"
                    R"("state":"draining","weight":65535})");
  EXPECT_EQ(*ParseMemberRecord("node-1", record), member);
}

TEST(MemberRecordTest, WhatCannotBeReadIsNamed) {
  const auto error = [](const std::string& name, const std::string& record) {
    const absl::Status status = ParseMemberRecord(name, record).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << record;
    return std::string(status.message());
  };
  const std::string rest = R"("incarnation":"1","state":"joined","weight":1})";
  EXPECT_THAT(error("a", "rubbish"), HasSubstr("JSON"));
  EXPECT_THAT(error("a", "[1]"), HasSubstr("JSON"));
  EXPECT_THAT(error("a/b", "{}"), HasSubstr("a name has"));
  EXPECT_THAT(error(std::string(129, 'a'), "{}"), HasSubstr("a name has"));
  EXPECT_THAT(error("a", "{" + rest), HasSubstr("no address"));
  EXPECT_THAT(error("a", R"({"address":"node:1",)" + rest), HasSubstr("node:1"));
  EXPECT_THAT(error("a", R"({"address":"10.0.0.1:0",)" + rest), HasSubstr("no port"));
  const std::string start = R"({"address":"10.0.0.1:1",)";
  EXPECT_THAT(error("a", start + R"("incarnation":"xyz","state":"joined","weight":1})"),
              HasSubstr("incarnation"));
  EXPECT_THAT(error("a", start + R"("incarnation":"1","state":"idle","weight":1})"),
              HasSubstr("state"));
  for (const char* weight : {"0", "65536", "-1", "1.5", "\"1\"", "null"}) {
    EXPECT_THAT(
        error("a", start + R"("incarnation":"1","state":"joined","weight":)" + weight + "}"),
        HasSubstr("weight"));
  }
}

TEST(EndpointTest, IsASchemeAHostAndAPort) {
  EXPECT_EQ(*ParseEndpoint("http://127.0.0.1:2379/"), "http://127.0.0.1:2379");
  EXPECT_EQ(*ParseEndpoint("https://[fd00::1]:2379"), "https://[fd00::1]:2379");
  EXPECT_EQ(*ParseEndpoint("https://etcd-0.example.org:2379"), "https://etcd-0.example.org:2379");
  for (const char* wrong :
       {"", "127.0.0.1:2379", "ftp://a:1", "http://:1", "http://a", "http://a:0", "http://a:65536",
        "http://a:1/v3", "http://u:p@a:1", "http://fd00::1:2379", "http://[]:1", "http://a b:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseEndpoint(wrong).status())) << wrong;
  }
}

}  // namespace
}  // namespace pinboard::cache_service::etcd
