// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service under load and faults for long: does its memory, or the number of its descriptors,
// grow?
//   fault_soak SECONDS JSON-FILE SEED
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache_service/client/stats_client.h"
#include "tests/cache_service/child_process.h"
#include "tests/fault/board.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/process.h"
#include "tests/fault/scripted_client.h"
#include "tests/fault/trend.h"
#include "tests/support/seeded_random.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::testing {
namespace {

constexpr int kClients = 3;
constexpr int kCopyingClients = 1;  // over sockets; the others map the service's memory
constexpr std::uint64_t kArenaBytes = std::uint64_t{128} << 10;  // for two thirds of the pages
constexpr absl::Duration kSampleEvery = absl::Seconds(2);
constexpr absl::Duration kFaultEvery = absl::Milliseconds(400);
constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr absl::Duration kPatience = absl::Seconds(30);  // until who is told to end has ended

using Sample = std::map<std::string, double>;

/// Kilobytes by name, of /proc/PID/status.
double StatusKib(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::atof(line.c_str() + name.size() + 1);
  }
  return 0;
}

/// In use of the service's heap, as heap_preload.cc has written; 0 where it has not.
double HeapBytes(const std::string& path) {
  std::uint64_t bytes = 0;
  std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(&bytes), sizeof(bytes));
  return static_cast<double>(bytes);
}

double Descriptors(pid_t pid) {
  DIR* directory = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  if (directory == nullptr) return 0;
  int count = -2;  // . and ..
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

class Soak {
 public:
  Soak(double seconds, std::uint32_t seed)
      : seconds_(seconds),
        random_(seed),
        board_path_("/tmp/fault_soak_board_" + std::to_string(getpid())),
        board_((unlink(board_path_.c_str()), board_path_)),
        heap_path_("/tmp/fault_soak_heap_" + std::to_string(getpid())),
        service_((unlink(heap_path_.c_str()),
                  StartFaultService("127.0.0.1:0", kArenaBytes, "",
                                    {"LD_PRELOAD=" + BuiltProgram("tests/fault/libfault_heap.so"),
                                     "PINBOARD_TEST_HEAP=" + heap_path_}))),
        address_(AddressOf(*service_)),
        clients_(kClients) {
    board_->client_count.store(kClients);
    for (int i = 0; i < kClients; ++i) StartClient(i);
  }
  ~Soak() {
    unlink(board_path_.c_str());
    unlink(heap_path_.c_str());
  }

  void Run() {
    const absl::Time start = SteadyNow();
    const absl::Time end = start + absl::Seconds(seconds_);
    absl::Time next_sample = start + kSampleEvery;
    while (SteadyNow() < end && AllRun()) {
      absl::SleepFor(kFaultEvery);
      Fault();
      if (SteadyNow() < next_sample) continue;
      next_sample += kSampleEvery;
      samples_.push_back(TakeSample(absl::ToDoubleSeconds(SteadyNow() - start)));
    }
    AllRun();
    board_->stop.store(true);
    for (int i = 0; i < kClients; ++i) AwaitEnd(i, 0);
  }

  /// Prints the trends and writes everything to `path`; false where something grew or was wrong.
  bool Report(const std::string& path) const;

 private:
  void StartClient(int index) {
    clients_[index] = std::make_unique<Process>(
        std::vector<std::string>{BuiltProgram("tests/fault/fault_client"), address_, board_path_,
                                 std::to_string(index), std::to_string(random_.Int(1, 1 << 30))},
        index < kCopyingClients ? std::vector<std::string>{"UCX_TLS=tcp,self"}
                                : std::vector<std::string>{});
  }

  /// Whether no process has ended by itself; else what has is said, once.
  bool AllRun() {
    if (service_->Look() == Process::State::kEnded) {
      mistakes_.insert(absl::StrCat("the service ended with ", service_->outcome()));
    }
    for (int i = 0; i < kClients; ++i) {
      if (clients_[i]->Look() != Process::State::kEnded) continue;
      mistakes_.insert(
          absl::StrCat("client ", i, " ended by itself, with ", clients_[i]->outcome()));
    }
    return mistakes_.empty();
  }

  /// `outcome`: what its end must be.
  void AwaitEnd(int index, int outcome) {
    Process& client = *clients_[index];
    const absl::Time deadline = SteadyNow() + kPatience;
    while (client.Look() != Process::State::kEnded && SteadyNow() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    if (client.Look() != Process::State::kEnded) {
      mistakes_.insert(absl::StrCat("client ", index, " hangs"));
    } else if (client.outcome() != outcome) {
      mistakes_.insert(absl::StrCat("client ", index, " ended with ", client.outcome()));
    }
  }

  void Fault() {
    const int index = random_.Int(0, kClients - 1);
    const int draw = random_.Int(1, 4);
    if (draw == 1) {
      Pause(*service_);
    } else if (draw == 2) {
      Pause(*clients_[index]);
    } else {
      clients_[index]->Signal(SIGKILL);
      AwaitEnd(index, -SIGKILL);
      StartClient(index);
    }
    ++faults_[draw == 1 ? "service stopped" : draw == 2 ? "client stopped" : "client killed"];
  }

  static void Pause(Process& process) {
    process.Signal(SIGSTOP);
    absl::SleepFor(kPause);
    process.Signal(SIGCONT);
  }

  Sample TakeSample(double seconds) const {
    const pid_t pid = service_->pid();
    Sample sample = {{"seconds", seconds},
                     {"rss_kib", StatusKib(pid, "VmRSS")},
                     {"data_kib", StatusKib(pid, "VmData")},
                     {"descriptors", Descriptors(pid)}};
    if (const double bytes = HeapBytes(heap_path_); bytes > 0) sample["heap_bytes"] = bytes;
    auto fabric = transport::MakeUcxFabric();
    if (!fabric.ok()) return sample;
    auto client = cache_service::StatsClient::Connect(*std::move(fabric), address_, "soak",
                                                      std::nullopt, SteadyNow() + absl::Seconds(5));
    if (!client.ok()) return sample;
    const auto entries = (*client)->Ask(SteadyNow() + absl::Seconds(5));
    (*client)->Close(SteadyNow() + absl::Seconds(1));
    if (!entries.ok()) return sample;
    for (const cache_service::StatsEntry& entry : *entries) {
      sample[entry.name] = static_cast<double>(entry.value);
    }
    return sample;
  }

  const double seconds_;
  SeededRandom random_;
  const std::string board_path_;
  const SharedBoard board_;
  const std::string heap_path_;
  const std::unique_ptr<Process> service_;
  const std::string address_;
  std::vector<std::unique_ptr<Process>> clients_;
  std::map<std::string, int> faults_;
  std::vector<Sample> samples_;
  std::set<std::string> mistakes_;
};

bool Soak::Report(const std::string& path) const {
  bool good = true;
  nlohmann::ordered_json json{{"faults", faults_}, {"samples", samples_}};
  // What comes up in the first quarter is not looked at: pools fill, the allocator warms up. Of
  // anonymous memory what is in use is judged, and how far it can come: what is resident rises
  // towards that as parts of the heap are touched for the first time.
  const auto first = samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 4);
  for (const char* name :
       {"rss_kib", "data_kib", "heap_bytes", "descriptors",
        "pinboard_service_slabs{state=\"leased\"}", "pinboard_service_slabs{state=\"quarantined\"}",
        "pinboard_service_pins", "pinboard_service_pages", "pinboard_service_extents",
        "pinboard_service_arena_used_bytes"}) {
    std::vector<double> seconds;
    std::vector<double> values;
    for (auto sample = first; sample != samples_.end(); ++sample) {
      const auto value = sample->find(name);
      if (value == sample->end()) continue;
      seconds.push_back(sample->at("seconds"));
      values.push_back(value->second);
    }
    if (seconds.size() < 3) {
      std::printf("%s was not seen three times\n", name);
      good = false;
      continue;
    }
    const Trend trend = FitTrend(seconds, values);
    std::printf("%-45s mean %10.1f  slope %+.4f +- %.4f per second  %s\n", name, trend.mean,
                trend.slope, trend.slope_error, trend.flat() ? "flat" : "GROWS");
    json["trends"][name] = {{"mean", trend.mean},
                            {"slope_per_second", trend.slope},
                            {"slope_error", trend.slope_error},
                            {"flat", trend.flat()}};
    good = good && trend.flat();
  }
  std::uint64_t hits = 0;
  std::uint64_t wrong = 0;
  for (int i = 0; i < kClients; ++i) {
    const ClientCounts& counts = board_->clients[i];
    hits += counts.hits;
    wrong += counts.wrong + counts.corrupted + counts.stale + counts.protocol_errors;
  }
  std::printf("%llu pages read and checked, %llu wrong;", static_cast<unsigned long long>(hits),
              static_cast<unsigned long long>(wrong));
  for (const auto& [fault, count] : faults_) std::printf(" %s %d times;", fault.c_str(), count);
  std::printf(" %zu samples\n", samples_.size());
  json["pages_read"] = hits;
  json["wrong"] = wrong;
  json["mistakes"] = mistakes_;
  for (const std::string& mistake : mistakes_) std::printf("%s\n", mistake.c_str());
  std::ofstream file(path);
  file << json.dump(1) << "\n" << std::flush;
  if (!file) {
    std::fprintf(stderr, "fault_soak: '%s' cannot be written\n", path.c_str());
    good = false;
  }
  return good && wrong == 0 && hits > 0 && mistakes_.empty();
}

}  // namespace
}  // namespace pinboard::testing

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: fault_soak SECONDS JSON-FILE SEED\n");
    return 2;
  }
  pinboard::InitLog("soak", pinboard::LogLevel::kOff);
  pinboard::testing::Soak soak(std::atof(argv[1]), std::atoi(argv[3]));
  soak.Run();
  return soak.Report(argv[2]) ? 0 : 1;
}
