// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A scripted client as a process of its own, with the fault points of PINBOARD_FAULT.
//   fault_client ADDRESS[,ADDRESS...] BOARD INDEX SEED [KEY-FILE]
#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "cache_service/fault_points.h"
#include "cache_service/remote_page_store.h"
#include "tests/fault/scripted_client.h"
#include "transport/fabric/ucx/ucx_fabric.h"

int main(int argc, char** argv) {
  using namespace pinboard;
  if (argc != 5 && argc != 6) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<const char*> points(std::begin(cache_service::fault::kClientPoints),
                                  std::end(cache_service::fault::kClientPoints));
  points.push_back(testing::kPageHalfWritten);
  if (const absl::Status armed = ArmFaultPoints(points); !armed.ok()) {
    std::fprintf(stderr, "fault_client: %s\n", std::string(armed.message()).c_str());
    return 2;
  }
  InitLog("fault client", LogLevel::kOff);
  const testing::SharedBoard board(argv[2]);
  const int index = std::atoi(argv[3]);
  const std::vector<std::string> services = absl::StrSplit(argv[1], ',');
  cache_service::PageStoreOptions options;
  options.group = testing::kFaultGroup;
  options.name = absl::StrCat("fault client ", index);
  options.connect_timeout = absl::Milliseconds(500);
  while (!board->stop.load()) {
    const std::uint32_t keys_given = board->keys_given[TenantOf(*board, index)].load();
    if (argc == 6) {
      auto key = cache_service::LoadCredentials(argv[5]);
      if (!key.ok()) return 2;
      options.credentials = *std::move(key);
    }
    auto store = cache_service::ConnectPageStore([] { return transport::MakeUcxFabric(); },
                                                 services, options);
    if (absl::IsPermissionDenied(store.status())) board->clients[index].connected.store(true);
    if (!store.ok()) {  // the service may be down
      absl::SleepFor(absl::Milliseconds(5));
      continue;
    }
    board->clients[index].connected.store(true);
    using testing::ScriptedClient;
    ScriptedClient(
        **store, *board, index, std::atoi(argv[4]),
        services.size() == 1 ? ScriptedClient::Forgets::kSurely : ScriptedClient::Forgets::kMaybe)
        .Run(keys_given);
  }
  return 0;
}
