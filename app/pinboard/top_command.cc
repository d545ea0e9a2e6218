// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "app/top/service_watcher.h"
#include "app/top/terminal.h"
#include "app/top/top_screen.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr char kUsage[] =
    R"(pinboard top - what running pinboardds do, on a screen that follows.

  pinboard top --service 10.0.0.5:7700,10.0.0.6:7700
  pinboard top --count 3 > top.txt

Each service is a client's block: how full its arena is, then what it did a second between the last
two looks: hits and misses by cause, pages published, pages that left by cause, how long it worked
on a message. A service that is gone is shown as gone until it is back. q or Ctrl-C ends it. Where
standard output is no terminal, one screen after the other is written as plain text.

)";

constexpr double kShortestInterval = 0.1;
constexpr double kLongestInterval = 3600;
constexpr absl::Duration kFirstLook = absl::Seconds(1);
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);
constexpr int kSignalled = 128;

struct TopFlags {
  std::string services = "127.0.0.1:7700";
  std::string service_key;
  double interval = 1;
  int count = 0;
  bool help = false;
};

FlagTable MakeTable(TopFlags* flags) {
  FlagTable table("pinboard top");
  table.Text("service", "HOST:PORT,...", "Where pinboardds listen.", &flags->services);
  table.Text("service-key", "FILE", "The tenant's key, for pinboardds that have --keys.",
             &flags->service_key);
  table.Real("interval", "SECONDS", "Between two looks.", &flags->interval);
  table.Int("count", "N", "End after so many; 0: on q or Ctrl-C.", 0, 1'000'000, &flags->count);
  table.Switch("help", "Show this.", &flags->help);
  return table;
}

absl::StatusOr<std::vector<std::string>> Validate(const TopFlags& flags) {
  if (!(flags.interval >= kShortestInterval && flags.interval <= kLongestInterval)) {
    return absl::InvalidArgumentError(absl::StrCat("--interval is ", flags.interval, ": use ",
                                                   kShortestInterval, " to ", kLongestInterval,
                                                   " seconds"));
  }
  return ParseServices(flags.services);
}

class Top {
 public:
  Top(const TopFlags& flags, const std::vector<std::string>& services,
      const std::optional<cache_service::Credentials>& credentials)
      : flags_(flags), interval_(absl::Seconds(flags.interval)) {
    for (const std::string& service : services) {
      watchers_.push_back(std::make_unique<ServiceWatcher>(service, credentials, interval_));
    }
  }

  /// The exit code. Unavailable: the screen cannot be written.
  absl::StatusOr<int> Run(const Terminal& terminal) {
    TerminalEvent event = WaitForFirstLook(terminal);
    for (int shown = 1; !event.ends(); ++shown) {
      const absl::Time now = SteadyNow();
      PB_RETURN_IF_ERROR(
          terminal.Draw(TopScreen(absl::Now(), Views(), terminal.columns(), terminal.rows())));
      if (shown == flags_.count) return 0;
      event = terminal.WaitUntil(now + interval_);
    }
    return event.signal == 0 ? 0 : kSignalled + event.signal;
  }

 private:
  std::vector<ServiceView> Views() const {
    std::vector<ServiceView> views;
    for (const auto& watcher : watchers_) views.push_back(watcher->view());
    return views;
  }
  TerminalEvent WaitForFirstLook(const Terminal& terminal) const {
    const absl::Time deadline = SteadyNow() + kFirstLook;
    TerminalEvent event;
    const auto unknown = [](const ServiceView& view) { return !view.now && view.gone.empty(); };
    while (!event.ends() && SteadyNow() < deadline) {
      const std::vector<ServiceView> views = Views();
      if (std::none_of(views.begin(), views.end(), unknown)) break;
      event = terminal.WaitUntil(SteadyNow() + kLookAgain);
    }
    return event;
  }

  const TopFlags& flags_;
  const absl::Duration interval_;
  std::vector<std::unique_ptr<ServiceWatcher>> watchers_;
};

}  // namespace

int TopCommand(absl::Span<const std::string> arguments) {
  TopFlags flags;
  const FlagTable table = MakeTable(&flags);
  if (const absl::Status parsed = table.Parse(arguments); !parsed.ok()) return UsageError(parsed);
  if (flags.help) {
    std::printf("%s%s", kUsage, table.Help().c_str());
    return 0;
  }
  const auto services = Validate(flags);
  if (!services.ok()) return UsageError(services.status());
  const auto credentials = ReadServiceKey(flags.service_key);
  if (!credentials.ok()) return UsageError(credentials.status());
  signal(SIGPIPE, SIG_IGN);
  InitLog("pinboard top", LogLevel::kOff);  // what goes wrong is shown
  const auto code = [&] {
    const Terminal terminal;
    return Top(flags, *services, *credentials).Run(terminal);
  }();
  return code.ok() ? *code : RunError(code.status());
}

}  // namespace pinboard::app
