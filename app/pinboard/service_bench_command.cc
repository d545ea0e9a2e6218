// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/report/output_file.h"
#include "app/service_load/load_report.h"
#include "app/service_load/load_run.h"
#include "app/service_load/workload.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/remote_page_store.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard bench service - loads a running pinboardd and checks every byte that comes back.

  pinboard bench service --service 127.0.0.1:7700 --workload bench/service/workloads/get-64k.json

Each client of the workload is a thread with a connection of its own. It publishes its pages, then
fetches batches of anybody's of its tenant and publishes new generations of its own, until the time
is over. What a page holds follows from its name and generation: a page that holds anything else
ends the run with exit status 1. Pages that were evicted or replaced meanwhile are misses, not
errors. Ctrl-C ends the run early and shows what it has measured; a second one ends it at once.

A workload is a JSON object; every key may be left out:
  clients 2             tenants ["bench"] (client c is of tenant c modulo their number)
  pages 1024 (of each)  page_bytes [65536] (page p has size p modulo their number)
  batch 32 (pages of an operation)     run 1 (of these, pages in a row: 32 are all layers of one)
  read_share 0.9        zipf 0.99 (0: all alike)    copy false (true: fetched pages are copied out)
  put_in_place false (true: pages are written straight into the service's memory, as a device does)
  seconds 10            seed 1

get: a fetch until its last page is there (and copied). put: lease, copy the pages there, hand them
over for publication. put_in_place: hand written pages over, lease for the next batch, wait until
the last page can be fetched. Rates are of the whole run, drawing, writing and checking included;
latencies are not, nor are busy GB/s: what one client moves while it gets or puts.

)";

struct ServiceBenchFlags {
  std::string service = "127.0.0.1:7700";
  std::string service_key;
  std::string workload;
  std::string json;
  bool help = false;
};

FlagTable MakeTable(ServiceBenchFlags* flags) {
  FlagTable table("pinboard bench service");
  table.Text("service", "HOST:PORT,...",
             "Where pinboardd listens; of several, the first that is well is used.",
             &flags->service);
  table.Text("service-key", "FILE", "The tenant's key, for a pinboardd that has --keys.",
             &flags->service_key);
  table.Text("workload", "FILE", "What to do; left out: the defaults above.", &flags->workload);
  table.Text("json", "FILE", "Results as JSON; -: to standard output, instead of the table.",
             &flags->json);
  table.Switch("help", "Show this.", &flags->help);
  return table;
}

absl::StatusOr<Workload> Validate(const ServiceBenchFlags& flags) {
  PB_RETURN_IF_ERROR(ParseServices(flags.service).status());
  PB_RETURN_IF_ERROR(ReadServiceKey(flags.service_key).status());
  if (!flags.json.empty()) PB_RETURN_IF_ERROR(CheckWritable(flags.json));
  return flags.workload.empty() ? Workload() : ReadWorkload(flags.workload);
}

std::atomic<bool> interrupted = false;

void EndEarly() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

absl::Status Run(const ServiceBenchFlags& flags, const Workload& workload) {
  PB_ASSIGN_OR_RETURN(const auto services, ParseServices(flags.service));
  PB_ASSIGN_OR_RETURN(auto credentials, ReadServiceKey(flags.service_key));
  std::vector<std::uint64_t> groups(workload.tenants.size());
  std::generate(groups.begin(), groups.end(), cache_service::NewGroupId);
  const auto connect = [&](int client) {
    const std::size_t tenant = client % groups.size();
    return cache_service::ConnectPageStore(
        [] { return transport::MakeUcxFabric(); }, services,
        {.group = groups[tenant],
         .name = absl::StrCat("pinboard bench ", workload.tenants[tenant], " client ", client),
         .credentials = credentials});
  };
  const auto result = RunLoad(workload, connect, interrupted);
  if (!result.ok()) {
    return absl::Status(result.status().code(),
                        absl::StrCat("cache service: ", std::string(result.status().message())));
  }
  if (flags.json != "-") PB_RETURN_IF_ERROR(WriteOutput("-", LoadTable(workload, *result)));
  if (!flags.json.empty()) PB_RETURN_IF_ERROR(WriteOutput(flags.json, LoadJson(workload, *result)));
  if (result->wrong_pages == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(result->wrong_pages, " of ", result->checked_pages,
                                          " pages held other bytes than were published"));
}

}  // namespace

int ServiceBenchCommand(absl::Span<const std::string> arguments) {
  ServiceBenchFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  const auto workload = Validate(flags);
  if (!workload.ok()) return UsageError(workload.status());
  signal(SIGPIPE, SIG_IGN);
  InitLog("pinboard bench", LogLevel::kWarning);
  EndEarly();
  const absl::Status run = Run(flags, *workload);
  if (!run.ok()) return RunError(run);
  if (!interrupted) return 0;
  (void)RunError(absl::CancelledError("interrupted"));
  return kInterrupted;
}

}  // namespace pinboard::app
