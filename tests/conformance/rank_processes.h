// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The ranks of a group as processes that run the same test program in step: for libraries that
// allow one rank a process.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace pinboard::transport {

/// What a conformance environment of processes derives from. Every process runs every test; in Run
/// it takes its own rank's part, or none where the group is smaller, and waits for the others.
class RankProcesses {
 public:
  /// In place of RUN_ALL_TESTS: forks `count` processes that run all tests, each after
  /// `prepare(rank)`. The first one's output is the program's; of the others the failures are. A
  /// process that a signal ends takes the rest along. Nothing that does not survive a fork may have
  /// been started.
  static int RunAllTests(int count, const std::function<void(int rank)>& prepare) {
    shared_ = Share();
    count_ = count;
    std::fflush(nullptr);
    std::vector<pid_t> processes;
    for (int rank = 0; rank < count; ++rank) {
      const pid_t process = fork();
      if (process == 0) {
        rank_ = rank;
        prepare(rank);
        if (rank > 0) PrintFailuresOnly();
        std::exit(RUN_ALL_TESTS());
      }
      processes.push_back(process);
    }
    return Collect(processes);
  }

  static void Run(int size, const std::function<void(int rank)>& body) {
    if (rank_ < size) body(rank_);
    shared_->runs.Meet(count_);
  }
  static void Meet(int parties) { shared_->meetings.Meet(parties); }

  /// The text that rank 0 of a group of `size` ranks says; each calls it once in a Run.
  static std::string Tell(const std::string& of_rank_zero, int size) {
    if (rank_ == 0) std::snprintf(shared_->text, sizeof(shared_->text), "%s", of_rank_zero.c_str());
    Meet(size);
    return shared_->text;
  }

 private:
  class Meeting {
   public:
    void Meet(int parties) {
      const int mine = meeting_;
      if (++present_ == parties) {
        present_ = 0;
        ++meeting_;
      }
      const absl::Time limit = absl::Now() + absl::Seconds(90);
      while (meeting_ == mine) {
        if (absl::Now() > limit) {
          std::fprintf(stderr, "[rank %d] another rank has not come: has it failed?\n", rank_);
          std::abort();
        }
        absl::SleepFor(absl::Microseconds(200));
      }
    }

   private:
    std::atomic<int> present_ = 0;
    std::atomic<int> meeting_ = 0;
  };
  struct Shared {
    Meeting runs;
    Meeting meetings;
    char text[128] = {};
  };

  static Shared* Share() {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return new (memory) Shared;
  }

  static int Collect(std::vector<pid_t> processes) {
    int worst = 0;
    while (!processes.empty()) {
      int status = 0;
      const pid_t ended = wait(&status);
      processes.erase(std::find(processes.begin(), processes.end(), ended));
      worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
      if (!WIFSIGNALED(status)) continue;
      for (const pid_t process : processes) kill(process, SIGKILL);
    }
    return worst;
  }

  class FailurePrinter : public ::testing::EmptyTestEventListener {
    void OnTestPartResult(const ::testing::TestPartResult& result) override {
      if (!result.failed()) return;
      std::fprintf(stderr, "[rank %d] %s:%d: %s\n", rank_, result.file_name(), result.line_number(),
                   result.message());
    }
  };
  static void PrintFailuresOnly() {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);  // GoogleTest owns it
  }

  static inline Shared* shared_ = nullptr;
  static inline int count_ = 1;
  static inline int rank_ = 0;
};

}  // namespace pinboard::transport
