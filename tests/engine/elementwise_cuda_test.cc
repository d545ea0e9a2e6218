// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's loops over rows against the host's.
#include "engine/cuda/elementwise.cuh"

#include <gtest/gtest.h>

#include "engine/cuda/best_logit.cuh"
#include "engine/cuda/rotation.cuh"
#include "engine/elementwise.h"
#include "engine/rope.h"
#include "tests/engine/device_step.cuh"
#include "tests/kernels/bfloat16s.h"

namespace pinboard::engine {
namespace {

using kernels::OnDevice;
using testing::DeviceStep;
using testing::ToFloats;

constexpr double kRounding = 1.0 / 256;  // one step of bf16, relative

void ExpectRounded(const std::vector<std::uint16_t>& bits, const std::vector<float>& expected) {
  ASSERT_EQ(bits.size(), expected.size());
  const std::vector<float> values = ToFloats(bits);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(values[i], expected[i], kRounding * std::abs(expected[i]) + 1e-6) << i;
  }
}

TEST(ElementwiseCudaTest, RmsNormIsTheHostsRounded) {
  SeededRandom random;
  for (const int dim : {20, 64, 256, 4096, 7168}) {
    OnDevice device;
    const int rows = 3;
    const auto in = random.Normals(rows * dim), weight = random.Normals(dim);
    std::vector<float> expected(in.size());
    for (int row = 0; row < rows; ++row) {
      RmsNorm(in.data() + row * dim, weight.data(), 1e-5, dim, expected.data() + row * dim);
    }
    auto* const out = device.Out<std::uint16_t>(in.size());
    ASSERT_TRUE(
        device
            .Finish(LaunchRmsNorm(device.In(in), device.In(weight), 1e-5F, rows, dim, out, nullptr))
            .ok());
    std::vector<std::uint16_t> bits(in.size());
    device.Read(out, absl::MakeSpan(bits));
    ExpectRounded(bits, expected);
  }
}

TEST(ElementwiseCudaTest, SiluTimesAndAddAreTheHosts) {
  SeededRandom random;
  OnDevice device;
  std::vector<float> gate = random.Normals(1003, 8.0F);
  gate[0] = -200.0F;
  gate[1] = 200.0F;
  const auto up = random.Normals(gate.size());
  auto* const out = device.Out<std::uint16_t>(gate.size());
  auto* const sum = device.In(gate);
  ASSERT_TRUE(LaunchSiluTimes(device.In(gate), device.In(up), gate.size(), out, nullptr).ok());
  ASSERT_TRUE(device.Finish(LaunchAdd(device.In(up), gate.size(), sum, nullptr)).ok());
  std::vector<float> added(gate.size());
  device.Read(sum, absl::MakeSpan(added));
  std::vector<float> expected_sum = gate;
  Add(up.data(), up.size(), expected_sum.data());
  EXPECT_EQ(added, expected_sum);
  SiluTimes(up.data(), up.size(), gate.data());
  std::vector<std::uint16_t> bits(gate.size());
  device.Read(out, absl::MakeSpan(bits));
  ExpectRounded(bits, gate);
}

TEST(ElementwiseCudaTest, TokensOfOtherRanksAreZeros) {
  SeededRandom random;
  OnDevice device;
  const int width = 50;
  const auto table = testing::BFloat16Normals(4 * width, random);
  const std::vector<std::int32_t> tokens = {12, 9, 13, 14, 10};
  auto* const out = device.Out<float>(tokens.size() * width);
  ASSERT_TRUE(device
                  .Finish(LaunchEmbed({device.In(kernels::ToBFloat16s(table)), 10, 4, width},
                                      device.In(tokens), 5, out, nullptr))
                  .ok());
  std::vector<float> embedded(tokens.size() * width);
  device.Read(out, absl::MakeSpan(embedded));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const int row = tokens[i] - 10;
    for (int j = 0; j < width; ++j) {
      EXPECT_EQ(embedded[i * width + j], row >= 0 && row < 4 ? table[row * width + j] : 0.0F);
    }
  }
}

TEST(BestLogitCudaTest, IsTheFirstOfTheHighest) {
  SeededRandom random;
  for (const int columns : {1, 31, 513, 4096, 40000}) {
    OnDevice device;
    auto logits = random.Normals(4 * columns);
    for (float& value : logits) value = std::round(value);  // many are equal
    const std::vector<int> rows = {3, 0, 2};
    auto* const out = device.Out<BestLogit>(rows.size());
    ASSERT_TRUE(device.Finish(LaunchFindBest(device.In(logits), columns, rows, out, nullptr)).ok());
    std::vector<BestLogit> best(rows.size());
    device.Read(out, absl::MakeSpan(best));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const float* row = logits.data() + rows[i] * columns;
      const float* highest = std::max_element(row, row + columns);
      EXPECT_EQ(best[i].column, highest - row);
      EXPECT_EQ(best[i].logit, *highest);
    }
  }
}

/// The host's table at these positions, and the device's.
class Rotations {
 public:
  Rotations(int dim, bool interleaved, const std::vector<std::int32_t>& positions, OnDevice& device)
      : host(dim, Yarn(), interleaved) {
    host.SetPositions(positions);
    const std::vector<double> frequencies = RopeFrequencies(Yarn(), dim);
    auto* const turns = device.Out<float2>(positions.size() * frequencies.size());
    EXPECT_TRUE(LaunchRotationTable(device.In(frequencies), dim / 2, Yarn().RotationScale(),
                                    device.In(positions), static_cast<int>(positions.size()), turns,
                                    nullptr)
                    .ok());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    on_device = {turns, dim / 2, interleaved};
  }

  RopeTable host;
  RotationTable on_device;

 private:
  /// With a factor of cosines and sines that is not 1.
  static RopeConfig Yarn() {
    return {.type = RopeType::kYarn, .factor = 8, .original_max_position_embeddings = 64};
  }
};

TEST(RotationCudaTest, VectorsAreBiasedAndRotatedAsOnTheHost) {
  SeededRandom random;
  const int dim = 24, heads = 3;
  const std::vector<std::int32_t> positions = {0, 7, 100000};
  for (const bool interleaved : {false, true}) {
    OnDevice device;
    Rotations rotations(dim, interleaved, positions, device);
    auto vectors = random.Normals(positions.size() * heads * dim);
    const auto bias = random.Normals(heads * dim);
    auto* const out = device.In(vectors);
    ASSERT_TRUE(
        device.Finish(LaunchRotate(rotations.on_device, device.In(bias), 3, heads, out, nullptr))
            .ok());
    for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] += bias[i % bias.size()];
    for (int token = 0; token < 3; ++token) {
      rotations.host.Rotate(token, heads, dim, vectors.data() + token * heads * dim);
    }
    std::vector<float> rotated(vectors.size());
    device.Read(out, absl::MakeSpan(rotated));
    for (std::size_t i = 0; i < vectors.size(); ++i) ASSERT_NEAR(rotated[i], vectors[i], 1e-5);
  }
}

/// Bytes of two caches: equal, as where nothing was written, or values one step of bf16 apart.
void ExpectSameRows(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  ASSERT_EQ(a.size(), b.size());
  std::vector<std::uint16_t> bits(a.size() / 2), expected(b.size() / 2);
  std::memcpy(bits.data(), a.data(), a.size());
  std::memcpy(expected.data(), b.data(), b.size());
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] == expected[i]) continue;
    const float value = BFloat16ToFloat(expected[i]);
    ASSERT_NEAR(BFloat16ToFloat(bits[i]), value, kRounding * std::abs(value) + 1e-6) << i;
  }
}

TEST(RotationCudaTest, RowsGoWhereTheHostWritesThem) {
  SeededRandom random;
  const KvShape shape{2, 20, 20, false, DType::kBF16};
  DeviceStep step(shape, 16, 1, {{14, 5}, {0, 40}, {33, 1}}, random);
  OnDevice& device = step.memory();
  Rotations rotations(shape.key_dim, false, step.batch().positions, device);
  const std::size_t row = std::size_t{2} * shape.key_dim, count = step.batch().size() * row;
  auto keys = random.Normals(count), values = random.Normals(count);
  const auto key_bias = random.Normals(row), value_bias = random.Normals(row);
  const CacheTarget target{step.device_view(), shape, step.on_device().layer(0), 16};
  ASSERT_TRUE(device
                  .Finish(LaunchWriteGroupedRows(target, rotations.on_device,
                                                 {device.In(keys), device.In(values),
                                                  device.In(key_bias), device.In(value_bias)},
                                                 step.stream()))
                  .ok());
  for (std::size_t i = 0; i < count; ++i) {
    keys[i] += key_bias[i % row];
    values[i] += value_bias[i % row];
  }
  for (int token = 0; token < step.batch().size(); ++token) {
    rotations.host.Rotate(token, 2, shape.key_dim, keys.data() + token * row);
  }
  for (const BatchEntry& entry : step.batch().entries) {
    const auto part = [&](const std::vector<float>& all) {
      return absl::MakeConstSpan(all).subspan(entry.first_token * row, entry.tokens * row);
    };
    step.cache().WriteRows(0, entry.table(0).blocks, entry.table(0).resident_rows, entry.tokens,
                           part(keys), part(values));
  }
  ExpectSameRows(step.DeviceBytes(), step.AllBytes());
}

TEST(RotationCudaTest, LatentsAreNormalisedRotatedAndWritten) {
  SeededRandom random;
  const KvShape shape{1, 40, 28, true, DType::kBF16};
  DeviceStep step(shape, 16, 1, {{0, 20}, {30, 3}}, random);
  OnDevice& device = step.memory();
  Rotations rotations(12, true, step.batch().positions, device);
  auto latents = random.Normals(step.batch().size() * 40);
  const auto weight = random.Normals(28);
  const CacheTarget target{step.device_view(), shape, step.on_device().layer(0), 16};
  ASSERT_TRUE(device
                  .Finish(LaunchWriteLatentRows(target, rotations.on_device, device.In(latents),
                                                device.In(weight), 1e-6F, step.stream()))
                  .ok());
  for (int token = 0; token < step.batch().size(); ++token) {
    float* row = latents.data() + token * 40;
    RmsNorm(row, weight.data(), 1e-6, 28, row);
    rotations.host.Rotate(token, 1, 40, row + 28);
  }
  for (const BatchEntry& entry : step.batch().entries) {
    step.cache().WriteRows(
        0, entry.table(0).blocks, entry.table(0).resident_rows, entry.tokens,
        absl::MakeConstSpan(latents).subspan(entry.first_token * 40, entry.tokens * 40), {});
  }
  ExpectSameRows(step.DeviceBytes(), step.AllBytes());
}

TEST(RotationCudaTest, LatentQueriesArePartedIntoUnrotatedAndRotated) {
  SeededRandom random;
  const int nope = 10, rope = 8, latent = 24, heads = 4;
  const std::vector<std::int32_t> positions = {3, 900};
  OnDevice device;
  Rotations rotations(rope, true, positions, device);
  auto queries = random.Normals(positions.size() * heads * (nope + rope));
  auto* const unrotated = device.Out<std::uint16_t>(positions.size() * heads * nope);
  const std::vector<float> before(positions.size() * heads * (latent + rope), 7.0F);
  auto* const absorbed = device.In(before);
  ASSERT_TRUE(device
                  .Finish(LaunchPartLatentQueries(
                      rotations.on_device,
                      {device.In(queries), unrotated, absorbed, heads, nope, latent}, 2, nullptr))
                  .ok());
  for (int token = 0; token < 2; ++token) {
    rotations.host.Rotate(token, heads, nope + rope,
                          queries.data() + token * heads * (nope + rope) + nope);
  }
  std::vector<std::uint16_t> parts(positions.size() * heads * nope);
  std::vector<float> rotated(before.size());
  device.Read(unrotated, absl::MakeSpan(parts));
  device.Read(absorbed, absl::MakeSpan(rotated));
  for (int vector = 0; vector < 2 * heads; ++vector) {
    for (int i = 0; i < nope; ++i) {
      EXPECT_EQ(parts[vector * nope + i], FloatToBFloat16(queries[vector * (nope + rope) + i]));
    }
    for (int i = 0; i < latent; ++i) EXPECT_EQ(rotated[vector * (latent + rope) + i], 7.0F);
    for (int i = 0; i < rope; ++i) {
      EXPECT_NEAR(rotated[vector * (latent + rope) + latent + i],
                  queries[vector * (nope + rope) + nope + i], 1e-5);
    }
  }
}

}  // namespace
}  // namespace pinboard::engine
