// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/influence/influence_cuda.cuh"

#include "kernels/influence/influence_core.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status Information(absl::Span<const float> shift, absl::Span<const float> entropy, double tau,
                         absl::Span<std::int32_t> out) {
  if (shift.size() != out.size() || entropy.size() != out.size()) {
    return absl::InvalidArgumentError("not a batch");  // sizes have no place in one
  }
  // Behind another layer, which shifts nothing and so fits wherever the layer does.
  OnDevice device;
  const std::size_t tokens = out.size();
  std::vector<float> shifts(tokens, 0.0F);
  shifts.insert(shifts.end(), shift.begin(), shift.end());
  InformationBatch batch{device.In(shifts), device.In(entropy), tau};
  batch.out = device.Out<std::int32_t>(2 * tokens);
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  batch.tokens = static_cast<std::int64_t>(tokens);
  batch.layers = 2;
  PB_RETURN_IF_ERROR(device.Finish(LaunchInformation(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a token does not fit");
  device.Read(batch.out + tokens, out);
  return absl::OkStatus();
}

void AddInformation(absl::Span<const std::int32_t> information, InformationTotals& totals) {
  // Behind another layer, of no tokens.
  OnDevice device;
  const auto tokens = static_cast<std::int64_t>(information.size());
  AddInformationBatch batch{device.In(information),
                            device.In(std::vector<std::int64_t>{0, 0, tokens}),
                            device.In(std::vector<InformationTotals>{{}, totals}), 2, tokens};
  const absl::Status status = device.Finish(LaunchAddInformation(batch, nullptr));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(device.Value(batch.totals).exp_sum.Value(), 0.0);
  totals = device.Value(batch.totals + 1);
}

absl::Status Fuse(const FuseArgs& args, absl::Span<std::int64_t> score) {
  const std::size_t rows = score.size();
  for (const std::size_t size : {NeedsAttention(args.rule) ? args.attention.size() : 0,
                                 NeedsInformation(args.rule) ? args.information.size() : 0}) {
    if (size != 0 && size != rows) return absl::InvalidArgumentError("not a batch");
  }
  if (args.rule == ScoreRule::kPublished && !(args.totals.exp_sum.Value() > 0.0)) {
    return absl::FailedPreconditionError("the totals stay on the device, which cannot refuse them");
  }
  // Behind another layer, of one row.
  OnDevice device;
  const auto behind_another = [&](absl::Span<const std::int32_t> values) -> std::int32_t* {
    if (values.empty()) return nullptr;
    std::vector<std::int32_t> all{1 << 29};
    all.insert(all.end(), values.begin(), values.end());
    return device.In(all);
  };
  InformationTotals other;
  other.exp_sum.Add(2.0);
  FuseBatch batch{args.rule, args.alpha, args.seed};
  batch.layers = device.In(std::vector<std::int32_t>{args.layer + 1, args.layer});
  batch.attention = behind_another(args.attention);
  batch.information = behind_another(args.information);
  batch.redundancy = behind_another(args.redundancy);
  batch.positions = behind_another(args.positions);
  batch.totals = device.In(std::vector<InformationTotals>{other, args.totals});
  batch.first_row = device.In(std::vector<std::int64_t>{0, 1, 1 + static_cast<std::int64_t>(rows)});
  batch.score = device.Out<std::int64_t>(1 + rows);
  batch.max_attention = device.Out<std::int32_t>(2);
  batch.problems = 2;
  batch.longest = static_cast<std::int64_t>(rows);
  PB_RETURN_IF_ERROR(device.Finish(LaunchFuse(batch, nullptr)));
  device.Read(batch.score + 1, score);
  std::vector<std::int64_t> specified(rows);
  EXPECT_TRUE(kernels::Fuse(args, absl::MakeSpan(specified)).ok());
  EXPECT_EQ(std::vector<std::int64_t>(score.begin(), score.end()), specified) << "bit for bit";
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
