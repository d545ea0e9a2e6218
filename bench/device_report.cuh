// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What benchmarks of device operations share: inputs on the device, the median of graph replays,
// and a report of times beside floors, as Markdown and as JSON.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/pinned_buffer.h"
#include "base/dtype.h"

namespace pinboard::bench {

inline void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}
inline void Require(cudaError_t error) { Require(cuda::ToStatus(error, "benchmark")); }

/// Device memory that lives until the program ends.
template <typename T>
T* Allocate(std::size_t count) {
  void* data = nullptr;
  Require(cudaMalloc(&data, count * sizeof(T)));
  return static_cast<T*>(data);
}
template <typename T>
T* Copy(const std::vector<T>& host) {
  T* const device = Allocate<T>(host.size());
  Require(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

inline cuda::PinnedBuffer Pinned(std::size_t bytes) {
  auto pinned = cuda::PinnedBuffer::Make(bytes);
  Require(pinned.status());
  return *std::move(pinned);
}

/// Normal values: a block of them repeated, which no operation notices.
inline std::vector<float> Normals(std::size_t count, float deviation = 1.0F) {
  static const std::vector<float> block = [] {
    std::mt19937_64 random(20261128);
    std::normal_distribution<float> normal;
    std::vector<float> drawn((std::size_t{1} << 22) + 8);  // no multiple of a row
    for (float& value : drawn) value = normal(random);
    return drawn;
  }();
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = deviation * block[i % block.size()];
  return values;
}
inline std::uint16_t* Bf16OnDevice(const std::vector<float>& values) {
  std::vector<std::uint16_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), FloatToBFloat16);
  return Copy(bits);
}
/// Of any number of them: the block is repeated on the device.
inline std::uint16_t* Bf16Normals(std::size_t count, float deviation = 1.0F) {
  constexpr std::size_t kBlock = (std::size_t{1} << 22) + 8;
  auto* const device = Allocate<std::uint16_t>(count);
  const std::size_t first = std::min(count, kBlock);
  std::uint16_t* const block = Bf16OnDevice(Normals(first, deviation));
  for (std::size_t at = 0; at < count; at += first) {
    Require(cudaMemcpy(device + at, block, std::min(first, count - at) * sizeof(std::uint16_t),
                       cudaMemcpyDeviceToDevice));
  }
  Require(cudaFree(block));
  return device;
}

inline std::vector<std::int32_t> UpTo(int count) {
  std::vector<std::int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}
/// [1], as launches count what they refuse.
inline std::uint32_t* Faults() { return Copy(std::vector<std::uint32_t>{0}); }
inline void RequireNone(const std::uint32_t* faults, const char* of) {
  std::uint32_t count = 0;
  Require(cudaMemcpy(&count, faults, sizeof(count), cudaMemcpyDeviceToHost));
  if (count > 0) Require(absl::InternalError(std::string(of) + " refused some of the input"));
}

using Launch = std::function<absl::Status(cudaStream_t)>;

/// Of `replays` replays of the graph that `launch` captures to, L2 read clean before each.
double MedianMs(const Launch& launch, int replays = 50);

/// Of a copy within the device by its multiprocessors, bytes each way, by the best of three
/// kernels.
double CopyBytesPerMs();

/// What an operation cannot do without.
struct Work {
  double bytes = 0.0;         // of device memory, read and written once each
  double matrix_flops = 0.0;  // on the tensor cores
  double instructions = 0.0;  // of single precision, a lane each
};

/// Prints a row for each operation and collects them. A floor is the time that the bytes take at
/// the bandwidth of a copy measured in the same run, the products at a large matrix product's rate,
/// or the instructions at 128 a multiprocessor and clock, whichever is longest.
class Report {
 public:
  /// Wants all operations whose names begin with `only`. With `once`, for a profiler: the operation
  /// of that very name is launched once, as it is, and nothing is timed.
  explicit Report(std::string only = "", bool once = false) : only_(std::move(only)), once_(once) {
    if (once_) return;
    copy_bytes_per_ms_ = CopyBytesPerMs();
    int multiprocessors = 0;
    int clock_khz = 0;
    Require(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    Require(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0));
    instructions_per_ms_ = 128.0 * multiprocessors * clock_khz;
    std::printf("%s: a device copy of 2 GiB at %.0f GB/s\n\n", DeviceName().c_str(),
                copy_bytes_per_ms_ * 1e-6);
    std::printf("| operation | ms | floor, ms | ratio |\n|---|---|---|---|\n");
  }

  /// Any of the operations whose names begin with `names`.
  bool Wants(const std::string& names) const {
    return names.rfind(only_, 0) == 0 || only_.rfind(names, 0) == 0;
  }

  /// The median, in milliseconds.
  double Add(const std::string& name, const Work& work, const Launch& launch, int replays = 50) {
    if (once_) {
      if (name == only_) LaunchOnce(launch);
      return 0.0;
    }
    const double ms = MedianMs(launch, replays);
    AddTime(name, work, ms);
    return ms;
  }
  /// Of what was timed elsewhere.
  void AddTime(const std::string& name, const Work& work, double ms) {
    const double bytes_ms = work.bytes / copy_bytes_per_ms_;
    const double arithmetic_ms =
        std::max(work.matrix_flops / kMatrixFlopsPerMs, work.instructions / instructions_per_ms_);
    const double floor_ms = std::max(bytes_ms, arithmetic_ms);
    if (floor_ms > 0.0) {
      std::printf("| %s | %.4f | %.4f | %.1f |\n", name.c_str(), ms, floor_ms, ms / floor_ms);
    } else {
      std::printf("| %s | %.4f | - | - |\n", name.c_str(), ms);
    }
    std::fflush(stdout);
    char times[128];
    std::snprintf(times, sizeof(times),
                  "{\"ms\": %.5f, \"bytes_ms\": %.5f, \"arithmetic_ms\": %.5f}", ms, bytes_ms,
                  arithmetic_ms);
    rows_ += (rows_.empty() ? "  \"" : ",\n  \"") + name + "\": " + times;
  }

  void WriteJson(const std::string& path) const {
    int driver = 0;
    Require(cudaDriverGetVersion(&driver));
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) Require(absl::UnavailableError("cannot write " + path));
    std::fprintf(file,
                 "{\"device\": \"%s\", \"cuda_driver\": %d, \"copy_gb_per_s\": %.0f,\n"
                 " \"operations\": {\n%s\n }}\n",
                 DeviceName().c_str(), driver, copy_bytes_per_ms_ * 1e-6, rows_.c_str());
    std::fclose(file);
  }

 private:
  static constexpr double kMatrixFlopsPerMs = 790e9;

  static std::string DeviceName() {
    cudaDeviceProp device;
    Require(cudaGetDeviceProperties(&device, 0));
    return device.name;
  }

  static void LaunchOnce(const Launch& launch) {
    cudaStream_t stream;
    Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    Require(launch(stream));
    Require(cudaStreamSynchronize(stream));
    Require(cudaStreamDestroy(stream));
  }

  const std::string only_;
  const bool once_;
  double copy_bytes_per_ms_ = 0.0;
  double instructions_per_ms_ = 0.0;
  std::string rows_;
};

/// The options that these programs share.
struct Options {
  std::string json;   // --json FILE
  std::string only;   // the first letters of the operations that are wanted
  bool once = false;  // --once
};
inline Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--json" && i + 1 < argc) {
      options.json = argv[++i];
    } else if (std::string(argv[i]) == "--once") {
      options.once = true;
    } else {
      options.only = argv[i];
    }
  }
  return options;
}

}  // namespace pinboard::bench
