// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboard/asked_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "app/pinboard/common_flags.h"
#include "base/clock.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::app {

absl::Status CheckAskedService(const std::string& service, const std::string& key_file) {
  const auto address = ParseSocketAddress(service);
  if (!address.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--service: ", address.status().message()));
  }
  return ReadServiceKey(key_file).status();
}

absl::StatusOr<std::unique_ptr<cache_service::StatsClient>> ConnectToAskedService(
    const std::string& service, const std::string& key_file, const std::string& name) {
  PB_ASSIGN_OR_RETURN(auto credentials, ReadServiceKey(key_file));
  PB_ASSIGN_OR_RETURN(auto fabric, transport::MakeUcxFabric());
  auto connected = cache_service::StatsClient::Connect(
      std::move(fabric), service, name, std::move(credentials), SteadyNow() + kServiceAnswer);
  if (connected.ok()) return connected;
  return absl::Status(connected.status().code(),
                      absl::StrCat("cache service: ", connected.status().message()));
}

}  // namespace pinboard::app
