// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/ucx_transports.h"

#include "gtest/gtest.h"

namespace pinboard::transport {
namespace {

TEST(UcxTransports, ReliableInfiniBandReachesMemoryAndSocketsAndDatagramsDoNot) {
  EXPECT_TRUE(
      NamesReliableRdma("#                 lane[0]:  3:rc_mlx5/mlx5_0:1.0 md[2]     -> "
                        "md[2]/ib/sysdev[0] am am_bw#0\n"));
  EXPECT_TRUE(NamesReliableRdma(
      "#                 lane[0]:  1:tcp/eth0.0 md[1]             -> md[1]/tcp/sysdev[255] wireup\n"
      "#                 lane[1]:  5:dc_mlx5/mlx5_0:1.0 md[2]     -> md[2]/ib/sysdev[0] am "
      "rma_bw#0\n"));
  EXPECT_FALSE(
      NamesReliableRdma("#                 lane[0]:  4:ud_verbs/mlx5_0:1.0 md[2]    -> "
                        "md[2]/ib/sysdev[0] am am_bw#0\n"
                        "#                 lane[1]:  1:tcp/lo.0 md[1]               -> "
                        "md[1]/tcp/sysdev[255] wireup\n"));
}

}  // namespace
}  // namespace pinboard::transport
