// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What can be known of a model before its weights are read.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "app/suite/suite.h"
#include "engine/model_config.h"
#include "engine/tokenizer/tokenizer.h"

namespace pinboard::app {

/// The model's configuration, checked to run on `tp` ranks. NotFound, InvalidArgument,
/// Unimplemented: one line that names the file or what tp would have to divide.
absl::StatusOr<engine::ModelConfig> CheckModel(const std::string& model_dir, int tp);

/// Reads the tokenizer the first time it is needed: token ids alone need none. One thread.
class LazyTokenizer {
 public:
  /// Empty: there is none, and who needs one is told what to give instead.
  explicit LazyTokenizer(std::string model_dir) : model_dir_(std::move(model_dir)) {}

  /// NotFound: there is none.
  absl::StatusOr<const engine::Tokenizer*> Get();
  /// Of this model; refers to this object.
  TokenVocabulary Vocabulary(int vocab_size);

 private:
  std::string model_dir_;
  std::unique_ptr<engine::Tokenizer> tokenizer_;
};

}  // namespace pinboard::app
