// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboard/common_flags.h"

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "app/session/model_files.h"
#include "base/byte_size.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr std::uint64_t kRandomWeightsSeed = 1;

absl::Status InFlag(const char* flag, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(flag, ": ", status.message()));
}

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "pinboard: %s\n", std::string(status.message()).c_str());
  return code;
}

Backend ToBackend(const CommonFlags& common) {
  return common.backend == "cuda" ? Backend::kCuda : Backend::kCpu;
}

absl::Status CheckServiceKey(const CommonFlags& common) {
  const bool runs_already = common.service != "auto" && common.service != "none";
  if (runs_already || common.service_key.empty())
    return ReadServiceKey(common.service_key).status();
  return absl::InvalidArgumentError(
      absl::StrCat("--service-key is for a service that runs already: give --service HOST:PORT, "
                   "not ",
                   common.service));
}

absl::Status CheckService(const std::string& service) {
  if (service == "auto" || service == "none") return absl::OkStatus();
  if (ParseServices(service).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--service: '", service,
                   "' is neither auto, none nor an address such as 127.0.0.1:7700, or several of "
                   "them separated by commas"));
}

}  // namespace

void AddModelFlags(FlagTable* flags, CommonFlags* common) {
  flags->Section("Model");
  flags->Text("model", "DIR", "Hugging Face directory: config.json, *.safetensors, tokenizer.json.",
              &common->model);
  flags->Text("random-weights", "CONFIG",
              "Instead of a model: weights drawn for this config.json, or the directory it is in. "
              "For tests of load; there is no tokenizer.",
              &common->random_weights);
  flags->Int("tp", "N", "Tensor-parallel ranks, one process each.", 1, 64, &common->tp);
  flags->Text("backend", "NAME", "Where the model and its cache are: cpu, or cuda for the GPU.",
              &common->backend);
}

void AddMethodFlags(FlagTable* flags, SequenceOptions* options) {
  flags->Text("fusion", "NAME",
              "How infokv and pinboard join attention and information: published "
              "or max.",
              &options->fusion);
  flags->Real("alpha", "A", "Weight of attention against information, 0 to 1.", &options->alpha);
  flags->Real("tau", "T", "Information is (shift + tau) * entropy.", &options->tau);
  flags->Int("window", "W", "Queries looked at, and most recent rows that always stay.", 1, 1024,
             &options->window);
  flags->Real("band", "SHARE", "Share of the length that is offloaded to the cache service.",
              &options->band);
  flags->Int("recall-pages", "N", "Pages of 16 rows per layer and sequence that are held ready.", 0,
             1024, &options->recall_pages);
  flags->Text("recall-when", "WHEN",
              "When recalled pages are chosen: step, interval:N (steps), drift:X (cosine of the "
              "queries below X) or entropy:X (of the last token, above X nats).",
              &options->recall_when);
  flags->Int("recall-ahead", "L",
             "Recall within the step in layers from L on, by queries foreseen L layers earlier (0: "
             "by their own, waiting for the pages); -1: one step behind.",
             -1, 1024, &options->recall_ahead);
  flags->Text("layers", "NAME",
              "How a budget is shared out over the layers: uniform, pyramid (wide at the first) or "
              "adaptive (by information). pyramidkv has a pyramid of its own.",
              &options->layers);
  flags->Text("scope", "NAME", "layer: each keeps rows of its own; global: one set for all layers.",
              &options->scope);
}

absl::StatusOr<std::vector<std::string>> ParseServices(const std::string& text) {
  std::vector<std::string> services = absl::StrSplit(text, ',');
  for (const std::string& service : services) {
    PB_RETURN_IF_ERROR(InFlag("--service", ParseSocketAddress(service).status()));
  }
  return services;
}

absl::StatusOr<std::optional<cache_service::Credentials>> ReadServiceKey(const std::string& file) {
  if (file.empty()) return std::nullopt;
  auto credentials = cache_service::LoadCredentials(file);
  if (!credentials.ok()) return InFlag("--service-key", credentials.status());
  return *std::move(credentials);
}

void AddRunFlags(FlagTable* flags, CommonFlags* common) {
  flags->Section("Run");
  flags->Text("service", "WHERE",
              "Cache service: auto starts one for this run, none goes without (no band, no "
              "recall), HOST:PORT is a pinboardd; of several, HOST:PORT,HOST:PORT, the first that "
              "is well is used.",
              &common->service);
  flags->Text("service-arena", "SIZE", "Memory of --service auto.", &common->service_arena);
  flags->Text("service-key", "FILE",
              "The tenant's key, for a pinboardd that has --keys: one line TENANT KEY-ID KEY.",
              &common->service_key);
  flags->Int("block-size", "N", "Tokens in a block of the KV cache: 16, 32 or 64.", 16, 64,
             &common->block_size);
  flags->Text("tables", "NAME",
              "Block tables: shared, one for all layers, or layer, one for each, which pyramid and "
              "adaptive budgets need.",
              &common->tables);
  flags->Int("sketch", "N",
             "Take the shift of hidden states from N random projections of them, to save memory "
             "in long prompts; 0: from the states.",
             0, 1024, &common->sketch_dim);
  flags->Text("metrics", "HOST:PORT", "Serve Prometheus metrics: rank 0 there, rank r at PORT + r.",
              &common->metrics);
  flags->Switch("help", "Show this.", &common->help);
}

absl::Status ResolveModel(CommonFlags* common) {
  if (common->random_weights.empty()) return absl::OkStatus();
  if (!common->model.empty()) {
    return absl::InvalidArgumentError("give one of --model and --random-weights");
  }
  const std::filesystem::path config = common->random_weights;
  common->model = config.filename() == "config.json" ? config.parent_path() : config;
  if (common->model.empty()) common->model = std::string(".");
  return absl::OkStatus();
}

absl::Status CheckCommon(const CommonFlags& common) {
  if (common.model.empty()) {
    return absl::InvalidArgumentError(
        "--model is missing: a Hugging Face directory (or --random-weights a config.json)");
  }
  if (common.block_size != 16 && common.block_size != 32 && common.block_size != 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("--block-size is ", common.block_size, ": use 16, 32 or 64"));
  }
  if (common.tables != "shared" && common.tables != "layer") {
    return absl::InvalidArgumentError(
        absl::StrCat("--tables is '", common.tables, "': use shared or layer"));
  }
  if (common.backend != "cpu" && common.backend != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("--backend is '", common.backend, "': use cpu or cuda"));
  }
  PB_RETURN_IF_ERROR(CheckService(common.service));
  PB_RETURN_IF_ERROR(CheckServiceKey(common));
  PB_RETURN_IF_ERROR(InFlag("--service-arena", ParseByteSize(common.service_arena).status()));
  if (!common.metrics.empty()) {
    PB_RETURN_IF_ERROR(
        InFlag("--metrics", RankMetricsAddress(common.metrics, 0, common.tp).status()));
  }
  return CheckModel(common.model, common.tp).status();
}

absl::StatusOr<ArmLimits> ToArmLimits(const CommonFlags& common) {
  PB_ASSIGN_OR_RETURN(const engine::ModelConfig config, CheckModel(common.model, common.tp));
  return ArmLimits{.layers = config.layers,
                   .layer_tables = common.tables == "layer",
                   .backend = ToBackend(common)};
}

GroupOptions ToGroupOptions(const CommonFlags& common) {
  return {.tp = common.tp,
          .backend = ToBackend(common),
          .service = common.service,
          .service_arena = common.service_arena,
          .service_key = common.service_key};
}

SessionOptions ToSessionOptions(const CommonFlags& common) {
  SessionOptions session;
  session.model_dir = common.model;
  if (!common.random_weights.empty()) session.random_weights = kRandomWeightsSeed;
  session.backend = ToBackend(common);
  session.block_size = common.block_size;
  session.layer_tables = common.tables == "layer";
  session.sketch_dim = common.sketch_dim;
  session.metrics = common.metrics;
  return session;
}

int UsageError(const absl::Status& status) { return Fail(status, 2); }

int RunError(const absl::Status& status) { return Fail(status, 1); }

}  // namespace pinboard::app
