// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/rank_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "app/launch/device_group.h"
#include "app/launch/rank_device.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/remote_page_store.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/collective/local/local_communicator.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::app {
namespace {

constexpr absl::Duration kRendezvousTimeout = absl::Seconds(30);

absl::StatusOr<std::unique_ptr<transport::Communicator>> JoinHosts(
    const RankEnvironment& environment, int tp) {
  if (tp == 1) return transport::MakeSoloCommunicator();
  PB_ASSIGN_OR_RETURN(auto fabric, transport::MakeUcxFabric());
  return transport::MakeHostCommunicator(std::move(fabric), environment.rank, tp,
                                         environment.rendezvous, SteadyNow() + kRendezvousTimeout);
}

absl::StatusOr<std::unique_ptr<transport::Communicator>> Join(const RankEnvironment& environment,
                                                              const GroupOptions& options) {
  PB_ASSIGN_OR_RETURN(auto hosts, JoinHosts(environment, options.tp));
  if (options.backend == Backend::kCpu) return hosts;
  return MakeDeviceGroup(std::move(hosts), SteadyNow() + kRendezvousTimeout);
}

absl::Status Run(const RankEnvironment& environment, const GroupOptions& options,
                 const RankBody& body) {
  MemoryRegistrar register_memory;  // none: no device is to reach pages
  if (options.backend == Backend::kCuda) {
    PB_ASSIGN_OR_RETURN(register_memory, ChooseDevice(environment.rank));
  }
  std::unique_ptr<cache_service::PageStore> store;
  if (!environment.service.empty()) {
    cache_service::PageStoreOptions store_options;
    store_options.group = environment.service_group;
    store_options.name = absl::StrCat("rank ", environment.rank);
    store_options.register_memory = std::move(register_memory);
    if (!options.service_key.empty()) {
      PB_ASSIGN_OR_RETURN(store_options.credentials,
                          cache_service::LoadCredentials(options.service_key));
    }
    auto connected =
        cache_service::ConnectPageStore([] { return transport::MakeUcxFabric(); },
                                        absl::StrSplit(environment.service, ','), store_options);
    if (!connected.ok()) {
      return absl::Status(connected.status().code(),
                          absl::StrCat("cache service: ", connected.status().message()));
    }
    store = *std::move(connected);
  }
  PB_ASSIGN_OR_RETURN(auto communicator, Join(environment, options));
  return body({environment.rank, options.tp, communicator.get(), store.get()});
}

}  // namespace

int RunRank(const RankEnvironment& environment, const GroupOptions& options, const RankBody& body) {
  prctl(PR_SET_NAME, "pinboard");  // not "exe", as which it was started
  // What one rank sees of the service, all see: one line is enough.
  InitLog(absl::StrCat("pinboard rank ", environment.rank),
          environment.rank == 0 ? LogLevel::kWarning : LogLevel::kError);
  // Ctrl-C reaches the whole foreground group; the supervisor ends the ranks.
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  const absl::Status status = Run(environment, options, body);
  if (status.ok()) return 0;
  const std::string line = absl::StrCat(static_cast<int>(status.code()), " ",
                                        absl::StrReplaceAll(status.message(), {{"\n", " "}}), "\n");
  return write(environment.error_fd, line.data(), line.size()) < 0 ? 2 : 1;
}

}  // namespace pinboard::app
