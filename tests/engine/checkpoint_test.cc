// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Weights on disk: whole, in shards, truncated at every kind of place, and wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/float_convert.h"
#include "engine/safetensors.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::EncodeSafetensors;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TinyDirectory;
using testing::TinyTensor;
using testing::WriteFile;

absl::Span<const std::byte> Bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string ParseError(const std::string& file) {
  return std::string(ParseSafetensors(Bytes(file), "F").status().message());
}

/// A file with this header and `data_bytes` bytes behind it.
std::string FileWith(const nlohmann::json& header, std::size_t data_bytes) {
  const std::string text = header.dump();
  std::string file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<char>(text.size() >> (8 * i)));
  return file + text + std::string(data_bytes, '\0');
}

nlohmann::json Entry(const std::string& dtype, const nlohmann::json& shape, std::int64_t begin,
                     std::int64_t end) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

const std::map<std::string, TinyTensor> kTensors = {{"a", {{2, 3}, {1, -2, 3, 0.5F, 0, -0.25F}}},
                                                    {"b", {{4}, {9, 8, 7, 6}}}};

TEST(SafetensorsTest, EveryTruncationIsOneClearLine) {
  const std::string file = EncodeSafetensors(kTensors, "BF16");
  ASSERT_TRUE(ParseSafetensors(Bytes(file), "F").ok());
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::string error = ParseError(file.substr(0, size));
    EXPECT_THAT(error, AllOf(HasSubstr("F: "), HasSubstr("copy it again"), Not(HasSubstr("\n"))))
        << "cut to " << size;
  }
  EXPECT_THAT(ParseError(file + "x"), HasSubstr("bytes of data"));
}

TEST(SafetensorsTest, DamagedHeadersAreRefused) {
  EXPECT_THAT(ParseError(std::string(8, '\xff') + "{}"), HasSubstr("does not fit"));
  EXPECT_THAT(ParseError(std::string("\2\0\0\0\0\0\0\0[]", 10)), HasSubstr("not a JSON object"));
  const auto error = [](const nlohmann::json& entry) {
    return ParseError(FileWith({{"t", entry}}, 8));
  };
  EXPECT_EQ(error(Entry("F32", {2}, 0, 8)), "");
  EXPECT_THAT(error(Entry("F32", {3}, 0, 8)), HasSubstr("do not fit its shape"));
  EXPECT_THAT(error(Entry("F32", {2}, 8, 0)), HasSubstr("do not fit its shape"));
  EXPECT_THAT(error(Entry("F32", {-2}, 0, 8)), HasSubstr("not valid"));
  EXPECT_THAT(error(Entry("F32", {1LL << 40, 1LL << 40}, 0, 8)), HasSubstr("do not fit its shape"));
  EXPECT_THAT(error(Entry("F32", {2}, 4, 12)), HasSubstr("gap"));
  EXPECT_THAT(error("text"), HasSubstr("not valid"));
  EXPECT_THAT(error({{"dtype", "F32"}}), HasSubstr("not valid"));
  EXPECT_THAT(
      ParseError(FileWith({{"a", Entry("F32", {2}, 0, 8)}, {"b", Entry("F32", {1}, 4, 8)}}, 8)),
      HasSubstr("overlap"));
}

TEST(SafetensorsTest, HalvesConvertExactly) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const int exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
    const double sign = half & 0x8000 ? -1.0 : 1.0;
    const float value = Float16ToFloat(half);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), mantissa != 0);
      EXPECT_EQ(std::isinf(value), mantissa == 0);
    } else if (exponent == 0) {
      EXPECT_EQ(value, sign * std::ldexp(mantissa, -24));
    } else {
      EXPECT_EQ(value, sign * std::ldexp(1024 + mantissa, exponent - 25));
    }
  }
}

class CheckpointTest : public ::testing::Test {
 protected:
  std::string OpenError() {
    return std::string(Checkpoint::Open(directory_.path()).status().message());
  }

  TinyDirectory directory_{"checkpoint"};
};

TEST_F(CheckpointTest, ReadsSlicesOfRowsAndColumns) {
  WriteFile(directory_ / "model.safetensors", EncodeSafetensors(kTensors, "F16"));
  const auto checkpoint = Checkpoint::Open(directory_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT(*(*checkpoint)->Read("a", {2, 3}, {0, 2, 1, 1}), ::testing::ElementsAre(-2, 0));
  EXPECT_THAT(*(*checkpoint)->Read("b", {4}, {1, 2, 0, 1}), ::testing::ElementsAre(8, 7));
}

TEST_F(CheckpointTest, ReadsGroupsOfRowsAndRoundsToBFloat16) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 1.00390625F};
  for (const std::string dtype : {"F32", "BF16"}) {
    WriteFile(directory_ / "model.safetensors",
              EncodeSafetensors({{"g", {{8, 1}, values}}}, dtype));
    const auto checkpoint = *Checkpoint::Open(directory_.path());
    const TensorSlice slice{.row_begin = 1, .rows = 2, .groups = 2, .group_stride = 5};
    EXPECT_THAT(*checkpoint->Read("g", {8, 1}, slice),
                ElementsAre(2, 3, 7, dtype == "F32" ? 1.00390625F : 1.0F));
    std::vector<std::uint16_t> rounded(3);
    ASSERT_TRUE(checkpoint->ReadBFloat16("g", {8, 1}, slice, 1, 3, rounded.data()).ok());
    EXPECT_THAT(rounded, ElementsAre(0x4040, 0x40e0, 0x3f80));
  }
}

TEST_F(CheckpointTest, WhatIsMissingOrOfAnotherShapeOrTypeIsNamed) {
  WriteFile(directory_ / "model.safetensors",
            FileWith({{"t", Entry("I64", {1}, 0, 8)}, {"u", Entry("F32", {2, 1}, 8, 16)}}, 16));
  const auto checkpoint = Checkpoint::Open(directory_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto read = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    return (*checkpoint)->Read(name, shape, {0, 1, 0, 1}).status();
  };
  EXPECT_EQ(read("v", {1}).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(read("v", {1}).message()), HasSubstr("tensor v is missing"));
  EXPECT_EQ(read("u", {2}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read("u", {2}).message()),
              HasSubstr("has shape [2, 1], config.json asks for [2]"));
  EXPECT_EQ(read("t", {1}).code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(read("t", {1}).message()), HasSubstr("dtype I64"));
}

TEST_F(CheckpointTest, MissingFilesAreNamed) {
  EXPECT_THAT(OpenError(), HasSubstr("no model.safetensors"));
  WriteFile(directory_ / "model.safetensors.index.json",
            R"({"weight_map": {"a": "x.safetensors"}})");
  EXPECT_THAT(OpenError(), AllOf(HasSubstr("x.safetensors"), HasSubstr("No such file")));
  WriteFile(directory_ / "model.safetensors.index.json", R"({"weight_map": {"a": "../x"}})");
  EXPECT_THAT(OpenError(), HasSubstr("no file of this directory"));
  WriteFile(directory_ / "model.safetensors.index.json", "{}");
  EXPECT_THAT(OpenError(), HasSubstr("weight_map"));
  WriteFile(directory_ / "model.safetensors", "");
  EXPECT_THAT(OpenError(), HasSubstr("empty"));
}

TEST(EngineLoadTest, ATruncatedShardOrAMissingTensorEndsTheLoadWithOneLine) {
  const testing::TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 1);
  TinyDirectory directory("load");
  const auto error = [&] {
    const auto engine = Engine::Load({.model_dir = directory.path(), .cache_blocks = 1}, nullptr);
    return std::string(engine.status().message());
  };
  EXPECT_THAT(error(), HasSubstr("config.json: No such file"));
  testing::WriteTinyModel(model, directory, "BF16", true);
  EXPECT_EQ(error(), "");
  const auto shard = directory / "model-00002-of-00002.safetensors";
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 1);
  EXPECT_THAT(error(), AllOf(HasSubstr("model-00002-of-00002"), HasSubstr("truncated")));
  testing::TinyModel lacking = model;
  lacking.tensors.erase("model.layers.1.mlp.up_proj.weight");
  testing::WriteTinyModel(lacking, directory);
  EXPECT_THAT(error(), HasSubstr("tensor model.layers.1.mlp.up_proj.weight is missing"));
}

TEST(EngineLoadTest, AConfigOfAnotherSizeIsAnErrorAndNoAllocation) {
  testing::TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 1);
  model.json["intermediate_size"] = 2'000'000'000;
  TinyDirectory directory("sizes");
  testing::WriteTinyModel(model, directory);
  const auto engine = Engine::Load({.model_dir = directory.path(), .cache_blocks = 1}, nullptr);
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("mlp.gate_proj.weight has shape"));
}

}  // namespace
}  // namespace pinboard::engine
