// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Groups over NCCL whose ranks may share a device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "transport/collective/host/host_communicator.h"
#include "transport/collective/nccl/nccl_communicator.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::transport {

/// NCCL refuses two ranks on one device of one host. So each time round the devices is a host of
/// its own: ranks that have a device each sum over what links their devices, others over sockets.
/// Before anything of NCCL starts.
inline void ChooseHost(int rank) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) return;  // MakeNcclGroup says so
  setenv("NCCL_HOSTID", ("host-" + std::to_string(rank / devices)).c_str(), 1);
  setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  setenv("NCCL_IB_DISABLE", "1", 1);
}

/// On device `rank` modulo the devices there are.
inline absl::StatusOr<std::unique_ptr<NcclCommunicator>> MakeNcclGroup(
    int rank, int size, const std::string& rendezvous, absl::Time deadline) {
  int devices = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDeviceCount(&devices), "cudaGetDeviceCount"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaSetDevice(rank % devices), "cudaSetDevice"));
  PB_ASSIGN_OR_RETURN(auto fabric, MakeUcxFabric());
  PB_ASSIGN_OR_RETURN(auto control,
                      MakeHostCommunicator(std::move(fabric), rank, size, rendezvous, deadline));
  return MakeNcclCommunicator(std::move(control), deadline);
}

}  // namespace pinboard::transport
