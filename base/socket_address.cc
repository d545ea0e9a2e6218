// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

constexpr char kLoopback[] = "127.0.0.1";

absl::Status BadAddress(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read the address '", text,
                   "': write IP:PORT or PORT, e.g. 127.0.0.1:9464, with a port of 0 to 65535"));
}

bool IsIpv6(const std::string& host) { return host.find(':') != std::string::npos; }

bool IsIpLiteral(const std::string& host) {
  in6_addr unused;
  return inet_pton(IsIpv6(host) ? AF_INET6 : AF_INET, host.c_str(), &unused) == 1;
}

struct RawAddress {
  sockaddr_storage storage = {};
  socklen_t bytes = 0;
};

RawAddress ToRaw(const SocketAddress& address) {
  RawAddress raw;
  if (IsIpv6(address.host)) {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
    raw.bytes = sizeof(v6);
    std::memcpy(&raw.storage, &v6, sizeof(v6));
  } else {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr);
    raw.bytes = sizeof(v4);
    std::memcpy(&raw.storage, &v4, sizeof(v4));
  }
  return raw;
}

absl::Status ListenError(const SocketAddress& address, int error) {
  const std::string where = address.ToString();
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat(
          where, " is in use by another process: stop it, or choose another port (0 picks one)"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("this user may not listen on ", where, ": choose a port above 1023"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(
          absl::StrCat(where, " is not an address of this machine: use one that is, or 127.0.0.1"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", where, ": ", std::strerror(error)));
  }
}

}  // namespace

std::string SocketAddress::ToString() const {
  return IsIpv6(host) ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

bool SocketAddress::is_loopback() const { return absl::StartsWith(host, "127.") || host == "::1"; }

absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text) {
  const auto colon = text.rfind(':');
  const bool has_host = colon != absl::string_view::npos;
  const absl::string_view port_text = has_host ? text.substr(colon + 1) : text;
  absl::string_view host = has_host ? text.substr(0, colon) : "";

  int port = 0;
  if (!absl::SimpleAtoi(port_text, &port) || port < 0 || port > 65535) return BadAddress(text);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (host.empty() || host == "localhost") host = kLoopback;

  SocketAddress address{.host = std::string(host), .port = static_cast<std::uint16_t>(port)};
  if (!IsIpLiteral(address.host) || IsIpv6(address.host) != bracketed) return BadAddress(text);
  return address;
}

absl::Status CheckCanListen(const SocketAddress& address) {
  const RawAddress raw = ToRaw(address);
  const int fd = socket(raw.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ListenError(address, errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool ok = bind(fd, reinterpret_cast<const sockaddr*>(&raw.storage), raw.bytes) == 0 &&
                  listen(fd, 1) == 0;
  const int error = errno;
  close(fd);
  return ok ? absl::OkStatus() : ListenError(address, error);
}

}  // namespace pinboard
