// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's mixture of experts against the host's.
#include <gtest/gtest.h>

#include "engine/cuda/device_mlp_block.cuh"
#include "engine/mlp_block.h"
#include "tests/engine/device_step.cuh"
#include "tests/kernels/bfloat16s.h"

namespace pinboard::engine {
namespace {

using kernels::OnDevice;
using kernels::ToBFloat16s;

struct Case {
  const char* name;
  MoeConfig moe;
  int hidden;
  int columns;  // of an expert on this rank
};

Linear RandomLinear(int out, int in, SeededRandom& random) {
  Linear linear{.out = out, .in = in};
  linear.weight =
      random.Normals(static_cast<std::size_t>(out) * in, 1.0F / std::sqrt(static_cast<float>(in)));
  for (float& value : linear.weight) value = BFloat16ToFloat(FloatToBFloat16(value));
  return linear;
}

MlpWeights RandomMlp(int hidden, int columns, SeededRandom& random) {
  return {RandomLinear(columns, hidden, random), RandomLinear(columns, hidden, random),
          RandomLinear(hidden, columns, random)};
}

LayerWeights RandomLayer(const Case& c, SeededRandom& random) {
  LayerWeights layer;
  if (c.moe.shared_experts > 0) {
    layer.mlp = RandomMlp(c.hidden, c.moe.shared_experts * c.columns, random);
  }
  layer.experts.gate = RandomLinear(c.moe.routed_experts, c.hidden, random);
  layer.experts.gate_bias = random.Normals(c.moe.routed_experts, 0.1F);
  for (int i = 0; i < c.moe.routed_experts; ++i) {
    layer.experts.routed.push_back(RandomMlp(c.hidden, c.columns, random));
  }
  return layer;
}

DeviceLinear Upload(const Linear& linear) {
  DeviceLinear uploaded{.out = linear.out, .in = linear.in};
  if (linear.weight.empty()) return uploaded;
  uploaded.weight = *cuda::DeviceBuffer<std::uint16_t>::Make(linear.weight.size());
  EXPECT_TRUE(uploaded.weight.CopyFrom(ToBFloat16s(linear.weight), nullptr).ok());
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return uploaded;
}

DeviceMlpWeights Upload(const MlpWeights& mlp) {
  return {Upload(mlp.gate), Upload(mlp.up), Upload(mlp.down)};
}

DeviceLayerWeights Upload(const LayerWeights& layer) {
  DeviceLayerWeights uploaded;
  uploaded.mlp = Upload(layer.mlp);
  uploaded.experts.gate = Upload(layer.experts.gate);
  uploaded.experts.gate_bias = *cuda::DeviceBuffer<float>::Make(layer.experts.gate_bias.size());
  EXPECT_TRUE(uploaded.experts.gate_bias.CopyFrom(layer.experts.gate_bias, nullptr).ok());
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  for (const MlpWeights& expert : layer.experts.routed) {
    uploaded.experts.routed.push_back(Upload(expert));
  }
  return uploaded;
}

class ExpertsCudaTest : public ::testing::TestWithParam<Case> {
 protected:
  ExpertsCudaTest() : layer_(RandomLayer(GetParam(), random_)) {
    layers_.push_back(Upload(layer_));
  }

  SeededRandom random_;
  LayerWeights layer_;
  std::vector<DeviceLayerWeights> layers_;
};

TEST_P(ExpertsCudaTest, ATokensExpertsAreTheHosts) {
  const Case& c = GetParam();
  const int tokens = 37, k = c.moe.experts_per_token;
  OnDevice device;
  const auto normed =
      testing::BFloat16Normals(static_cast<std::size_t>(tokens) * c.hidden, random_);
  const ExpertSlots slots{device.Out<std::int32_t>(tokens * k), device.Out<float>(tokens * k)};
  ASSERT_TRUE(device
                  .Finish(LaunchRouteExperts(c.moe, layers_[0].experts.gate.weight.data(),
                                             layers_[0].experts.gate_bias.data(),
                                             device.In(ToBFloat16s(normed)), tokens, c.hidden,
                                             slots, nullptr))
                  .ok());
  std::vector<std::int32_t> experts(tokens * k);
  std::vector<float> weights(tokens * k);
  device.Read(slots.experts, absl::MakeSpan(experts));
  device.Read(slots.weights, absl::MakeSpan(weights));
  ExpertRouter router(c.moe);
  for (int token = 0; token < tokens; ++token) {
    const auto expected = router.Route(layer_.experts, normed.data() + token * c.hidden);
    for (int j = 0; j < k; ++j) {
      EXPECT_EQ(experts[token * k + j], expected[j].expert);
      EXPECT_NEAR(weights[token * k + j], expected[j].weight, 1e-5);
    }
  }
}

TEST_P(ExpertsCudaTest, SumsAreTheHosts) {
  const Case& c = GetParam();
  Products products = *Products::Create(nullptr);
  DeviceMlpBlock block = *DeviceMlpBlock::Create(c.moe, layers_, &products, nullptr);
  for (const int tokens : {1, 5, 300}) {
    OnDevice device;
    const std::size_t values = static_cast<std::size_t>(tokens) * c.hidden;
    const auto normed = testing::BFloat16Normals(values, random_);
    std::vector<float> expected(values);
    MlpBlock(c.moe).Run(layer_, tokens, normed, absl::MakeSpan(expected));
    const auto before = random_.Normals(values);
    for (const bool accumulate : {false, true}) {
      auto* const out = device.In(before);
      const absl::Status status = device.Finish(
          block.Run(0, layers_[0], tokens, device.In(ToBFloat16s(normed)), accumulate, out));
      ASSERT_TRUE(status.ok()) << status;
      std::vector<float> made(values);
      device.Read(out, absl::MakeSpan(made));
      if (accumulate) {
        for (std::size_t i = 0; i < values; ++i) made[i] -= before[i];
      }
      EXPECT_LT(testing::WorstRow(made, expected, c.hidden), 1e-2) << tokens << " tokens";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ExpertsCudaTest,
    ::testing::Values(Case{"DeepseekLike",
                           {.routed_experts = 64,
                            .shared_experts = 1,
                            .experts_per_token = 8,
                            .groups = 8,
                            .groups_per_token = 4,
                            .weight_scale = 2.5},
                           256,
                           128},
                      Case{"WithoutSharedOnes",
                           {.routed_experts = 8, .experts_per_token = 2, .normalised = false},
                           64,
                           40},
                      Case{"OfOddColumns",
                           {.routed_experts = 12,
                            .shared_experts = 2,
                            .experts_per_token = 3,
                            .groups = 4,
                            .groups_per_token = 2},
                           68,
                           3}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pinboard::engine
