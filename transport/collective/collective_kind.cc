// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/collective_kind.h"

#include "absl/strings/str_cat.h"

namespace pinboard::transport {

std::string ToString(const CollectiveShape& shape) {
  const auto name = [&shape] {
    switch (shape.kind) {
      case CollectiveKind::kSumInt32:
        return "an integer sum";
      case CollectiveKind::kSumFloat:
        return "a float sum";
      case CollectiveKind::kSumBFloat16:
        return "a bfloat16 sum";
      case CollectiveKind::kAllGather:
        break;
    }
    return "an all-gather";
  };
  return absl::StrCat(name(), " of ", shape.bytes, " bytes");
}

void RankList::Add(int rank) {
  if (count_ > 0) absl::StrAppend(&all_but_last_, all_but_last_.empty() ? "" : ", ", last_);
  last_ = absl::StrCat(rank);
  ++count_;
}

std::string RankList::ToString() const {
  return count_ > 1 ? absl::StrCat("ranks ", all_but_last_, " and ", last_)
                    : absl::StrCat("rank ", last_);
}

}  // namespace pinboard::transport
