// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/listening_socket.h"

namespace pinboard {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(MetricsTest, CountersAndGaugesAppearInTheText) {
  const auto registry = NewMetricRegistry();
  registry->AddCounter("pinboard_misses_total", "Pages that were gone.", {{"reason", "late"}})
      .Increment(3);
  Gauge& bytes = registry->AddGauge("pinboard_arena_bytes", "Size of the arena.");
  bytes.Set(1024);
  bytes.Add(-24);
  EXPECT_EQ(bytes.Value(), 1000);
  const std::string text = registry->ExpositionText();
  EXPECT_THAT(text, HasSubstr("# HELP pinboard_misses_total Pages that were gone.\n"
                              "# TYPE pinboard_misses_total counter\n"
                              "pinboard_misses_total{reason=\"late\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE pinboard_arena_bytes gauge\npinboard_arena_bytes 1000\n"));
}

TEST(MetricsTest, AHistogramCountsByUpperBound) {
  const auto registry = NewMetricRegistry();
  Histogram& seconds = registry->AddHistogram("pinboard_round_seconds", "A round.", {0.1, 1});
  for (double value : {0.05, 0.1, 0.5, 9.0}) seconds.Observe(value);
  const std::string text = registry->ExpositionText();
  EXPECT_THAT(text, HasSubstr("pinboard_round_seconds_count 4\n"));
  EXPECT_THAT(text, HasSubstr("{le=\"0.1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{le=\"1\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("{le=\"+Inf\"} 4\n"));
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameHandle) {
  const auto registry = NewMetricRegistry();
  Counter& first = registry->AddCounter("pinboard_pages_total", "Pages.", {{"way", "in"}});
  EXPECT_EQ(&registry->AddCounter("pinboard_pages_total", "Pages.", {{"way", "in"}}), &first);
  EXPECT_NE(&registry->AddCounter("pinboard_pages_total", "Pages.", {{"way", "out"}}), &first);
}

TEST(MetricsTest, IncrementsOfManyThreadsAllCount) {
  const auto registry = NewMetricRegistry();
  const auto count = [&] {
    Counter& counter = registry->AddCounter("pinboard_steps_total", "Steps.");
    for (int step = 0; step < 1000; ++step) counter.Increment();
  };
  std::thread threads[] = {std::thread(count), std::thread(count), std::thread(count),
                           std::thread(count)};
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry->AddCounter("pinboard_steps_total", "Steps.").Value(), 4000);
}

TEST(MetricsDeathTest, AMalformedOrReusedNameEndsTheProcessAndNamesTheMetric) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto registry = NewMetricRegistry();
  EXPECT_DEATH(registry->AddCounter("no spaces", "Help."), "metric no spaces");
  registry->AddCounter("pinboard_pages_total", "Pages.");
  EXPECT_DEATH(registry->AddGauge("pinboard_pages_total", "Pages."), "pinboard_pages_total");
  EXPECT_DEATH(registry->AddCounter("pinboard_pages", "Pages."),
               "metric pinboard_pages: the name of a counter ends in _total");
}

// One name of two metrics spoils a whole scrape as OpenMetrics.
TEST(MetricsDeathTest, ANameThatOpenMetricsKnowsAnotherMetricByEndsTheProcessAndNamesBoth) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto registry = NewMetricRegistry();
  registry->AddCounter("pages_total", "Pages.");
  registry->AddGauge("steps", "Steps.");
  registry->AddHistogram("round_seconds", "A round.", {1});
  registry->AddCounter("round_total", "Rounds.");
  EXPECT_DEATH(registry->AddGauge("pages", "Pages."),
               "metric pages: in OpenMetrics pages is a name of pages_total\n");
  EXPECT_DEATH(registry->AddHistogram("pages", "Pages.", {1}), "is a name of pages_total\n");
  EXPECT_DEATH(registry->AddCounter("steps_total", "Steps."),
               "metric steps_total: in OpenMetrics steps is a name of steps\n");
  EXPECT_DEATH(registry->AddCounter("round_seconds_total", "Seconds."), "name of round_seconds\n");
  for (const std::string suffix : {"_bucket", "_count", "_sum", "_created"}) {
    EXPECT_DEATH(registry->AddGauge("round_seconds" + suffix, "?"), "is a name of round_seconds\n");
  }
  EXPECT_DEATH(registry->AddCounter("round_seconds_count_total", "?"), "name of round_seconds\n");
  EXPECT_DEATH(registry->AddGauge("pages_created", "?"), "is a name of pages_total\n");
  registry->AddGauge("gauge_sum", "A sum.");
  EXPECT_DEATH(registry->AddHistogram("gauge", "?", {1}), "gauge_sum is a name of gauge_sum\n");
}

constexpr std::uint32_t kOtherLoopback = INADDR_LOOPBACK + 1;  // 127.0.0.2

/// A connection to the server.
class Asker {
 public:
  explicit Asker(int port, std::uint32_t host = INADDR_LOOPBACK) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(host);
    const timeval patience = {.tv_sec = 8};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Asker() { close(fd_); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  /// What it answers to `request`, which is a first line and perhaps headers. Empty: nothing in
  /// eight seconds.
  std::string Ask(const std::string& request) const {
    std::string answer;
    const std::string bytes = request + "\r\n\r\n";
    if (!connected_ || send(fd_, bytes.data(), bytes.size(), 0) <= 0) return answer;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd_, buffer, sizeof(buffer), 0)) > 0;) answer.append(buffer, n);
    return answer;
  }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM, 0);
  bool connected_ = false;
};

std::string Ask(int port, const std::string& request, std::uint32_t host = INADDR_LOOPBACK) {
  return Asker(port, host).Ask(request);
}

std::string Get(int port, const std::string& path, std::uint32_t host = INADDR_LOOPBACK) {
  return Ask(port, "GET " + path + " HTTP/1.0", host);
}

TEST(MetricServerTest, AnswersScrapesOnLoopback) {
  const auto registry = NewMetricRegistry();
  registry->AddCounter("pinboard_steps_total", "Steps.").Increment();
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string answer = Get((*server)->port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("pinboard_steps_total 1\n"));
}

TEST(MetricServerTest, AnswersInTheFormatThatTheScrapePrefers) {
  const auto registry = NewMetricRegistry();
  registry->AddCounter("pinboard_steps_total", "Steps.").Increment(3);
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_EQ(server.status(), absl::OkStatus());
  const auto scrape = [&](const std::string& headers) {
    return Ask((*server)->port(),
               "GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + headers + "Connection: close");
  };
  const std::string text =
      "# TYPE pinboard_steps counter\n"
      "# HELP pinboard_steps Steps.\n"
      "pinboard_steps_total 3.0\n"
      "# EOF\n";
  EXPECT_EQ(scrape("Accept: application/openmetrics-text;version=1.0.0;q=0.5,"
                   "application/openmetrics-text;version=0.0.1;q=0.4,"
                   "text/plain;version=0.0.4;q=0.3,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
            "Content-Length: " +
                std::to_string(text.size()) + "\r\nConnection: close\r\n\r\n" + text);
  for (const char* headers : {"", "Accept: */*\r\n", "Accept: text/plain;version=0.0.4\r\n"}) {
    EXPECT_THAT(scrape(headers), StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain"));
    EXPECT_THAT(scrape(headers), HasSubstr("# TYPE pinboard_steps_total counter\n"
                                           "pinboard_steps_total 3\n"))
        << headers;
  }
}

TEST(MetricServerTest, AsksForOpenMetricsElsewhereChangeNothing) {
  const auto registry = NewMetricRegistry();
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_EQ(server.status(), absl::OkStatus());
  const auto ask = [&](const std::string& what) {
    return Ask((*server)->port(), what + " HTTP/1.0\r\nAccept: application/openmetrics-text");
  };
  EXPECT_THAT(ask("GET /healthz"), HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(ask("GET /"), HasSubstr(" 404 Not Found\r\n"));
}

TEST(MetricServerTest, HeadIsTheHeadersOfGetAlone) {
  const auto registry = NewMetricRegistry();
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_EQ(server.status(), absl::OkStatus());
  const int port = (*server)->port();
  for (const std::string what : {"/healthz HTTP/1.0", "/readyz HTTP/1.0",
                                 "/metrics HTTP/1.0\r\nAccept: application/openmetrics-text"}) {
    const std::string got = Ask(port, "GET " + what);
    EXPECT_THAT(got, StartsWith("HTTP/1.1 200 OK\r\n")) << what;
    EXPECT_THAT(got, HasSubstr("\r\nContent-Length: ")) << what;
    EXPECT_EQ(Ask(port, "HEAD " + what), got.substr(0, got.find("\r\n\r\n") + 4)) << what;
  }
  EXPECT_EQ(Ask(port, "HEAD /metrics HTTP/1.0"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Connection: close\r\n\r\n");
}

TEST(MetricServerTest, OtherMethodsAreRefused) {
  const auto registry = NewMetricRegistry();
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_EQ(server.status(), absl::OkStatus());
  for (const std::string path : {"/healthz", "/readyz", "/metrics"}) {
    for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
      EXPECT_EQ(Ask((*server)->port(), method + " " + path + " HTTP/1.0\r\nContent-Length: 0"),
                "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n")
          << method << path;
    }
  }
}

TEST(MetricServerTest, NothingIsServedBeyondLoopbackUnlessTheAddressSaysSo) {
  const auto registry = NewMetricRegistry();
  for (const std::string address : {"0", "127.0.0.1:0", "localhost:0"}) {
    const auto server = ServeMetrics(*registry, address);
    ASSERT_EQ(server.status(), absl::OkStatus()) << address;
    EXPECT_NE(Get((*server)->port(), "/metrics"), "") << address;
    EXPECT_EQ(Get((*server)->port(), "/metrics", kOtherLoopback), "") << address;
  }
  const auto everywhere = ServeMetrics(*registry, "0.0.0.0:0");
  ASSERT_EQ(everywhere.status(), absl::OkStatus());
  EXPECT_NE(Get((*everywhere)->port(), "/metrics", kOtherLoopback), "");
}

TEST(MetricServerTest, SaysWhetherTheProcessTakesWork) {
  const auto registry = NewMetricRegistry();
  Readiness readiness;
  const auto server = ServeMetrics(*registry, "0", &readiness);
  const auto other = ServeMetrics(*registry, "0");
  ASSERT_TRUE(server.ok() && other.ok());
  const int port = (*server)->port();
  EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get(port, "/readyz"), HasSubstr("\r\n\r\nstarting\n"));
  readiness.Set(Readiness::State::kReady);
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 200"));
  readiness.Set(Readiness::State::kDraining);
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get(port, "/readyz"), HasSubstr("\r\n\r\ndraining\n"));
  EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200")) << "it lives while it drains";
  EXPECT_THAT(Get((*other)->port(), "/readyz"), StartsWith("HTTP/1.1 200"))
      << "each server has a readiness of its own";
  EXPECT_THAT(Get(port, "/metrics"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(port, "/"), HasSubstr(" 404 Not Found\r\n"));
}

TEST(MetricServerTest, SaysWhetherTheProcessIsStuck) {
  const auto registry = NewMetricRegistry();
  Readiness readiness;
  const auto server = ServeMetrics(*registry, "0", &readiness);
  ASSERT_EQ(server.status(), absl::OkStatus());
  const auto health = [&] { return Get((*server)->port(), "/healthz"); };
  EXPECT_THAT(health(), StartsWith("HTTP/1.1 200")) << "it has not begun";
  readiness.Turned(SteadyNow() - absl::Seconds(6));
  EXPECT_THAT(health(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(health(), HasSubstr("\r\n\r\nstuck\n"));
  readiness.Turned(SteadyNow());
  EXPECT_THAT(health(), StartsWith("HTTP/1.1 200"));
}

// Two of them kept the server's two threads for half a minute.
TEST(MetricServerTest, ConnectionsThatSayNothingDoNotKeepProbesWaiting) {
  const auto registry = NewMetricRegistry();
  const auto server = ServeMetrics(*registry, "0");
  ASSERT_EQ(server.status(), absl::OkStatus());
  const int port = (*server)->port();
  std::deque<Asker> silent;
  for (const int connections : {7, 9}) {  // fewer than its threads, and more
    while (silent.size() < static_cast<std::size_t>(connections)) silent.emplace_back(port);
    EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200")) << connections;
  }
}

TEST(MetricServerTest, APortInUseIsOneClearLine) {
  const auto registry = NewMetricRegistry();
  const ListeningSocket taken;
  const auto server = ServeMetrics(*registry, std::to_string(taken.port()));
  EXPECT_EQ(server.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("in use"));
  EXPECT_THAT(std::string(server.status().message()), testing::Not(HasSubstr("\n")));
}

TEST(MetricServerTest, AnAddressThatCannotBeReadIsRefused) {
  const auto registry = NewMetricRegistry();
  EXPECT_EQ(ServeMetrics(*registry, "metrics").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard
