// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owned CUDA graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"

namespace pinboard::cuda {

/// What was launched on a stream, to be launched again as one: with the same arguments, so memory
/// that it works on must stay where it is. Move-only.
class Graph {
 public:
  /// Captures what `launch` puts on `stream` (cudaStreamCaptureModeThreadLocal: it may neither
  /// wait nor allocate); nothing runs yet. An error of `launch` comes first.
  static absl::StatusOr<Graph> Capture(cudaStream_t stream,
                                       absl::FunctionRef<absl::Status()> launch) {
    PB_RETURN_IF_ERROR(ToStatus(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                                "begin to capture a graph"));
    absl::Status status = launch();
    cudaGraph_t captured = nullptr;
    status.Update(ToStatus(cudaStreamEndCapture(stream, &captured), "capture a graph"));
    const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy> graph(captured);
    PB_RETURN_IF_ERROR(status);
    cudaGraphExec_t executable = nullptr;
    PB_RETURN_IF_ERROR(
        ToStatus(cudaGraphInstantiate(&executable, graph.get(), 0), "instantiate a graph"));
    return Graph(executable);
  }

  absl::Status Launch(cudaStream_t stream) const {
    return ToStatus(cudaGraphLaunch(executable_.get(), stream), "launch a graph");
  }

 private:
  struct Destroy {
    void operator()(cudaGraph_t graph) const { (void)cudaGraphDestroy(graph); }
    void operator()(cudaGraphExec_t graph) const { (void)cudaGraphExecDestroy(graph); }
  };

  explicit Graph(cudaGraphExec_t executable) : executable_(executable) {}

  std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy> executable_;
};

}  // namespace pinboard::cuda
