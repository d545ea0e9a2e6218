// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Hosts of a test, and the links between them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/fault/network_node.h"
#include "tests/fault/packet_relay.h"

namespace pinboard::testing {

/// Requires CheckMayMakeNetworks. What runs on its nodes ends before it does.
class TestNetwork {
 public:
  TestNetwork(int nodes, std::uint32_t seed) {
    std::vector<int> packets;
    for (int i = 0; i < nodes; ++i) {
      nodes_.push_back(std::make_unique<NetworkNode>(i));
      packets.push_back(nodes_.back()->packets());
    }
    relay_ = std::make_unique<PacketRelay>(std::move(packets), seed);
  }

  NetworkNode& node(int index) { return *nodes_[index]; }
  PacketRelay& relay() { return *relay_; }

 private:
  std::vector<std::unique_ptr<NetworkNode>> nodes_;
  std::unique_ptr<PacketRelay> relay_;  // reads what the nodes send: ends before them
};

}  // namespace pinboard::testing
