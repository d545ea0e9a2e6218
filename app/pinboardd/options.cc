// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboardd/options.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

using Setter = std::function<absl::Status(DaemonOptions&, const std::string& value)>;

absl::Status SetListen(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(const SocketAddress address, ParseSocketAddress(value));
  options.listen = address.ToString();
  return absl::OkStatus();
}

absl::Status SetArena(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.arena_bytes, ParseByteSize(value));
  return absl::OkStatus();
}

absl::Status SetEviction(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.eviction, cache_service::ParseEvictionPolicy(value));
  return absl::OkStatus();
}

absl::Status SetWatermarks(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.watermarks, cache_service::ParseWatermarks(value));
  return absl::OkStatus();
}

absl::Status SetReplicas(DaemonOptions& options, const std::string& value) {
  constexpr int kMostReplicas = 8;
  if (!absl::SimpleAtoi(value, &options.replicas) || options.replicas < 1 ||
      options.replicas > kMostReplicas) {
    return absl::InvalidArgumentError(
        absl::StrCat("a whole number of 1 to ", kMostReplicas, " is needed"));
  }
  return absl::OkStatus();
}

absl::Status SetDrainDeadline(DaemonOptions& options, const std::string& value) {
  if (!absl::ParseDuration(value, &options.drain_deadline) ||
      options.drain_deadline < absl::ZeroDuration() || options.drain_deadline > absl::Hours(1)) {
    return absl::InvalidArgumentError("a time of 0 to 1h is needed, such as 30s");
  }
  return absl::OkStatus();
}

absl::Status SetMetrics(DaemonOptions& options, const std::string& value) {
  if (value == "none") {
    options.metrics.clear();
    return absl::OkStatus();
  }
  PB_ASSIGN_OR_RETURN(const SocketAddress address, ParseSocketAddress(value));
  options.metrics = address.ToString();
  return absl::OkStatus();
}

absl::Status SetLogLevel(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.log_level, ParseLogLevel(value));
  return absl::OkStatus();
}

absl::Status SetLogFormat(DaemonOptions& options, const std::string& value) {
  PB_ASSIGN_OR_RETURN(options.log_format, ParseLogFormat(value));
  return absl::OkStatus();
}

absl::Status SetFile(std::string& file, const std::string& value) {
  if (value.empty()) return absl::InvalidArgumentError("a file name is needed");
  file = value;
  return absl::OkStatus();
}

absl::Status SetKeyFile(DaemonOptions& options, const std::string& value) {
  return SetFile(options.key_file, value);
}

absl::Status SetTenantFile(DaemonOptions& options, const std::string& value) {
  return SetFile(options.tenant_file, value);
}

absl::Status SetAddressFile(DaemonOptions& options, const std::string& value) {
  return SetFile(options.address_file, value);
}

const std::map<std::string, Setter>& ValueOptions() {
  static const auto& options = *new std::map<std::string, Setter>{
      {"--listen", SetListen},        {"--arena", SetArena},
      {"--eviction", SetEviction},    {"--watermarks", SetWatermarks},
      {"--keys", SetKeyFile},         {"--tenants", SetTenantFile},
      {"--metrics", SetMetrics},      {"--log-level", SetLogLevel},
      {"--log-format", SetLogFormat}, {"--address-file", SetAddressFile},
      {"--replicas", SetReplicas},    {"--drain-deadline", SetDrainDeadline},
  };
  return options;
}

const std::map<std::string, bool DaemonOptions::*>& Switches() {
  static const auto& switches = *new std::map<std::string, bool DaemonOptions::*>{
      {"--exit-with-parent", &DaemonOptions::exit_with_parent},
      {"--help", &DaemonOptions::help},
      {"--version", &DaemonOptions::version},
  };
  return switches;
}

/// Empty where there is no such option.
Setter FindSetter(const std::string& name) {
  if (const auto own = ValueOptions().find(name); own != ValueOptions().end()) return own->second;
  const auto found = MembershipSetters().find(name);
  if (found == MembershipSetters().end()) return nullptr;
  return [set = found->second](DaemonOptions& options, const std::string& value) {
    return set(options.membership, value);
  };
}

}  // namespace

absl::StatusOr<DaemonOptions> ParseDaemonOptions(const std::vector<std::string>& arguments) {
  DaemonOptions options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = arguments[i].substr(equals + 1);
    if (const auto found = Switches().find(name); found != Switches().end()) {
      if (value) return absl::InvalidArgumentError(absl::StrCat(name, " takes no value"));
      options.*found->second = true;
      continue;
    }
    const Setter set = FindSetter(name);
    if (!set) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown option ", arguments[i], "; --help lists them"));
    }
    if (!value && i + 1 < arguments.size()) value = arguments[++i];
    if (!value) return absl::InvalidArgumentError(absl::StrCat(name, " needs a value"));
    if (const absl::Status done = set(options, *value); !done.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(done.message())));
    }
  }
  PB_RETURN_IF_ERROR(FinishMembershipOptions(options.membership));
  if (options.replicas > 1 && !HasMembers(options.membership)) {
    return absl::InvalidArgumentError(
        "--replicas needs other members: --members, --members-file or --etcd");
  }
  return options;
}

std::string DaemonHelp() {
  return absl::StrCat(
      R"(pinboardd - the cache service: keeps pages that engines evicted and may want back.

  pinboardd                                serve on 127.0.0.1:7700 with 1 GiB for pages
  pinboardd --arena 64GiB --listen 10.0.0.5:7700
  pinboard generate --service 127.0.0.1:7700 ...        an engine that uses it

Options
  --listen HOST:PORT     Where engines connect. HOST is an IP address; beyond loopback only
                         if you say so: then give it --keys, and a network that nobody else reads.
                         UCX takes more ports, on the devices of UCX_NET_DEVICES: lo alone where
                         HOST is loopback, all where it is not and nothing is set.
                         Port 0: any free one. [127.0.0.1:7700]
  --arena SIZE           Memory for pages: 512MiB, 64GiB, ... Reserved at the start
                         (with --keys: as tenants need it), taken page by page as they are
                         written. Engines on this machine map it: shared
                         memory, on huge pages where the kernel gives them to that, spread over the
                         machine's memory nodes. [1GiB]
  --eviction POLICY      Which page leaves first when room is needed. [aged-score:10m]
                         lru: the longest unused
                         score: the one of the lowest mean information E
                         aged-score:H: the same, E being halved for each time H without use
                         ttl:T: the oldest; and each page once T has passed since it came
                         Times from 1s to 8760h, such as 90s, 10m, 1h30m.
  --watermarks HIGH:LOW  Once more than HIGH percent of the arena is in use, pages leave in the
                         background until no more than LOW percent is. none: only where there is
                         no room. [98:95]
  --keys FILE            Let in only who has a tenant's key. A line is TENANT KEY-ID KEY [EXPIRES], as
                         acme 1 hex:9f86d0..., the key from openssl rand -hex 32. Engines show
                         theirs with --service-key FILE. Read again when it changes.
                         [everybody is let in, as one tenant]
  --tenants FILE         What each tenant may have, a line each; read again when it changes:
                         acme bytes=48GiB pages=3000000 extents=40000 priority=10
                         [equal shares of the arena, any number of pages, an extent (a block of
                         a sequence's pages) for each 64KiB, at least 65536]
  --metrics HOST:PORT    Where Prometheus reads /metrics; docs/metrics.md lists what there is. Beside
                         it: /healthz, and /readyz (503 until it listens, and once it is to end).
                         Port 0: any free one. none: no metrics. [127.0.0.1:9400]
  --log-level LEVEL      debug (each message), info, warning, error or off; lines go to standard
                         error. [info]
  --log-format FORMAT    text, or json: an object a line. [text]
  --address-file FILE    Write the address listened on (HOST:PORT) into FILE once ready.
  --exit-with-parent     End when the process that started this one has ended.
  --help, --version

)",
      MembershipHelp(), R"(
  --replicas N           Keep each page on N members, as long as there are so many. [1]
  --drain-deadline TIME  On SIGTERM, hand pages over to other members for so long before ending; a
                         second signal ends it at once. 0: do not. [10s]

Once ready it prints one line on standard output, "pinboardd: listening on HOST:PORT", and serves
until SIGINT or SIGTERM. Exit status: 0 after a signal, 1 if it cannot run, 2 for a wrong option.
)");
}

}  // namespace pinboard::app
