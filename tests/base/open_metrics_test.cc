// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The expected texts are written from the specification of OpenMetrics 1.0.0.
#include "base/open_metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace pinboard {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ClientMetric CounterOf(double value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  return metric;
}

ClientMetric GaugeOf(double value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  return metric;
}

/// The line of a gauge without labels.
std::string GaugeText(double value) {
  const std::string text = OpenMetricsText({{"g", "", MetricType::Gauge, {GaugeOf(value)}}});
  const std::string before = "# TYPE g gauge\n# HELP g \n";
  const std::string after = "\n# EOF\n";
  EXPECT_EQ(text.substr(0, before.size()), before);
  EXPECT_EQ(text.substr(text.size() - after.size()), after);
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

TEST(OpenMetricsTextTest, NoMetricsAreTheEndAlone) { EXPECT_EQ(OpenMetricsText({}), "# EOF\n"); }

TEST(OpenMetricsTextTest, ACountersFamilyHasNoTotalAndItsSamplesDo) {
  EXPECT_EQ(OpenMetricsText({{"pinboard_misses_total",
                              "Pages that were gone.",
                              MetricType::Counter,
                              {CounterOf(3, {{"cause", "evicted"}}),
                               CounterOf(0, {{"cause", "dropped"}, {"tenant", "acme"}})}}}),
            "# TYPE pinboard_misses counter\n"
            "# HELP pinboard_misses Pages that were gone.\n"
            "pinboard_misses_total{cause=\"evicted\"} 3.0\n"
            "pinboard_misses_total{cause=\"dropped\",tenant=\"acme\"} 0.0\n"
            "# EOF\n");
}

TEST(OpenMetricsTextTest, TheUnitIsTheFamilysSuffix) {
  const auto text = [](const std::string& name, MetricType type) {
    return OpenMetricsText({{name, "Help.", type, {}}});
  };
  EXPECT_EQ(text("sent_bytes_total", MetricType::Counter),
            "# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n# HELP sent_bytes Help.\n# EOF\n");
  EXPECT_EQ(text("round_seconds", MetricType::Histogram),
            "# TYPE round_seconds histogram\n# UNIT round_seconds seconds\n"
            "# HELP round_seconds Help.\n# EOF\n");
  for (const std::string name : {"pages", "bytes", "kilobytes", "bytes_sent", "bytes_per_page"}) {
    EXPECT_EQ(text(name, MetricType::Gauge),
              absl::StrCat("# TYPE ", name, " gauge\n# HELP ", name, " Help.\n# EOF\n"));
  }
}

TEST(OpenMetricsTextTest, AHistogramHasItsBucketsByCanonicalBoundsThenCountAndSum) {
  ClientMetric metric;
  metric.label = {{"call", "wait"}};
  metric.histogram.sample_count = 1'000'004;
  metric.histogram.sample_sum = 9.65;
  metric.histogram.bucket = {{0, 4e-06}, {2, 0.1}, {3, 1}, {3, 1e6}, {1'000'004, kInfinity}};
  EXPECT_EQ(OpenMetricsText({{"wait_seconds", "A wait.", MetricType::Histogram, {metric}}}),
            "# TYPE wait_seconds histogram\n"
            "# UNIT wait_seconds seconds\n"
            "# HELP wait_seconds A wait.\n"
            "wait_seconds_bucket{call=\"wait\",le=\"4e-06\"} 0\n"
            "wait_seconds_bucket{call=\"wait\",le=\"0.1\"} 2\n"
            "wait_seconds_bucket{call=\"wait\",le=\"1.0\"} 3\n"
            "wait_seconds_bucket{call=\"wait\",le=\"1e+06\"} 3\n"
            "wait_seconds_bucket{call=\"wait\",le=\"+Inf\"} 1000004\n"
            "wait_seconds_count{call=\"wait\"} 1000004\n"
            "wait_seconds_sum{call=\"wait\"} 9.65\n"
            "# EOF\n");
}

TEST(OpenMetricsTextTest, FamiliesFollowEachOther) {
  EXPECT_EQ(
      OpenMetricsText({{"a_total", "A.", MetricType::Counter, {CounterOf(1)}},
                       {"b", "B.", MetricType::Gauge, {GaugeOf(2, {{"x", "y"}}), GaugeOf(-4)}},
                       {"c", "C.", MetricType::Gauge, {GaugeOf(3)}}}),
      "# TYPE a counter\n# HELP a A.\na_total 1.0\n"
      "# TYPE b gauge\n# HELP b B.\nb{x=\"y\"} 2.0\nb -4.0\n"
      "# TYPE c gauge\n# HELP c C.\nc 3.0\n"
      "# EOF\n");
}

TEST(OpenMetricsTextTest, LabelsAndHelpAreEscaped) {
  const std::string raw = "a \"b\"\\c\nd";
  const std::string escaped = R"(a \"b\"\\c\nd)";
  EXPECT_EQ(OpenMetricsText({{"g", raw, MetricType::Gauge, {GaugeOf(1, {{"l", raw}})}}}),
            "# TYPE g gauge\n# HELP g " + escaped + "\ng{l=\"" + escaped + "\"} 1.0\n# EOF\n");
}

TEST(OpenMetricsTextTest, NumbersAreCanonicalAndLoseNothing) {
  // The specification's own examples, but for the last row.
  const std::pair<double, const char*> numbers[] = {
      {0, "0.0"},
      {0.001, "0.001"},
      {0.01, "0.01"},
      {0.9, "0.9"},
      {0.999, "0.999"},
      {1, "1.0"},
      {1.7, "1.7"},
      {10, "10.0"},
      {1e-10, "1e-10"},
      {1e-09, "1e-09"},
      {1e-05, "1e-05"},
      {0.0001, "0.0001"},
      {1e5, "100000.0"},
      {1e6, "1e+06"},
      {1e10, "1e+10"},
      {kInfinity, "+Inf"},
      {-kInfinity, "-Inf"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
      {68719476737, "6.8719476737e+10"},
      {1.0 / 3, "0.3333333333333333"}};
  for (const auto& [value, text] : numbers) EXPECT_EQ(GaugeText(value), std::string("g ") + text);
}

TEST(OpenMetricsAcceptTest, IsPreferredWhereItIsNamedAndNoLessWantedThanText) {
  for (const char* accept : {
           "application/openmetrics-text",
           "application/openmetrics-text; version=1.0.0; charset=utf-8",
           "APPLICATION/OpenMetrics-Text ; Version = 1.0.0 ; Q = 0.5 , text/plain ; q = 0.4",
           // As versions of Prometheus send it.
           "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
           "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
           "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
           "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
           "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
           "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
           "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
           "text/plain;q=0.3,application/openmetrics-text;q=0.5",
           "application/openmetrics-text,text/plain",
           "application/openmetrics-text,*/*",
           "application/openmetrics-text;q=0.5,text/plain;q=0.2,*/*;q=0.9",
           "text/plain;version=9.9.9,application/openmetrics-text;q=0.1",
           ",,application/openmetrics-text,;",
           "application/openmetrics-text; version=\"1.0.0\"",
           R"(application/openmetrics-text;version="1\.0.0";q=0.5)",
           R"(text/plain;note="a,application/json;q=1";q=0.3,application/openmetrics-text;q=0.5)",
           R"(application/openmetrics-text;note="a\",b;q=0";q=0.5,text/plain;q=0.4)",
       }) {
    EXPECT_TRUE(PrefersOpenMetrics(accept)) << accept;
  }
}

TEST(OpenMetricsAcceptTest, IsNotPreferredOtherwise) {
  for (const char* accept : {
           "",
           "*/*",
           "text/plain",
           "text/plain;version=0.0.4",
           "application/*",
           "application/json",
           "application/openmetrics",
           "application/openmetrics-text2",
           "application/openmetrics-text;q=0",
           "application/openmetrics-text;q=0.0,*/*;q=0",
           "application/openmetrics-text;version=0.0.1",
           "application/openmetrics-text;version=2.0.0",
           "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
           "application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5",
           "application/openmetrics-text;q=0.5,text/*;q=0.6",
           "application/openmetrics-text;q=0.5,*/*",
           // Malformed.
           "application/openmetrics-text;q=",
           "application/openmetrics-text;q=much",
           "application/openmetrics-text;q=nan",
           "application/openmetrics-text;q=-1",
           "application/openmetrics-text;q=1.5",
           "application/openmetrics-text q=1",
           ";application/openmetrics-text",
           ";;;,,,===",
           "application/openmetrics-text;version=\"0.0.1\"",
           R"(text/plain;note=",application/openmetrics-text,")",
           R"(application/openmetrics-text;version="1.0.0)",
           R"(application/openmetrics-text;version="1.0.0\")",
           R"(application/openmetrics-text;version="1.0.0"0)",
           R"(application/openmetrics-text;version=1.0"."0)",
       }) {
    EXPECT_FALSE(PrefersOpenMetrics(accept)) << accept;
  }
}

}  // namespace
}  // namespace pinboard
