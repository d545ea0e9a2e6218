// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/memory_space.h"

#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"

namespace pinboard {
namespace {

class Host final : public MemorySpace {
 public:
  absl::StatusOr<std::shared_ptr<std::byte>> Allocate(std::size_t bytes) override {
    auto* data = new (std::nothrow) std::byte[bytes];
    if (data == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes"));
    }
    return std::shared_ptr<std::byte>(data, std::default_delete<std::byte[]>());
  }
  absl::Status Copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
    return absl::OkStatus();
  }
};

}  // namespace

MemorySpace* HostMemory() {
  static Host host;
  return &host;
}

}  // namespace pinboard
