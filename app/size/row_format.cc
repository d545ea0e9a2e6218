// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/row_format.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

struct NamedFormat {
  const char* name;
  RowFormat format;
};
constexpr std::array kFormats = {
    NamedFormat{"bf16", RowFormat::kBF16}, NamedFormat{"fp16", RowFormat::kF16},
    NamedFormat{"f32", RowFormat::kF32}, NamedFormat{"fp8", RowFormat::kFp8}};

absl::StatusOr<DType> Fp8Of(const KvShape& shape) {
  if (!shape.value_in_key) return DType::kF8E4M3;
  if (shape.value_dim % kLatentTile != 0) {
    return absl::InvalidArgumentError(absl::StrCat("fp8 stores MLA's latent in tiles of ",
                                                   kLatentTile, " values, and this model's has ",
                                                   shape.value_dim, ": use bf16, fp16 or f32"));
  }
  return DType::kF8DsMla;
}

}  // namespace

absl::StatusOr<RowFormat> ParseRowFormat(const std::string& name) {
  for (const NamedFormat& known : kFormats) {
    if (name == known.name) return known.format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is no format of rows: use bf16, fp16, f32 or fp8"));
}

const char* RowFormatName(RowFormat format) {
  return kFormats.at(static_cast<std::size_t>(format)).name;
}

absl::StatusOr<std::uint64_t> RowBytes(KvShape shape, RowFormat format) {
  switch (format) {
    case RowFormat::kFp8: {
      PB_ASSIGN_OR_RETURN(shape.dtype, Fp8Of(shape));
      break;
    }
    case RowFormat::kF32:
      shape.dtype = DType::kF32;
      break;
    case RowFormat::kF16:
      shape.dtype = DType::kF16;
      break;
    case RowFormat::kBF16:
      shape.dtype = DType::kBF16;
      break;
  }
  return shape.RowBytes();
}

}  // namespace pinboard::app
