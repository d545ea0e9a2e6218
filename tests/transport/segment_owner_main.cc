// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A process that lends a segment: prints where it listens, sends every peer the segment's key, and
// sends the segment's bytes back when asked.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "transport/fabric/ucx/ucx_fabric.h"

int main() {
  using namespace pinboard::transport;  // NOLINT: a program of one function
  auto fabric = MakeUcxFabric();
  if (!fabric.ok()) return 1;
  auto segment = (*fabric)->Allocate(1 << 20);
  const auto address = (*fabric)->Listen("127.0.0.1:0");
  if (!segment.ok() || !address.ok()) return 1;
  (*fabric)->OnAccepted(
      [&](PeerId peer) { (*fabric)->Send(peer, 1, (*segment)->remote_key(), nullptr); });
  (*fabric)->OnMessage(
      4, [&](PeerId peer, absl::Span<const std::byte>) { (*fabric)->Lend(peer, **segment); });
  (*fabric)->OnMessage(2, [&](PeerId peer, absl::Span<const std::byte>) {
    (*fabric)->Send(peer, 3, (*segment)->memory(), nullptr);
  });
  std::puts(address->c_str());
  std::fflush(stdout);
  while (true) (*fabric)->WaitUntil(absl::InfiniteFuture());
}
