// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the device does in a round can be captured in one CUDA graph, whose replay leaves what the
// launches leave one by one: none allocates, synchronises or looks at a result on the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/cuda/stream.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/influence/influence_cuda.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/page_transfer/page_transfer_cuda.cuh"
#include "kernels/select/select_cuda.cuh"
#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels {
namespace {

constexpr KvShape kShape{1, 576, 512, true, DType::kBF16};
constexpr int kBlockSize = 16;
constexpr int kLayers = 3;
constexpr int kRows = 320;
constexpr int kWindow = 8;
constexpr int kHeads = 4;
constexpr int kKeep = 64;
constexpr int kPages = 6;
constexpr std::int64_t kTotal = std::int64_t{kLayers} * kRows;

/// Random inputs of a round over kLayers layers, the same for the same seed.
struct RoundInput {
  explicit RoundInput(SeededRandom& random)
      : keys(ToBFloat16s(random.Normals(kTotal * kShape.key_dim))),
        queries(ToBFloat16s(random.Normals(kLayers * kWindow * kHeads * kShape.key_dim, 0.3F))),
        shift(random.Normals(kTotal)),
        entropy(random.Normals(kTotal)) {
    for (std::vector<float>* values : {&shift, &entropy}) {
      for (float& value : *values) value = std::abs(value);
    }
  }
  std::vector<std::uint16_t> keys, queries;
  std::vector<float> shift, entropy;
};

/// One round's buffers and launches.
class DeviceRound {
 public:
  explicit DeviceRound(const RoundInput& in) {
    cache_ = device_.In(in.keys);
    table_ = device_.In(Numbers(kRows / kBlockSize));
    rows_ = device_.In(Numbers(kRows));
    faults_ = device_.In(std::vector<std::uint32_t>{0});
    MakeScores(in);
    MakeSelection(in);
  }

  /// As Select chose: what is kept moves, what is borderline is paged out.
  void TakeLists(const std::vector<RowClass>& classes) {
    std::vector<CompactProblem> moves(kLayers);
    std::vector<PageToGather> pages;
    std::vector<BuildDigestProblem> digests(kLayers);
    flat_ = device_.Out<std::byte>(kLayers * kPages * PageBytes(kShape));
    for (int l = 0; l < kLayers; ++l) {
      std::vector<std::int32_t> kept;
      std::vector<std::int32_t> borderline;
      for (int row = 0; row < kRows; ++row) {
        const RowClass row_class = classes[l * kRows + row];
        if (row_class == RowClass::kKept) kept.push_back(row);
        if (row_class == RowClass::kBorderline) borderline.push_back(row);
      }
      ASSERT_EQ(borderline.size(), std::size_t{kPages} * kPageRows);
      moves[l] = {View(l), table_, device_.In(kept), static_cast<std::int32_t>(kept.size())};
      for (int page = 0; page < kPages; ++page) {
        pages.push_back(
            {{{1, static_cast<std::uint32_t>(page), static_cast<std::uint16_t>(l), 0}, 1},
             flat_ + pages.size() * PageBytes(kShape),
             l});
        std::copy_n(borderline.begin() + page * kPageRows, kPageRows, pages.back().rows);
      }
      digests[l] = {
          View(l),
          table_,
          device_.In(borderline),
          rows_,
          {centres_ + l * kPages * kDigestCentres * kShape.key_dim,
           device_.Out<std::uint8_t>(kPages * kDigestCentres), device_.Out<float>(kPages)},
          kPages};
    }
    compact_ = {device_.In(moves), kLayers, kKeep, kShape, kBlockSize};
    compact_workspace_ = device_.Out<std::byte>(CompactWorkspaceBytes(kLayers, kKeep));
    digest_ = {device_.In(digests), kLayers, kPages, kShape, kBlockSize, faults_};
    gather_ = {device_.In(std::vector<PageTransferLayer>{
                   {View(0), table_}, {View(1), table_}, {View(2), table_}}),
               device_.In(pages),
               tags_,
               kLayers * kPages,
               kShape,
               kBlockSize};
  }

  absl::Status Choose(cudaStream_t stream) const {
    PB_RETURN_IF_ERROR(LaunchAttentionScore(score_, score_workspace_, stream));
    PB_RETURN_IF_ERROR(LaunchInformation(information_, stream));
    PB_RETURN_IF_ERROR(LaunchAddInformation(totals_, stream));
    PB_RETURN_IF_ERROR(LaunchFuse(keep_, stream));
    PB_RETURN_IF_ERROR(LaunchFuse(band_, stream));
    return LaunchSelect(select_, select_workspace_, stream);
  }
  absl::Status Move(cudaStream_t stream) const {
    PB_RETURN_IF_ERROR(LaunchBuildDigest(digest_, stream));
    PB_RETURN_IF_ERROR(LaunchPageGather(gather_, stream));
    return LaunchCompact(compact_, compact_workspace_, stream);
  }
  void Finish() {
    const absl::Status finished = device_.Finish(absl::OkStatus());
    ASSERT_TRUE(finished.ok()) << finished;
    EXPECT_EQ(device_.Value(faults_), 0U);
  }

  std::vector<RowClass> Classes() { return Read(select_.classes, kTotal); }
  std::vector<std::int64_t> Scores() { return Read(keep_.score, kTotal); }
  std::vector<std::uint64_t> Tags() { return Read(tags_, kLayers * kPages); }
  std::vector<std::int8_t> Centres() { return Read(centres_, kCentreValues); }
  /// Of all layers, the rows that stay.
  std::vector<std::uint16_t> KeptRows() {
    std::vector<std::uint16_t> kept;
    for (int l = 0; l < kLayers; ++l) {
      const auto layer = Read(cache_ + l * kRows * kShape.key_dim, kKeep * kShape.key_dim);
      kept.insert(kept.end(), layer.begin(), layer.end());
    }
    return kept;
  }

 private:
  static constexpr std::size_t kCentreValues =
      std::size_t{kLayers} * kPages * kDigestCentres * kShape.key_dim;

  static std::vector<std::int32_t> Numbers(int count) {
    std::vector<std::int32_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }
  template <typename T>
  std::vector<T> Read(const T* from, std::size_t count) {
    std::vector<T> values(count);
    device_.Read(from, absl::MakeSpan(values));
    return values;
  }
  KvLayerView View(int layer) const {
    const auto row = static_cast<std::int64_t>(kShape.RowBytes());
    auto* const base = reinterpret_cast<std::byte*>(cache_) + layer * kRows * row;
    return {{base, kBlockSize * row, row, row}, {}};
  }

  void MakeScores(const RoundInput& in) {
    const std::uint16_t* const queries = device_.In(in.queries);
    std::vector<std::int32_t> window = Numbers(kWindow);
    for (std::int32_t& position : window) position += kRows - kWindow;
    const std::int32_t* const positions = device_.In(window);
    const float* const sums =
        device_.In(std::vector<float>(kWindow * kHeads, std::log(kRows) + 1.0F));
    attention_ = device_.Out<std::int32_t>(kTotal);
    std::vector<AttentionScoreProblem> problems;
    for (int l = 0; l < kLayers; ++l) {
      problems.push_back({View(l), table_, rows_, rows_,
                          queries + l * kWindow * kHeads * kShape.key_dim, positions, sums,
                          attention_ + l * kRows, kRows});
    }
    score_ = {.problems = device_.In(problems),
              .count = kLayers,
              .most_rows = kRows,
              .shape = kShape,
              .block_size = kBlockSize,
              .window = kWindow,
              .query_heads = kHeads,
              .total_query_heads = kHeads,
              .scale = 0.04F,
              .pool = 9,
              .has_log_sum_exp = true,
              .faults = faults_};
    score_workspace_ = device_.Out<std::byte>(AttentionScoreWorkspaceBytes(score_));
  }

  void MakeSelection(const RoundInput& in) {
    information_ = {device_.In(in.shift),
                    device_.In(in.entropy),
                    1.0,
                    device_.Out<std::int32_t>(kTotal),
                    faults_,
                    kTotal};
    std::vector<std::int64_t> first;
    for (int l = 0; l <= kLayers; ++l) first.push_back(std::int64_t{l} * kRows);
    totals_ = {information_.out, device_.In(first),
               device_.In(std::vector<InformationTotals>(kLayers)), kLayers, kRows};
    keep_ = {.rule = ScoreRule::kPublished,
             .attention = attention_,
             .information = information_.out,
             .totals = totals_.totals,
             .first_row = totals_.first,
             .score = device_.Out<std::int64_t>(kTotal),
             .problems = kLayers,
             .longest = kRows};
    band_ = keep_;
    band_.rule = ScoreRule::kInformation;
    band_.score = device_.Out<std::int64_t>(kTotal);
    const SelectCounts counts{kKeep, kPages * kPageRows / 2, kPages * kPageRows / 2};
    select_ = {.keep_score = keep_.score,
               .band_score = band_.score,
               .is_protected = device_.In(std::vector<std::uint8_t>(kTotal, 0)),
               .first_row = totals_.first,
               .counts = device_.In(std::vector<SelectCounts>(kLayers, counts)),
               .classes = device_.Out<RowClass>(kTotal),
               .problems = kLayers,
               .total_rows = kTotal,
               .longest = kRows};
    select_workspace_ = device_.Out<std::byte>(SelectWorkspaceBytes(kLayers, kTotal));
    tags_ = device_.Out<std::uint64_t>(kLayers * kPages);
    centres_ = device_.Out<std::int8_t>(kCentreValues);
  }

  OnDevice device_;
  std::uint16_t* cache_ = nullptr;
  const std::int32_t* table_ = nullptr;
  const std::int32_t* rows_ = nullptr;  // 0, 1, ...: positions, order and slots
  std::uint32_t* faults_ = nullptr;
  std::int32_t* attention_ = nullptr;
  AttentionScoreBatch score_;
  InformationBatch information_;
  AddInformationBatch totals_;
  FuseBatch keep_, band_;
  SelectBatch select_;
  BuildDigestBatch digest_;
  PageGatherBatch gather_;
  CompactBatch compact_;
  std::byte* score_workspace_ = nullptr;
  std::byte* select_workspace_ = nullptr;
  std::byte* compact_workspace_ = nullptr;
  std::byte* flat_ = nullptr;
  std::uint64_t* tags_ = nullptr;
  std::int8_t* centres_ = nullptr;
};

TEST(RoundGraphTest, ReplaysToWhatTheLaunchesLeave) {
  SeededRandom random;
  const RoundInput in(random);
  DeviceRound launched(in);
  ASSERT_TRUE(launched.Choose(nullptr).ok());
  const std::vector<RowClass> classes = launched.Classes();
  ASSERT_NO_FATAL_FAILURE(launched.TakeLists(classes));
  ASSERT_TRUE(launched.Move(nullptr).ok());
  ASSERT_NO_FATAL_FAILURE(launched.Finish());

  DeviceRound replayed(in);
  ASSERT_NO_FATAL_FAILURE(replayed.TakeLists(classes));
  auto stream = cuda::Stream::Create();
  ASSERT_TRUE(stream.ok()) << stream.status();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replay = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream->get(), cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_TRUE(replayed.Choose(stream->get()).ok());
  EXPECT_TRUE(replayed.Move(stream->get()).ok());
  ASSERT_EQ(cudaStreamEndCapture(stream->get(), &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&replay, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(replay, stream->get()), cudaSuccess);
  ASSERT_NO_FATAL_FAILURE(replayed.Finish());

  EXPECT_EQ(replayed.Scores(), launched.Scores());
  EXPECT_EQ(replayed.Classes(), classes);
  EXPECT_EQ(replayed.Centres(), launched.Centres());
  EXPECT_EQ(replayed.Tags(), launched.Tags());
  EXPECT_EQ(replayed.KeptRows(), launched.KeptRows());
  EXPECT_EQ(cudaGraphExecDestroy(replay), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

}  // namespace
}  // namespace pinboard::kernels
