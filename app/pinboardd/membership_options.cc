// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboardd/membership_options.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "cache_service/membership/etcd/member_record.h"
#include "cache_service/membership/member_list.h"
#include "cache_service/membership/static_membership.h"

namespace pinboard::app {
namespace {

constexpr absl::Duration kShortestTimeToLive = absl::Seconds(2);
constexpr absl::Duration kLongestTimeToLive = absl::Hours(1);

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::Status SetText(const std::string& value, std::string* target) {
  if (value.empty()) return Wrong("it is empty");
  *target = value;
  return absl::OkStatus();
}

absl::Status SetMembers(MembershipOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.members, cache_service::ParseMemberList(value));
  return absl::OkStatus();
}

absl::Status SetMembersFile(MembershipOptions& options, const std::string& value) {
  return SetText(value, &options.members_file);
}

absl::Status SetAdvertise(MembershipOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(const SocketAddress address, ParseSocketAddress(value));
  if (address.port == 0) return Wrong("others cannot connect to port 0");
  options.advertise = address.ToString();
  return absl::OkStatus();
}

absl::Status SetName(MembershipOptions& options, const std::string& value) {
  PB_RETURN_IF_ERROR(cache_service::etcd::CheckMemberName(value));
  options.name = value;
  return absl::OkStatus();
}

absl::Status SetWeight(MembershipOptions& options, const std::string& value) {
  std::uint32_t weight = 0;
  if (!absl::SimpleAtoi(value, &weight) || weight == 0 ||
      weight > cache_service::kMaxMemberWeight) {
    return Wrong(
        absl::StrCat("a whole number of 1 to ", cache_service::kMaxMemberWeight, " is needed"));
  }
  options.weight = weight;
  return absl::OkStatus();
}

absl::Status SetEtcd(MembershipOptions& options, const std::string& value) {
  options.etcd.endpoints.clear();
  for (const absl::string_view part : absl::StrSplit(value, ',')) {
    PB_ASSIGN_OR_RETURN(options.etcd.endpoints.emplace_back(),
                        cache_service::etcd::ParseEndpoint(std::string(part)));
  }
  return absl::OkStatus();
}

absl::Status SetCluster(MembershipOptions& options, const std::string& value) {
  PB_RETURN_IF_ERROR(cache_service::etcd::CheckMemberName(value));
  options.cluster = value;
  return absl::OkStatus();
}

absl::Status SetPrefix(MembershipOptions& options, const std::string& value) {
  if (!absl::EndsWith(value, "/")) return Wrong("it must end with /");
  options.prefix = value;
  return absl::OkStatus();
}

absl::Status SetTimeToLive(MembershipOptions& options, const std::string& value) {
  absl::Duration time;
  if (!absl::ParseDuration(value, &time) || time < kShortestTimeToLive ||
      time > kLongestTimeToLive || time != absl::Floor(time, absl::Seconds(1))) {
    return Wrong("whole seconds from 2s to 1h are needed");
  }
  options.etcd.time_to_live = time;
  options.has_etcd_option = true;
  return absl::OkStatus();
}

template <typename Part>
using TextOf = std::string Part::*;

template <TextOf<cache_service::etcd::TlsFiles> file>
absl::Status SetTls(MembershipOptions& options, const std::string& value) {
  options.has_etcd_option = true;
  return SetText(value, &(options.etcd.tls.*file));
}

template <TextOf<cache_service::etcd::Credentials> text>
absl::Status SetCredentials(MembershipOptions& options, const std::string& value) {
  options.has_etcd_option = true;
  return SetText(value, &(options.etcd.credentials.*text));
}

absl::Status CheckEtcd(const MembershipOptions& options) {
  const cache_service::EtcdOptions& etcd = options.etcd;
  if (etcd.endpoints.empty()) {
    if (options.cluster) return Wrong("--cluster needs --etcd");
    if (options.prefix || options.has_etcd_option) return Wrong("the --etcd-* options need --etcd");
    if (!options.name.empty() || options.weight) {
      return Wrong("--member-name and --weight need --etcd: a list gives names and weights itself");
    }
    return absl::OkStatus();
  }
  if (options.cluster && options.prefix) {
    return Wrong("--cluster and --etcd-prefix name the same thing: give one");
  }
  if (etcd.credentials.user.empty() != etcd.credentials.password_file.empty()) {
    return Wrong("--etcd-user and --etcd-password-file need each other");
  }
  if (etcd.tls.certificate.empty() != etcd.tls.key.empty()) {
    return Wrong("--etcd-cert and --etcd-key need each other");
  }
  const bool has_tls = !etcd.tls.authorities.empty() || !etcd.tls.certificate.empty();
  for (const std::string& endpoint : etcd.endpoints) {
    if (has_tls && absl::StartsWith(endpoint, "http://")) {
      return Wrong(absl::StrCat("--etcd ", endpoint,
                                " does not use the certificates given: write https://"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReadable(const char* option, const std::string& path) {
  if (path.empty() || access(path.c_str(), R_OK) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(option, ": cannot read ", path));
}

absl::Status CheckEtcdFiles(const cache_service::EtcdOptions& etcd) {
  PB_RETURN_IF_ERROR(CheckReadable("--etcd-cacert", etcd.tls.authorities));
  PB_RETURN_IF_ERROR(CheckReadable("--etcd-cert", etcd.tls.certificate));
  PB_RETURN_IF_ERROR(CheckReadable("--etcd-key", etcd.tls.key));
  if (etcd.credentials.user.empty()) return absl::OkStatus();
  const absl::Status password =
      cache_service::etcd::ReadPassword(etcd.credentials.password_file).status();
  if (password.ok()) return password;
  return absl::Status(password.code(),
                      absl::StrCat("--etcd-password-file: ", std::string(password.message())));
}

}  // namespace

const std::map<std::string, MembershipSetter>& MembershipSetters() {
  using cache_service::etcd::Credentials;
  using cache_service::etcd::TlsFiles;
  static const auto& setters = *new std::map<std::string, MembershipSetter>{
      {"--members", SetMembers},
      {"--members-file", SetMembersFile},
      {"--advertise", SetAdvertise},
      {"--member-name", SetName},
      {"--weight", SetWeight},
      {"--etcd", SetEtcd},
      {"--cluster", SetCluster},
      {"--etcd-prefix", SetPrefix},
      {"--etcd-ttl", SetTimeToLive},
      {"--etcd-cacert", SetTls<&TlsFiles::authorities>},
      {"--etcd-cert", SetTls<&TlsFiles::certificate>},
      {"--etcd-key", SetTls<&TlsFiles::key>},
      {"--etcd-user", SetCredentials<&Credentials::user>},
      {"--etcd-password-file", SetCredentials<&Credentials::password_file>},
  };
  return setters;
}

absl::Status FinishMembershipOptions(MembershipOptions& options) {
  const int sources = (options.members.empty() ? 0 : 1) + (options.members_file.empty() ? 0 : 1) +
                      (options.etcd.endpoints.empty() ? 0 : 1);
  if (sources > 1) return Wrong("--members, --members-file and --etcd exclude each other");
  if (sources == 0 && !options.advertise.empty()) {
    return Wrong("--advertise needs --members, --members-file or --etcd");
  }
  PB_RETURN_IF_ERROR(CheckEtcd(options));
  options.etcd.prefix = options.prefix.value_or(
      absl::StrCat("/pinboard/", options.cluster.value_or("default"), "/members/"));
  return absl::OkStatus();
}

const char* MembershipHelp() {
  return R"(Other members of a cluster: pages that are not here are looked for there
  --members LIST         HOST:PORT[=WEIGHT],...: all members, this one included, the same list
                         everywhere. A member of twice the weight is to get twice the pages.
                         [1 each]
  --members-file FILE    The same, a member a line, # for comments; read again each second (put a
                         new one in its place with mv).
  --etcd ENDPOINTS       http[s]://HOST:PORT,...: members find each other through etcd 3.4 or
                         later; while it is away, those last known stay in use.
  --cluster NAME         Members of one cluster have keys under /pinboard/NAME/members/. [default]
  --etcd-prefix PREFIX   Other keys than those; ends with /.
  --etcd-ttl TIME        A member that has gone is forgotten after so long: 2s to 1h. [10s]
  --etcd-cacert FILE     Authorities (PEM) that https endpoints are checked against. [the system's]
  --etcd-cert FILE       The certificate of this client of etcd, and
  --etcd-key FILE        its key (PEM).
  --etcd-user NAME       Who asks etcd, and
  --etcd-password-file FILE   a file whose first line is the password; not open to every user.
  --advertise HOST:PORT  Where others reach this member, if not where it listens.
  --member-name NAME     What its share of the pages goes by, for --etcd; must be no other's, and
                         be kept over restarts. [the address advertised]
  --weight N             Its share next to the others', for --etcd: 1 to 65535. [1]
)";
}

bool HasMembers(const MembershipOptions& options) {
  return !options.members.empty() || !options.members_file.empty() ||
         !options.etcd.endpoints.empty();
}

absl::StatusOr<std::unique_ptr<cache_service::Membership>> MakeMembership(
    const MembershipOptions& options, MetricRegistry& metrics) {
  if (!options.members.empty()) {
    return cache_service::MakeStaticMembership(options.members, metrics);
  }
  if (!options.members_file.empty()) {
    auto made = cache_service::MakeFileMembership(options.members_file, metrics);
    if (made.ok()) return made;
    return absl::Status(made.status().code(),
                        absl::StrCat("--members-file: ", std::string(made.status().message())));
  }
  if (options.etcd.endpoints.empty()) return nullptr;
  PB_RETURN_IF_ERROR(CheckEtcdFiles(options.etcd));
  return cache_service::MakeEtcdMembership(options.etcd, metrics);
}

absl::StatusOr<cache_service::Member> DescribeSelf(const MembershipOptions& options,
                                                   const std::string& listening,
                                                   std::uint64_t incarnation) {
  const std::string& address = options.advertise.empty() ? listening : options.advertise;
  PB_ASSIGN_OR_RETURN(const SocketAddress parsed, ParseSocketAddress(address));
  if (parsed.host == "0.0.0.0" || parsed.host == "::") {
    return Wrong(absl::StrCat("others cannot connect to ", address,
                              ": say with --advertise where they reach this member"));
  }
  return cache_service::Member{.name = options.name.empty() ? address : options.name,
                               .address = address,
                               .weight = options.weight.value_or(1),
                               .incarnation = incarnation};
}

}  // namespace pinboard::app
