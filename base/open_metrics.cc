// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/open_metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace pinboard {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr char kOpenMetricsType[] = "application/openmetrics-text";

/// One range of an Accept header: "text/plain;version=0.0.4;q=0.3".
struct MediaRange {
  std::string type;
  std::string version;
  double quality = 1;
};

/// Splits at each `separator` that is not within a quoted string.
std::vector<absl::string_view> SplitUnquoted(absl::string_view text, char separator) {
  std::vector<absl::string_view> parts;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') ++i;
    if (quoted || text[i] != separator) continue;
    parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// A parameter's value: a token, or what a quoted string says. Nothing: neither.
std::optional<std::string> ReadValue(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "\"")) {
    return absl::StrContains(text, '"') ? std::nullopt : std::optional(std::string(text));
  }
  std::string value;
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\') text.remove_prefix(1);
    if (text.empty()) break;
    value += text.front();
    text.remove_prefix(1);
  }
  return text == "\"" ? std::optional(value) : std::nullopt;
}

std::optional<MediaRange> ReadMediaRange(absl::string_view text) {
  const std::vector<absl::string_view> parts = SplitUnquoted(text, ';');
  MediaRange range;
  range.type = absl::AsciiStrToLower(absl::StripAsciiWhitespace(parts[0]));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(parameter.first));
    const auto value = ReadValue(absl::StripAsciiWhitespace(parameter.second));
    if (!value.has_value()) return std::nullopt;
    if (name == "version") range.version = *value;
    if (name != "q") continue;
    if (!absl::SimpleAtod(*value, &range.quality)) return std::nullopt;
    if (!(range.quality >= 0 && range.quality <= 1)) return std::nullopt;
  }
  return range;
}

bool HasOurVersion(const MediaRange& range) {
  return range.version.empty() ||
         range.version == (range.type == kOpenMetricsType ? "1.0.0" : "0.0.4");
}

/// 0.001, 1.0, 100000.0, 1e+06, +Inf: one form for each value, so that the same le is one series.
std::string Canonical(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char digits[32];
  const std::to_chars_result end =
      std::to_chars(std::begin(digits), std::end(digits), value, std::chars_format::general);
  std::string text(digits, end.ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}});
}

void AppendMetadata(std::string& text, absl::string_view name, const char* type,
                    const std::string& help) {
  absl::StrAppend(&text, "# TYPE ", name, " ", type, "\n");
  for (const char* unit : {"seconds", "bytes"}) {
    if (!absl::EndsWith(name, absl::StrCat("_", unit))) continue;
    absl::StrAppend(&text, "# UNIT ", name, " ", unit, "\n");
  }
  absl::StrAppend(&text, "# HELP ", name, " ", Escaped(help), "\n");
}

void AppendSample(std::string& text, absl::string_view name, const Labels& labels,
                  absl::string_view value) {
  absl::StrAppend(&text, name);
  const char* before = "{";
  for (const ClientMetric::Label& label : labels) {
    absl::StrAppend(&text, std::exchange(before, ","), label.name, "=\"", Escaped(label.value),
                    "\"");
  }
  absl::StrAppend(&text, labels.empty() ? " " : "} ", value, "\n");
}

void AppendCounters(std::string& text, const MetricFamily& family) {
  AppendMetadata(text, absl::StripSuffix(family.name, "_total"), "counter", family.help);
  for (const ClientMetric& metric : family.metric) {
    AppendSample(text, family.name, metric.label, Canonical(metric.counter.value));
  }
}

void AppendGauges(std::string& text, const MetricFamily& family) {
  AppendMetadata(text, family.name, "gauge", family.help);
  for (const ClientMetric& metric : family.metric) {
    AppendSample(text, family.name, metric.label, Canonical(metric.gauge.value));
  }
}

void AppendHistograms(std::string& text, const MetricFamily& family) {
  AppendMetadata(text, family.name, "histogram", family.help);
  for (const ClientMetric& metric : family.metric) {
    for (const ClientMetric::Bucket& bucket : metric.histogram.bucket) {
      Labels labels = metric.label;
      labels.push_back({"le", Canonical(bucket.upper_bound)});
      AppendSample(text, family.name + "_bucket", labels, absl::StrCat(bucket.cumulative_count));
    }
    AppendSample(text, family.name + "_count", metric.label,
                 absl::StrCat(metric.histogram.sample_count));
    AppendSample(text, family.name + "_sum", metric.label, Canonical(metric.histogram.sample_sum));
  }
}

}  // namespace

bool PrefersOpenMetrics(absl::string_view accept) {
  std::map<std::string, double> qualities;
  for (const absl::string_view text : SplitUnquoted(accept, ',')) {
    const std::optional<MediaRange> range = ReadMediaRange(text);
    if (!range.has_value() || !HasOurVersion(*range)) continue;
    double& quality = qualities[range->type];
    quality = std::max(quality, range->quality);
  }
  const auto wanted = qualities.find(kOpenMetricsType);
  if (wanted == qualities.end() || wanted->second == 0) return false;
  for (const char* plain : {"text/plain", "text/*", "*/*"}) {
    const auto range = qualities.find(plain);
    if (range != qualities.end()) return wanted->second >= range->second;
  }
  return true;
}

std::string OpenMetricsText(const std::vector<MetricFamily>& families) {
  std::string text;
  for (const MetricFamily& family : families) {
    switch (family.type) {
      case MetricType::Counter:
        AppendCounters(text, family);
        break;
      case MetricType::Gauge:
        AppendGauges(text, family);
        break;
      case MetricType::Histogram:
        AppendHistograms(text, family);
        break;
      case MetricType::Summary:
      case MetricType::Untyped:
        std::abort();  // a MetricRegistry has none
    }
  }
  return text + "# EOF\n";
}

}  // namespace pinboard
