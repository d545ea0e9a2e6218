// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Frames that a peer sends over its TCP socket before UCX is told of it.
#include <sys/socket.h>

#include "tests/fuzz/fuzz_target.h"
#include "transport/fabric/ucx/control_link.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinboard::transport;  // NOLINT: ControlLink and its parts
  if (size > 65536) return 0;
  int ends[2];
  pinboard::fuzz::Require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair works");
  const UniqueFd peer(ends[0]);
  ControlLink link{UniqueFd(ends[1])};
  // In two pieces: a frame may be cut anywhere.
  const std::size_t cut = size == 0 ? 0 : data[0] % (size + 1);
  for (const auto& [begin, end] : {std::pair(std::size_t{0}, cut), {cut, size}}) {
    if (begin == end) continue;
    const ssize_t sent = send(peer.get(), data + begin, end - begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    pinboard::fuzz::Require(sent == static_cast<ssize_t>(end - begin), "the socket takes it whole");
    if (!link.Receive().ok()) return 0;
  }
  if (const auto hello = link.TakeHello()) {
    pinboard::fuzz::Require(!hello->worker.empty(), "a Hello has a worker address");
  }
  link.TakeGoodbye();
  return 0;
}
