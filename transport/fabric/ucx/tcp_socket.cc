// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/tcp_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::transport {
namespace {

struct FreeAddrInfo {
  void operator()(addrinfo* info) const { freeaddrinfo(info); }
};
using AddrInfo = std::unique_ptr<addrinfo, FreeAddrInfo>;

absl::StatusOr<AddrInfo> Resolve(const std::string& address, int flags) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not an address: give host:port, as in 127.0.0.1:7400"));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot resolve \"", host, "\": ", gai_strerror(error)));
  }
  return AddrInfo(found);
}

std::string Describe(const sockaddr_storage& address, socklen_t length) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof(host), port,
              sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
  return address.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
}

UniqueFd OpenSocket(int family) {
  return UniqueFd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// A host that vanished without a word is noticed within about ten seconds.
void WatchLiveness(int fd) {
  const int on = 1;
  const int idle_s = 4;
  const int interval_s = 2;
  const int probes = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

absl::Status ErrnoStatus(int error, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", std::strerror(error));
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(
        absl::StrCat(what, ": the port is in use; choose another, or port 0 for any"));
  }
  if (error == EADDRNOTAVAIL || error == EACCES) return absl::InvalidArgumentError(message);
  return absl::UnavailableError(message);
}

}  // namespace

absl::StatusOr<AddressedSocket> ListenTcp(const std::string& address) {
  PB_ASSIGN_OR_RETURN(const AddrInfo info, Resolve(address, AI_PASSIVE));
  const std::string what = absl::StrCat("cannot listen at ", address);
  UniqueFd fd = OpenSocket(info->ai_family);
  const int on = 1;
  if (!fd.valid()) return ErrnoStatus(errno, what);
  // A restarted service may use its port again at once; a live listener still excludes it.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), info->ai_addr, info->ai_addrlen) != 0 || listen(fd.get(), 128) != 0) {
    return ErrnoStatus(errno, what);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  return AddressedSocket{std::move(fd), Describe(bound, length)};
}

absl::StatusOr<UniqueFd> StartConnectTcp(const std::string& address) {
  PB_ASSIGN_OR_RETURN(const AddrInfo info, Resolve(address, 0));
  UniqueFd fd = OpenSocket(info->ai_family);
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot connect to ", address));
  WatchLiveness(fd.get());
  if (connect(fd.get(), info->ai_addr, info->ai_addrlen) != 0 && errno != EINPROGRESS) {
    return ErrnoStatus(errno, absl::StrCat("cannot connect to ", address));
  }
  return fd;
}

absl::Status ConnectOutcome(int fd, const std::string& address) {
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) return absl::OkStatus();
  if (error == ECONNREFUSED) {
    return absl::UnavailableError(absl::StrCat("nobody listens at ", address));
  }
  return ErrnoStatus(error, absl::StrCat("cannot connect to ", address));
}

AddressedSocket AcceptTcp(int listening_fd) {
  sockaddr_storage from{};
  socklen_t length = sizeof(from);
  UniqueFd fd(accept4(listening_fd, reinterpret_cast<sockaddr*>(&from), &length,
                      SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) return {};
  WatchLiveness(fd.get());
  return {std::move(fd), Describe(from, length)};
}

}  // namespace pinboard::transport
