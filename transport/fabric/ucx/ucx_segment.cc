// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_segment.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/fnv1a.h"
#include "transport/fabric/ucx/memory_limit.h"
#include "transport/fabric/ucx/memory_placement.h"
#include "transport/fabric/ucx/ucx_status.h"

namespace pinboard::transport {
namespace {

constexpr std::uint64_t kMagic = 0x3359454b4250;  // "PBKEY3"
// Of segments that UCX had to map, and of those that UCX had to reach over sockets.
constexpr std::uint64_t kEarlierMagics[] = {0x31594b4653424, 0x3259454b4250};
constexpr std::size_t kPageBytes = 4096;

// Leads the bytes of ucp_rkey_pack.
struct KeyHeader {
  std::uint64_t magic = kMagic;
  std::uint64_t checksum = 0;  // of all that follows it: UCX trusts what it unpacks
  std::uint64_t address = 0;
  std::uint64_t size_bytes = 0;
  SharedFile file;
};
static_assert(sizeof(KeyHeader) == 56);
constexpr std::size_t kCheckedFrom = 16;

}  // namespace

absl::StatusOr<std::unique_ptr<UcxSegment>> UcxSegment::Allocate(const UcxContext& context,
                                                                 std::size_t bytes) {
  if (bytes == 0) return absl::InvalidArgumentError("a segment needs at least one byte");
  if (bytes > SIZE_MAX - kPageBytes) {
    return absl::ResourceExhaustedError("a segment cannot fill the address space: ask for less");
  }
  bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  PB_RETURN_IF_ERROR(CheckSharedMemory(bytes));
  PB_ASSIGN_OR_RETURN(SharedMapping mapping, SharedMapping::Allocate(bytes));
  PlaceSharedMemory(mapping.memory());
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                      UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.address = mapping.memory().data();
  params.length = bytes;
  params.flags = UCP_MEM_MAP_NONBLOCK;
  ucp_mem_h handle = nullptr;
  const ucs_status_t registered = ucp_mem_map(context.get(), &params, &handle);
  PB_RETURN_IF_ERROR(
      UcxStatus(registered, absl::StrCat("cannot register a segment of ", bytes >> 20, " MiB")));
  std::unique_ptr<UcxSegment> segment(new UcxSegment(std::move(mapping), context.get(), handle));
  PB_RETURN_IF_ERROR(segment->Describe());
  return segment;
}

absl::Status UcxSegment::Describe() {
  void* packed = nullptr;
  std::size_t packed_bytes = 0;
  PB_RETURN_IF_ERROR(UcxStatus(ucp_rkey_pack(context_, handle_, &packed, &packed_bytes),
                               "cannot pack a remote key"));
  KeyHeader header;
  header.address = reinterpret_cast<std::uint64_t>(memory().data());
  header.size_bytes = memory().size();
  header.file = mapping_->file();
  remote_key_.resize(sizeof(header) + packed_bytes);
  std::memcpy(remote_key_.data(), &header, sizeof(header));
  std::memcpy(remote_key_.data() + sizeof(header), packed, packed_bytes);
  ucp_rkey_buffer_release(packed);
  const std::uint64_t checksum = Fnv1a(absl::MakeConstSpan(remote_key_).subspan(kCheckedFrom));
  std::memcpy(remote_key_.data() + offsetof(KeyHeader, checksum), &checksum, sizeof(checksum));
  return absl::OkStatus();
}

UcxSegment::~UcxSegment() { ucp_mem_unmap(context_, handle_); }

absl::StatusOr<RemoteKey> RemoteKey::Parse(absl::Span<const std::byte> bytes) {
  KeyHeader header;
  if (bytes.size() < sizeof(header.magic)) {
    return absl::InvalidArgumentError("a remote key is too short");
  }
  std::memcpy(&header.magic, bytes.data(), sizeof(header.magic));
  if (absl::c_linear_search(kEarlierMagics, header.magic)) {
    return absl::InvalidArgumentError(
        "a remote key of an earlier Pinboard: run the same version on both sides");
  }
  if (header.magic != kMagic || bytes.size() < sizeof(header)) {
    return absl::InvalidArgumentError("not a remote key of a UCX segment");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.checksum != Fnv1a(bytes.subspan(kCheckedFrom))) {
    return absl::InvalidArgumentError("a remote key is damaged");
  }
  return RemoteKey{.address = header.address,
                   .size_bytes = header.size_bytes,
                   .file = header.file,
                   .packed = bytes.subspan(sizeof(header))};
}

absl::StatusOr<std::unique_ptr<RemoteSegment>> UcxRemoteSegment::Map(PeerId peer,
                                                                     const RemoteKey& key) {
  std::unique_ptr<UcxRemoteSegment> segment(new UcxRemoteSegment(peer, key));
  PB_ASSIGN_OR_RETURN(segment->mapping_, SharedMapping::Map(key.file, key.size_bytes));
  AskForHugePages(segment->direct()).IgnoreError();  // its owner has said so
  return segment;
}

absl::StatusOr<std::unique_ptr<RemoteSegment>> UcxRemoteSegment::Reach(
    PeerId peer, std::shared_ptr<UcxWorker> worker, ucp_ep_h endpoint, const RemoteKey& key) {
  std::unique_ptr<UcxRemoteSegment> segment(new UcxRemoteSegment(peer, key));
  segment->worker_ = std::move(worker);
  PB_RETURN_IF_ERROR(UcxStatus(ucp_ep_rkey_unpack(endpoint, key.packed.data(), &segment->key_),
                               "cannot reach a segment"));
  return segment;
}

std::unique_ptr<RemoteSegment> UcxRemoteSegment::Ask(PeerId peer, const RemoteKey& key) {
  return absl::WrapUnique(new UcxRemoteSegment(peer, key));
}

UcxRemoteSegment::~UcxRemoteSegment() {
  if (key_ != nullptr) ucp_rkey_destroy(key_);
}

}  // namespace pinboard::transport
