// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's page gather against the CPU specification: the same bytes, the same tags.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "base/cuda/device_buffer.h"
#include "kernels/page_transfer/page_transfer_core.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"

namespace pinboard::kernels {
namespace {

template <typename T>
cuda::DeviceBuffer<T> OnDevice(const std::vector<T>& host) {
  auto buffer = cuda::DeviceBuffer<T>::Make(host.size());
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_TRUE(buffer->CopyFrom(host, nullptr).ok());
  return *std::move(buffer);
}

template <typename T>
std::vector<T> OnHost(const cuda::DeviceBuffer<T>& device) {
  std::vector<T> host(device.size());
  EXPECT_TRUE(device.CopyTo(absl::MakeSpan(host), nullptr).ok());
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return host;
}

class PageGatherOnDevice : public ::testing::TestWithParam<KvShape> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "no CUDA device on this machine";
    }
  }
};

TEST_P(PageGatherOnDevice, EqualsTheSpecificationBitForBit) {
  const KvShape shape = GetParam();
  constexpr int kBlockSize = 32;
  constexpr int kBlocks = 40;
  constexpr int kPages = 50;
  std::mt19937_64 random(20261123);
  RecordProperty("seed", 20261123);
  std::vector<std::byte> keys(kBlocks * kBlockSize * shape.KeyBytes());
  std::vector<std::byte> values(
      std::max<std::size_t>(8, kBlocks * kBlockSize * shape.ValueBytes()));
  for (auto* bytes : {&keys, &values}) {
    std::generate(bytes->begin(), bytes->end(), [&] { return static_cast<std::byte>(random()); });
  }
  const auto view = [&](std::byte* key, std::byte* value) {
    const auto plane = [&](std::byte* base, std::size_t row_bytes) {
      const auto row = static_cast<std::int64_t>(row_bytes);
      return KvPlane{base, row * kBlockSize, row, row / shape.kv_heads};
    };
    return KvLayerView{plane(key, shape.KeyBytes()),
                       plane(shape.value_in_key ? nullptr : value, shape.ValueBytes())};
  };
  std::vector<std::int32_t> table(kBlocks);
  for (int i = 0; i < kBlocks; ++i) table[i] = (i * 7 + 3) % kBlocks;
  std::vector<std::int32_t> rows(kPages * kPageRows);
  for (auto& row : rows) row = static_cast<std::int32_t>(random() % (kBlocks * kBlockSize));

  std::vector<std::uint64_t> seeds;
  std::vector<std::uint64_t> expected_tags;
  std::vector<std::byte> expected(kPages * PageBytes(shape));
  for (std::uint32_t page = 0; page < kPages; ++page) {
    const PageIdentity identity{{9, page, 3, 1}, page % 4};
    seeds.push_back(IdentitySeed(identity));
    const auto tag =
        PageGather({view(keys.data(), values.data()), shape, kBlockSize, table},
                   absl::MakeConstSpan(rows).subspan(page * kPageRows, kPageRows), identity,
                   absl::MakeSpan(expected).subspan(page * PageBytes(shape), PageBytes(shape)));
    ASSERT_TRUE(tag.ok()) << tag.status();
    expected_tags.push_back(*tag);
  }

  const auto device_keys = OnDevice(keys);
  const auto device_values = OnDevice(values);
  const auto device_table = OnDevice(table);
  const auto device_rows = OnDevice(rows);
  const auto device_seeds = OnDevice(seeds);
  const auto device_pages = OnDevice(std::vector<std::byte>(expected.size(), std::byte{0xA5}));
  const auto device_tags = OnDevice(std::vector<std::uint64_t>(kPages, 0));
  std::vector<std::byte*> targets;
  for (int page = 0; page < kPages; ++page)
    targets.push_back(device_pages.data() + page * PageBytes(shape));
  const auto device_targets = OnDevice(targets);

  const absl::Status launched = LaunchPageGather(
      {view(device_keys.data(), device_values.data()), shape, kBlockSize, device_table.data(),
       device_rows.data(), device_seeds.data(), device_targets.data(), device_tags.data(), kPages},
      nullptr);
  ASSERT_TRUE(launched.ok()) << launched;
  EXPECT_EQ(OnHost(device_pages), expected);
  EXPECT_EQ(OnHost(device_tags), expected_tags);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PageGatherOnDevice,
                         ::testing::Values(KvShape{8, 128, 128, false, DType::kBF16},
                                           KvShape{4, 32, 32, false, DType::kF32},
                                           KvShape{1, 576, 512, true, DType::kBF16}));

}  // namespace
}  // namespace pinboard::kernels
