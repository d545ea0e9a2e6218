// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/shared_memory.h"

#include <gtest/gtest.h>

namespace pinboard::transport {
namespace {

TEST(AllowsSharedMemoryTest, ReadsTheListAsUcxDoes) {
  for (const char* allows : {"all", "shm", "sm,self", "tcp,posix", "sysv,tcp", "mm,tcp", "^tcp",
                             "^posix", "^cma,knem"}) {
    EXPECT_TRUE(AllowsSharedMemory(allows)) << allows;
  }
  EXPECT_TRUE(AllowsSharedMemory(nullptr));
  for (const char* allows_not :
       {"tcp,self", "tcp", "rc,ud", "^shm", "^sm,tcp", "^mm", "^posix,sysv,xpmem"}) {
    EXPECT_FALSE(AllowsSharedMemory(allows_not)) << allows_not;
  }
}

}  // namespace
}  // namespace pinboard::transport
