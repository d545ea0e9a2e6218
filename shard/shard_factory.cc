// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_factory.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/page.h"
#include "base/status_macros.h"
#include "shard/operations/cuda_operations.h"
#include "shard/shard_runtime.h"

namespace pinboard {
namespace {

absl::Status CheckModel(const ShardModel& model, int tp) {
  if (model.layers < 1 || model.query_heads < 1 || model.kv.kv_heads < 1 || model.kv.key_dim < 1 ||
      model.hidden_dim < 1 || model.vocab_local < 1 || model.kv_replicas < 1 ||
      model.block_size < kPageRows || model.block_size % kPageRows != 0) {
    return absl::InvalidArgumentError(
        "the shard's model has a dimension that is missing or not positive");
  }
  if (model.cache.size() != static_cast<std::size_t>(model.layers)) {
    return absl::InvalidArgumentError(absl::StrCat("the shard's model has ", model.layers,
                                                   " layers and ", model.cache.size(), " caches"));
  }
  if (tp % model.kv_replicas != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(model.kv_replicas, " KV replicas do not divide ", tp, " ranks"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Shard>> CreateShard(const ShardOptions& options,
                                                   transport::Communicator* communicator,
                                                   cache_service::PageStore* store) {
  PB_RETURN_IF_ERROR(CheckModel(options.model, communicator->size()));
  if (options.top_k < 2 || options.top_k > 512) {
    return absl::InvalidArgumentError(absl::StrCat("top_k is ", options.top_k, ": use 2 to 512"));
  }
  if (options.sketch_dim < 0 || options.sketch_dim > options.model.hidden_dim) {
    return absl::InvalidArgumentError(absl::StrCat("sketch_dim is ", options.sketch_dim,
                                                   ": use 0 (none) to ", options.model.hidden_dim,
                                                   ", the hidden states' dimension"));
  }
  if (options.quality_every < 0) {
    return absl::InvalidArgumentError(absl::StrCat("quality_every is ", options.quality_every,
                                                   ": use 0 (never) or a number of steps"));
  }
  ShardContext context;
  context.options = options;
  context.communicator = communicator;
  context.store = store;
  if (options.backend == Backend::kCuda) {
    PB_ASSIGN_OR_RETURN(context.operations, MakeCudaOperations(options.stream));
  } else {
    context.operations = MakeHostOperations();
  }
  PB_RETURN_IF_ERROR(context.operations->CheckRows(options.model.kv, options.model.block_size,
                                                   /*has_pages=*/store != nullptr));
  return std::make_unique<ShardRuntime>(std::move(context));
}

}  // namespace pinboard
