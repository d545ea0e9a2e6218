// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <CivetServer.h>
#include <dlfcn.h>
#include <prometheus/exposer.h>
#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/metrics_prometheus.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

/// In place of the C library's, for the whole program: no thread has a stack smaller than a
/// megabyte, of which only what it touches is memory. civetweb gives its threads 100 KiB, the C
/// library puts every library's thread-local storage there too, and cuBLASLt, OpenBLAS and NCCL
/// have 168 KiB of it: pthread_create refuses, and no metrics are served.
extern "C" int pthread_attr_setstacksize(pthread_attr_t* attr, std::size_t stacksize) noexcept {
  using SetStackSize = int (*)(pthread_attr_t*, std::size_t);
  static const auto set =
      reinterpret_cast<SetStackSize>(dlsym(RTLD_NEXT, "pthread_attr_setstacksize"));
  constexpr std::size_t kLeastBytes = std::size_t{1} << 20;
  return set(attr, std::max(stacksize, kLeastBytes));
}

namespace pinboard {
namespace {

/// civetweb takes connections while it still starts, and crashes where it answers one with an error
/// then, as it does before /metrics is there: requests wait for servers that are starting.
ABSL_CONST_INIT absl::Mutex starting(absl::kConstInit);
const mg_context* started ABSL_GUARDED_BY(starting) = nullptr;  // by the server that is starting

ABSL_CONST_INIT absl::Mutex running(absl::kConstInit);

/// What each running server says at /healthz and /readyz: its callbacks have nothing but its
/// context.
std::map<const mg_context*, const Readiness*>& Running() ABSL_EXCLUSIVE_LOCKS_REQUIRED(running) {
  static auto& servers = *new std::map<const mg_context*, const Readiness*>;
  return servers;
}

/// Its starter, which holds `starting`, is the caller.
void RememberStarted(const mg_context* context) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  started = context;
}

int AnswerText(mg_connection* connection, int status, const std::string& text) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n%s\n",
            status, status == 200 ? "OK" : "Service Unavailable", text.size() + 1, text.c_str());
  return status;
}

/// Of the server that the connection belongs to; null: it has none.
const Readiness* ReadinessOf(const mg_connection* connection)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(running) {
  const auto server = Running().find(mg_get_context(connection));
  return server == Running().end() ? nullptr : server->second;
}

int AnswerHealthy(mg_connection* connection) {
  const absl::MutexLock lock(&running);
  const Readiness* const readiness = ReadinessOf(connection);
  const bool stuck = readiness != nullptr && readiness->is_stuck(SteadyNow());
  return stuck ? AnswerText(connection, 503, "stuck") : AnswerText(connection, 200, "healthy");
}

int AnswerReady(mg_connection* connection) {
  const absl::MutexLock lock(&running);
  const Readiness* const readiness = ReadinessOf(connection);
  switch (readiness == nullptr ? Readiness::State::kReady : readiness->state()) {
    case Readiness::State::kStarting:
      return AnswerText(connection, 503, "starting");
    case Readiness::State::kDraining:
      return AnswerText(connection, 503, "draining");
    case Readiness::State::kReady:
      break;
  }
  return AnswerText(connection, 200, "ready");
}

/// 0: civetweb goes on.
int BeginRequest(mg_connection* connection) {
  { const absl::MutexLock none_starts(&starting); }
  const std::string path = mg_get_request_info(connection)->local_uri;
  if (path == "/healthz") return AnswerHealthy(connection);
  if (path == "/readyz") return AnswerReady(connection);
  return 0;
}

class PrometheusServer : public MetricServer {
 public:
  PrometheusServer(const std::string& address, const MetricRegistry& registry,
                   const Readiness* readiness) {
    mg_callbacks callbacks = {};
    callbacks.begin_request = BeginRequest;
    callbacks.init_context = RememberStarted;
    const absl::MutexLock starts(&starting);
    // CivetCallbacks adds nothing to its base but a constructor.
    exposer_ = std::make_unique<prometheus::Exposer>(
        address, /*num_threads=*/2, static_cast<const CivetCallbacks*>(&callbacks));
    exposer_->RegisterCollectable(CollectableOf(registry));
    context_ = started;
    const absl::MutexLock lock(&running);
    Running()[context_] = readiness;
  }
  ~PrometheusServer() override {
    exposer_.reset();
    const absl::MutexLock lock(&running);
    Running().erase(context_);
  }
  int port() const override { return exposer_->GetListeningPorts().front(); }

 private:
  std::unique_ptr<prometheus::Exposer> exposer_;
  const mg_context* context_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricServer>> ServeMetrics(const MetricRegistry& registry,
                                                           const std::string& address,
                                                           const Readiness* readiness) {
  PB_ASSIGN_OR_RETURN(const SocketAddress where, ParseSocketAddress(address));
  // The exposer does not say why it cannot listen; this does.
  PB_RETURN_IF_ERROR(CheckCanListen(where));
  try {
    return std::make_unique<PrometheusServer>(where.ToString(), registry, readiness);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", where.ToString(), ": ",
                                               error.what(), "; choose another port"));
  }
}

}  // namespace pinboard
