// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/shared_mapping.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::transport {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::string NameOf(const SharedFile& file) {
  return absl::StrCat("pinboard-", absl::Hex(file.nonce, absl::kZeroPad16));
}

std::string OwnPath(const UniqueFd& fd) { return absl::StrCat("/proc/self/fd/", fd.get()); }

absl::Status CannotAllocate(std::size_t bytes, int error) {
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot allocate a segment of ", bytes >> 20, " MiB: ", std::strerror(error)));
}

absl::Status CannotMap(const SharedFile& file, absl::StatusCode code, absl::string_view why) {
  return absl::Status(
      code, absl::StrCat("cannot map a segment of process ", file.pid, " on this host: ", why));
}

absl::StatusOr<absl::Span<std::byte>> MapWhole(const UniqueFd& fd, std::size_t bytes) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (start == MAP_FAILED) return absl::ResourceExhaustedError(std::strerror(errno));
  return absl::MakeSpan(static_cast<std::byte*>(start), bytes);
}

// A process that is ending has let go of its memory before its files, and belongs to root from then
// on. One of another user may be hidden altogether.
bool Lives(std::uint32_t pid) {
  std::ifstream sizes(absl::StrCat("/proc/", pid, "/statm"));
  std::uint64_t pages = 0;
  if (sizes >> pages) return pages > 0;
  return kill(static_cast<pid_t>(pid), 0) != 0 && errno == EPERM;
}

absl::Status NotFound(const SharedFile& file, int error) {
  if (error == EMFILE || error == ENFILE || error == ENOMEM) {
    return CannotMap(file, absl::StatusCode::kResourceExhausted, std::strerror(error));
  }
  const bool hidden = access(absl::StrCat("/proc/", file.pid).c_str(), F_OK) != 0;
  if ((hidden || error == EACCES || error == EPERM) && Lives(file.pid)) {
    return CannotMap(file, absl::StatusCode::kPermissionDenied,
                     "its files are shown to others only (run both as one user)");
  }
  return CannotMap(file, absl::StatusCode::kUnavailable, "it has died or freed it");
}

bool Is(const UniqueFd& fd, const SharedFile& file, std::size_t bytes) {
  struct stat found {};
  if (fstat(fd.get(), &found) != 0 || found.st_ino != file.inode || found.st_size < 0 ||
      static_cast<std::size_t>(found.st_size) != bytes) {
    return false;
  }
  std::array<char, 64> target{};
  const ssize_t length = readlink(OwnPath(fd).c_str(), target.data(), target.size());
  return length > 0 && absl::string_view(target.data(), static_cast<std::size_t>(length)) ==
                           absl::StrCat("/memfd:", NameOf(file), " (deleted)");
}

}  // namespace

SharedMapping::~SharedMapping() {
  if (!memory_.empty()) munmap(memory_.data(), memory_.size());
}

absl::StatusOr<SharedMapping> SharedMapping::Allocate(std::size_t bytes) {
  SharedFile file{.pid = static_cast<std::uint32_t>(getpid())};
  if (getrandom(&file.nonce, sizeof(file.nonce), 0) != sizeof(file.nonce)) {
    return absl::InternalError(absl::StrCat("getrandom: ", std::strerror(errno)));
  }
  UniqueFd fd(memfd_create(NameOf(file).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return CannotAllocate(bytes, errno);
  }
  struct stat made {};
  if (fstat(fd.get(), &made) != 0) return CannotAllocate(bytes, errno);
  file.fd = static_cast<std::uint32_t>(fd.get());
  file.inode = made.st_ino;
  PB_ASSIGN_OR_RETURN(const absl::Span<std::byte> memory, MapWhole(fd, bytes));
  return SharedMapping(std::move(fd), memory, file);
}

absl::StatusOr<SharedMapping> SharedMapping::Map(const SharedFile& file, std::size_t bytes) {
  const std::string path = absl::StrCat("/proc/", file.pid, "/fd/", file.fd);
  // Looked at before it is opened: another file's opening may have effects of its own, or block.
  const UniqueFd seen(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!seen.valid()) return NotFound(file, errno);
  if (!Is(seen, file, bytes)) {
    return CannotMap(file, absl::StatusCode::kUnavailable, "it has died or freed it");
  }
  const UniqueFd opened(open(OwnPath(seen).c_str(), O_RDWR | O_CLOEXEC));
  if (!opened.valid()) return NotFound(file, errno);
  if ((fcntl(opened.get(), F_GET_SEALS) & kSeals) != kSeals) {
    return CannotMap(file, absl::StatusCode::kInvalidArgument, "its size is not sealed");
  }
  PB_ASSIGN_OR_RETURN(const absl::Span<std::byte> memory, MapWhole(opened, bytes));
  return SharedMapping(UniqueFd(), memory, file);
}

}  // namespace pinboard::transport
