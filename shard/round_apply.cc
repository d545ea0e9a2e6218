// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_apply.h"

#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace pinboard {
namespace {

/// One message each.
void Tell(cache_service::PageStore* store, StoreRequests requests) {
  if (!requests.dropped.empty()) store->Drop(requests.dropped);
  if (!requests.headers.empty()) store->Publish(std::move(requests.published), requests.headers);
}

}  // namespace

absl::Status ApplyRound(ShardContext& context, absl::Span<AgreedSequence> sequences) {
  StoreRequests requests;
  std::vector<SequenceApplier> appliers;
  appliers.reserve(sequences.size());
  for (AgreedSequence& sequence : sequences) {  // a device compacts one while the next is applied
    PB_RETURN_IF_ERROR(appliers.emplace_back(&context, &sequence, &requests).Run());
  }
  Tell(context.store, std::move(requests));
  PB_RETURN_IF_ERROR(context.operations->Finish());
  for (SequenceApplier& applier : appliers) PB_RETURN_IF_ERROR(applier.End());
  return absl::OkStatus();
}

}  // namespace pinboard
