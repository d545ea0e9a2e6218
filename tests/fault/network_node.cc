// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/network_node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace pinboard::testing {
namespace {

constexpr int kMtu = 9000;

absl::Status Failed(const char* what) { return absl::ErrnoToStatus(errno, what); }

ifreq Request(const char* name) {
  ifreq request{};
  std::snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  return request;
}

void SetAddress(ifreq& request, const std::string& address) {
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  in->sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &in->sin_addr);
}

absl::Status BringUp(int socket, const char* name) {
  ifreq request = Request(name);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(socket, SIOCSIFFLAGS, &request) == 0 ? absl::OkStatus() : Failed("bring up");
}

absl::Status Configure(int socket, const std::string& address) {
  ifreq request = Request(NetworkNode::kInterface);
  SetAddress(request, address);
  if (ioctl(socket, SIOCSIFADDR, &request) != 0) return Failed("set an address");
  SetAddress(request, "255.255.255.0");
  if (ioctl(socket, SIOCSIFNETMASK, &request) != 0) return Failed("set a netmask");
  request = Request(NetworkNode::kInterface);
  request.ifr_mtu = kMtu;
  if (ioctl(socket, SIOCSIFMTU, &request) != 0) return Failed("set an MTU");
  if (absl::Status up = BringUp(socket, "lo"); !up.ok()) return up;
  return BringUp(socket, NetworkNode::kInterface);
}

/// Moves the calling thread into namespaces of its own, for good. UCX finds interfaces in /sys.
absl::Status LeaveForNewNode() {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return Failed("make a network namespace");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/sys", "sysfs", 0, nullptr) != 0) {
    return Failed("mount /sys of a network namespace");
  }
  return absl::OkStatus();
}

/// In a new node; the packets' descriptor.
absl::StatusOr<int> MakeInterface(const std::string& address) {
  const int packets = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (packets < 0) return Failed("open /dev/net/tun");
  ifreq request = Request(NetworkNode::kInterface);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  const int configuring = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  absl::Status status = ioctl(packets, TUNSETIFF, &request) == 0 ? Configure(configuring, address)
                                                                 : Failed("make a TUN interface");
  close(configuring);
  if (status.ok()) return packets;
  close(packets);
  return status;
}

absl::StatusOr<int> BecomeNode(int index) {
  if (absl::Status left = LeaveForNewNode(); !left.ok()) return left;
  return MakeInterface(NetworkNode::HostName(index));
}

}  // namespace

absl::Status CheckMayMakeNetworks() {
  absl::Status status;
  std::thread([&status] {
    const absl::StatusOr<int> packets = BecomeNode(0);
    if (packets.ok()) close(*packets);
    status = packets.status();
  }).join();
  return status;
}

std::string NetworkNode::HostName(int index) { return absl::StrCat("10.77.0.", index + 1); }

NetworkNode::NetworkNode(int index) : thread_([this, index] { Live(index); }) {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ready_));
}

NetworkNode::~NetworkNode() {
  {
    absl::MutexLock lock(&mutex_);
    end_ = true;
  }
  thread_.join();
  close(packets_);
}

void NetworkNode::Live(int index) {
  const absl::StatusOr<int> packets = BecomeNode(index);
  if (!packets.ok()) {
    std::fprintf(stderr, "%s\n", packets.status().ToString().c_str());
    std::abort();
  }
  packets_ = *packets;
  absl::MutexLock lock(&mutex_);
  ready_ = true;
  const auto called = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return task_ || end_; };
  while (true) {
    mutex_.Await(absl::Condition(&called));
    if (end_) return;
    task_();
    task_ = nullptr;
  }
}

void NetworkNode::Run(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  task_ = std::move(task);
  const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return task_ == nullptr; };
  mutex_.Await(absl::Condition(&done));
}

}  // namespace pinboard::testing
