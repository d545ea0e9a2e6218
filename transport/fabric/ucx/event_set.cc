// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/event_set.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace pinboard::transport {
namespace {

constexpr std::uint64_t kWakeToken = std::numeric_limits<std::uint64_t>::max();

}  // namespace

EventSet::EventSet()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  Add(wake_.get(), kWakeToken, Interest::kRead);
}

void EventSet::Add(int fd, std::uint64_t token, Interest interest) {
  epoll_event event{};
  event.events = interest == Interest::kRead ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
  event.data.u64 = token;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void EventSet::ChangeToRead(int fd, std::uint64_t token) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = token;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventSet::Remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventSet::Wake() {
  const std::uint64_t one = 1;
  static_cast<void>(!write(wake_.get(), &one, sizeof(one)));
}

const std::vector<std::uint64_t>& EventSet::Wait(absl::Duration timeout) {
  std::array<epoll_event, 64> events;
  const timespec limit =
      absl::ToTimespec(std::clamp(timeout, absl::ZeroDuration(), absl::Hours(1)));
  const int count = epoll_pwait2(epoll_.get(), events.data(), events.size(), &limit, nullptr);
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 != kWakeToken) {
      ready_.push_back(events[i].data.u64);
      continue;
    }
    std::uint64_t calls = 0;
    static_cast<void>(!read(wake_.get(), &calls, sizeof(calls)));
    woken_ = true;
  }
  return ready_;
}

bool EventSet::TakeWoken() { return std::exchange(woken_, false); }

}  // namespace pinboard::transport
