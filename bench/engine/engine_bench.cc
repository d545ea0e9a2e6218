// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Steps of a model with random weights: how fast prompts are read, and how long a step of decoding
// takes over contexts of a length. Tokens are drawn; a step counts from its call to its outputs.
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "app/flags/flags.h"
#include "base/status_macros.h"
#include "bench/median.h"
#include "engine/engine.h"
#include "shard/shard_factory.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard {
namespace {

struct BenchOptions {
  std::string model = "bench/engine/llama-3.1-8b";
  bool cpu = false;
  int sequences = 16;
  int context = 8192;
  int chunk = 2048;
  int steps = 20;
  int seed = 1;
  bool shard = false;
  bool no_graphs = false;
};

class EngineBench {
 public:
  static absl::StatusOr<EngineBench> Load(const BenchOptions& options) {
    constexpr int kBlockSize = 16;
    const int blocks = (options.context + options.steps) / kBlockSize + 2;
    engine::EngineOptions of_engine;
    of_engine.backend = options.cpu ? Backend::kCpu : Backend::kCuda;
    of_engine.model_dir = options.model;
    of_engine.random_weights = options.seed;
    of_engine.step_graphs = !options.no_graphs;
    of_engine.block_size = kBlockSize;
    of_engine.cache_blocks = options.sequences * blocks;
    PB_ASSIGN_OR_RETURN(auto engine, engine::Engine::Load(of_engine, nullptr));
    return EngineBench(options, std::move(engine));
  }

  absl::Status Run() {
    for (int i = 0; i < options_.sequences; ++i) {
      PB_RETURN_IF_ERROR(engine_->AddSequence(i, {}));
    }
    PB_RETURN_IF_ERROR(Prefill(""));
    PB_RETURN_IF_ERROR(Decode());
    return options_.shard ? PrefillWithShard() : absl::OkStatus();
  }

 private:
  EngineBench(const BenchOptions& options, std::unique_ptr<engine::Engine> engine)
      : options_(options), engine_(std::move(engine)), random_(options.seed) {}

  std::vector<std::int32_t> Tokens(int count) {
    std::uniform_int_distribution<std::int32_t> any(0, engine_->config().vocab_size - 1);
    std::vector<std::int32_t> tokens(count);
    for (std::int32_t& token : tokens) token = any(random_);
    return tokens;
  }

  /// The same prompts, of which a shard sees queries, hidden states and logits.
  absl::Status PrefillWithShard() {
    for (int i = 0; i < options_.sequences; ++i) PB_RETURN_IF_ERROR(engine_->Remove(i));
    auto alone = transport::MakeSoloCommunicator();
    ShardOptions of_shard;
    of_shard.model = engine_->MakeShardModel();
    of_shard.backend = options_.cpu ? Backend::kCpu : Backend::kCuda;
    of_shard.stream = engine_->stream();
    PB_ASSIGN_OR_RETURN(const auto shard, CreateShard(of_shard, alone.get(), nullptr));
    PB_RETURN_IF_ERROR(engine_->Attach(shard.get()));
    for (int i = 0; i < options_.sequences; ++i) {
      PB_RETURN_IF_ERROR(engine_->AddSequence(i, {}));
    }
    return Prefill(", seen by a shard");
  }

  absl::Status Prefill(const char* how) {
    std::vector<double> rates;  // tokens a second
    for (int sequence = 0; sequence < options_.sequences; ++sequence) {
      for (int done = 0; done < options_.context;) {
        const auto tokens = Tokens(std::min(options_.chunk, options_.context - done));
        const absl::Time begin = absl::Now();
        PB_RETURN_IF_ERROR(
            engine_->Step({{.sequence = std::uint64_t(sequence), .tokens = tokens}}).status());
        rates.push_back(static_cast<double>(tokens.size()) /
                        absl::ToDoubleSeconds(absl::Now() - begin));
        done += static_cast<int>(tokens.size());
      }
    }
    std::printf(
        "prefill  %d x %d tokens in chunks of %d%s: median %.0f tokens/s, last chunk %.0f\n",
        options_.sequences, options_.context, options_.chunk, how, bench::Median(rates),
        rates.back());
    return absl::OkStatus();
  }

  absl::Status Decode() {
    for (int batch = 1; batch <= options_.sequences; batch *= 4) {
      std::vector<double> milliseconds;
      for (int step = 0; step < options_.steps / 4; ++step) {
        const auto tokens = Tokens(batch);
        std::vector<engine::StepInput> inputs;
        for (int i = 0; i < batch; ++i) {
          inputs.push_back(
              {.sequence = std::uint64_t(i), .tokens = absl::MakeConstSpan(tokens).subspan(i, 1)});
        }
        const absl::Time begin = absl::Now();
        PB_RETURN_IF_ERROR(engine_->Step(inputs).status());
        milliseconds.push_back(absl::ToDoubleMilliseconds(absl::Now() - begin));
      }
      const double median = bench::Median(milliseconds);
      std::printf("decode   %d sequences over %d rows: median %.3f ms a step, %.0f tokens/s\n",
                  batch, engine_->Rows(0), median, batch / median * 1000);
    }
    return absl::OkStatus();
  }

  BenchOptions options_;
  std::unique_ptr<engine::Engine> engine_;
  std::mt19937_64 random_;
};

absl::Status RunBench(const std::vector<std::string>& arguments) {
  BenchOptions options;
  app::FlagTable flags("engine_bench");
  flags.Text("model", "DIR", "with a config.json; weights are drawn", &options.model);
  flags.Switch("cpu", "on the host", &options.cpu);
  flags.Int("sequences", "N", "decoded side by side", 1, 1024, &options.sequences);
  flags.Int("context", "N", "tokens of each", 1, 1 << 20, &options.context);
  flags.Int("chunk", "N", "tokens of a prompt in a step", 1, 16384, &options.chunk);
  flags.Int("steps", "N", "of decoding, a quarter for each number of sequences", 4, 4096,
            &options.steps);
  flags.Switch("no-graphs", "launch each step of decoding anew", &options.no_graphs);
  flags.Switch("shard", "read the prompts a second time, seen by a shard", &options.shard);
  flags.Int("seed", "N", "of weights and tokens", 0, 1 << 30, &options.seed);
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    std::printf("%s", flags.Help().c_str());
    return absl::OkStatus();
  }
  PB_RETURN_IF_ERROR(flags.Parse(arguments));
  PB_ASSIGN_OR_RETURN(EngineBench bench, EngineBench::Load(options));
  return bench.Run();
}

}  // namespace
}  // namespace pinboard

int main(int argc, char** argv) {
  const absl::Status status = pinboard::RunBench({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::fprintf(stderr, "engine_bench: %s\n", std::string(status.message()).c_str());
  return 1;
}
