// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/rank_group.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "app/launch/child_process.h"
#include "app/launch/rank_environment.h"
#include "app/launch/rank_process.h"
#include "app/launch/reserved_port.h"
#include "app/launch/service_process.h"
#include "app/launch/supervisor.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "cache_service/remote_page_store.h"

namespace pinboard::app {
namespace {

constexpr int kUsageError = 2;
constexpr int kMaxRanks = 64;
constexpr absl::Duration kServiceTimeout = absl::Seconds(20);
// Longer than a shard's rank deadline, so that survivors end by themselves.
constexpr absl::Duration kGrace = absl::Seconds(15);

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "pinboard: %s\n", std::string(status.message()).c_str());
  return code;
}

/// Everything of this run is on this machine, unless a service of it is not.
bool StaysOnLoopback(const RankEnvironment& environment) {
  if (environment.service.empty()) return true;
  const std::vector<std::string> services = absl::StrSplit(environment.service, ',');
  return std::all_of(services.begin(), services.end(), [](const std::string& text) {
    const auto service = ParseSocketAddress(text);
    return service.ok() && service->is_loopback();
  });
}

/// What a user has set stays as it is.
void AddDefault(const char* name, const char* value,
                std::vector<std::pair<std::string, std::string>>* variables) {
  if (std::getenv(name) == nullptr) variables->emplace_back(name, value);
}

absl::StatusOr<SupervisedRank> StartRank(RankEnvironment environment, char** argv) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("pipe failed");
  environment.error_fd = ends[1];
  auto variables = environment.ToVariables();
  if (StaysOnLoopback(environment)) AddDefault("UCX_NET_DEVICES", "lo", &variables);
  AddDefault("UCX_LOG_LEVEL", "fatal", &variables);  // errors come back as statuses
  std::vector<std::string> arguments;
  for (char** argument = argv; *argument != nullptr; ++argument) arguments.emplace_back(*argument);
  auto pid = StartChild({"/proc/self/exe", arguments, variables, {{ends[1], ends[1]}}});
  close(ends[1]);
  PB_RETURN_IF_ERROR(pid.status());
  return SupervisedRank{*pid, ends[0], std::nullopt, std::nullopt};
}

absl::Status StartRanks(const GroupOptions& options, const std::string& rendezvous,
                        const std::string& service, char** argv,
                        std::vector<SupervisedRank>* ranks) {
  RankEnvironment environment;
  environment.rendezvous = rendezvous;
  environment.service = service;
  environment.service_group = cache_service::NewGroupId();
  for (environment.rank = 0; environment.rank < options.tp; ++environment.rank) {
    PB_ASSIGN_OR_RETURN(auto rank, StartRank(environment, argv));
    ranks->push_back(std::move(rank));
  }
  return absl::OkStatus();
}

int SuperviseGroup(const GroupOptions& options, char** argv) {
  const auto rendezvous = ReservedPort::Reserve();
  if (!rendezvous.ok()) return Fail(rendezvous.status(), EXIT_FAILURE);
  ServiceProcess service;
  if (options.service == "auto") {
    auto started = StartService(options.service_arena, kServiceTimeout);
    if (!started.ok()) return Fail(started.status(), EXIT_FAILURE);
    service = *started;
  } else if (options.service != "none") {
    service.address = options.service;
  }
  TakeSupervisedSignals();  // until here Ctrl-C ends this process at once, and the service with it
  std::vector<SupervisedRank> ranks;
  int code = EXIT_FAILURE;
  if (const absl::Status started =
          StartRanks(options, rendezvous->address(), service.address, argv, &ranks);
      !started.ok()) {
    for (const SupervisedRank& rank : ranks) kill(rank.pid, SIGKILL);
    Fail(started, code);
  } else {
    std::string message;
    code = Supervise(ranks, kGrace, &message);
    if (!message.empty()) std::fprintf(stderr, "pinboard: %s\n", message.c_str());
  }
  if (service.pid > 0) {
    kill(service.pid, SIGTERM);
    waitpid(service.pid, nullptr, 0);
  }
  return code;
}

}  // namespace

int RunRankGroup(const GroupOptions& options, char** argv,
                 const std::function<absl::Status()>& validate, const RankBody& body) {
  if (const auto environment = RankEnvironment::FromVariables(); environment.has_value()) {
    return RunRank(*environment, options, body);
  }
  if (options.tp < 1 || options.tp > kMaxRanks) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("--tp is ", options.tp, ": use 1 to ", kMaxRanks)),
        kUsageError);
  }
  if (const absl::Status valid = validate(); !valid.ok()) return Fail(valid, kUsageError);
  return SuperviseGroup(options, argv);
}

}  // namespace pinboard::app
