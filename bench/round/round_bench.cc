// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A DeepSeek-R1-shaped rank of eight (61 layers, 16 heads on a latent of 576 values, bf16, blocks
// of 64), sequences of 32,768 tokens, 10 % kept and 40 % in the band: the round after the prompt,
// rounds while decoding, and the recall of a step. Stages are medians of graph replays, with L2
// read clean before each; what a shard asks for is timed on the host from its calls to Finish,
// and whole rounds from BeginRound to the end of CommitRound.
//
// usage: round_bench [--json FILE] [prompt | decode | recall | shard | whole]    all, or one part
#include <string>

#include "bench/device_report.cuh"
#include "bench/round/recall_step.cuh"
#include "bench/round/round_stages.cuh"
#include "bench/round/shard_calls.cuh"
#include "bench/round/whole_round.cuh"

namespace pinboard::bench {
namespace {

std::string Of(const std::string& part, int sequences) {
  return part + ", " + std::to_string(sequences) +
         (sequences == 1 ? " sequence: " : " sequences: ");
}

void PrintRate(double bytes, double ms) {
  std::printf("| - that is %.1f MB at %.1f GB/s | | | |\n", bytes * 1e-6, bytes / ms * 1e-6);
}

void BenchRound(Report& report, const std::string& part, const RoundShape& shape) {
  const RoundStages round(shape);
  const std::string name = Of(part, shape.sequences);
  constexpr int kReplays = 15;
  using Stage = absl::Status (RoundStages::*)(cudaStream_t) const;
  const auto add = [&](const char* stage, const Work& work, Stage run) {
    return report.Add(
        name + stage, work, [&](cudaStream_t s) { return (round.*run)(s); }, kReplays);
  };
  report.Add(
      name + "score, log-sum-exp given", round.score_work(),
      [&](cudaStream_t stream) { return round.Score(stream, true); }, kReplays);
  Work twice = round.score_work();
  twice.matrix_flops *= 2.0;
  report.Add(
      name + "score, own sums", twice,
      [&](cudaStream_t stream) { return round.Score(stream, false); }, kReplays);
  add("information and its totals", {}, &RoundStages::Inform);
  add("fuse twice", round.fuse_work(), &RoundStages::Fuse);
  add("select and band", round.select_work(), &RoundStages::Select);
  add("digests", round.digest_work(), &RoundStages::Digest);
  add("compact", round.compact_work(), &RoundStages::Compact);
  add("all of these in one graph", {}, &RoundStages::OnDevice);
  PrintRate(round.offloaded_bytes(), add("offload", {}, &RoundStages::Offload));
  PrintRate(round.filled_bytes(), add("fill the ring", {}, &RoundStages::FillRing));
  round.Verify();
}

void BenchRecall(Report& report, int sequences) {
  const RecallStep step(sequences, 0.2);
  const std::string name = Of("recall", sequences);
  report.Add(name + "score all digests at once", step.score_work(),
             [&](cudaStream_t stream) { return step.Score(stream); });
  report.Add(name + "score them layer by layer", step.score_work(),
             [&](cudaStream_t stream) { return step.ScoreByLayer(stream); });
  for (const double churn : {0.05, 0.1, 0.2}) {
    const std::string percent = std::to_string(static_cast<int>(churn * 100 + 0.5));
    const double ms = report.Add(
        name + "fetch " + percent + " % of the rings' pages, beside a step", {},
        [&](cudaStream_t stream) { return step.Fetch(stream, churn); }, 15);
    PrintRate(step.page_bytes(churn), ms);
    report.Add(
        name + "show them", {.bytes = 2.0 * step.page_bytes(churn)},
        [&](cudaStream_t stream) { return step.Show(stream, churn); }, 15);
  }
  step.Verify();
}

void Run(const Options& options) {
  Report report(options.only);
  if (report.Wants("prompt")) {
    BenchRound(report, "prompt", AfterPrompt(1));
    BenchRound(report, "prompt", AfterPrompt(8));
  }
  for (const int sequences : {8, 64}) {
    if (report.Wants("decode")) BenchRound(report, "decode", WhileDecoding(sequences));
    if (report.Wants("recall")) BenchRecall(report, sequences);
    if (report.Wants("whole")) AddWholeRounds(report, sequences);
    if (report.Wants("shard")) {
      AddShardStep(report, sequences, 0.1);
      AddShardRound(report, sequences);
    }
  }
  if (!options.json.empty()) report.WriteJson(options.json);
}

}  // namespace
}  // namespace pinboard::bench

int main(int argc, char** argv) { pinboard::bench::Run(pinboard::bench::ParseOptions(argc, argv)); }
