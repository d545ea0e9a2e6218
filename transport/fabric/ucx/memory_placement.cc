// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/memory_placement.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/log.h"

namespace pinboard::transport {
namespace {

constexpr char kHugePageSetting[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
constexpr char kNodesWithMemory[] = "/sys/devices/system/node/has_memory";
constexpr int kMaxNodes = 1024;

std::string ReadLine(const char* path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

/// The whole small pages of `memory`, as the kernel wants them.
absl::Span<std::byte> WholePages(absl::Span<std::byte> memory) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t skipped = (page - begin % page) % page;
  if (skipped >= memory.size()) return {};
  return memory.subspan(skipped, (memory.size() - skipped) / page * page);
}

}  // namespace

bool GivesHugePages(const std::string& setting) {
  return absl::StrContains(setting, "[") && !absl::StrContains(setting, "[never]") &&
         !absl::StrContains(setting, "[deny]");
}

std::vector<int> ParseNodeList(const std::string& list) {
  std::vector<int> nodes;
  for (const absl::string_view range : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const std::vector<std::string> ends = absl::StrSplit(range, '-');
    int first = 0;
    int last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || first < 0 || last < first || last >= kMaxNodes) {
      return {};
    }
    for (int node = first; node <= last; ++node) nodes.push_back(node);
  }
  return nodes;
}

absl::Status AskForHugePages(absl::Span<std::byte> memory) {
  const absl::Span<std::byte> pages = WholePages(memory);
  if (!GivesHugePages(ReadLine(kHugePageSetting))) {
    return absl::UnavailableError(
        absl::StrCat("the kernel gives no huge pages to shared memory (write advise to ",
                     kHugePageSetting, ")"));
  }
  if (madvise(pages.data(), pages.size(), MADV_HUGEPAGE) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the kernel refuses them: ", std::strerror(errno)));
}

absl::Status InterleaveOver(const std::vector<int>& nodes, absl::Span<std::byte> memory) {
  constexpr int kBits = 8 * sizeof(unsigned long);
  unsigned long mask[kMaxNodes / kBits] = {};
  for (const int node : nodes) mask[node / kBits] |= 1UL << (node % kBits);
  const absl::Span<std::byte> pages = WholePages(memory);
  // The kernel takes one bit less than it is told.
  if (syscall(SYS_mbind, pages.data(), pages.size(), MPOL_INTERLEAVE, mask, kMaxNodes + 1, 0) ==
      0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(std::strerror(errno));
}

void PlaceSharedMemory(absl::Span<std::byte> memory) {
  if (memory.size() < kHugePageBytes) return;
  static std::atomic<bool> said = false;
  const bool say = !said.exchange(true);
  const absl::Status huge = AskForHugePages(memory);
  if (say && huge.ok()) LogInfo("shared memory is asked for on huge pages");
  if (say && !huge.ok()) {
    LogInfo("shared memory lies on small pages: ", std::string(huge.message()));
  }
  const std::vector<int> nodes = ParseNodeList(ReadLine(kNodesWithMemory));
  if (nodes.size() < 2) return;
  const absl::Status interleaved = InterleaveOver(nodes, memory);
  if (say && interleaved.ok()) LogInfo("shared memory is spread over ", nodes.size(), " nodes");
  if (say && !interleaved.ok()) {
    LogWarning("shared memory is not spread over the machine's ", nodes.size(),
               " memory nodes: ", std::string(interleaved.message()));
  }
}

}  // namespace pinboard::transport
