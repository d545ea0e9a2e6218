// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/shared_mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

namespace pinboard::transport {
namespace {

constexpr std::size_t kBytes = 8192;
constexpr uid_t kNobody = 65534;

SharedMapping Allocated() {
  auto mapping = SharedMapping::Allocate(kBytes);
  EXPECT_TRUE(mapping.ok()) << mapping.status();
  return *std::move(mapping);
}

absl::StatusCode MapCode(const SharedFile& file, std::size_t bytes = kBytes) {
  return SharedMapping::Map(file, bytes).status().code();
}

/// Gives the descriptor of `file` to another file.
void Replace(const SharedFile& file, int with) {
  ASSERT_EQ(dup2(with, static_cast<int>(file.fd)), static_cast<int>(file.fd));
}

/// A process that owns a mapping.
class Owner {
 public:
  Owner() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const auto mapping = SharedMapping::Allocate(kBytes);
      if (mapping.ok()) mapping->memory()[1] = std::byte{7};
      const SharedFile file = mapping.ok() ? mapping->file() : SharedFile{};
      if (write(ends[1], &file, sizeof(file)) != sizeof(file)) _exit(1);
      while (true) pause();
    }
    std::array<std::byte, sizeof(file_)> told{};
    EXPECT_EQ(read(ends[0], told.data(), told.size()), static_cast<ssize_t>(told.size()));
    std::memcpy(&file_, told.data(), told.size());
    close(ends[0]);
    close(ends[1]);
  }
  ~Owner() {
    Kill();
    waitpid(pid_, nullptr, 0);
  }
  const SharedFile& file() const { return file_; }
  /// Ended, and not yet collected by its parent.
  void Kill() const {
    kill(pid_, SIGKILL);
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT);
  }

 private:
  pid_t pid_ = -1;
  SharedFile file_;
};

TEST(SharedMappingTest, BothSidesSeeTheSameZeroesAndThenTheSameBytes) {
  const SharedMapping owned = Allocated();
  const auto mapped = SharedMapping::Map(owned.file(), kBytes);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  ASSERT_EQ(mapped->memory().size(), kBytes);
  EXPECT_NE(mapped->memory().data(), owned.memory().data());
  EXPECT_EQ(mapped->memory()[kBytes - 1], std::byte{0});
  owned.memory()[kBytes - 1] = std::byte{5};
  EXPECT_EQ(mapped->memory()[kBytes - 1], std::byte{5});
  mapped->memory()[0] = std::byte{6};
  EXPECT_EQ(owned.memory()[0], std::byte{6});
}

TEST(SharedMappingTest, WhatIsMappedOutlivesItsOwner) {
  const Owner owner;
  const auto mapped = SharedMapping::Map(owner.file(), kBytes);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  owner.Kill();
  EXPECT_EQ(mapped->memory()[1], std::byte{7});
}

TEST(SharedMappingTest, NobodyCanTakePagesAway) {
  const SharedMapping owned = Allocated();
  EXPECT_NE(ftruncate(static_cast<int>(owned.file().fd), 0), 0);
  owned.memory()[0] = std::byte{1};
}

TEST(SharedMappingTest, WhatWasFreedIsUnavailable) {
  const SharedFile freed = Allocated().file();
  EXPECT_EQ(MapCode(freed), absl::StatusCode::kUnavailable);
}

TEST(SharedMappingTest, AnOwnerThatDiedIsUnavailableCollectedOrNot) {
  SharedFile file;
  {
    const Owner owner;
    file = owner.file();
    owner.Kill();
    EXPECT_EQ(MapCode(file), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(MapCode(file), absl::StatusCode::kUnavailable);
}

TEST(SharedMappingTest, AnotherFileUnderTheSameNumberIsNotMapped) {
  const SharedMapping owned = Allocated();
  const SharedMapping other = Allocated();
  SharedFile file = owned.file();
  Replace(file, static_cast<int>(other.file().fd));
  EXPECT_EQ(MapCode(file), absl::StatusCode::kUnavailable);
  file.inode = other.file().inode;  // inodes are used again too
  EXPECT_EQ(MapCode(file), absl::StatusCode::kUnavailable);
  file.nonce = other.file().nonce;
  EXPECT_EQ(MapCode(file), absl::StatusCode::kOk);
  EXPECT_EQ(MapCode(file, kBytes / 2), absl::StatusCode::kUnavailable);
  ++file.inode;
  EXPECT_EQ(MapCode(file), absl::StatusCode::kUnavailable);
}

TEST(SharedMappingTest, APipeUnderTheSameNumberIsNotWaitedFor) {
  const SharedMapping owned = Allocated();
  const std::string path = ::testing::TempDir() + "pinboard-pipe-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int pipe = open(path.c_str(), O_PATH);
  Replace(owned.file(), pipe);
  EXPECT_EQ(MapCode(owned.file()), absl::StatusCode::kUnavailable);
  close(pipe);
  unlink(path.c_str());
}

TEST(SharedMappingTest, AFileThatCouldShrinkIsRefused) {
  const int fd = memfd_create("pinboard-00000000000000ff", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(fd, kBytes), 0);
  struct stat made {};
  fstat(fd, &made);
  const SharedFile file{.pid = static_cast<std::uint32_t>(getpid()),
                        .fd = static_cast<std::uint32_t>(fd),
                        .inode = made.st_ino,
                        .nonce = 0xff};
  EXPECT_EQ(MapCode(file), absl::StatusCode::kInvalidArgument);
  close(fd);
}

TEST(SharedMappingTest, AnotherUsersIsDeniedWhileItsOwnerLives) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be another user for a moment";
  const Owner owner;
  setfsuid(kNobody);
  EXPECT_EQ(MapCode(owner.file()), absl::StatusCode::kPermissionDenied);
  owner.Kill();
  EXPECT_EQ(MapCode(owner.file()), absl::StatusCode::kUnavailable);
  setfsuid(0);
}

}  // namespace
}  // namespace pinboard::transport
