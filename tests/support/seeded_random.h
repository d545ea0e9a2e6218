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

namespace pinboard {

/// A new seed, or that of the environment; prints it.
inline std::uint32_t TestSeed() {
  const char* given = std::getenv("PINBOARD_TEST_SEED");
  const std::uint32_t seed = given != nullptr ? static_cast<std::uint32_t>(std::stoul(given))
                                              : static_cast<std::uint32_t>(std::random_device{}());
  std::cout << "PINBOARD_TEST_SEED=" << seed << std::endl;
  return seed;
}

class SeededRandom {
 public:
  SeededRandom() : engine_(TestSeed()) {}
  /// Prints nothing.
  explicit SeededRandom(std::uint32_t seed) : engine_(seed) {}

  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  bool OneIn(int times) { return Int(1, times) == 1; }
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
  std::mt19937_64 engine_;
};

}  // namespace pinboard
