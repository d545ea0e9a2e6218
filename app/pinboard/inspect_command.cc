// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "app/inspect/holdings.h"
#include "app/inspect/inspect_json.h"
#include "app/inspect/inspect_table.h"
#include "app/pinboard/asked_service.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/client/stats_client.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard inspect - whose pages a running pinboardd has, by group and sequence.

  pinboard inspect --service 127.0.0.1:7700
  pinboard inspect --service 127.0.0.1:7700 --json - | jq '.groups[].sequences | length'

A group is one start of an engine, a sequence one text of it. Of each: the layers, page numbers and
shards (heads of a rank) from the lowest to the highest, the pages that can be fetched and their
bytes, how many were evicted or dropped and are remembered as such, generations, and the mean
information of a page that can be fetched. The service goes on meanwhile: it answers in parts of a
fraction of a millisecond. What is there all the while is told once; pages that come and go in
between may be or not. With --service-key the pages are the tenant's.

)";

struct InspectFlags {
  std::string service = "127.0.0.1:7700";
  std::string service_key;
  std::string json;
  bool help = false;
};

FlagTable MakeTable(InspectFlags* flags) {
  FlagTable table("pinboard inspect");
  table.Text("service", "HOST:PORT", "Where pinboardd listens.", &flags->service);
  table.Text("service-key", "FILE", "The tenant's key, for a pinboardd that has --keys.",
             &flags->service_key);
  table.Text("json", "-", "One JSON object on one line instead of the table.", &flags->json);
  table.Switch("help", "Show this.", &flags->help);
  return table;
}

absl::Status Validate(const InspectFlags& flags) {
  PB_RETURN_IF_ERROR(CheckAskedService(flags.service, flags.service_key));
  if (!flags.json.empty() && flags.json != "-") {
    return absl::InvalidArgumentError(
        absl::StrCat("--json is '", flags.json, "': the object goes to standard output, -"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Inspection> Walk(const std::string& service, cache_service::StatsClient& client) {
  Inspection inspection{.service = service, .time = absl::Now(), .holdings = {}};
  std::uint64_t cursor = 0;
  do {
    PB_ASSIGN_OR_RETURN(const cache_service::InspectReply reply,
                        client.Inspect(cursor, SteadyNow() + kServiceAnswer));
    inspection.holdings.Add(reply.extents);
    cursor = reply.next;
  } while (cursor != 0);
  return inspection;
}

absl::Status Run(const InspectFlags& flags) {
  PB_ASSIGN_OR_RETURN(const auto client,
                      ConnectToAskedService(flags.service, flags.service_key, "pinboard inspect"));
  const auto inspection = Walk(flags.service, *client);
  client->Close(SteadyNow() + kServiceGoodbye);
  if (!inspection.ok()) return inspection.status();
  return WriteOutput("-",
                     flags.json.empty() ? InspectTable(*inspection) : InspectJson(*inspection));
}

}  // namespace

int InspectCommand(absl::Span<const std::string> arguments) {
  InspectFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  if (const absl::Status valid = Validate(flags); !valid.ok()) return UsageError(valid);
  signal(SIGPIPE, SIG_IGN);
  InitLog("pinboard inspect", LogLevel::kOff);  // what goes wrong comes back as a status
  signal(SIGINT, [](int) { _exit(kInterrupted); });
  const absl::Status done = Run(flags);
  return done.ok() ? 0 : RunError(done);
}

}  // namespace pinboard::app
