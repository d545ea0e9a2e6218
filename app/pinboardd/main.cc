// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "app/pinboardd/options.h"
#include "app/pinboardd/shutdown_signals.h"
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/heap.h"
#include "base/locks.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/server/server.h"
#include "kernels/page_transfer/page_transfer.h"
#include "transport/fabric/ucx/memory_limit.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::app {
namespace {

/// An etcd that works answers in milliseconds; without it the others know once the lease has ended.
constexpr absl::Duration kLeaveTimeout = absl::Milliseconds(500);

/// Before the arena is allocated: these are the mistakes to be told of at once.
absl::Status CheckResources(const DaemonOptions& options) {
  PB_ASSIGN_OR_RETURN(const SocketAddress listen, ParseSocketAddress(options.listen));
  PB_RETURN_IF_ERROR(CheckCanListen(listen));
  const absl::Status memory = transport::CheckSharedMemory(options.arena_bytes);
  if (memory.ok()) return memory;
  return absl::Status(memory.code(),
                      absl::StrCat("--arena ", FormatByteSize(options.arena_bytes),
                                   " does not fit: ", std::string(memory.message())));
}

/// UCX has ports of its own, and asks for no key there: they are no wider than the service's.
void NarrowUcx(const DaemonOptions& options) {
  const auto listen = ParseSocketAddress(options.listen);
  if (listen.ok() && listen->is_loopback()) {
    setenv("UCX_NET_DEVICES", "lo", /*replace=*/0);
  } else if (options.key_file.empty()) {
    LogWarning("no --keys: who reaches ", options.listen, " reads and drops every page");
  }
}

absl::Status AnnounceReady(const DaemonOptions& options, const std::string& address) {
  if (!options.address_file.empty()) {
    std::ofstream file(options.address_file);
    file << address << "\n" << std::flush;
    if (!file) {
      return absl::UnavailableError(
          absl::StrCat("--address-file: cannot write ", options.address_file));
    }
  }
  std::printf("pinboardd: listening on %s\n", address.c_str());
  std::fflush(stdout);
  return absl::OkStatus();
}

/// Whether nothing has happened to a page since its rank gathered it.
bool HasItsTag(const cache_service::PageHeader& header, absl::Span<const std::byte> bytes) {
  return bytes.size() % sizeof(std::uint64_t) == 0 &&
         kernels::PageTag(bytes, {header.key, header.generation}) == header.tag;
}

std::vector<const char*> FaultPoints() {
  namespace fault = cache_service::fault;
  std::vector<const char*> points(std::begin(fault::kServicePoints),
                                  std::end(fault::kServicePoints));
  points.insert(points.end(), std::begin(fault::kMemberPoints), std::end(fault::kMemberPoints));
  points.insert(points.end(), std::begin(fault::kDrainPoints), std::end(fault::kDrainPoints));
  return points;
}

absl::Status Serve(const DaemonOptions& options, const sigset_t& shutdown_signals, pid_t parent) {
  PB_RETURN_IF_ERROR(ArmFaultPoints(FaultPoints()));
  PB_RETURN_IF_ERROR(CheckResources(options));
  NarrowUcx(options);
  const std::unique_ptr<MetricRegistry> metrics = NewMetricRegistry();
  Readiness readiness;
  std::unique_ptr<MetricServer> metric_server;
  if (!options.metrics.empty()) {
    PB_ASSIGN_OR_RETURN(metric_server, ServeMetrics(*metrics, options.metrics, &readiness));
    LogInfo("metrics on port ", metric_server->port());
  }
  PB_ASSIGN_OR_RETURN(const auto membership, MakeMembership(options.membership, *metrics));
  PB_ASSIGN_OR_RETURN(auto fabric, transport::MakeUcxFabric());
  cache_service::ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.arena_bytes = options.arena_bytes;
  server_options.eviction = options.eviction;
  server_options.watermarks = options.watermarks;
  server_options.key_file = options.key_file;
  server_options.tenant_file = options.tenant_file;
  server_options.replication.replicas = options.replicas;
  server_options.replication.check = HasItsTag;
  server_options.drain_deadline = options.drain_deadline;
  PB_ASSIGN_OR_RETURN(auto server,
                      cache_service::Server::Create(std::move(fabric), server_options, *metrics));
  if (membership != nullptr) {
    PB_ASSIGN_OR_RETURN(const cache_service::Member self,
                        DescribeSelf(options.membership, server->address(), server->incarnation()));
    PB_RETURN_IF_ERROR(membership->Join(self));
    server->JoinMembers(*membership, self);
  }
  readiness.Set(Readiness::State::kReady);
  PB_RETURN_IF_ERROR(AnnounceReady(options, server->address()));
  {
    const ShutdownWatcher watcher(shutdown_signals, parent, [&] {
      readiness.Set(Readiness::State::kDraining);
      server->Drain();
    });
    server->Run(&readiness);
  }
  server.reset();  // who waits for an answer sees the connection end
  if (membership != nullptr) {
    const absl::Status left = membership->Leave(SteadyNow() + kLeaveTimeout);
    if (!left.ok()) LogWarning(std::string(left.message()));
  }
  LogInfo("ended");
  return absl::OkStatus();
}

/// Each client takes about ten, and the usual limit is 1,024.
void AllowDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(int argc, char** argv) {
  const pid_t parent = getppid();
  const auto options = ParseDaemonOptions(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "pinboardd: %s\n", std::string(options.status().message()).c_str());
    return 2;
  }
  if (options->help || options->version) {
    const std::string text = options->help ? DaemonHelp() : "pinboardd " PINBOARD_VERSION "\n";
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  AllowDescriptors();
  const sigset_t shutdown_signals = BlockShutdownSignals();
  signal(SIGPIPE, SIG_IGN);
  InitLog("pinboardd", options->log_level, options->log_format);
  const absl::Status served =
      Serve(*options, shutdown_signals, options->exit_with_parent ? parent : 0);
  if (served.ok()) return 0;
  std::fprintf(stderr, "pinboardd: %s\n", std::string(served.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace pinboard::app

int main(int argc, char** argv) {
  pinboard::KeepFreedMemory();
  pinboard::LockWithoutLookingForCycles();
  return pinboard::app::Main(argc, argv);
}
