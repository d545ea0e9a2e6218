// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Random inputs whose seed a failing test prints and PINBOARD_TEST_SEED repeats.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace pinboard::kernels {

class SeededRandom {
 public:
  SeededRandom() : seed_(PickSeed()), engine_(seed_) {
    std::cout << "PINBOARD_TEST_SEED=" << seed_ << std::endl;
  }

  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  float Normal(float deviation = 1.0F) {
    return std::normal_distribution<float>(0.0F, deviation)(engine_);
  }
  std::vector<float> Normals(std::size_t count, float deviation = 1.0F) {
    std::vector<float> values(count);
    for (float& value : values) value = Normal(deviation);
    return values;
  }
  template <typename T>
  const T& Pick(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(Int(0, static_cast<int>(choices.size()) - 1))];
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  static std::uint64_t PickSeed() {
    const char* given = std::getenv("PINBOARD_TEST_SEED");
    return given != nullptr ? std::stoull(given) : std::random_device{}();
  }

  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace pinboard::kernels
