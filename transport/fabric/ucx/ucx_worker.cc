// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_worker.h"

#include <cstdlib>
#include <utility>

#include "base/status_macros.h"
#include "transport/fabric/ucx/ucx_log.h"
#include "transport/fabric/ucx/ucx_status.h"

namespace pinboard::transport {
namespace {

constexpr char kCannotStart[] =
    "UCX cannot start (look at UCX_TLS and UCX_NET_DEVICES; `ucx_info -d` lists what exists)";

absl::Status StartError(ucs_status_t status) {
  if (status == UCS_OK) return absl::OkStatus();
  return absl::UnavailableError(UcxStatus(status, kCannotStart).message());
}

/// Of UCX's settings, for all of this process; what the environment says stays.
void SetDefaults() {
  static const bool once [[maybe_unused]] = [] {
    constexpr std::pair<const char*, const char*> kSettings[] = {
        // A worker for each peer: let it begin with room for as much as its queue holds, not for
        // eight times that.
        {"UCX_POSIX_RX_BUFS_GROW", "64"},
        {"UCX_SYSV_RX_BUFS_GROW", "64"},
        // Else everybody waits in connect() for the network of one peer, and UCX 1.13 ends the
        // process if that peer dies meanwhile.
        {"UCX_TCP_CONN_NB", "y"},
        // UCX 1.13 ends what it sends without a copy twice, by an assertion, where the peer dies
        // while a part of it has left. So each message is copied, whole.
        {"UCX_TCP_MAX_IOV", "1"},
        {"UCX_TCP_TX_SEG_SIZE", "64k"},
    };
    for (const auto& [variable, value] : kSettings) setenv(variable, value, /*overwrite=*/0);
    return true;
  }();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const UcxContext>> UcxContext::Create() {
  RouteUcxMessages();
  SetDefaults();
  std::shared_ptr<UcxContext> context(new UcxContext);
  ucp_config_t* config = nullptr;
  PB_RETURN_IF_ERROR(StartError(ucp_config_read(nullptr, nullptr, &config)));
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 0;
  const ucs_status_t started = ucp_init(&params, config, &context->context_);
  ucp_config_release(config);
  PB_RETURN_IF_ERROR(StartError(started));
  return context;
}

UcxContext::~UcxContext() {
  if (context_ != nullptr) ucp_cleanup(context_);
}

absl::StatusOr<std::shared_ptr<UcxWorker>> UcxWorker::Create(
    std::shared_ptr<const UcxContext> context) {
  std::shared_ptr<UcxWorker> worker(new UcxWorker(std::move(context)));
  PB_RETURN_IF_ERROR(worker->Start());
  return worker;
}

absl::Status UcxWorker::Start() {
  ucp_worker_params_t worker_params{};
  worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker_params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  PB_RETURN_IF_ERROR(StartError(ucp_worker_create(context_->get(), &worker_params, &worker_)));
  PB_RETURN_IF_ERROR(StartError(ucp_worker_get_efd(worker_, &event_fd_)));
  return ReadAddress();
}

bool UcxWorker::Drain(int most_times) {
  int times = 0;
  while (times < most_times && Progress() > 0) ++times;
  drained_ = times < most_times;
  return times > 0;
}

absl::Status UcxWorker::ReadAddress() {
  ucp_address_t* address = nullptr;
  std::size_t bytes = 0;
  PB_RETURN_IF_ERROR(StartError(ucp_worker_get_address(worker_, &address, &bytes)));
  const auto* begin = reinterpret_cast<const std::byte*>(address);
  address_.assign(begin, begin + bytes);
  ucp_worker_release_address(worker_, address);
  return absl::OkStatus();
}

UcxWorker::~UcxWorker() {
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
}

}  // namespace pinboard::transport
