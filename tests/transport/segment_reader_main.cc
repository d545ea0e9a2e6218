// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A process that reads and writes an owner's segment (segment_owner_main.cc, its address is the
// argument) without end, many pages at once; prints a line once it has begun.
#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "transport/fabric/ucx/ucx_fabric.h"

int main(int argc, char** argv) {
  using namespace pinboard::transport;  // NOLINT: a program of one function
  constexpr int kPages = 64;
  constexpr std::size_t kPageBytes = 16384;
  auto fabric = MakeUcxFabric();
  if (argc != 2 || !fabric.ok()) return 1;
  std::unique_ptr<RemoteSegment> segment;
  (*fabric)->OnMessage(1, [&](PeerId peer, absl::Span<const std::byte> key) {
    if (auto mapped = (*fabric)->Map(peer, key); mapped.ok()) segment = *std::move(mapped);
    (*fabric)->Send(peer, /*lend me*/ 4, {}, nullptr);
  });
  if (!(*fabric)->Connect(argv[1], absl::Now() + absl::Seconds(30)).ok()) return 1;
  while (segment == nullptr) (*fabric)->WaitUntil(absl::InfiniteFuture());
  std::vector<std::byte> pages(kPages * kPageBytes);
  int under_way = 0;
  const auto ended = [&under_way](const absl::Status&) { --under_way; };
  std::puts("reading");
  std::fflush(stdout);
  while (true) {
    for (int page = 0; page < kPages && under_way < kPages; ++page, ++under_way) {
      const absl::Span<std::byte> bytes =
          absl::MakeSpan(pages).subspan(page * kPageBytes, kPageBytes);
      if (page % 2 == 0) {
        (*fabric)->Get(*segment, page * kPageBytes, bytes, ended);
      } else {
        (*fabric)->Put(*segment, page * kPageBytes, bytes, ended);
      }
    }
    (*fabric)->WaitUntil(absl::InfiniteFuture());
  }
}
