// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_forward_pass.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/cuda/device.h"
#include "base/cuda/pinned_buffer.h"
#include "base/cuda/stream.h"
#include "base/status_macros.h"
#include "engine/cuda/attention_tuning.h"
#include "engine/cuda/best_logit.cuh"
#include "engine/cuda/device_attention_block.cuh"
#include "engine/cuda/device_batch.cuh"
#include "engine/cuda/device_kv_cache.cuh"
#include "engine/cuda/device_linear.cuh"
#include "engine/cuda/device_mlp_block.cuh"
#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/paged_attention.cuh"
#include "engine/cuda/rank_sums.cuh"
#include "engine/cuda/rotation.cuh"
#include "engine/cuda/step_graphs.cuh"
#include "engine/rope.h"

namespace pinboard::engine {
namespace {

std::size_t Values(int tokens, int width) { return static_cast<std::size_t>(tokens) * width; }

PagedAttentionShape AttentionShape(const ForwardPassOptions& options) {
  return {.kv = options.cache.shape,
          .block_size = options.cache.block_size,
          .query_heads = options.plan.heads,
          .scale = options.config.attention_scale()};
}

/// Weights and the normalised activations are bf16; the residual stream, queries and logits float.
class CudaForwardPass final : public ForwardPass {
 public:
  struct Parts {
    cuda::Stream stream;
    std::unique_ptr<Products> products;
    DeviceWeights weights;
    DeviceMlpBlock mlp;
    std::unique_ptr<DeviceKvCache> cache;
    DeviceBatch batch;
    cuda::DeviceBuffer<double> frequencies;  // [pairs]
    cuda::PinnedBuffer best_on_host;
    cuda::DeviceBuffer<BestLogit> best;
    int multiprocessors = 0;
  };

  CudaForwardPass(const ForwardPassOptions& options, Parts parts,
                  transport::Communicator* communicator)
      : ForwardPass(options),
        parts_(std::move(parts)),
        sums_(communicator, cuda_stream(), options.collective_deadline),
        graphs_(cuda_stream()),
        uses_graphs_(options.step_graphs && sums_.are_launches()),
        attention_shape_(AttentionShape(options)),
        block_size_(options.cache.block_size),
        attention_(
            options.config.is_mla()
                ? MakeDeviceLatentAttention(options.config, options.plan, parts_.products.get(),
                                            cuda_stream())
                : MakeDeviceGroupedAttention(options.plan, parts_.products.get(), cuda_stream())) {}

  KvCache& cache() override { return *parts_.cache; }
  void* stream() const override { return cuda_stream(); }

  absl::StatusOr<absl::Span<const float>> Logits(int first, int count) override;
  absl::Status CopyLogits(int row, absl::Span<float> out) override;
  absl::Status FindBest(absl::Span<const int> rows, absl::Span<BestLogit> best) override;
  int LogitsChunk() const override;
  std::int64_t graphs_launched() const override { return graphs_.launched(); }

 private:
  absl::Status Begin(const StepBatch& batch) override;
  absl::Status Stretch(int index, Work work) override {
    sums_.BeginStretch();
    return graphs_.Run(index, work);
  }
  absl::Status Embed(const StepBatch& batch) override;
  absl::Status Project(int layer, const StepBatch& batch) override;
  absl::Span<const float> queries() const override {
    return {queries_.data(), Values(tokens_, plan().heads * config().key_dim())};
  }
  absl::Span<const float> log_sum_exps() const override {
    return {log_sum_exps_.data(), Values(tokens_, plan().heads)};
  }
  absl::StatusOr<absl::Span<const float>> Foresee(int later, const StepBatch& batch) override;
  absl::Status Attend(int layer, const StepBatch& batch) override;
  absl::Status RunMlp(int layer, const StepBatch& batch) override;
  absl::Status AwaitRanks() override;
  absl::Span<const float> hidden() const override {
    return {hidden_.data(), Values(tokens_, config().hidden_size)};
  }

  cudaStream_t cuda_stream() const { return parts_.stream.get(); }
  bool alone() const { return plan().ranks == 1; }
  int pairs() const { return static_cast<int>(parts_.frequencies.size()); }
  RotationTable rotation() const {
    return {turns_.data(), pairs(), config().is_mla() && config().mla.rope_interleave};
  }
  /// Of a step of decoding: one token of each sequence.
  std::optional<StepShape> ShapeForGraphs(const StepBatch& batch) const;
  absl::Status MakeRotation(const StepBatch& batch);
  /// normed_ = of hidden_'s rows first ... first + count - 1
  absl::Status Normalise(const cuda::DeviceBuffer<float>& weight, int first, int count);
  /// Where a partial sum of hidden states goes: alone, it is added to them at once.
  absl::StatusOr<float*> PartialSums();
  /// [collective] hidden_ += sum over ranks of what PartialSums has received.
  absl::Status AddPartialSums();

  Parts parts_;
  RankSums sums_;
  StepGraphs graphs_;
  bool ended_ = true;  // the step before, with all its sums
  bool uses_graphs_;
  PagedAttentionShape attention_shape_;
  int block_size_;
  std::unique_ptr<DeviceAttentionBlock> attention_;
  int tokens_ = 0;  // of the step
  // [tokens, ...] of the step
  Scratch<float> hidden_, partial_, queries_, foreseen_, log_sum_exps_;
  Scratch<std::uint16_t> normed_, context_;
  Scratch<float2> turns_;
  Scratch<std::byte> attention_workspace_;
  Scratch<float> logits_;  // [count, vocab_local]
};

absl::Status CudaForwardPass::Begin(const StepBatch& batch) {
  tokens_ = batch.size();
  if (!std::exchange(ended_, false)) graphs_.Forget();
  PB_RETURN_IF_ERROR(parts_.batch.Upload(batch, cuda_stream()));
  graphs_.Begin(ShapeForGraphs(batch), sums_.formation());
  return absl::OkStatus();
}

std::optional<StepShape> CudaForwardPass::ShapeForGraphs(const StepBatch& batch) const {
  if (!uses_graphs_ || batch.size() != static_cast<int>(batch.entries.size())) return std::nullopt;
  const TileList &small = parts_.batch.small_tiles(), &large = parts_.batch.large_tiles();
  return StepShape{.tokens = batch.size(),
                   .tables = parts_.batch.tables(),
                   .small_tiles = small.count,
                   .large_tiles = large.count,
                   .small_rows = small.most_rows,
                   .large_rows = large.most_rows};
}

absl::Status CudaForwardPass::Embed(const StepBatch& batch) {
  PB_RETURN_IF_ERROR(MakeRotation(batch));
  const std::size_t values = Values(tokens_, config().hidden_size);
  PB_ASSIGN_OR_RETURN(float* const hidden, hidden_.Reserve(values));
  PB_RETURN_IF_ERROR(LaunchEmbed({.table = parts_.weights.embedding.data(),
                                  .first_row = plan().vocab_begin,
                                  .rows = plan().vocab_local,
                                  .width = config().hidden_size},
                                 parts_.batch.tokens(), tokens_, hidden, cuda_stream()));
  return sums_.Add(hidden, values);
}

absl::Status CudaForwardPass::MakeRotation(const StepBatch& batch) {
  PB_ASSIGN_OR_RETURN(float2* const turns, turns_.Reserve(Values(batch.size(), pairs())));
  return LaunchRotationTable(parts_.frequencies.data(), pairs(), config().rope.RotationScale(),
                             parts_.batch.positions(), batch.size(), turns, cuda_stream());
}

absl::Status CudaForwardPass::Normalise(const cuda::DeviceBuffer<float>& weight, int first,
                                        int count) {
  const int width = config().hidden_size;
  PB_ASSIGN_OR_RETURN(std::uint16_t* const normed, normed_.Reserve(Values(count, width)));
  return LaunchRmsNorm(hidden_.data() + Values(first, width), weight.data(),
                       static_cast<float>(config().rms_norm_eps), count, width, normed,
                       cuda_stream());
}

absl::Status CudaForwardPass::Project(int layer, const StepBatch&) {
  const DeviceLayerWeights& weights = parts_.weights.layers[layer];
  const std::size_t values = Values(tokens_, plan().heads * config().key_dim());
  PB_ASSIGN_OR_RETURN(float* const queries, queries_.Reserve(values));
  PB_RETURN_IF_ERROR(Normalise(weights.attention_norm, 0, tokens_));
  const CacheTarget target{.cache = parts_.cache->layer(layer),
                           .shape = parts_.cache->shape(),
                           .batch = parts_.batch.layer(layer),
                           .block_size = block_size_};
  return attention_->Project(weights, target, rotation(), normed_.data(), queries);
}

absl::StatusOr<absl::Span<const float>> CudaForwardPass::Foresee(int later, const StepBatch&) {
  const DeviceLayerWeights& weights = parts_.weights.layers[later];
  const std::size_t values = Values(tokens_, plan().heads * config().key_dim());
  PB_ASSIGN_OR_RETURN(float* const foreseen, foreseen_.Reserve(values));
  PB_RETURN_IF_ERROR(Normalise(weights.attention_norm, 0, tokens_));
  PB_RETURN_IF_ERROR(
      attention_->ProjectQueries(weights, tokens_, rotation(), normed_.data(), foreseen));
  return absl::MakeConstSpan(foreseen, values);
}

absl::Status CudaForwardPass::Attend(int layer, const StepBatch&) {
  const TileList &small = parts_.batch.small_tiles(), &large = parts_.batch.large_tiles();
  PB_ASSIGN_OR_RETURN(std::uint16_t* const context,
                      context_.Reserve(Values(tokens_, plan().heads * config().value_dim())));
  PB_ASSIGN_OR_RETURN(float* const log_sum_exps,
                      log_sum_exps_.Reserve(Values(tokens_, plan().heads)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      attention_workspace_.Reserve(PagedAttentionWorkspaceBytes(
                          attention_shape_, small, large, parts_.multiprocessors)));
  PB_RETURN_IF_ERROR(LaunchPagedAttention(attention_shape_,
                                          {.cache = parts_.cache->layer(layer),
                                           .batch = parts_.batch.layer(layer),
                                           .queries = queries_.data(),
                                           .context = context,
                                           .log_sum_exp = log_sum_exps},
                                          small, large, parts_.multiprocessors, workspace,
                                          cuda_stream()));
  PB_ASSIGN_OR_RETURN(float* const sums, PartialSums());
  PB_RETURN_IF_ERROR(
      attention_->Combine(parts_.weights.layers[layer], tokens_, context, alone(), sums));
  return AddPartialSums();
}

absl::Status CudaForwardPass::RunMlp(int layer, const StepBatch&) {
  const DeviceLayerWeights& weights = parts_.weights.layers[layer];
  PB_RETURN_IF_ERROR(Normalise(weights.mlp_norm, 0, tokens_));
  PB_ASSIGN_OR_RETURN(float* const sums, PartialSums());
  PB_RETURN_IF_ERROR(parts_.mlp.Run(layer, weights, tokens_, normed_.data(), alone(), sums));
  return AddPartialSums();
}

absl::StatusOr<float*> CudaForwardPass::PartialSums() {
  if (alone()) return hidden_.data();
  return partial_.Reserve(Values(tokens_, config().hidden_size));
}

absl::Status CudaForwardPass::AddPartialSums() {
  if (alone()) return absl::OkStatus();
  const std::size_t values = Values(tokens_, config().hidden_size);
  PB_RETURN_IF_ERROR(sums_.Add(partial_.data(), values));
  return LaunchAdd(partial_.data(), static_cast<std::int64_t>(values), hidden_.data(),
                   cuda_stream());
}

absl::Status CudaForwardPass::AwaitRanks() {
  absl::Status ended = sums_.Await();
  if (!ended.ok()) graphs_.Forget();
  ended_ = ended.ok();
  return ended;
}

absl::StatusOr<absl::Span<const float>> CudaForwardPass::Logits(int first, int count) {
  const int width = config().hidden_size, columns = plan().vocab_local;
  PB_RETURN_IF_ERROR(Normalise(parts_.weights.final_norm, first, count));
  const std::size_t values = Values(count, columns);
  PB_ASSIGN_OR_RETURN(float* const logits, logits_.Reserve(values));
  PB_RETURN_IF_ERROR(parts_.products->Multiply({.rows = count,
                                                .columns = columns,
                                                .inner = width,
                                                .in_stride = width,
                                                .weight_stride = width,
                                                .out_stride = columns},
                                               normed_.data(),
                                               parts_.weights.output_embedding().data(), logits));
  return absl::MakeConstSpan(logits, values);
}

absl::Status CudaForwardPass::CopyLogits(int row, absl::Span<float> out) {
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaMemcpyAsync(out.data(), logits_.data() + Values(row, plan().vocab_local),
                      out.size() * sizeof(float), cudaMemcpyDeviceToHost, cuda_stream()),
      "copy logits from the device"));
  return parts_.stream.Wait();
}

absl::Status CudaForwardPass::FindBest(absl::Span<const int> rows, absl::Span<BestLogit> best) {
  if (rows.empty()) return absl::OkStatus();
  auto* const on_host = reinterpret_cast<BestLogit*>(parts_.best_on_host.bytes().data());
  PB_RETURN_IF_ERROR(
      LaunchFindBest(logits_.data(), plan().vocab_local, rows, parts_.best.data(), cuda_stream()));
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemcpyAsync(on_host, parts_.best.data(), rows.size() * sizeof(BestLogit),
                                     cudaMemcpyDeviceToHost, cuda_stream()),
                     "copy the best tokens from the device"));
  PB_RETURN_IF_ERROR(parts_.stream.Wait());
  std::copy_n(on_host, rows.size(), best.data());
  return absl::OkStatus();
}

int CudaForwardPass::LogitsChunk() const {
  constexpr int kValues = 1 << 26;
  return std::clamp(kValues / plan().vocab_local, 1, kMostBestRows);
}

absl::StatusOr<cuda::DeviceBuffer<double>> UploadFrequencies(const ModelConfig& config,
                                                             const cuda::Stream& stream) {
  const std::vector<double> host =
      RopeFrequencies(config.rope, config.is_mla() ? config.mla.qk_rope_head_dim : config.head_dim);
  PB_ASSIGN_OR_RETURN(auto frequencies, cuda::DeviceBuffer<double>::Make(host.size()));
  PB_RETURN_IF_ERROR(frequencies.CopyFrom(host, stream.get()));
  PB_RETURN_IF_ERROR(stream.Wait());
  return frequencies;
}

absl::StatusOr<int> CountMultiprocessors() {
  int device = 0, count = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "current device"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(
      cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "multiprocessors"));
  return count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ForwardPass>> LoadCudaForwardPass(
    const ForwardPassOptions& options, const Checkpoint* checkpoint,
    transport::Communicator* communicator) {
  PB_RETURN_IF_ERROR(cuda::CountDevices().status());
  PB_RETURN_IF_ERROR(CheckPagedAttention(AttentionShape(options)));
  PB_ASSIGN_OR_RETURN(cuda::Stream stream, cuda::Stream::Create());
  PB_ASSIGN_OR_RETURN(auto cache, DeviceKvCache::Create(options.cache, stream.get()));
  PB_ASSIGN_OR_RETURN(Products created, Products::Create(stream.get()));
  auto products = std::make_unique<Products>(std::move(created));
  PB_ASSIGN_OR_RETURN(
      DeviceWeights weights,
      options.random_weights.has_value()
          ? DrawDeviceWeights(*options.random_weights, options.config, options.plan, stream.get())
          : LoadDeviceWeights(*checkpoint, options.config, options.plan, stream.get()));
  PB_ASSIGN_OR_RETURN(DeviceMlpBlock mlp, DeviceMlpBlock::Create(options.config.moe, weights.layers,
                                                                 products.get(), stream.get()));
  PB_ASSIGN_OR_RETURN(DeviceBatch batch,
                      DeviceBatch::Create(options.plan.heads / options.cache.shape.kv_heads,
                                          kSmallTileRows, kLargeTileRows));
  PB_ASSIGN_OR_RETURN(auto frequencies, UploadFrequencies(options.config, stream));
  PB_ASSIGN_OR_RETURN(auto best_on_host,
                      cuda::PinnedBuffer::Make(kMostBestRows * sizeof(BestLogit)));
  PB_ASSIGN_OR_RETURN(auto best, cuda::DeviceBuffer<BestLogit>::Make(kMostBestRows));
  PB_ASSIGN_OR_RETURN(const int multiprocessors, CountMultiprocessors());
  return std::make_unique<CudaForwardPass>(
      options,
      CudaForwardPass::Parts{.stream = std::move(stream),
                             .products = std::move(products),
                             .weights = std::move(weights),
                             .mlp = std::move(mlp),
                             .cache = std::move(cache),
                             .batch = std::move(batch),
                             .frequencies = std::move(frequencies),
                             .best_on_host = std::move(best_on_host),
                             .best = std::move(best),
                             .multiprocessors = multiprocessors},
      communicator);
}

}  // namespace pinboard::engine
