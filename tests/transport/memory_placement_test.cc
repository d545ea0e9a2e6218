// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/memory_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace pinboard::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Shared memory of this process that begins `offset` bytes into a page.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t offset) : offset_(offset) {
    start_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(start_, MAP_FAILED);
  }
  ~SharedMemory() { munmap(start_, kBytes); }
  absl::Span<std::byte> memory() const {
    return {static_cast<std::byte*>(start_) + offset_, kBytes - offset_};
  }
  void* second_page() const { return static_cast<std::byte*>(start_) + sysconf(_SC_PAGESIZE); }

 private:
  static constexpr std::size_t kBytes = 4 * kHugePageBytes;
  const std::size_t offset_;
  void* start_;
};

TEST(MemoryPlacementTest, TheKernelsSettingIsTheWordInBrackets) {
  EXPECT_TRUE(GivesHugePages("always within_size [advise] never deny force"));
  EXPECT_TRUE(GivesHugePages("[always] within_size advise never deny force"));
  EXPECT_FALSE(GivesHugePages("always within_size advise [never] deny force"));
  EXPECT_FALSE(GivesHugePages("always within_size advise never [deny] force"));
  EXPECT_FALSE(GivesHugePages(""));
}

TEST(MemoryPlacementTest, NodesComeAsRanges) {
  EXPECT_THAT(ParseNodeList("0"), ElementsAre(0));
  EXPECT_THAT(ParseNodeList("0-2,4"), ElementsAre(0, 1, 2, 4));
  for (const char* list : {"", "a", "0,2-1", "-1", "0-5000", "1-2-3"}) {
    EXPECT_THAT(ParseNodeList(list), IsEmpty()) << list;
  }
}

TEST(MemoryPlacementTest, HugePagesAreHadWhereTheKernelGivesThemElseTheErrorSaysWhatToDo) {
  const SharedMemory shared(100);
  std::string setting;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/shmem_enabled"), setting);
  const absl::Status asked = AskForHugePages(shared.memory());
  EXPECT_EQ(asked.ok(), GivesHugePages(setting)) << asked;
  if (asked.ok()) return;
  EXPECT_THAT(std::string(asked.message()), HasSubstr("shmem_enabled"));
}

TEST(MemoryPlacementTest, MemoryIsInterleavedOverTheNodesNamed) {
  const SharedMemory shared(100);
  const absl::Status interleaved = InterleaveOver({0}, shared.memory());
  int policy = -1;
  if (syscall(SYS_get_mempolicy, &policy, nullptr, 0, shared.second_page(), MPOL_F_ADDR) != 0) {
    GTEST_SKIP() << "this kernel or container tells no memory policies";
  }
  EXPECT_EQ(interleaved, absl::OkStatus());
  EXPECT_EQ(policy, MPOL_INTERLEAVE);
  EXPECT_FALSE(InterleaveOver({1023}, shared.memory()).ok());  // no such node
}

}  // namespace
}  // namespace pinboard::transport
