// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the rows of a cache are stored.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "pinboard/kv_layout.h"

namespace pinboard::app {

/// kFp8 is DType::kF8E4M3, and for MLA kF8DsMla.
enum class RowFormat : std::uint8_t { kBF16, kF16, kF32, kFp8 };

/// "bf16", "fp16", "f32" or "fp8". InvalidArgument: anything else.
absl::StatusOr<RowFormat> ParseRowFormat(const std::string& name);
const char* RowFormatName(RowFormat format);

/// Bytes of one token in one layer. `shape.dtype` is not looked at. InvalidArgument: fp8 and a
/// latent that is no multiple of 128.
absl::StatusOr<std::uint64_t> RowBytes(KvShape shape, RowFormat format);

}  // namespace pinboard::app
