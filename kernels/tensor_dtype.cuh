// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The formats of an engine's tensors, as template arguments of what reads them.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/dtype.h"

namespace pinboard::kernels {

/// launch.operator()<dtype>(), its status; Unimplemented for a format of caches alone, named after
/// `tensor`.
template <typename LaunchFn>
absl::Status LaunchForTensor(DType dtype, absl::string_view tensor, LaunchFn launch) {
  switch (dtype) {
    case DType::kBF16:
      return launch.template operator()<DType::kBF16>();
    case DType::kF32:
      return launch.template operator()<DType::kF32>();
    case DType::kF16:
    case DType::kF8E4M3:
    case DType::kF8DsMla:
      break;
  }
  return absl::UnimplementedError(absl::StrCat(tensor, " are bf16 or f32"));
}

}  // namespace pinboard::kernels
