// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Makes a rank's runtime from parts that its process already has.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cache_service/page_store.h"
#include "pinboard/shard.h"
#include "transport/collective/communicator.h"

namespace pinboard {

/// `communicator` is shared with the engine (one thread, interleaved calls) and outlives the shard;
/// `store` may be null: no band and no recall, whatever the sequences ask for.
absl::StatusOr<std::unique_ptr<Shard>> CreateShard(const ShardOptions& options,
                                                   transport::Communicator* communicator,
                                                   cache_service::PageStore* store);

}  // namespace pinboard
