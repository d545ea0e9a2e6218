// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_transports.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"

namespace pinboard::transport {

// A lane is printed as "lane[0]:  3:rc_mlx5/mlx5_0:1.0 ...".
bool NamesReliableRdma(absl::string_view endpoint_info) {
  return absl::StrContains(endpoint_info, ":rc_") || absl::StrContains(endpoint_info, ":dc_");
}

bool ReachesMemory(ucp_ep_h endpoint) {
  char* text = nullptr;
  std::size_t bytes = 0;
  std::FILE* stream = open_memstream(&text, &bytes);
  if (stream == nullptr) return false;
  ucp_ep_print_info(endpoint, stream);
  std::fclose(stream);
  const bool reaches = NamesReliableRdma(absl::string_view(text, bytes));
  std::free(text);
  return reaches;
}

}  // namespace pinboard::transport
