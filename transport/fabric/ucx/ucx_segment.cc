// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_segment.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/fnv1a.h"
#include "transport/fabric/ucx/memory_limit.h"
#include "transport/fabric/ucx/memory_placement.h"
#include "transport/fabric/ucx/ucx_status.h"

namespace pinboard::transport {
namespace {

constexpr std::uint64_t kMagic = 0x31594b4653424ULL;
constexpr std::size_t kPageBytes = 4096;

// Leads the bytes of ucp_rkey_pack.
struct KeyHeader {
  std::uint64_t magic = kMagic;
  std::uint64_t address = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t checksum = 0;  // of the packed bytes: UCX trusts what it unpacks
};

}  // namespace

absl::StatusOr<std::unique_ptr<Segment>> UcxSegment::Allocate(const UcxContext& context,
                                                              std::size_t bytes) {
  if (bytes == 0) return absl::InvalidArgumentError("a segment needs at least one byte");
  if (bytes > SIZE_MAX - kPageBytes) {
    return absl::ResourceExhaustedError("a segment cannot fill the address space: ask for less");
  }
  bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  PB_RETURN_IF_ERROR(CheckSharedMemory(bytes));
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.length = bytes;
  params.flags = UCP_MEM_MAP_ALLOCATE | UCP_MEM_MAP_NONBLOCK;
  ucp_mem_h handle = nullptr;
  const ucs_status_t mapped = ucp_mem_map(context.get(), &params, &handle);
  PB_RETURN_IF_ERROR(
      UcxStatus(mapped, absl::StrCat("cannot allocate a segment of ", bytes >> 20, " MiB")));
  std::unique_ptr<UcxSegment> segment(new UcxSegment(context.get(), handle));
  PB_RETURN_IF_ERROR(segment->Describe());
  PlaceSharedMemory(segment->memory_);
  return segment;
}

absl::Status UcxSegment::Describe() {
  ucp_mem_attr_t attributes{};
  attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH;
  PB_RETURN_IF_ERROR(UcxStatus(ucp_mem_query(handle_, &attributes), "cannot query a segment"));
  memory_ = {static_cast<std::byte*>(attributes.address), attributes.length};

  void* packed = nullptr;
  KeyHeader header;
  PB_RETURN_IF_ERROR(UcxStatus(ucp_rkey_pack(context_, handle_, &packed, &header.packed_bytes),
                               "cannot pack a remote key"));
  const absl::Span<const std::byte> key(static_cast<std::byte*>(packed), header.packed_bytes);
  header.address = reinterpret_cast<std::uint64_t>(attributes.address);
  header.size_bytes = attributes.length;
  header.checksum = Fnv1a(key);
  remote_key_.resize(sizeof(header) + key.size());
  std::memcpy(remote_key_.data(), &header, sizeof(header));
  std::memcpy(remote_key_.data() + sizeof(header), key.data(), key.size());
  ucp_rkey_buffer_release(packed);
  return absl::OkStatus();
}

UcxSegment::~UcxSegment() { ucp_mem_unmap(context_, handle_); }

absl::StatusOr<std::unique_ptr<RemoteSegment>> UcxRemoteSegment::Map(
    PeerId peer, std::shared_ptr<UcxWorker> worker, ucp_ep_h endpoint,
    absl::Span<const std::byte> remote_key) {
  KeyHeader header;
  if (remote_key.size() < sizeof(header)) {
    return absl::InvalidArgumentError("a remote key is too short");
  }
  std::memcpy(&header, remote_key.data(), sizeof(header));
  const auto packed = remote_key.subspan(sizeof(header));
  if (header.magic != kMagic || header.packed_bytes != packed.size() ||
      header.checksum != Fnv1a(packed)) {
    return absl::InvalidArgumentError("not a remote key of a UCX segment, or damaged");
  }
  ucp_rkey_h key = nullptr;
  PB_RETURN_IF_ERROR(
      UcxStatus(ucp_ep_rkey_unpack(endpoint, packed.data(), &key), "cannot map a segment"));
  std::unique_ptr<UcxRemoteSegment> segment(
      new UcxRemoteSegment(peer, std::move(worker), key, header.address, header.size_bytes));
  void* local = nullptr;
  if (ucp_rkey_ptr(key, header.address, &local) == UCS_OK) {
    segment->direct_ = {static_cast<std::byte*>(local), segment->size_bytes_};
    AskForHugePages(segment->direct_).IgnoreError();  // its owner has said so
  }
  return segment;
}

UcxRemoteSegment::~UcxRemoteSegment() { ucp_rkey_destroy(key_); }

}  // namespace pinboard::transport
