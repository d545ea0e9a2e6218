// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/packet_relay.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace pinboard::testing {
namespace {

constexpr std::size_t kLongestPacket = 65536;

/// The node that an IPv4 packet is for (NetworkNode::HostName).
std::optional<int> DestinationOf(const std::vector<std::byte>& packet, std::size_t nodes) {
  constexpr std::size_t kHeader = 20;
  if (packet.size() < kHeader || std::to_integer<int>(packet[0]) >> 4 != 4) return std::nullopt;
  const int node = std::to_integer<int>(packet[kHeader - 1]) - 1;
  if (node < 0 || node >= static_cast<int>(nodes)) return std::nullopt;
  return node;
}

}  // namespace

PacketRelay::PacketRelay(std::vector<int> nodes, std::uint32_t seed)
    : nodes_(std::move(nodes)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      random_(seed),
      thread_([this] { Run(); }) {}

PacketRelay::~PacketRelay() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  close(wake_);
}

void PacketRelay::Set(int from, int to, const Link& link) {
  absl::MutexLock lock(&mutex_);
  links_[{from, to}] = link;
}

void PacketRelay::Run() {
  while (true) {
    for (int node = 0; node < static_cast<int>(nodes_.size()); ++node) Read(node);
    Deliver(SteadyNow());
    {
      absl::MutexLock lock(&mutex_);
      if (stop_) return;
    }
    Sleep();
  }
}

void PacketRelay::Read(int from) {
  static thread_local std::array<std::byte, kLongestPacket> buffer;
  constexpr int kPacketsAtOnce = 64;  // then the others'
  for (int i = 0; i < kPacketsAtOnce; ++i) {
    const ssize_t bytes = read(nodes_[from], buffer.data(), buffer.size());
    if (bytes <= 0) return;
    Packet packet(buffer.begin(), buffer.begin() + bytes);
    const std::optional<int> to = DestinationOf(packet, nodes_.size());
    if (!to.has_value()) continue;
    Link link;
    {
      absl::MutexLock lock(&mutex_);
      link = links_[{from, *to}];
    }
    if (link.cut || (link.loss > 0 && random_.Uniform(0, 1) < link.loss)) continue;
    under_way_.emplace(SteadyNow() + link.delay, std::pair{*to, std::move(packet)});
  }
}

void PacketRelay::Deliver(absl::Time now) {
  while (!under_way_.empty() && under_way_.begin()->first <= now) {
    const auto& [to, packet] = under_way_.begin()->second;
    // A queue that is full drops packets, as any does.
    [[maybe_unused]] const ssize_t written = write(nodes_[to], packet.data(), packet.size());
    under_way_.erase(under_way_.begin());
  }
}

void PacketRelay::Sleep() {
  std::vector<pollfd> polled;
  for (const int node : nodes_) polled.push_back({node, POLLIN, 0});
  polled.push_back({wake_, POLLIN, 0});
  timespec timeout{};
  if (!under_way_.empty()) {
    const absl::Duration left = under_way_.begin()->first - SteadyNow();
    timeout = absl::ToTimespec(std::max(left, absl::ZeroDuration()));
  }
  ppoll(polled.data(), polled.size(), under_way_.empty() ? nullptr : &timeout, nullptr);
}

}  // namespace pinboard::testing
