// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/inspect_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/report/text_table.h"
#include "base/byte_size.h"

namespace pinboard::app {
namespace {

/// 1234567 as 1,234,567.
std::string Grouped(std::uint64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string RangeText(const NumberRange& range) {
  if (range.lowest > range.highest) return "-";
  if (range.lowest == range.highest) return Grouped(range.lowest);
  return absl::StrCat(Grouped(range.lowest), "-", Grouped(range.highest));
}

TextRow Row(const std::string& label, const Holding& holding) {
  const std::optional<double> information = holding.MeanInformation();
  return {label,
          RangeText(holding.layers),
          RangeText(holding.page_numbers),
          RangeText(holding.shards),
          Grouped(holding.pages),
          FormatByteSize(holding.bytes),
          Grouped(holding.evicted),
          Grouped(holding.dropped),
          RangeText(holding.generations),
          information ? absl::StrFormat("%.2f", *information) : "-"};
}

}  // namespace

std::string InspectTable(const Inspection& inspection) {
  std::vector<TextRow> rows = {{inspection.service, "layers", "page numbers", "shards", "pages",
                                "bytes", "evicted", "dropped", "generations", "information"}};
  for (const GroupHolding& group : inspection.holdings.groups()) {
    rows.push_back(Row(absl::StrCat("group ", GroupName(group.group)), group.all));
    for (const auto& [sequence, holding] : group.sequences) {
      rows.push_back(Row(absl::StrCat("  sequence ", sequence), holding));
    }
  }
  rows.push_back(Row("all", inspection.holdings.all()));
  return AlignedTable(rows);
}

}  // namespace pinboard::app
