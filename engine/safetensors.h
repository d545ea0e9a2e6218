// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reads the safetensors files of a Hugging Face model directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/mapped_file.h"

namespace pinboard::engine {

/// One tensor as the header describes it; `data` points into the mapping.
struct TensorEntry {
  std::string dtype;  // "F32", "BF16", "F16", ...
  std::vector<std::int64_t> shape;
  absl::Span<const std::byte> data;
};

using TensorMap = absl::flat_hash_map<std::string, TensorEntry>;

/// Checks the header of a whole file (its length, its JSON, and that the tensors fill the rest of
/// the file without gap or overlap) and returns its tensors. InvalidArgument: one line that says
/// what is wrong with `path`.
absl::StatusOr<TensorMap> ParseSafetensors(absl::Span<const std::byte> file,
                                           const std::string& path);

/// Rows [row_begin, row_begin + rows) and columns [column_begin, column_begin + columns) of a
/// matrix (a vector is one column); then as many rows again, group_stride further on, until there
/// are `groups` groups.
struct TensorSlice {
  std::int64_t row_begin = 0;
  std::int64_t rows = 0;  // of a group
  std::int64_t column_begin = 0;
  std::int64_t columns = 1;
  std::int64_t groups = 1;
  std::int64_t group_stride = 0;

  std::int64_t all_rows() const { return rows * groups; }
  /// The row of the whole tensor that is row `row` of the slice.
  constexpr std::int64_t WholeRow(std::int64_t row) const {
    return row_begin + row / rows * group_stride + row % rows;
  }
};

/// All tensors of a model: model.safetensors, or the shards that model.safetensors.index.json
/// names. Immutable after opening; thread-safe. Memory: mapped, read as needed.
class Checkpoint {
 public:
  /// NotFound: neither file is there, or a shard is missing. InvalidArgument: a file is truncated
  /// or damaged.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& model_dir);

  /// A slice of a tensor of shape `shape` as float, row-major, all_rows() * columns values.
  /// NotFound: no such tensor. InvalidArgument: its shape is another. Unimplemented: its dtype is
  /// not F32, BF16 or F16.
  absl::StatusOr<std::vector<float>> Read(const std::string& name,
                                          const std::vector<std::int64_t>& shape,
                                          const TensorSlice& slice) const;
  /// Rows [first_row, first_row + rows) of that slice as bfloat16, rounded where the tensor has
  /// more, into out [rows, columns].
  absl::Status ReadBFloat16(const std::string& name, const std::vector<std::int64_t>& shape,
                            const TensorSlice& slice, std::int64_t first_row, std::int64_t rows,
                            std::uint16_t* out) const;

 private:
  explicit Checkpoint(std::string model_dir) : model_dir_(std::move(model_dir)) {}
  absl::Status AddFile(const std::string& path);
  absl::Status AddShards(const std::string& index_path);
  absl::StatusOr<const TensorEntry*> Find(const std::string& name,
                                          const std::vector<std::int64_t>& shape) const;

  std::string model_dir_;
  std::vector<MappedFile> files_;
  TensorMap tensors_;
};

}  // namespace pinboard::engine
