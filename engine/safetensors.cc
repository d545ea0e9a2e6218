// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/safetensors.h"

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "engine/float_convert.h"
#include "engine/json_file.h"

namespace pinboard::engine {
namespace {

std::string ShapeText(const std::vector<std::int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

/// False: the dtype is not one of these.
bool Convert(const std::string& dtype, const std::byte* source, std::size_t count, float* out) {
  if (dtype == "F32") {
    std::memcpy(out, source, count * sizeof(float));
  } else if (dtype == "BF16") {
    BFloat16ToFloats(source, count, out);
  } else if (dtype == "F16") {
    Float16ToFloats(source, count, out);
  } else {
    return false;
  }
  return true;
}

bool Convert(const std::string& dtype, const std::byte* source, std::size_t count,
             std::uint16_t* out) {
  if (dtype == "BF16") {
    std::memcpy(out, source, count * sizeof(std::uint16_t));
    return true;
  }
  std::vector<float> values(count);
  if (!Convert(dtype, source, count, values.data())) return false;
  FloatsToBFloat16(values.data(), count, reinterpret_cast<std::byte*>(out));
  return true;
}

/// Rows [first_row, first_row + rows) of the slice; false as above.
template <typename T>
bool ConvertRows(const TensorEntry& entry, const TensorSlice& slice, std::int64_t first_row,
                 std::int64_t rows, T* out) {
  const std::int64_t width = entry.shape.size() == 2 ? entry.shape[1] : 1;
  const std::size_t element_bytes = entry.data.size() / (entry.shape[0] * width);
  for (std::int64_t row = first_row; row < first_row + rows; ++row, out += slice.columns) {
    const std::int64_t first = slice.WholeRow(row) * width + slice.column_begin;
    if (!Convert(entry.dtype, entry.data.data() + first * element_bytes, slice.columns, out)) {
      return false;
    }
  }
  return true;
}

absl::Status OtherDType(const std::string& model_dir, const std::string& name,
                        const TensorEntry& entry) {
  return absl::UnimplementedError(absl::StrCat(model_dir, ": tensor ", name, " has dtype ",
                                               entry.dtype, "; F32, BF16 and F16 are supported"));
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& model_dir) {
  const std::string single = absl::StrCat(model_dir, "/model.safetensors");
  const std::string index = absl::StrCat(model_dir, "/model.safetensors.index.json");
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(model_dir));
  if (Exists(single)) {
    PB_RETURN_IF_ERROR(checkpoint->AddFile(single));
  } else if (Exists(index)) {
    PB_RETURN_IF_ERROR(checkpoint->AddShards(index));
  } else {
    return absl::NotFoundError(absl::StrCat(
        model_dir, ": no model.safetensors and no model.safetensors.index.json; name a model ",
        "directory that holds its weights"));
  }
  return checkpoint;
}

absl::Status Checkpoint::AddFile(const std::string& path) {
  PB_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  PB_ASSIGN_OR_RETURN(TensorMap tensors, ParseSafetensors(file.bytes(), path));
  files_.push_back(std::move(file));
  for (auto& [name, entry] : tensors) tensors_.insert_or_assign(name, std::move(entry));
  return absl::OkStatus();
}

absl::Status Checkpoint::AddShards(const std::string& index_path) {
  PB_ASSIGN_OR_RETURN(const std::string text, ReadFile(index_path, "copy it again"));
  PB_ASSIGN_OR_RETURN(const nlohmann::json index, ParseJsonObject(text, index_path));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(index_path, ": \"weight_map\" is missing"));
  }
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string() || shard.get<std::string>().find('/') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(index_path, ": tensor ", name, " names no file of this directory"));
    }
    shards.insert(shard.get<std::string>());
  }
  for (const std::string& shard : shards) {
    PB_RETURN_IF_ERROR(AddFile(absl::StrCat(model_dir_, "/", shard)));
  }
  return absl::OkStatus();
}

absl::StatusOr<const TensorEntry*> Checkpoint::Find(const std::string& name,
                                                    const std::vector<std::int64_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat(model_dir_, ": tensor ", name,
                                            " is missing; the weights do not belong to this "
                                            "config.json, or a shard is incomplete"));
  }
  if (found->second.shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat(model_dir_, ": tensor ", name, " has shape ",
                                                   ShapeText(found->second.shape),
                                                   ", config.json asks for ", ShapeText(shape)));
  }
  return &found->second;
}

absl::StatusOr<std::vector<float>> Checkpoint::Read(const std::string& name,
                                                    const std::vector<std::int64_t>& shape,
                                                    const TensorSlice& slice) const {
  PB_ASSIGN_OR_RETURN(const TensorEntry* const entry, Find(name, shape));
  std::vector<float> out(slice.all_rows() * slice.columns);
  if (ConvertRows(*entry, slice, 0, slice.all_rows(), out.data())) return out;
  return OtherDType(model_dir_, name, *entry);
}

absl::Status Checkpoint::ReadBFloat16(const std::string& name,
                                      const std::vector<std::int64_t>& shape,
                                      const TensorSlice& slice, std::int64_t first_row,
                                      std::int64_t rows, std::uint16_t* out) const {
  PB_ASSIGN_OR_RETURN(const TensorEntry* const entry, Find(name, shape));
  if (ConvertRows(*entry, slice, first_row, rows, out)) return absl::OkStatus();
  return OtherDType(model_dir_, name, *entry);
}

}  // namespace pinboard::engine
