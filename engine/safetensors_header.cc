// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/json_file.h"
#include "engine/safetensors.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

absl::Status Damaged(const std::string& path, const std::string& problem) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", problem, "; the file is truncated or damaged, copy it again"));
}

std::uint64_t ReadLittleEndian64(absl::Span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

/// Bytes of an element; 0 for a dtype whose tensors are only skipped.
std::int64_t ElementBytes(const std::string& dtype) {
  if (dtype == "F32") return 4;
  if (dtype == "BF16" || dtype == "F16") return 2;
  return 0;
}

bool ReadIntegers(const json& object, const char* name, std::vector<std::int64_t>* values) {
  const auto field = object.find(name);
  if (field == object.end() || !field->is_array()) return false;
  for (const json& item : *field) {
    if (!item.is_number_integer() || item.get<std::int64_t>() < 0) return false;
    values->push_back(item.get<std::int64_t>());
  }
  return true;
}

/// Elements of a shape, or -1 where the product does not fit.
std::int64_t Elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (dim != 0 && count > std::numeric_limits<std::int64_t>::max() / 8 / dim) return -1;
    count *= dim;
  }
  return count;
}

struct Extent {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

absl::StatusOr<Extent> ParseEntry(const json& object, const std::string& name,
                                  const std::string& path, TensorEntry* entry) {
  std::vector<std::int64_t> offsets;
  const auto dtype = object.is_object() ? object.find("dtype") : object.end();
  if (!object.is_object() || dtype == object.end() || !dtype->is_string() ||
      !ReadIntegers(object, "shape", &entry->shape) ||
      !ReadIntegers(object, "data_offsets", &offsets) || offsets.size() != 2) {
    return Damaged(path, absl::StrCat("the header's entry of tensor ", name, " is not valid"));
  }
  entry->dtype = dtype->get<std::string>();
  const std::int64_t elements = Elements(entry->shape);
  const std::int64_t element_bytes = ElementBytes(entry->dtype);
  const std::int64_t size = offsets[1] - offsets[0];
  if (size < 0 || elements < 0 || (element_bytes > 0 && size != elements * element_bytes)) {
    return Damaged(path, absl::StrCat("tensor ", name, " has data offsets [", offsets[0], ", ",
                                      offsets[1], ") that do not fit its shape"));
  }
  return Extent{offsets[0], offsets[1]};
}

absl::Status CheckCoverage(std::vector<Extent> extents, std::int64_t data_bytes,
                           const std::string& path) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return a.begin < b.begin || (a.begin == b.begin && a.end < b.end);
  });
  std::int64_t covered = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != covered) return Damaged(path, "its tensors overlap or leave a gap");
    covered = extent.end;
  }
  if (covered == data_bytes) return absl::OkStatus();
  return Damaged(path, absl::StrCat("its tensors need ", covered, " bytes of data, the file has ",
                                    data_bytes));
}

absl::StatusOr<json> ParseHeader(absl::Span<const std::byte> file, const std::string& path,
                                 std::uint64_t* header_bytes) {
  if (file.size() < kLengthBytes) return Damaged(path, "shorter than the header's length field");
  *header_bytes = ReadLittleEndian64(file);
  if (*header_bytes > kMaxHeaderBytes || *header_bytes > file.size() - kLengthBytes) {
    return Damaged(path, absl::StrCat("a header of ", *header_bytes, " bytes does not fit in ",
                                      file.size(), " bytes"));
  }
  const std::string text(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                         static_cast<std::size_t>(*header_bytes));
  return ParseJsonObject(text, path);
}

}  // namespace

absl::StatusOr<TensorMap> ParseSafetensors(absl::Span<const std::byte> file,
                                           const std::string& path) {
  std::uint64_t header_bytes = 0;
  PB_ASSIGN_OR_RETURN(const json header, ParseHeader(file, path, &header_bytes));
  const auto data = file.subspan(kLengthBytes + header_bytes);
  TensorMap tensors;
  std::vector<Extent> extents;
  for (const auto& [name, object] : header.items()) {
    if (name == "__metadata__") continue;
    TensorEntry entry;
    PB_ASSIGN_OR_RETURN(const Extent extent, ParseEntry(object, name, path, &entry));
    extents.push_back(extent);
    if (extent.end <= static_cast<std::int64_t>(data.size())) {
      entry.data = data.subspan(extent.begin, extent.end - extent.begin);
    }
    tensors.emplace(name, std::move(entry));
  }
  PB_RETURN_IF_ERROR(
      CheckCoverage(std::move(extents), static_cast<std::int64_t>(data.size()), path));
  return tensors;
}

}  // namespace pinboard::engine
