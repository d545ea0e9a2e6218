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
#include "transport/fabric/fabric.h"
#include "transport/fabric/ucx/ucx_worker.h"

namespace pinboard::transport {

/// Memory that UCX allocated, in shared memory where a transport can.
class UcxSegment : public Segment {
 public:
  static absl::StatusOr<std::unique_ptr<Segment>> Allocate(const UcxContext& context,
                                                           std::size_t bytes);
  ~UcxSegment() override;
  absl::Span<std::byte> memory() override { return memory_; }
  absl::Span<const std::byte> remote_key() const override { return remote_key_; }

 private:
  UcxSegment(ucp_context_h context, ucp_mem_h handle) : context_(context), handle_(handle) {}
  absl::Status Describe();

  ucp_context_h context_;
  ucp_mem_h handle_;
  absl::Span<std::byte> memory_;
  std::vector<std::byte> remote_key_;
};

/// A peer's segment: knows the peer by id only, so that it may outlive the connection.
class UcxRemoteSegment : public RemoteSegment {
 public:
  /// InvalidArgument: not a remote key of this transport, or damaged.
  static absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(PeerId peer,
                                                            std::shared_ptr<UcxWorker> worker,
                                                            ucp_ep_h endpoint,
                                                            absl::Span<const std::byte> remote_key);
  ~UcxRemoteSegment() override;

  std::size_t size_bytes() const override { return size_bytes_; }
  absl::Span<std::byte> direct() override { return direct_; }
  PeerId peer() const { return peer_; }
  ucp_rkey_h key() const { return key_; }
  std::uint64_t address() const { return address_; }

 private:
  UcxRemoteSegment(PeerId peer, std::shared_ptr<UcxWorker> worker, ucp_rkey_h key,
                   std::uint64_t address, std::size_t size_bytes)
      : peer_(peer),
        worker_(std::move(worker)),
        key_(key),
        address_(address),
        size_bytes_(size_bytes) {}

  PeerId peer_;
  // Shared with the peer, which may go first: the key lies in the worker's memory.
  std::shared_ptr<UcxWorker> worker_;
  ucp_rkey_h key_;
  std::uint64_t address_;  // in the peer's address space
  std::size_t size_bytes_;
  absl::Span<std::byte> direct_;
};

}  // namespace pinboard::transport
