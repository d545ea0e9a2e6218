// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/dtype.h"
#include "engine/cuda/expert_router.cuh"

namespace pinboard::engine {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kTokens = 4;  // of a block: each row of the gate is read once for all of them
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr float kTaken = -__builtin_inff();

struct Routing {
  int experts;
  int experts_per_token;
  int groups;
  int groups_per_token;
  bool normalised;
  float weight_scale;
};

/// The lowest index of the highest value, over a warp; the same in every lane.
__device__ int IndexOfHighest(const float* values, int count) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  float highest = kTaken;
  int index = count;
  for (int i = lane; i < count; i += 32) {
    if (index < count && values[i] <= highest) continue;
    highest = values[i];
    index = i;
  }
  __syncwarp();  // shuffles order no memory, and the caller overwrites what was read
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, highest, offset);
    const int other_index = __shfl_xor_sync(kAllLanes, index, offset);
    const bool better = other > highest || (other == highest && other_index < index);
    highest = better ? other : highest;
    index = better ? other_index : index;
  }
  return index;
}

/// By one warp: leaves in `choosable` what the best groups have.
__device__ void DropOtherGroups(const Routing& routing, float* choosable, float* worths) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int size = routing.experts / routing.groups;
  for (int group = lane; group < routing.groups; group += 32) {
    float first = kTaken, second = kTaken;
    for (int i = group * size; i < (group + 1) * size; ++i) {
      second = fmaxf(second, fminf(first, choosable[i]));
      first = fmaxf(first, choosable[i]);
    }
    worths[group] = first + second;
  }
  __syncwarp();
  for (int i = 0; i < routing.groups_per_token; ++i) {
    const int best = IndexOfHighest(worths, routing.groups);
    if (lane == 0) worths[best] = kTaken;
    __syncwarp();
  }
  for (int i = lane; i < routing.experts; i += 32) {
    if (worths[i / size] != kTaken) choosable[i] = kTaken;
  }
  __syncwarp();
}

/// By one warp: the slots of one token.
__device__ void Choose(const Routing& routing, const float* scores, float* choosable,
                       std::int32_t* experts, float* weights) {
  constexpr float kNotZero = 1e-20F;  // as transformers has it
  const int lane = static_cast<int>(threadIdx.x % 32);
  float divisor = kNotZero;
  for (int i = 0; i < routing.experts_per_token; ++i) {
    const int best = IndexOfHighest(choosable, routing.experts);
    divisor += scores[best];
    if (lane == 0) {
      experts[i] = best;
      choosable[best] = kTaken;
    }
    __syncwarp();
  }
  if (!routing.normalised) divisor = 1.0F;
  for (int i = lane; i < routing.experts_per_token; i += 32) {
    weights[i] = scores[experts[i]] / divisor * routing.weight_scale;
  }
}

__device__ float2 Pair(const std::uint16_t* values, std::int64_t pair) {
  const std::uint32_t bits = __ldg(reinterpret_cast<const std::uint32_t*>(values) + pair);
  return make_float2(__uint_as_float(bits << 16U), __uint_as_float(bits & 0xffff0000U));
}

__global__ __launch_bounds__(kThreads) void RouteKernel(const Routing routing,
                                                        const std::uint16_t* gate,
                                                        const float* gate_bias,
                                                        const std::uint16_t* normed, int tokens,
                                                        int hidden, ExpertSlots slots) {
  __shared__ float scores[kTokens][kMostExperts];
  __shared__ float choosable[kTokens][kMostExperts];
  __shared__ float worths[kTokens][kMostExperts];
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int first = static_cast<int>(blockIdx.x) * kTokens;
  const int pairs = hidden / 2;
  for (int expert = warp; expert < routing.experts; expert += kWarps) {
    float logits[kTokens] = {};
    for (int pair = lane; pair < pairs; pair += 32) {
      const float2 weight = Pair(gate, std::int64_t{expert} * pairs + pair);
#pragma unroll
      for (int i = 0; i < kTokens; ++i) {
        const int token = min(first + i, tokens - 1);
        const float2 x = Pair(normed, std::int64_t{token} * pairs + pair);
        logits[i] = __fmaf_rn(weight.x, x.x, logits[i]);
        logits[i] = __fmaf_rn(weight.y, x.y, logits[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kTokens; ++i) {
#pragma unroll
      for (int offset = 16; offset > 0; offset /= 2) {
        logits[i] += __shfl_xor_sync(kAllLanes, logits[i], offset);
      }
      if (lane != 0) continue;
      scores[i][expert] = 1.0F / (1.0F + expf(-logits[i]));
      choosable[i][expert] = scores[i][expert] + gate_bias[expert];
    }
  }
  __syncthreads();
  if (warp >= kTokens || first + warp >= tokens) return;
  DropOtherGroups(routing, choosable[warp], worths[warp]);
  const std::int64_t slot = std::int64_t{first + warp} * routing.experts_per_token;
  Choose(routing, scores[warp], choosable[warp], slots.experts + slot, slots.weights + slot);
}

}  // namespace

absl::Status CheckExperts(const MoeConfig& config, int hidden) {
  if (config.routed_experts <= kMostExperts && hidden % 2 == 0) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("the router on the device has no kernel for ", config.routed_experts,
                   " experts and a hidden size of ", hidden, ": at most ", kMostExperts, ", even"));
}

absl::Status LaunchRouteExperts(const MoeConfig& config, const std::uint16_t* gate,
                                const float* gate_bias, const std::uint16_t* normed, int tokens,
                                int hidden, const ExpertSlots& slots, cudaStream_t stream) {
  const Routing routing{config.routed_experts, config.experts_per_token,
                        config.groups,         config.groups_per_token,
                        config.normalised,     static_cast<float>(config.weight_scale)};
  RouteKernel<<<static_cast<unsigned>((tokens + kTokens - 1) / kTokens), kThreads, 0, stream>>>(
      routing, gate, gate_bias, normed, tokens, hidden, slots);
  return cuda::ToStatus(cudaGetLastError(), "expert router");
}

}  // namespace pinboard::engine
