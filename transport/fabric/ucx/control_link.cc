// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/control_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/fnv1a.h"
#include "transport/fabric/ucx/shared_memory.h"

namespace pinboard::transport {
namespace {

constexpr std::uint32_t kMagic = 0x31464250;  // "PBF1"
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kHelloKind = 1;
constexpr std::uint16_t kGoodbyeKind = 2;

struct FrameHeader {
  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  std::uint16_t kind = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t unused = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(FrameHeader) == 24);

constexpr std::size_t kHelloFixedBytes = 4 + 4 + 64;

}  // namespace

absl::Status ControlLink::SendHello(const Hello& hello) {
  std::vector<std::byte> body(kHelloFixedBytes + hello.worker.size());
  std::memcpy(body.data(), &hello.peer_id, 4);
  std::memcpy(body.data() + 4, &hello.nonce, 4);
  std::memcpy(body.data() + 8, hello.host.data(), hello.host.size());
  std::copy(hello.worker.begin(), hello.worker.end(), body.begin() + kHelloFixedBytes);
  return Write(kHelloKind, body);
}

absl::Status ControlLink::SendGoodbye(const Goodbye& goodbye) {
  return Write(kGoodbyeKind,
               absl::MakeConstSpan(reinterpret_cast<const std::byte*>(&goodbye), sizeof(goodbye)));
}

absl::Status ControlLink::Write(std::uint16_t kind, absl::Span<const std::byte> body) const {
  const FrameHeader header{
      .kind = kind, .body_bytes = static_cast<std::uint32_t>(body.size()), .checksum = Fnv1a(body)};
  std::vector<std::byte> frame(sizeof(header) + body.size());
  std::memcpy(frame.data(), &header, sizeof(header));
  std::copy(body.begin(), body.end(), frame.begin() + sizeof(header));
  const ssize_t sent = send(fd(), frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(frame.size())) return absl::OkStatus();
  return absl::UnavailableError("the peer's connection is broken");
}

absl::Status ControlLink::Receive() {
  std::array<std::byte, 4096> chunk;
  while (true) {
    const ssize_t count = recv(fd(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count > 0) {
      received_.insert(received_.end(), chunk.begin(), chunk.begin() + count);
      PB_RETURN_IF_ERROR(Parse());
    } else if (count == 0) {
      return absl::UnavailableError("the peer closed its connection or died");
    } else if (errno == EAGAIN) {
      return absl::OkStatus();
    } else if (errno != EINTR) {
      return absl::UnavailableError(
          absl::StrCat("the peer's connection broke: ", std::strerror(errno)));
    }
  }
}

absl::Status ControlLink::Parse() {
  FrameHeader header;
  while (received_.size() >= sizeof(header)) {
    std::memcpy(&header, received_.data(), sizeof(header));
    if (header.magic != kMagic) return absl::InvalidArgumentError("not a Pinboard peer");
    if (header.version != kVersion) {
      return absl::InvalidArgumentError(absl::StrCat("the peer speaks version ", header.version,
                                                     " of the rendezvous, this is ", kVersion));
    }
    if (header.body_bytes > kMaxBodyBytes) return absl::InvalidArgumentError("frame too long");
    const std::size_t frame_bytes = sizeof(header) + header.body_bytes;
    if (received_.size() < frame_bytes) return absl::OkStatus();
    const auto body = absl::MakeConstSpan(received_).subspan(sizeof(header), header.body_bytes);
    if (header.checksum != Fnv1a(body)) return absl::InvalidArgumentError("damaged frame");
    PB_RETURN_IF_ERROR(ParseBody(header.kind, body));
    received_.erase(received_.begin(), received_.begin() + frame_bytes);
  }
  return absl::OkStatus();
}

absl::Status ControlLink::ParseBody(std::uint16_t kind, absl::Span<const std::byte> body) {
  if (kind == kHelloKind && body.size() > kHelloFixedBytes && !hello_) {
    Hello hello;
    std::memcpy(&hello.peer_id, body.data(), 4);
    std::memcpy(&hello.nonce, body.data() + 4, 4);
    std::memcpy(hello.host.data(), body.data() + 8, hello.host.size());
    hello.worker.assign(body.begin() + kHelloFixedBytes, body.end());
    hello_ = std::move(hello);
    return absl::OkStatus();
  }
  if (kind == kGoodbyeKind && body.size() == sizeof(Goodbye) && !goodbye_) {
    goodbye_.emplace();
    std::memcpy(&*goodbye_, body.data(), sizeof(Goodbye));
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("malformed frame");
}

std::optional<Hello> ControlLink::TakeHello() { return std::exchange(hello_, std::nullopt); }

std::optional<Goodbye> ControlLink::TakeGoodbye() { return std::exchange(goodbye_, std::nullopt); }

std::array<char, 64> HostIdentity() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  const auto inode_of = [](const char* path) {
    std::array<char, 32> target{};
    const ssize_t length = readlink(path, target.data(), target.size() - 1);
    const std::string name(target.data(), length > 0 ? length : 0);
    return name.substr(name.find('[') + 1, 10);
  };
  const std::string identity =
      absl::StrCat(boot, "/", inode_of("/proc/self/ns/ipc"), "/", inode_of("/proc/self/ns/pid"),
                   AllowsSharedMemory(std::getenv("UCX_TLS")) ? "" : "/-");
  std::array<char, 64> host{};
  std::copy_n(identity.begin(), std::min(identity.size(), host.size()), host.begin());
  return host;
}

}  // namespace pinboard::transport
