// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "app/pinboard/asked_service.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/stat/service_sample.h"
#include "app/stat/stat_json.h"
#include "app/stat/stat_table.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/client/stats_client.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard stat - what a running pinboardd holds and has done.

  pinboard stat --service 127.0.0.1:7700
  pinboard stat --service 127.0.0.1:7700 --watch 2
  pinboard stat --service 127.0.0.1:7700 --watch 1 --json - | jq .per_second.misses_total

Connects as a client that asks for the counts and nothing else: it takes no page and no memory of
the service. With --service-key the counts are the tenant's. Totals are since the service started;
with --watch they stand beside their growth per second since the sample before. What to look at:
"quarantined slabs" that stay (a client lost its connection and lives on), misses because "evicted"
(the arena is too small for the band), misses because "unknown" (the service was restarted, or pages
are published late). The same counts go to Prometheus: docs/metrics.md says what each is.

)";

constexpr double kShortestWatch = 0.1;
constexpr double kLongestWatch = 86400;

struct StatFlags {
  std::string service = "127.0.0.1:7700";
  std::string service_key;
  double watch = 0;
  std::string json;
  bool help = false;
};

FlagTable MakeTable(StatFlags* flags) {
  FlagTable table("pinboard stat");
  table.Text("service", "HOST:PORT", "Where pinboardd listens.", &flags->service);
  table.Text("service-key", "FILE", "The tenant's key, for a pinboardd that has --keys.",
             &flags->service_key);
  table.Real("watch", "SECONDS", "Again every so many seconds, until Ctrl-C; 0: once.",
             &flags->watch);
  table.Text("json", "-", "One JSON object a sample, one a line, instead of the table.",
             &flags->json);
  table.Switch("help", "Show this.", &flags->help);
  return table;
}

absl::Status Validate(const StatFlags& flags) {
  PB_RETURN_IF_ERROR(CheckAskedService(flags.service, flags.service_key));
  const bool watchable = flags.watch >= kShortestWatch && flags.watch <= kLongestWatch;
  if (flags.watch != 0 && !watchable) {
    return absl::InvalidArgumentError(absl::StrCat("--watch is ", flags.watch, ": use ",
                                                   kShortestWatch, " to ", kLongestWatch,
                                                   " seconds, or 0 for one sample"));
  }
  if (!flags.json.empty() && flags.json != "-") {
    return absl::InvalidArgumentError(
        absl::StrCat("--json is '", flags.json, "': samples go to standard output, -"));
  }
  return absl::OkStatus();
}

/// True if Ctrl-C came before `deadline`. Elsewhere it ends the process at once.
bool InterruptedBy(absl::Time deadline) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  bool interrupted = false;
  while (!interrupted && SteadyNow() < deadline) {
    const timespec timeout = absl::ToTimespec(deadline - SteadyNow());
    interrupted = sigtimedwait(&interrupt, nullptr, &timeout) == SIGINT;
  }
  pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
  return interrupted;
}

absl::StatusOr<ServiceSample> Take(const StatFlags& flags, cache_service::StatsClient& client) {
  ServiceSample sample;
  sample.service = flags.service;
  PB_ASSIGN_OR_RETURN(sample.entries, client.Ask(SteadyNow() + kServiceAnswer));
  sample.time = absl::Now();
  return sample;
}

std::string Text(const StatFlags& flags, const ServiceSample* before, const ServiceSample& now) {
  if (!flags.json.empty()) return StatJson(before, now);
  if (flags.watch == 0) return StatTable(before, now);
  // A terminal shows one table that changes; a file gets them one after the other.
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  return absl::StrCat(terminal ? "\x1b[H\x1b[J" : "", StatTable(before, now), "\n");
}

/// True: ended by Ctrl-C.
absl::StatusOr<bool> Show(const StatFlags& flags, cache_service::StatsClient& client) {
  std::optional<ServiceSample> before;
  for (;;) {
    PB_ASSIGN_OR_RETURN(ServiceSample now, Take(flags, client));
    PB_RETURN_IF_ERROR(WriteOutput("-", Text(flags, before.has_value() ? &*before : nullptr, now)));
    if (flags.watch == 0) return false;
    if (InterruptedBy(SteadyNow() + absl::Seconds(flags.watch))) return true;
    before = std::move(now);
  }
}

absl::StatusOr<bool> Run(const StatFlags& flags) {
  PB_ASSIGN_OR_RETURN(const auto client,
                      ConnectToAskedService(flags.service, flags.service_key, "pinboard stat"));
  auto interrupted = Show(flags, *client);
  client->Close(SteadyNow() + kServiceGoodbye);
  return interrupted;
}

}  // namespace

int StatCommand(absl::Span<const std::string> arguments) {
  StatFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  if (const absl::Status valid = Validate(flags); !valid.ok()) return UsageError(valid);
  signal(SIGPIPE, SIG_IGN);
  InitLog("pinboard stat", LogLevel::kOff);  // what goes wrong comes back as a status
  signal(SIGINT, [](int) { _exit(kInterrupted); });
  const absl::StatusOr<bool> interrupted = Run(flags);
  if (!interrupted.ok()) return RunError(interrupted.status());
  return *interrupted ? kInterrupted : 0;
}

}  // namespace pinboard::app
