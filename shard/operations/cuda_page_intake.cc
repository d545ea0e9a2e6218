// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/operations/cuda_page_intake.cuh"

#include <algorithm>
#include <cstring>
#include <deque>
#include <numeric>
#include <utility>

#include "base/cuda/pinned_buffer.h"
#include "base/cuda/pointer_kind.h"
#include "base/cuda/stream.h"
#include "base/cuda/stream_memory.h"
#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"

namespace pinboard {
namespace {

/// Device memory that goes in the order of the stream it came in.
struct Room {
  std::shared_ptr<cuda::Stream> stream;
  std::shared_ptr<std::byte> bytes;
};

/// What a launch reads and writes on the host.
struct Control {
  kernels::PageTransferLayer* layer;
  std::int32_t* table;                // [count]
  kernels::PageToScatter* pages;      // [count]
  kernels::ScatterOutcome* outcomes;  // [count]
  std::byte* copies;                  // of pages that are not registered
};

template <typename T>
T* Carve(std::byte** at, std::size_t count) {
  constexpr std::size_t kAlignment = 256;
  T* const part = reinterpret_cast<T*>(*at);
  *at += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  return part;
}

class CudaPageIntake final : public PageIntake {
 public:
  explicit CudaPageIntake(std::size_t page_bytes) : page_bytes_(page_bytes) {}
  ~CudaPageIntake() override {
    if (stream_ != nullptr) stream_->Wait().IgnoreError();  // the launches read the pins
  }

  absl::Status Start(std::vector<Arrival> pages) override {
    const auto whole = std::stable_partition(pages.begin(), pages.end(), [&](const Arrival& page) {
      return page.pin.bytes().size() == page_bytes_;
    });
    for (auto page = whole; page != pages.end(); ++page) refused_.push_back({page->identity, {}});
    pages.erase(whole, pages.end());
    if (pages.empty()) return absl::OkStatus();
    PB_RETURN_IF_ERROR(Prepare());
    PB_ASSIGN_OR_RETURN(Batch batch, MakeBatch(std::move(pages)));
    PB_RETURN_IF_ERROR(Launch(batch));
    PB_RETURN_IF_ERROR(batch.copied.Record(stream_->get()));
    under_way_.push_back(std::move(batch));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Copy>> Poll() override {
    std::vector<Copy> copies = std::exchange(refused_, {});
    while (!under_way_.empty()) {
      PB_ASSIGN_OR_RETURN(const bool copied, under_way_.front().copied.Reached());
      if (!copied) break;
      Collect(under_way_.front(), &copies);
      idle_.push_back(std::move(under_way_.front().control_memory));
      under_way_.pop_front();
    }
    return copies;
  }

  absl::StatusOr<std::vector<Copy>> Wait() override {
    if (!under_way_.empty()) PB_RETURN_IF_ERROR(stream_->Wait());
    return Poll();
  }

 private:
  struct Batch {
    std::vector<Arrival> pages;
    cuda::PinnedBuffer control_memory;
    Control control;
    std::shared_ptr<Room> room;
    cuda::Event copied;
  };

  absl::Status Prepare() {
    if (stream_ != nullptr) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(cuda::Stream stream, cuda::Stream::Create());
    stream_ = std::make_shared<cuda::Stream>(std::move(stream));
    return absl::OkStatus();
  }

  absl::StatusOr<Batch> MakeBatch(std::vector<Arrival> pages) {
    cuda::StreamMemory memory(stream_->get());
    PB_ASSIGN_OR_RETURN(auto bytes, memory.Allocate(pages.size() * page_bytes_));
    PB_ASSIGN_OR_RETURN(cuda::Event copied, cuda::Event::Create());
    Batch batch{.pages = std::move(pages),
                .control_memory = {},
                .control = {},
                .room = std::make_shared<Room>(Room{stream_, std::move(bytes)}),
                .copied = std::move(copied)};
    PB_RETURN_IF_ERROR(FillControl(&batch));
    return batch;
  }

  absl::Status FillControl(Batch* batch) {
    const std::size_t count = batch->pages.size();
    std::vector<bool> registered;
    for (const Arrival& page : batch->pages) {
      registered.push_back(cuda::IsReachable(page.pin.bytes().data()));
    }
    const auto to_copy =
        static_cast<std::size_t>(std::count(registered.begin(), registered.end(), false));
    const auto carve = [&](std::byte* at) {
      std::byte* const begin = at;
      batch->control = {Carve<kernels::PageTransferLayer>(&at, 1), Carve<std::int32_t>(&at, count),
                        Carve<kernels::PageToScatter>(&at, count),
                        Carve<kernels::ScatterOutcome>(&at, count),
                        Carve<std::byte>(&at, to_copy * page_bytes_)};
      return static_cast<std::size_t>(at - begin);
    };
    PB_ASSIGN_OR_RETURN(batch->control_memory, Pinned(carve(nullptr)));
    carve(batch->control_memory.bytes().data());
    const Control& control = batch->control;
    const auto row_bytes = static_cast<std::int64_t>(page_bytes_ / kPageRows);
    *control.layer = {.cache = {.key = {.base = batch->room->bytes.get(),
                                        .block_stride = static_cast<std::int64_t>(page_bytes_),
                                        .token_stride = row_bytes},
                                .value = {}},
                      .block_table = control.table};
    std::iota(control.table, control.table + count, 0);
    std::byte* copy = control.copies;
    for (std::size_t i = 0; i < count; ++i) {
      const Arrival& page = batch->pages[i];
      const std::byte* from = page.pin.bytes().data();
      if (!registered[i]) {
        std::memcpy(copy, from, page_bytes_);
        from = std::exchange(copy, copy + page_bytes_);
      }
      control.pages[i] = {page.identity, page.tag, from, 0,
                          static_cast<std::int32_t>(i) * kPageRows};
    }
    return absl::OkStatus();
  }

  /// A page's bytes in order are those of a cache whose blocks are pages and whose rows are one
  /// piece.
  absl::Status Launch(const Batch& batch) const {
    const int values = static_cast<int>(page_bytes_ / kPageRows / DTypeBytes(DType::kBF16));
    return kernels::LaunchPageScatter({.layers = batch.control.layer,
                                       .pages = batch.control.pages,
                                       .outcomes = batch.control.outcomes,
                                       .count = static_cast<int>(batch.pages.size()),
                                       .shape = {1, values, values, true, DType::kBF16},
                                       .block_size = kPageRows,
                                       .max_blocks = kernels::kBlocksFromHost},
                                      stream_->get());
  }

  void Collect(const Batch& batch, std::vector<Copy>* copies) const {
    for (std::size_t i = 0; i < batch.pages.size(); ++i) {
      Copy& copy = copies->emplace_back(Copy{batch.pages[i].identity, nullptr});
      if (batch.control.outcomes[i] == kernels::ScatterOutcome::kRefused) continue;
      copy.bytes = {batch.room, batch.room->bytes.get() + i * page_bytes_};
    }
  }

  /// Pinned memory of at least that size; the largest idle one is used again.
  absl::StatusOr<cuda::PinnedBuffer> Pinned(std::size_t bytes) {
    const auto larger = [](const auto& a, const auto& b) {
      return a.bytes().size() < b.bytes().size();
    };
    const auto largest = std::max_element(idle_.begin(), idle_.end(), larger);
    if (largest == idle_.end() || largest->bytes().size() < bytes) {
      return cuda::PinnedBuffer::Make(std::max(bytes, kControlBytes));
    }
    cuda::PinnedBuffer buffer = std::move(*largest);
    idle_.erase(largest);
    return buffer;
  }

  static constexpr std::size_t kControlBytes = std::size_t{256} << 10;

  const std::size_t page_bytes_;
  std::shared_ptr<cuda::Stream> stream_;
  std::vector<cuda::PinnedBuffer> idle_;
  std::deque<Batch> under_way_;
  std::vector<Copy> refused_;
};

}  // namespace

std::unique_ptr<PageIntake> MakeCudaPageIntake(std::size_t page_bytes) {
  return std::make_unique<CudaPageIntake>(page_bytes);
}

}  // namespace pinboard
