// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Small inputs and results of many launches between the host and one stream.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/pinned_buffer.h"
#include "base/cuda/stream.h"
#include "base/cuda/stream_memory.h"
#include "base/status_macros.h"

namespace pinboard::cuda {

/// Pinned memory for both ways and device memory beside it, used again after each Finish: no
/// allocation once it has grown to what a step needs, and a few times that at most. However many
/// inputs a launch has, they go to the device in one copy a chunk. Pointers are valid until Finish.
/// Thread-compatible. ResourceExhausted: memory is short.
class Staging {
 public:
  /// `memory` outlives this.
  explicit Staging(StreamMemory* memory) : memory_(memory) {}

  /// Device memory that will have what is in `host` at the next Flush: for the caller to write.
  template <typename T>
  struct Room {
    T* host = nullptr;
    T* device = nullptr;
  };
  template <typename T>
  absl::StatusOr<Room<T>> Reserve(std::size_t count) {
    PB_ASSIGN_OR_RETURN(const Place place, Take(&uploads_, count * sizeof(T)));
    return Room<T>{reinterpret_cast<T*>(place.pinned), reinterpret_cast<T*>(place.device)};
  }

  /// Device memory that will have what `host` holds now, for launches after the next Flush.
  template <typename T>
  absl::StatusOr<T*> Upload(absl::Span<const T> host) {
    PB_ASSIGN_OR_RETURN(const Room<T> room, Reserve<T>(host.size()));
    if (!host.empty()) std::memcpy(room.host, host.data(), host.size() * sizeof(T));
    return room.device;
  }

  /// Enqueues the copies of what was uploaded since the last one.
  absl::Status Flush() {
    for (Chunk& chunk : uploads_) {
      if (chunk.flushed == chunk.used) continue;
      PB_RETURN_IF_ERROR(ToStatus(
          cudaMemcpyAsync(chunk.device.get() + chunk.flushed,
                          chunk.pinned.bytes().data() + chunk.flushed, chunk.used - chunk.flushed,
                          cudaMemcpyHostToDevice, memory_->stream()),
          "copy to the device"));
      chunk.flushed = chunk.used;
    }
    return absl::OkStatus();
  }

  /// Device memory for what a launch writes; Finish copies it to `host`, which stays where it is.
  template <typename T>
  absl::StatusOr<T*> Result(absl::Span<T> host) {
    PB_ASSIGN_OR_RETURN(const Place place, Take(&results_, host.size() * sizeof(T)));
    pending_.push_back({host.data(), place.pinned, host.size() * sizeof(T)});
    return reinterpret_cast<T*>(place.device);
  }

  /// Pinned memory that a launch writes by the host's address: Finish copies it to `host`.
  absl::StatusOr<std::byte*> PinnedResult(absl::Span<std::byte> host) {
    PB_ASSIGN_OR_RETURN(const Place place, Take(&pinned_, host.size()));
    pending_.push_back({host.data(), place.pinned, host.size()});
    return place.pinned;
  }

  /// Device memory, not initialised.
  absl::StatusOr<std::byte*> Scratch(std::size_t bytes) {
    PB_ASSIGN_OR_RETURN(std::shared_ptr<std::byte> scratch,
                        memory_->Allocate(std::max<std::size_t>(bytes, 1)));
    scratch_.push_back(scratch);
    return scratch.get();
  }

  /// Enqueues the copies of the results so far, for AwaitMark, which hands them out and waits for
  /// no more. One mark at a time; Finish does what a mark was for.
  absl::Status Mark() {
    if (!mark_.has_value()) {
      PB_ASSIGN_OR_RETURN(mark_, Event::Create());
    }
    PB_RETURN_IF_ERROR(CopyResults());
    marked_ = pending_.size();
    return mark_->Record(memory_->stream());
  }
  absl::StatusOr<bool> HasReachedMark() const {
    if (marked_ == 0) return true;
    return mark_->Reached();
  }
  absl::Status AwaitMark() {
    if (marked_ == 0) return absl::OkStatus();
    PB_RETURN_IF_ERROR(mark_->Wait());
    HandOut(std::exchange(marked_, 0));
    return absl::OkStatus();
  }

  /// Waits for the stream and hands out the results.
  absl::Status Finish() {
    absl::Status done = CopyResults();
    done.Update(ToStatus(cudaStreamSynchronize(memory_->stream()), "wait for the device"));
    if (done.ok()) HandOut(pending_.size());
    pending_.clear();
    marked_ = 0;
    scratch_.clear();
    for (std::vector<Chunk>* chunks : {&uploads_, &results_, &pinned_}) Reuse(chunks);
    return done;
  }

  /// Of pinned memory, as much as it holds; the device has no more.
  std::size_t bytes() const {
    std::size_t bytes = 0;
    for (const std::vector<Chunk>* chunks : {&uploads_, &results_, &pinned_}) {
      for (const Chunk& chunk : *chunks) bytes += chunk.size;
    }
    return bytes;
  }

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
  static constexpr std::size_t kAlignment = 256;

  struct Chunk {
    PinnedBuffer pinned;
    std::shared_ptr<std::byte> device;  // as large; none of pinned_'s
    std::size_t size = 0;
    std::size_t used = 0;
    std::size_t flushed = 0;  // of `used`, on its way to the device, or of results from it
  };
  struct Place {
    std::byte* pinned = nullptr;
    std::byte* device = nullptr;
  };
  struct Pending {
    void* to = nullptr;
    const std::byte* from = nullptr;
    std::size_t bytes = 0;
  };

  absl::Status CopyResults() {
    absl::Status done;
    for (Chunk& chunk : results_) {
      if (chunk.flushed == chunk.used) continue;
      done.Update(
          ToStatus(cudaMemcpyAsync(chunk.pinned.bytes().data() + chunk.flushed,
                                   chunk.device.get() + chunk.flushed, chunk.used - chunk.flushed,
                                   cudaMemcpyDeviceToHost, memory_->stream()),
                   "copy from the device"));
      chunk.flushed = chunk.used;
    }
    return done;
  }

  /// The first `count` of those that are pending, which end.
  void HandOut(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const Pending& pending = pending_[i];
      if (pending.bytes > 0) std::memcpy(pending.to, pending.from, pending.bytes);
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  /// From here on nothing of them is in use. Where the last one, which is the largest, has room for
  /// all that was, the others go.
  static void Reuse(std::vector<Chunk>* chunks) {
    std::size_t used = 0;
    for (Chunk& chunk : *chunks) {
      used += chunk.used;
      chunk.used = chunk.flushed = 0;
    }
    if (chunks->size() > 1 && used <= chunks->back().size) {
      chunks->erase(chunks->begin(), std::prev(chunks->end()));
    }
  }

  absl::StatusOr<Place> Take(std::vector<Chunk>* chunks, std::size_t bytes) {
    const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    const auto fits = [&](const Chunk& chunk) { return chunk.size - chunk.used >= rounded; };
    auto chunk = std::find_if(chunks->begin(), chunks->end(), fits);
    if (chunk == chunks->end()) {
      const std::size_t twice = chunks->empty() ? kChunkBytes : 2 * chunks->back().size;
      PB_ASSIGN_OR_RETURN(Chunk fresh, MakeChunk(std::max(rounded, twice), chunks != &pinned_));
      if (chunks == &results_) PB_RETURN_IF_ERROR(Clear(fresh));
      chunks->push_back(std::move(fresh));
      chunk = std::prev(chunks->end());
    }
    const Place place{chunk->pinned.bytes().data() + chunk->used,
                      chunk->device == nullptr ? nullptr : chunk->device.get() + chunk->used};
    chunk->used += rounded;
    return place;
  }

  absl::StatusOr<Chunk> MakeChunk(std::size_t size, bool on_device) {
    Chunk chunk;
    chunk.size = size;
    PB_ASSIGN_OR_RETURN(chunk.pinned, PinnedBuffer::Make(size));
    if (on_device) {
      PB_ASSIGN_OR_RETURN(chunk.device, memory_->Allocate(size));
    }
    return chunk;
  }

  /// Results are copied back together with the gaps between them, which nothing writes.
  absl::Status Clear(const Chunk& chunk) {
    return ToStatus(cudaMemsetAsync(chunk.device.get(), 0, chunk.size, memory_->stream()),
                    "clear the room for results");
  }

  StreamMemory* memory_;
  std::vector<Chunk> uploads_, results_, pinned_;
  std::vector<Pending> pending_;
  std::optional<Event> mark_;
  std::size_t marked_ = 0;  // of pending_, before the mark
  std::vector<std::shared_ptr<std::byte>> scratch_;
};

}  // namespace pinboard::cuda
