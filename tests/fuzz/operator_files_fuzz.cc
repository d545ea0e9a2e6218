// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Files that an operator writes: keys, tenants, members, workloads; the first byte says which.
#include <string>

#include "absl/status/status.h"
#include "app/service_load/workload.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/access/tenant_file.h"
#include "cache_service/membership/member_list.h"
#include "tests/fuzz/fuzz_target.h"

namespace pinboard {
namespace {

absl::Status Parse(std::uint8_t kind, const std::string& text) {
  switch (kind % 4) {
    case 0: {
      const auto ring = cache_service::KeyRing::Parse(text);
      fuzz::Require(!ring.ok() || ring->size() > 0, "a ring has a key");
      return ring.status();
    }
    case 1:
      return cache_service::ParseTenantFile(text).status();
    case 2: {
      const auto members = cache_service::ParseMemberLines(text);
      if (!members.ok()) return members.status();
      for (const cache_service::Member& member : *members) {
        const auto again = cache_service::ParseMember(member.address);
        fuzz::Require(again.ok() && again->address == member.address, "an address reads as itself");
      }
      return absl::OkStatus();
    }
    default:
      return app::ParseWorkload(text, "a file").status();
  }
}

}  // namespace
}  // namespace pinboard

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const absl::Status status = pinboard::Parse(data[0], text);
  const std::string message(status.message());
  pinboard::fuzz::Require(status.ok() || !message.empty(), "a mistake is named");
  pinboard::fuzz::Require(message.find('\n') == std::string::npos, "in one line");
  return 0;
}
