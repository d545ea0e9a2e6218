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
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/metrics_prometheus.h"
#include "base/open_metrics.h"
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

class PrometheusServer;

struct Served {
  const PrometheusServer* server = nullptr;
  const MetricRegistry* registry = nullptr;
  const Readiness* readiness = nullptr;  // may be null
};

/// Of each running server: its callbacks have nothing but its context.
std::map<const mg_context*, Served>& Running() ABSL_EXCLUSIVE_LOCKS_REQUIRED(running) {
  static auto& servers = *new std::map<const mg_context*, Served>;
  return servers;
}

/// Its starter, which holds `starting`, is the caller.
void RememberStarted(const mg_context* context) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  started = context;
}

/// What the connection's server serves; nothing where it could not be started. Lives as long as the
/// request: a server that ends waits for those.
Served ServedTo(const mg_connection* connection) {
  const absl::MutexLock lock(&running);
  const auto server = Running().find(mg_get_context(connection));
  return server == Running().end() ? Served{} : server->second;
}

absl::string_view MethodOf(const mg_connection* connection) {
  return mg_get_request_info(connection)->request_method;
}

const char* ReasonOf(int status) {
  if (status == 200) return "OK";
  return status == 405 ? "Method Not Allowed" : "Service Unavailable";
}

/// `headers`: lines of its own. To HEAD without the text.
int Answer(mg_connection* connection, int status, const std::string& headers,
           const std::string& text) {
  mg_printf(connection, "HTTP/1.1 %d %s\r\n%sConnection: close\r\n\r\n", status, ReasonOf(status),
            headers.c_str());
  if (MethodOf(connection) != "HEAD") mg_write(connection, text.data(), text.size());
  return status;
}

int AnswerText(mg_connection* connection, int status, const char* type, const std::string& text) {
  return Answer(connection, status,
                absl::StrCat("Content-Type: ", type, "\r\nContent-Length: ", text.size(), "\r\n"),
                text);
}

int AnswerLine(mg_connection* connection, int status, const std::string& line) {
  return AnswerText(connection, status, "text/plain", line + "\n");
}

int AnswerHealthy(mg_connection* connection) {
  const Readiness* const readiness = ServedTo(connection).readiness;
  const bool stuck = readiness != nullptr && readiness->is_stuck(SteadyNow());
  return stuck ? AnswerLine(connection, 503, "stuck") : AnswerLine(connection, 200, "healthy");
}

int AnswerReady(mg_connection* connection) {
  const Readiness* const readiness = ServedTo(connection).readiness;
  switch (readiness == nullptr ? Readiness::State::kReady : readiness->state()) {
    case Readiness::State::kStarting:
      return AnswerLine(connection, 503, "starting");
    case Readiness::State::kDraining:
      return AnswerLine(connection, 503, "draining");
    case Readiness::State::kReady:
      break;
  }
  return AnswerLine(connection, 200, "ready");
}

bool WantsOpenMetrics(const mg_connection* connection) {
  const char* const accept = mg_get_header(connection, "Accept");
  return accept != nullptr && PrefersOpenMetrics(accept);
}

/// 0: the exposer does, which knows the other format alone, and GET alone.
int AnswerMetrics(mg_connection* connection) {
  const MetricRegistry* const registry = ServedTo(connection).registry;
  if (registry == nullptr) return 0;
  if (WantsOpenMetrics(connection)) {
    return AnswerText(connection, 200, kOpenMetricsContentType, registry->OpenMetricsText());
  }
  if (MethodOf(connection) != "HEAD") return 0;
  // No length: the exposer adds metrics of its own.
  return Answer(connection, 200, "Content-Type: text/plain; charset=utf-8\r\n", "");
}

/// 0: civetweb goes on.
int BeginRequest(mg_connection* connection) {
  { const absl::MutexLock none_starts(&starting); }
  constexpr std::pair<absl::string_view, int (*)(mg_connection*)> kPaths[] = {
      {"/healthz", AnswerHealthy}, {"/readyz", AnswerReady}, {"/metrics", AnswerMetrics}};
  for (const auto& [path, answer] : kPaths) {
    if (path != mg_get_request_info(connection)->local_uri) continue;
    const absl::string_view method = MethodOf(connection);
    if (method == "GET" || method == "HEAD") return answer(connection);
    return Answer(connection, 405, "Allow: GET, HEAD\r\nContent-Length: 0\r\n", "");
  }
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
    // Connections that say nothing are not to keep a probe waiting.
    const std::vector<std::string> options = {"listening_ports",    address, "num_threads", "8",
                                              "request_timeout_ms", "3000"};
    // CivetCallbacks adds nothing to its base but a constructor.
    exposer_ = std::make_unique<prometheus::Exposer>(
        options, static_cast<const CivetCallbacks*>(&callbacks));
    exposer_->RegisterCollectable(CollectableOf(registry));
    context_ = started;
    const absl::MutexLock lock(&running);
    Running()[context_] = {this, &registry, readiness};
  }
  ~PrometheusServer() override {
    exposer_.reset();
    const absl::MutexLock lock(&running);
    // Another server may have started meanwhile, with a context at the same address.
    const auto found = Running().find(context_);
    if (found != Running().end() && found->second.server == this) Running().erase(found);
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
