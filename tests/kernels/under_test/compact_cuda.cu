// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/compact/compact_cuda.cuh"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {
namespace {

/// The bytes of a cache that its first `blocks` table entries can reach, as one span.
absl::Span<std::byte> Extent(const CompactArgs& args) {
  std::byte* begin = args.cache.key.base;
  std::byte* end = begin;
  const auto reach = [&](const KvPlane& plane, std::size_t head_bytes) {
    if (plane.base == nullptr) return;
    begin = std::min(begin, plane.base);
    for (const std::int32_t block : args.block_table) {
      end = std::max(end, plane.base + block * plane.block_stride +
                              (args.block_size - 1) * plane.token_stride +
                              (args.shape.kv_heads - 1) * plane.head_stride +
                              static_cast<std::ptrdiff_t>(head_bytes));
    }
  };
  const auto heads = static_cast<std::size_t>(args.shape.kv_heads);
  reach(args.cache.key, args.shape.KeyBytes() / heads);
  reach(args.cache.value, args.shape.ValueBytes() / heads);
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

absl::Status Compact(const CompactArgs& args) {
  if (!args.destination_table.empty()) {
    return absl::UnimplementedError("Compact: the device moves rows in place alone");
  }
  if (args.source_rows.empty()) return absl::OkStatus();
  // Two layers at once: the cache, and a copy of it that must come out the same.
  const absl::Span<std::byte> bytes = Extent(args);
  OnDevice device;
  const absl::Span<const std::byte> before = bytes;
  std::byte* const copies[] = {device.In(before), device.In(before)};
  std::vector<CompactProblem> problems;
  for (std::byte* copy : copies) {
    CompactProblem problem;
    problem.cache = args.cache;
    for (KvPlane* plane : {&problem.cache.key, &problem.cache.value}) {
      if (plane->base != nullptr) plane->base = copy + (plane->base - bytes.data());
    }
    problem.block_table = device.In(args.block_table);
    problem.source_rows = device.In(args.source_rows);
    problem.count = static_cast<std::int32_t>(args.source_rows.size());
    problem.first_row = args.first_row;
    problem.head_rows = args.head_rows;
    problems.push_back(problem);
  }
  CompactBatch batch{device.In(problems), 2, problems[0].count + 7, args.shape, args.block_size};
  auto* workspace = device.Out<std::byte>(CompactWorkspaceBytes(batch.count, batch.longest));
  PB_RETURN_IF_ERROR(device.Finish(LaunchCompact(batch, workspace, nullptr)));
  std::vector<std::byte> second(bytes.size());
  device.Read(copies[0], bytes);
  device.Read(copies[1], absl::MakeSpan(second));
  const bool is_same = std::memcmp(bytes.data(), second.data(), bytes.size()) == 0;
  return is_same ? absl::OkStatus() : absl::InternalError("two layers were moved differently");
}

}  // namespace pinboard::kernels::under_test
