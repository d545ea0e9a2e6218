// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Memory that processes of one host share without asking each other: a file without a name in any
// file system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "transport/fabric/ucx/unique_fd.h"

namespace pinboard::transport {

/// Names one memory file of one process: where it is looked for, and by what it is known, so that
/// another file under a number used again is never taken for it.
struct SharedFile {
  std::uint32_t pid = 0;  // the owner's, in the PID namespace of all who map it
  std::uint32_t fd = 0;   // the owner's
  std::uint64_t inode = 0;
  std::uint64_t nonce = 0;  // in the file's own name
};

/// A memory file (memfd_create) mapped for reading and writing, or none. Its size is sealed: nobody
/// can take pages away under who maps it. The memory stays valid, and keeps its content, until the
/// last mapping is gone, whoever dies. Move-only.
class SharedMapping {
 public:
  SharedMapping() = default;
  SharedMapping(SharedMapping&& other) noexcept
      : owned_(std::move(other.owned_)),
        memory_(std::exchange(other.memory_, {})),
        file_(other.file_) {}
  SharedMapping& operator=(SharedMapping&& other) noexcept {
    std::swap(owned_, other.owned_);
    std::swap(memory_, other.memory_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~SharedMapping();

  /// A new file of zeroes, owned by this process: others can map it while this lives. `bytes`:
  /// whole pages. ResourceExhausted: no descriptor or address space is left.
  static absl::StatusOr<SharedMapping> Allocate(std::size_t bytes);

  /// Another process's (or this one's). Unavailable: its owner has died or freed it.
  /// PermissionDenied: the kernel shows the owner's files to others only (another user, or one with
  /// more capabilities). ResourceExhausted as above.
  static absl::StatusOr<SharedMapping> Map(const SharedFile& file, std::size_t bytes);

  absl::Span<std::byte> memory() const { return memory_; }
  const SharedFile& file() const { return file_; }

 private:
  SharedMapping(UniqueFd owned, absl::Span<std::byte> memory, const SharedFile& file)
      : owned_(std::move(owned)), memory_(memory), file_(file) {}

  UniqueFd owned_;  // by which others find it; none where it was mapped
  absl::Span<std::byte> memory_;
  SharedFile file_;
};

}  // namespace pinboard::transport
