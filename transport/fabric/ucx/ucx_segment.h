// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Segments in UCX's terms.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "transport/fabric/fabric.h"
#include "transport/fabric/ucx/shared_mapping.h"
#include "transport/fabric/ucx/ucx_worker.h"

namespace pinboard::transport {

/// A memory file of this process's own, which peers on this host map themselves; registered with
/// UCX for those whose transports reach it, and read and written by messages for all others.
class UcxSegment : public Segment {
 public:
  static absl::StatusOr<std::unique_ptr<UcxSegment>> Allocate(const UcxContext& context,
                                                              std::size_t bytes);
  ~UcxSegment() override;
  absl::Span<std::byte> memory() override { return mapping_->memory(); }
  absl::Span<const std::byte> remote_key() const override { return remote_key_; }
  /// Stays for as long as UCX reads from it.
  const std::shared_ptr<SharedMapping>& mapping() const { return mapping_; }

 private:
  UcxSegment(SharedMapping mapping, ucp_context_h context, ucp_mem_h handle)
      : mapping_(std::make_shared<SharedMapping>(std::move(mapping))),
        context_(context),
        handle_(handle) {}
  absl::Status Describe();

  std::shared_ptr<SharedMapping> mapping_;
  ucp_context_h context_;
  ucp_mem_h handle_;
  std::vector<std::byte> remote_key_;
};

/// A remote key's bytes as they are understood. `packed` lies in them.
struct RemoteKey {
  std::uint64_t address = 0;  // in the owner's address space
  std::size_t size_bytes = 0;
  SharedFile file;
  absl::Span<const std::byte> packed;  // of ucp_rkey_pack

  /// InvalidArgument: not a remote key of this transport, of another version of it, or damaged.
  static absl::StatusOr<RemoteKey> Parse(absl::Span<const std::byte> bytes);
};

/// A peer's segment: knows the peer by id only, so that it may outlive the connection.
class UcxRemoteSegment : public RemoteSegment {
 public:
  /// Of a peer on this host: its memory. UCX is not asked: 1.13 crashes where it cannot attach to
  /// memory whose owner has died. Errors: SharedMapping::Map's.
  static absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(PeerId peer, const RemoteKey& key);
  /// Of a peer whose memory the endpoint's transports reach, by UCX's one-sided operations.
  static absl::StatusOr<std::unique_ptr<RemoteSegment>> Reach(PeerId peer,
                                                              std::shared_ptr<UcxWorker> worker,
                                                              ucp_ep_h endpoint,
                                                              const RemoteKey& key);
  /// Of any other peer: by messages.
  static std::unique_ptr<RemoteSegment> Ask(PeerId peer, const RemoteKey& key);
  ~UcxRemoteSegment() override;

  std::size_t size_bytes() const override { return size_bytes_; }
  absl::Span<std::byte> direct() override { return mapping_.memory(); }
  PeerId peer() const { return peer_; }
  /// Of what is reached, else null.
  ucp_rkey_h key() const { return key_; }
  /// By which its owner is asked.
  std::uint64_t name() const { return name_; }
  std::uint64_t address() const { return address_; }

 private:
  UcxRemoteSegment(PeerId peer, const RemoteKey& key)
      : peer_(peer), name_(key.file.nonce), address_(key.address), size_bytes_(key.size_bytes) {}

  PeerId peer_;
  std::uint64_t name_;
  std::uint64_t address_;  // in the peer's address space
  std::size_t size_bytes_;
  SharedMapping mapping_;  // where it is mapped
  // Where it is reached. Shared with the peer, which may go first: the key lies in the worker's
  // memory.
  std::shared_ptr<UcxWorker> worker_;
  ucp_rkey_h key_ = nullptr;
};

}  // namespace pinboard::transport
