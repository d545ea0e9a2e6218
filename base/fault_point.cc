// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/fault_point.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace pinboard {
namespace internal {

std::atomic<bool> fault_points_armed = false;

}  // namespace internal

namespace {

enum class Action { kKill, kStop, kDelay };

struct Fault {
  std::string point;
  Action action = Action::kKill;
  std::uint64_t passage = 1;
  absl::Duration delay;
  std::atomic<std::uint64_t> passed = 0;
};

/// Written before the points are armed, read ever after.
std::vector<std::unique_ptr<Fault>>& Faults() {
  static auto& faults = *new std::vector<std::unique_ptr<Fault>>;
  return faults;
}

void Act(const Fault& fault) {
  switch (fault.action) {
    case Action::kKill:
      kill(getpid(), SIGKILL);
      break;
    case Action::kStop:
      kill(getpid(), SIGSTOP);
      break;
    case Action::kDelay:
      absl::SleepFor(fault.delay);
      break;
  }
}

absl::Status ParseAction(const std::string& text, Fault* fault) {
  std::vector<std::string> parts = absl::StrSplit(text, ':');
  std::uint64_t passage = 0;
  if (absl::SimpleAtoi(parts[0], &passage) && passage > 0) {
    fault->passage = passage;
    parts.erase(parts.begin());
  }
  int milliseconds = 0;
  if (parts == std::vector<std::string>{"kill"}) {
    fault->action = Action::kKill;
  } else if (parts == std::vector<std::string>{"stop"}) {
    fault->action = Action::kStop;
  } else if (parts.size() == 2 && parts[0] == "delay" &&
             absl::SimpleAtoi(parts[1], &milliseconds)) {
    fault->action = Action::kDelay;
    fault->delay = absl::Milliseconds(milliseconds);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no action: kill, stop, delay:MS, or N: and one of them"));
  }
  return absl::OkStatus();
}

}  // namespace

void internal::PassFaultPoint(const char* name) {
  for (const std::unique_ptr<Fault>& fault : Faults()) {
    if (fault->point != name) continue;
    if (fault->passed.fetch_add(1) + 1 == fault->passage) Act(*fault);
  }
}

absl::Status ArmFaultPoints(absl::Span<const char* const> known) {
  const char* text = std::getenv("PINBOARD_FAULT");
  if (text == nullptr) return absl::OkStatus();
  std::vector<std::unique_ptr<Fault>> faults;
  for (const absl::string_view entry : absl::StrSplit(text, ',')) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    auto fault = std::make_unique<Fault>();
    fault->point = parts.first;
    if (std::find(known.begin(), known.end(), fault->point) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat("PINBOARD_FAULT: there is no point \"",
                                                     fault->point, "\"; there are ",
                                                     absl::StrJoin(known, ", ")));
    }
    const absl::Status parsed = ParseAction(parts.second, fault.get());
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("PINBOARD_FAULT: ", parsed.message()));
    }
    faults.push_back(std::move(fault));
  }
  Faults() = std::move(faults);
  internal::fault_points_armed.store(true);
  return absl::OkStatus();
}

}  // namespace pinboard
