// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/host_registration.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>

#include "base/cuda/pointer_kind.h"

namespace pinboard::cuda {
namespace {

constexpr std::size_t kBytes = std::size_t{1} << 20;

/// Shared memory that CUDA did not allocate.
class HostRegistrationTest : public testing::Test {
 protected:
  HostRegistrationTest()
      : memory_(static_cast<std::byte*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
                kBytes) {}
  ~HostRegistrationTest() override { munmap(memory_.data(), kBytes); }

  absl::Span<std::byte> memory_;
};

__global__ void AddOne(std::byte* bytes, std::size_t count) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) {
    bytes[i] = static_cast<std::byte>(static_cast<unsigned>(bytes[i]) + 1U);
  }
}

TEST_F(HostRegistrationTest, AKernelReadsAndWritesAtTheHostsAddresses) {
  const auto registration = HostRegistration::Make(0, memory_);
  ASSERT_EQ(registration.status(), absl::OkStatus());
  for (std::size_t i = 0; i < kBytes; ++i) memory_[i] = static_cast<std::byte>(i * 7);
  AddOne<<<1, 1024>>>(memory_.data(), kBytes);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  for (std::size_t i = 0; i < kBytes; ++i) {
    ASSERT_EQ(memory_[i], static_cast<std::byte>(i * 7 + 1)) << i;
  }
}

TEST_F(HostRegistrationTest, EndsWithItsObject) {
  auto registration = HostRegistration::Make(0, memory_);
  ASSERT_EQ(registration.status(), absl::OkStatus());
  EXPECT_FALSE(HostRegistration::Make(0, memory_).ok()) << "it is registered already";
  EXPECT_TRUE(IsReachable(memory_.data() + kBytes - 1));
  registration->reset();
  EXPECT_FALSE(IsReachable(memory_.data() + kBytes - 1));
  EXPECT_EQ(HostRegistration::Make(0, memory_).status(), absl::OkStatus());
}

TEST_F(HostRegistrationTest, SaysWhichDeviceDoesNotExist) {
  EXPECT_FALSE(HostRegistration::Make(1000, memory_).ok());
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess) << "the next launch would find the error";
}

}  // namespace
}  // namespace pinboard::cuda
