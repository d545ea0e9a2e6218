// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/memory_limit.h"

#include <filesystem>
#include <fstream>
#include <limits>

#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace pinboard::transport {
namespace {

class MemoryLimitTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_.path() + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
    return file;
  }
  void Limit(const std::string& group, const std::string& most, const std::string& used) {
    Write("groups" + group + "/memory.max", most);
    Write("groups" + group + "/memory.current", used);
  }
  std::uint64_t Headroom(const std::string& membership) {
    return ControlGroupHeadroom(Write("cgroup", membership), folder_.path() + "/groups");
  }

  TemporaryFolder folder_;
};

// As a container sees its own group: where all groups are mounted.
TEST_F(MemoryLimitTest, TheGroupsOwnLimitCounts) {
  Limit("", "1000", "400");
  EXPECT_EQ(Headroom("0::/"), 600);
}

TEST_F(MemoryLimitTest, WhatIsKeptOfFilesThatAreNotInUseCanBeTaken) {
  Limit("", "1000", "900");
  Write("groups/memory.stat", "anon 250\nfile 650\ninactive_file 600\nactive_file 50");
  EXPECT_EQ(Headroom("0::/"), 700);
}

// As under systemd, whose unit has MemoryMax.
TEST_F(MemoryLimitTest, TheLeastOfAllGroupsAroundItCounts) {
  Limit("/system.slice", "5000", "4800");
  Limit("/system.slice/pinboardd.service", "max", "30");
  Limit("/other.slice", "10", "10");
  EXPECT_EQ(Headroom("1:name=systemd:/\n0::/system.slice/pinboardd.service"), 200);
  Limit("/system.slice/pinboardd.service", "100", "30");
  EXPECT_EQ(Headroom("0::/system.slice/pinboardd.service"), 70);
  Limit("/system.slice/pinboardd.service", "20", "30");
  EXPECT_EQ(Headroom("0::/system.slice/pinboardd.service"), 0);
}

TEST_F(MemoryLimitTest, WithoutLimitsThereIsNone) {
  constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(Headroom("0::/not/seen/here"), kUnlimited);
  EXPECT_EQ(Headroom("1:memory:/version/1"), kUnlimited);
  EXPECT_EQ(ControlGroupHeadroom(folder_.path() + "/none", folder_.path() + "/none"), kUnlimited);
}

}  // namespace
}  // namespace pinboard::transport
